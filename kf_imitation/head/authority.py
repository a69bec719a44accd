"""Who may move each joint now: one owner at a time, the first of this order that asks for it.

stop > nobody (the joint takes no commands) > trajectory > reflex > face > neutral.
"""

from collections.abc import Iterable

from kf_imitation.head.command_mailbox import CommandMailbox

STOP = 'stop'  # until a reset
NOBODY = 'nobody'  # off, bus lost, or out of service
TRAJECTORY = 'trajectory'  # until its end
REFLEX = 'reflex'  # for a moment after each
FACE = 'face'  # goals, until hold_s after the last sign of life
NEUTRAL = 'neutral'  # nobody asks for anything


def owners(
    joints: int,
    stopped: bool,
    runs: bool,
    mailbox: CommandMailbox,
    now_s: float,
    out_of_service: Iterable[int] = (),
) -> tuple[str, ...]:
    """Return the owner of each joint.

    Args:
        joints: how many.
        stopped: a stop is latched.
        runs: commands are carried out.
        mailbox: what was asked for.
        now_s: controller time.
        out_of_service: joints that take no commands.
    """
    if stopped:
        return (STOP,) * joints
    if not runs:
        return (NOBODY,) * joints
    owner = [NEUTRAL if mailbox.relaxed else FACE] * joints
    reflex, trajectory = mailbox.reflex, mailbox.running
    if reflex is not None and reflex.counts(now_s):
        _give(owner, REFLEX, reflex.joints.tolist())
    if trajectory is not None:
        _give(owner, TRAJECTORY, trajectory.joints.tolist())
    _give(owner, NOBODY, out_of_service)
    return tuple(owner)


def _give(owner: list[str], to: str, joints: Iterable[int]) -> None:
    for joint in joints:
        owner[joint] = to
