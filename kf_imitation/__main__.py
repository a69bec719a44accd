"""`python -m kf_imitation`: the command line."""

import sys

from kf_imitation.cli.main import main

sys.exit(main())
