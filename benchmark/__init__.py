"""Commands that measure: speed, jitter, faults and what bounded delay costs."""

import os
import sys
from types import TracebackType

# As in kf_imitation/__init__.py, whose code the judge must not load.
os.environ['ORT_DISABLE_TELEMETRY'] = '1'


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    from kf_imitation.errors import end_without_a_package  # only now that a program has failed

    end_without_a_package(kind, error, trace)


sys.excepthook = _report
