"""Who may move each joint now: one owner at a time, the first of this order that asks for it.

stop > nobody (the joint takes no commands) > trajectory > face > neutral.
"""

from collections.abc import Collection

from kf_imitation.head.command_mailbox import CommandMailbox

STOP = 'stop'  # until a reset
NOBODY = 'nobody'  # off, bus lost, or out of service
TRAJECTORY = 'trajectory'  # until its end
FACE = 'face'  # goals, until hold_s after the last sign of life
NEUTRAL = 'neutral'  # nobody asks for anything


def owners(
    joints: int,
    stopped: bool,
    runs: bool,
    mailbox: CommandMailbox,
    out_of_service: Collection[int],
) -> tuple[str, ...]:
    """Return the owner of each joint.

    Args:
        joints: how many.
        stopped: a stop is latched.
        runs: commands are carried out.
        mailbox: what was asked for.
        out_of_service: joints that take no commands.
    """
    if stopped:
        return (STOP,) * joints
    if not runs:
        return (NOBODY,) * joints
    trajectory = mailbox.running
    scripted = [] if trajectory is None else trajectory.joints.tolist()
    others = NEUTRAL if mailbox.relaxed else FACE
    return tuple(
        NOBODY if i in out_of_service else TRAJECTORY if i in scripted else others
        for i in range(joints)
    )
