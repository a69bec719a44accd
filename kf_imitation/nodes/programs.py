"""The programs in lib/kf_imitation: each imports its node, and Ctrl-C meanwhile is no error.

setup.py runs this file for the table, so it imports nothing of the package by itself.
"""

import sys
from functools import partial
from importlib import import_module

NODES = (
    'camera_node',
    'keyframe_node',
    'landmarks_node',
    'servo_node',
    'recorder_node',
    'avatar_node',
    'foxglove_node',
    'cockpit_node',
    'player_node',
)


def run(name: str) -> int:
    """Run the node of that module; returns its exit code."""
    from kf_imitation.errors import MissingPackageError, missing_packages_named

    # Loading takes a second or two, in which the node does not catch signals yet.
    try:
        with missing_packages_named():
            program = import_module(f'kf_imitation.nodes.{name}').main
    except KeyboardInterrupt:
        return 0
    except MissingPackageError as error:
        print(f'kf_imitation: {error}', file=sys.stderr)
        return 2
    return int(program())


# One callable per node, under its name: the console scripts of setup.py.
globals().update({name: partial(run, name) for name in NODES})
