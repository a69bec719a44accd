"""What a cycle of the bus thread may fail with by a mistake of ours, and how it is reported."""

import traceback
from pathlib import Path
from struct import error as StructError  # noqa: N812, an exception of that odd name

from kf_imitation.errors import KfImitationError
from kf_imitation.motion.planner import PlanError

# The boundary of the bus thread catches these and no others: whatever code raises by mistake. A
# thread that ends leaves servos that nobody commands, which is worse than any of them. What is
# expected (BusError) is handled where it arises.
CYCLE_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    KfImitationError,
    LookupError,
    MemoryError,
    OSError,
    PlanError,
    RuntimeError,
    StructError,
    TypeError,
    ValueError,
)


def cause(error: BaseException) -> str:
    """Return type, message and place of an exception, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f' at {Path(frames[-1].filename).name}:{frames[-1].lineno}' if frames else ''
    return f'{type(error).__name__}: {error}{where}'
