"""Run `python -m training.labels`."""

import sys

from training.labels.run import main

if __name__ == '__main__':
    sys.exit(main())
