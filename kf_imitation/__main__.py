"""`python -m kf_imitation`: the command line."""

import sys

from kf_imitation.cli import start

sys.exit(start())
