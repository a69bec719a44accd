"""`servo set-id` and `servo set-baud`: change where and how fast one servo listens.

Both only say what they would do until --yes is given, and refuse while torque is on.
"""

import argparse
import time

from kf_imitation.actuators.bus import NoReplyError, ServoBus
from kf_imitation.actuators.dynamixel.control_tables import BAUD_RATES, MODELS
from kf_imitation.cli.servo_tools.connection import opened_bus
from kf_imitation.errors import BusError

TABLE = next(iter(MODELS.values())).registers  # these registers are alike in all models
SETTLE_S = 0.1


def run_id(args: argparse.Namespace) -> int:
    """Give a servo another id.

    Raises:
        BusError: the id is taken, torque is on, or the servo does not obey.
    """
    with opened_bus(args) as bus:
        _check_limp(bus, args.id)
        if answers(bus, args.new):
            raise BusError(
                f'id {args.new} is in use: two servos with the same id cannot be distinguished'
            )
        if not args.yes:
            print(f'would change id {args.id} to {args.new}; add --yes')
            return 0
        bus.write(args.id, TABLE['id'].address, bytes([args.new]))
        reply = bus.ping(args.new)
        print(f'id {args.id} is now {reply.id}')
    return 0


def run_baud(args: argparse.Namespace) -> int:
    """Give a servo another speed.

    Raises:
        BusError: torque is on, or the servo is not found at the new speed.
    """
    code = next(code for code, rate in BAUD_RATES.items() if rate == args.new)
    with opened_bus(args) as bus:
        _check_limp(bus, args.id)
        if not args.yes:
            print(f'would set servo {args.id} to {args.new} bit/s; add --yes')
            return 0
        bus.write(args.id, TABLE['baud_rate'].address, bytes([code]))
        port = bus.port
    if args.port:
        args.port = port
        time.sleep(SETTLE_S)
        with opened_bus(args, args.new) as bus:
            bus.ping(args.id)
    print(f'servo {args.id} listens at {args.new} bit/s')
    return 0


def answers(bus: ServoBus, id_: int) -> bool:
    """Return whether anybody has an id."""
    try:
        bus.ping(id_)
    except NoReplyError:
        return False
    return True


def _check_limp(bus: ServoBus, id_: int) -> None:
    bus.ping(id_)
    if bus.read(id_, TABLE['torque_enable'].address, 1)[0]:
        raise BusError(f'servo {id_} has torque on, which locks its settings; stop its program')
