"""How a parameter is defined: a field of a settings class that carries its rule.

    @dataclass(frozen=True, slots=True)
    class AvatarSettings:
        rate_hz: float = parameter(15.0, 'most pictures per second', 'Hz', 0.5, 60, live=True)

The settings class is what the stages receive; `parameters_of` lists its parameters by their ROS
names, `settings_from` fills it with values by those names. kf_imitation/parameters/settings.py
defines all of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from kf_imitation.parameters.yaml_text import number_hint, text_hint

Value = bool | int | float | str | list[str]
T = TypeVar('T')

_ROLE = 'role'  # key of the metadata of a field: its Parameter or Group


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node.

    Attributes:
        name: ROS name; a dot groups.
        default: also fixes the type. A mapping stands for one parameter per key.
        description: what it does, and what 0 or empty means where that is special.
        unit: '' for pure numbers and text.
        minimum: inclusive lower bound of numbers.
        maximum: inclusive upper bound of numbers.
        one_of: the allowed texts.
        live: may be changed while the node runs.
        former_name: works for one more release, with a warning; '' for none.
        path: 'path', 'name' where a word may also mean something else than a file, or 'camera'
            for a name of which a page may choose a camera of this machine; relative ones in a
            file are taken from its folder. '' for all other texts.
        panel: where the cockpit shows it.
    """

    name: str
    default: Any
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    one_of: tuple[str, ...] = ()
    live: bool = False
    former_name: str = ''
    path: str = ''
    panel: str = 'more'

    def problem(self, value: object) -> str:
        """Return what is wrong with a value as one sentence, or '' when it is good."""
        wanted = type(self.default)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            hint = number_hint(value) if wanted in (int, float) else ''
            hint = text_hint(value) if wanted is str else hint
            return f'{self.name} = {value!r} must be {_TYPE_WORDS[wanted]}{hint}'
        if wanted in (int, float) and not self._in_bounds(float(value)):  # type: ignore[arg-type]
            return f'{self.name} = {value} must be {self.rule()}'
        if self.one_of and value not in self.one_of:
            return f'{self.name} = {value!r} must be one of {", ".join(self.one_of)}'
        if isinstance(value, list) and not all(type(item) is str for item in value):
            return f'{self.name} = {value!r} must be a list of texts'
        return ''

    def rule(self) -> str:
        """The bounds in words, for messages and the generated documentation."""
        unit = f' {self.unit}' if self.unit else ''
        if self.minimum is not None and self.maximum is not None:
            return f'from {self.minimum:.9g} to {self.maximum:.9g}{unit}'
        if self.minimum is not None:
            return f'{self.minimum:.9g}{unit} or more'
        if self.maximum is not None:
            return f'{self.maximum:.9g}{unit} or less'
        return f'any number{unit}'

    def _in_bounds(self, value: float) -> bool:
        low = -float('inf') if self.minimum is None else self.minimum
        high = float('inf') if self.maximum is None else self.maximum
        return low <= value <= high  # false for NaN

    def named(self, prefix: str, name: str) -> tuple['Parameter', ...]:
        """Return the parameter with its whole name; several for a mapping."""
        former = f'{prefix}{self.former_name}' if self.former_name else ''
        if not isinstance(self.default, Mapping):
            return (replace(self, name=f'{prefix}{name}', former_name=former),)
        return tuple(
            replace(
                self,
                name=f'{prefix}{name}.{key}',
                default=value,
                former_name=f'{former}.{key}' if former else '',
            )
            for key, value in self.default.items()
        )


_TYPE_WORDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    list: 'a list of texts',
}


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters of a settings class inside another.

    Attributes:
        kind: the class.
        description: of the group, for the parameter file; may be empty.
        prefixed: their ROS names start with the name of the field and a dot.
    """

    kind: type
    description: str
    prefixed: bool


def parameter(
    default: T,
    description: str,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    one_of: tuple[str, ...] = (),
    live: bool = False,
    formerly: str = '',
    path: str = '',
    panel: str = 'more',
) -> T:
    """Return a field of a settings class that is a parameter, with the attributes of Parameter.

    A mapping as the default makes one parameter `<field>.<key>` per key; `formerly` is the name
    that the field had in the last release.
    """
    role = Parameter(
        '', default, description, unit, minimum, maximum, one_of, live, formerly, path, panel
    )
    made: T = field(default_factory=lambda: default, metadata={_ROLE: role})
    return made


def group(kind: type[T], description: str = '', *, prefixed: bool = True) -> T:
    """Return a field of a settings class that holds another settings class; see Group."""
    made: T = field(default_factory=kind, metadata={_ROLE: Group(kind, description, prefixed)})
    return made


def members(kind: type) -> dict[str, Parameter | Group]:
    """Return parameters and groups of a settings class by field, in their order."""
    return {f.name: f.metadata[_ROLE] for f in fields(kind) if _ROLE in f.metadata}


def parameters_of(kind: type, prefix: str = '') -> tuple[Parameter, ...]:
    """Return all parameters of a settings class and its groups, with their ROS names."""
    found: list[Parameter] = []
    for name, member in members(kind).items():
        if isinstance(member, Group):
            found += parameters_of(member.kind, f'{prefix}{name}.' if member.prefixed else prefix)
        else:
            found += member.named(prefix, name)
    return tuple(found)


def settings_from(kind: type[T], values: Mapping[str, Any], prefix: str = '') -> T:
    """Return a settings object filled with values.

    Args:
        kind: the settings class.
        values: by ROS name; what is missing keeps its default.
        prefix: of the names.
    """
    given: dict[str, Any] = {}
    for name, member in members(kind).items():
        if isinstance(member, Group):
            inner = f'{prefix}{name}.' if member.prefixed else prefix
            given[name] = settings_from(member.kind, values, inner)
        elif isinstance(member.default, Mapping):
            given[name] = {
                key: values.get(f'{prefix}{name}.{key}', default)
                for key, default in member.default.items()
            }
        else:
            given[name] = values.get(f'{prefix}{name}', member.default)
    return kind(**given)


def renamed(
    parameters: Iterable[Parameter], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Replace former names by the present ones.

    Args:
        parameters: of the node or settings class.
        values: by ROS name. Where both names are given, the present one counts.

    Returns:
        The values by present name, and the former names among them with what they are now.
    """
    present = {p.former_name: p.name for p in parameters if p.former_name}
    former = {name: present[name] for name in values if name in present}
    moved = {former[name]: value for name, value in values.items() if name in former}
    return moved | {n: v for n, v in values.items() if n not in former}, former
