"""Damage to bytes, as disks, cables and killed programs leave it."""

from typing import NamedTuple

from hypothesis import strategies as st

# Most formats say what follows in their first and last bytes.
_PLACES = st.one_of(st.integers(0, 400), st.integers(-400, -1), st.integers(0, 1 << 24))
_LENGTHS = st.one_of(st.integers(1, 8), st.integers(1, 4000))


class Damage(NamedTuple):
    """One damage.

    Attributes:
        kind: cut (the rest is missing), zeros, bytes, removed, inserted, twice, flipped.
        place: where, modulo the length.
        length: of what is zeroed, removed or doubled [bytes].
        content: what is written or inserted.
    """

    kind: str
    place: int
    length: int
    content: bytes


DAMAGE = st.builds(
    Damage,
    st.sampled_from(('bytes', 'flipped', 'zeros', 'cut', 'removed', 'inserted', 'twice')),
    _PLACES,
    _LENGTHS,
    st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from((b'\xff\xff\xff\xff', b'\x7f\xff\xff\xff', b'\x80\x00\x00\x00')),
    ),
)
DAMAGES = st.lists(DAMAGE, max_size=4)


def damaged(data: bytes, damages: list[Damage]) -> bytes:
    """Apply damages one after the other."""
    for damage in damages:
        data = _one(data, damage) if data else damage.content
    return data


def _one(data: bytes, damage: Damage) -> bytes:
    at = damage.place % len(data)
    end = min(len(data), at + damage.length)
    content = damage.content
    if damage.kind == 'cut':
        return data[:at]
    if damage.kind == 'zeros':
        return data[:at] + bytes(end - at) + data[end:]
    if damage.kind == 'removed':
        return data[:at] + data[end:]
    if damage.kind == 'inserted':
        return data[:at] + content + data[at:]
    if damage.kind == 'twice':
        return data[:end] + data[at:]
    if damage.kind == 'flipped':
        return data[:at] + bytes([data[at] ^ 1 << damage.length % 8]) + data[at + 1 :]
    return data[:at] + content + data[at + len(content) :]
