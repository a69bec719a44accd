"""The rows of the fault matrix: how each fault is made, how it ends, what the head should do."""

from dataclasses import dataclass

from kf_imitation.motion.motion_generator import STALL_RESTS_S


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: for people.
        start: fault commands.
        end: fault commands that take the cause away.
        last_s: how long the cause lasts.
        reaction: what the head should do, for the table.
        alarm: regex of the sentence that tells of it; '' for any alarm.
        reboot: joint to reboot once the cause is gone, '' for none.
        affected: joints that must not be moved; all of them when empty.
        tolerated: the head goes on; only `pushes` make it unsafe.
        back_s: within which the head is well again once the cause is gone.
        unheard: the fault does no harm and needs no alarm.
        pushes: this joint pushes until it lets go, which is when it is safe.
        goal_cycles: cycles between two goals.
        moving: the fault begins once this joint has a way to go, '' for at once.
    """

    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]
    last_s: float
    reaction: str
    reboot: str = ''
    affected: tuple[str, ...] = ()
    tolerated: bool = False
    back_s: float = 2.0
    unheard: bool = False
    pushes: str = ''
    goal_cycles: int = 25
    moving: str = ''
    alarm: str = ''


FAULTS = (
    Fault('USB adapter unplugged', ('unplug',), ('plug',), 1.0, 'stops commanding, reopens'),
    Fault('bus cable cut (no replies)', ('silence', 'deaf'), ('normal',), 1.0, 'as above'),
    Fault('replies lost, commands arrive', ('silence',), ('normal',), 1.0, 'as above'),
    Fault('every checksum wrong', ('crc 1',), ('normal',), 1.0, 'as above'),
    Fault(
        '5 % of the replies lost',
        ('lose 0.05',),
        ('normal',),
        2.0,
        'pauses and says so',
        tolerated=True,
    ),
    Fault(
        '5 % wrong checksums',
        ('crc 0.05',),
        ('normal',),
        2.0,
        'pauses and says so',
        tolerated=True,
    ),
    Fault(
        'noise before every reply',
        ('noise 1',),
        ('normal',),
        2.0,
        'goes on',
        tolerated=True,
        unheard=True,
    ),
    Fault(
        'replies 5 ms late',
        ('slow 0.005',),
        ('normal',),
        2.0,
        'slows down',
        tolerated=True,
        unheard=True,
    ),
    Fault('replies 60 ms late', ('slow 0.06',), ('normal',), 1.0, 'stops commanding, reopens'),
    Fault(
        'one servo dead',
        ('dead 10',),
        ('alive 10',),
        1.5,
        'goes on without the joint',
        affected=('neck_yaw',),
        alarm='neck_yaw|line is poor',
    ),
    Fault(
        'one servo restarts',
        ('reboot 10',),
        (),
        0.0,
        'takes it in again from where it is',
        affected=('neck_yaw',),
        alarm='neck_yaw|line is poor',
    ),
    Fault(
        'overload shutdown',
        ('overload 1',),
        (),
        1.0,
        'goes on without the joint until its reboot is asked for',
        'jaw',
        ('jaw',),
        alarm='jaw',
    ),
    Fault(
        'overheating shutdown',
        ('heat 1 75',),
        ('heat 1 30',),
        1.0,
        'as above',
        'jaw',
        ('jaw',),
        alarm='jaw',
    ),
    Fault(
        'servo at 60 °C',
        ('heat 1 60',),
        ('heat 1 30',),
        2.0,
        'moves the joint half as far',
        affected=(),
        tolerated=True,
        alarm='jaw',
    ),
    Fault(
        'jaw stuck',
        ('block 1',),
        ('free 1',),
        2.0,
        'lets the joint rest',
        tolerated=True,
        back_s=STALL_RESTS_S[-1] + 0.5,
        pushes='jaw',
        goal_cycles=100,
        moving='jaw',
        alarm='jaw',
    ),
    Fault(
        'brown-out of all servos', ('supply 2',), ('normal',), 1.0, 'stops, starts from present'
    ),
    Fault(
        'voltage of one servo too low',
        ('supply 9 10',),
        ('normal',),
        1.0,
        'goes on and says so',
        'neck_yaw',
        tolerated=True,
        alarm='neck_yaw',
    ),
)
