"""A program of the package with small stages in place of the networks: python THIS NAME ARGS…

NAME is a node (keyframe_node) or a command of the command line (mimic). Everything else is real:
ROS, transport, keyframe detection, servo controller, simulated bus.
"""

import sys
from importlib import import_module

from kf_imitation.cli import main as cli

WITH_STAGES = ('mimic', 'keyframe_node', 'landmarks_node')

if __name__ == '__main__':
    name, *arguments = sys.argv[1:]
    if name in WITH_STAGES:  # the others start sooner
        import_module('small_stages').use()
    if name in cli.COMMANDS:
        sys.exit(cli.main([name, *arguments]))
    sys.exit(import_module(f'kf_imitation.nodes.{name}').main([name, *arguments]))
