"""`servo scan`: who is on the line, at which speed, and whether that fits the robot file."""

import argparse
from dataclasses import asdict

from kf_imitation.actuators.bus import PingReply
from kf_imitation.actuators.dynamixel.control_tables import model_name
from kf_imitation.cli.servo_tools.arguments import BAUDS
from kf_imitation.cli.servo_tools.connection import opened_bus
from kf_imitation.cli.terminal import teller, write_json
from kf_imitation.errors import PortError
from kf_imitation.robot import load_robot


def run(args: argparse.Namespace) -> int:
    """Print every servo; exit code 1 when the robot's servos are not all there."""
    robot = load_robot(args.robot)
    found: dict[int, PingReply] = {}
    tell = teller(args.json)
    rates = BAUDS if args.all_bauds else (args.baud,)
    for rate in rates:
        said = rate or ', '.join(str(b) for b in dict.fromkeys(one.baud for one in robot.lines))
        tell(f'{said} bit/s …')
        try:
            with opened_bus(args, rate) as bus:
                replies = bus.scan()
        except PortError as error:
            if not args.all_bauds:
                raise
            tell(f'  {error}')
            continue
        for reply in replies:
            found[reply.id] = reply
            name = model_name(reply.model_number)
            tell(f'  id {reply.id:3}  {name}  firmware {reply.firmware}')
    faults = compare(found, {j.id: (j.name, j.model) for j in robot.joints})
    for fault in faults:
        tell(f'{robot.name}: {fault}')
    if not faults:
        tell(f'{robot.name}: all {len(robot.joints)} servos are there')
    servos = [{'model': model_name(r.model_number), **asdict(r)} for r in found.values()]
    write_json({'robot': robot.name, 'servos': servos, 'faults': faults}, args.json)
    return 1 if faults else 0


def compare(found: dict[int, PingReply], wanted: dict[int, tuple[str, str]]) -> list[str]:
    """Return one sentence for each missing, wrong or unknown servo."""
    faults = []
    for id_, (joint, model) in wanted.items():
        if id_ not in found:
            faults.append(f'id {id_} ({joint}, {model}) does not reply')
        elif model_name(found[id_].model_number) != model:
            is_model = model_name(found[id_].model_number)
            faults.append(f'id {id_} ({joint}) is {is_model}, the robot file says {model}')
    unknown = sorted(set(found) - set(wanted))
    return faults + [f'id {id_} is in no joint of the robot file' for id_ in unknown]
