"""Definitions of message types that the bag library does not know, from the ROS installation."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

# A field of another type: `geometry_msgs/Pose pose`, `Other[] others`.
_FIELD = re.compile(r'^\s*([A-Z]\w*|\w+/(?:msg/)?[A-Z]\w*)(?:\[[^\]]*\])?\s+\w+', re.MULTILINE)


def define(store: Any, message_type: str) -> bool:
    """Teach a typestore of rosbags a message type and all types inside it.

    Args:
        store: gets the types that it lacks.
        message_type: for example my_msgs/msg/Thing; its .msg file is looked for in the share
            folders of AMENT_PREFIX_PATH and of the Python environment.

    Returns:
        Whether the store knows the type now.
    """
    if message_type in store.types:
        return True
    found: dict[str, Any] = {}
    if not _collect(store, message_type, found):
        return False
    try:
        store.register(found)
    except TypesysError:
        return False
    return message_type in store.types


def is_defined(message_type: str) -> bool:
    """Whether a type can be written to a bag, with its definition."""
    return define(_known(), message_type)


def definition(message_type: str) -> str:
    """Return the definition of a type that is_defined(), with those of all types inside it."""
    store = _known()
    define(store, message_type)
    text, _ = store.generate_msgdef(message_type, ros_version=2)
    return str(text)


@cache
def _known() -> Any:
    return get_typestore(Stores.ROS2_KILTED)


def _collect(store: Any, message_type: str, found: dict[str, Any]) -> bool:
    if message_type in store.types or message_type in found:
        return True
    text = _definition(message_type)
    if text is None:
        return False
    try:
        found.update(get_types_from_msg(text, message_type))
    except TypesysError:
        return False
    package = message_type.split('/')[0]
    for name in _FIELD.findall(text):
        parts = name.split('/')
        inner = f'{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}'
        if not _collect(store, inner, found):
            return False
    return True


def _definition(message_type: str) -> str | None:
    package, _, name = message_type.split('/')
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        file = Path(prefix) / 'share' / package / 'msg' / f'{name}.msg'
        if file.is_file():
            return file.read_text(encoding='utf-8')
    return None
