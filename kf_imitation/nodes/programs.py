"""The programs in lib/kf_imitation: each imports its node, and Ctrl-C meanwhile is no error."""

from importlib import import_module


def camera_node() -> int:
    """Run the camera node."""
    return _run('camera_node')


def keyframe_node() -> int:
    """Run the keyframe node."""
    return _run('keyframe_node')


def landmarks_node() -> int:
    """Run the landmarks node."""
    return _run('landmarks_node')


def servo_node() -> int:
    """Run the servo node."""
    return _run('servo_node')


def recorder_node() -> int:
    """Run the recorder node."""
    return _run('recorder_node')


def player_node() -> int:
    """Run the player node."""
    return _run('player_node')


def avatar_node() -> int:
    """Run the avatar node."""
    return _run('avatar_node')


def _run(name: str) -> int:
    # Loading takes a second or two, in which the node does not catch signals yet.
    try:
        program = import_module(f'kf_imitation.nodes.{name}').main
    except KeyboardInterrupt:
        return 0
    return int(program())
