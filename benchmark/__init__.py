"""Commands that measure: speed, jitter, faults and what bounded delay costs."""

import os

# As in kf_imitation/__init__.py, whose code the judge must not load.
os.environ['ORT_DISABLE_TELEMETRY'] = '1'
