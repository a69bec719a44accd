"""Typed access to one mapping of a YAML file, which collects faults instead of raising."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from kf_imitation.errors import nearest
from kf_imitation.parameters.yaml_text import number_hint, text_hint


def name_rule(name: str) -> str:
    """Return what keeps a text from being a name; '' where nothing does."""
    if not name.strip():
        return 'must not be empty'
    odd = any(letter == '/' or unicodedata.category(letter) == 'Cc' for letter in name)
    return 'must have no slashes and no control characters' if odd else ''


class Section:
    """Typed access to one mapping; notes faults instead of raising and returns a stand-in."""

    def __init__(self, values: Mapping[Any, Any], prefix: str, faults: list[str]) -> None:
        self.values = values
        self.prefix = prefix
        self.faults = faults
        self.known: set[str] = set()

    def fault(self, key: str, value: object, rule: str) -> None:
        """Note that a value breaks a rule."""
        self.faults.append(f'{self.prefix}{key} = {value!r} {rule}')

    def raw(self, key: str, default: object = None) -> Any:
        """Return the value; a missing key without default is a fault and gives None."""
        self.known.add(key)
        if key in self.values:
            return self.values[key]
        if default is None:
            self.faults.append(f'{self.prefix}{key} is missing')
        return default

    def number(
        self,
        key: str,
        low: float,
        high: float,
        default: float | None = None,
        above: bool = False,
        or_zero: bool = False,
    ) -> float:
        """Return a finite number, or NaN if faulty.

        Args:
            key: of the number.
            low: lower bound, included.
            high: upper bound, included.
            default: where the key is missing; None: that is a fault.
            above: low itself is none of them.
            or_zero: 0 is one, too.
        """
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return math.nan
        if type(value) not in (int, float) or not math.isfinite(value):
            self.fault(key, value, f'must be a finite number{number_hint(value)}')
        elif not (low <= value <= high or (or_zero and value == 0)) or (above and value == low):
            bounds = f'above {low:g}, up to {high:g}' if above else f'from {low:g} to {high:g}'
            self.fault(key, value, f'must be {"0, or " if or_zero else ""}{bounds}')
        else:
            return float(value)
        return math.nan

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number from low to high; low if faulty."""
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return low
        if type(value) is not int or not low <= value <= high:
            rule = f'must be a whole number from {low} to {high}{number_hint(value)}'
            self.fault(key, value, rule)
            return low
        return value

    def text(self, key: str, default: str | None = None, one_of: Sequence[str] = ()) -> str:
        """Return a text, one of `one_of` if given; '' where it is no text."""
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return ''
        if type(value) is not str:
            self.fault(key, value, f'must be a text{text_hint(value)}')
            return ''
        if one_of and value not in one_of:
            self.fault(key, value, f'must be one of {", ".join(one_of)}')
        return value

    def name(self, key: str) -> str:
        """Return a text that can be shown in a line and be part of a file's name."""
        before = len(self.faults)
        value = self.text(key)
        if len(self.faults) == before and (rule := name_rule(value)):
            self.fault(key, value, rule)
        return value

    def pair(self, key: str, apart: float = 0.0) -> tuple[float, float]:
        """Return two finite numbers, the first smaller by `apart` or more; NaN if faulty."""
        value = self.raw(key)
        if value is None and key not in self.values:
            return math.nan, math.nan
        good = isinstance(value, (list, tuple)) and len(value) == 2
        if not good or not all(type(v) in (int, float) and math.isfinite(v) for v in value):
            self.fault(key, value, 'must be two finite numbers, [low, high]')
        elif value[0] >= value[1]:
            self.fault(key, value, 'must have low < high')
        elif value[1] - value[0] < apart:
            self.fault(key, value, f'must be {apart:g} or more apart')
        else:
            return float(value[0]), float(value[1])
        return math.nan, math.nan

    def mapping(self, key: str, optional: bool = False) -> Mapping[Any, Any]:
        """Return a mapping; an empty one if faulty."""
        value = self.raw(key, {} if optional else None)
        if isinstance(value, dict):
            return value
        if key in self.values:
            self.fault(key, value, 'must be a mapping')
        return {}

    def sections(self, key: str, optional: bool = False) -> dict[int, Mapping[Any, Any]]:
        """Return the mappings of a list by their index; items that are none are faults."""
        value = self.raw(key, [] if optional else None)
        if not isinstance(value, list):
            if key in self.values:
                self.fault(key, value, 'must be a list of mappings')
            return {}
        good: dict[int, Mapping[Any, Any]] = {
            index: item for index, item in enumerate(value) if isinstance(item, dict)
        }
        for index, item in enumerate(value):
            if index not in good:
                self.fault(f'{key}[{index}]', item, 'must be a mapping')
        return good

    def reject_unknown(self) -> None:
        """Note every key that nobody asked for, with the nearest known one."""
        for key in self.values:
            if key not in self.known:
                hint = nearest(str(key), self.known)
                self.faults.append(f'{self.prefix}{key} is not a key of robot files{hint}')
