"""Fuzz the packet parser and the simulated servos: random, truncated and oversize packets.

    python benchmark/fuzz.py [--seconds 60] [--seed 0]

After every sequence of bursts and a pause on the line, the next good packet must be answered. A
crash, a hang (a sequence above 2 s) or silence ends it with exit code 1 and the seed. Seconds are
of processor time, so that the figures do not depend on what else the machine does.
"""

import argparse
import random
import sys
import time

from kf_imitation.servo import packet as p
from kf_imitation.servo.control_table import MODELS
from kf_imitation.servo.packet import Parser, encode
from kf_imitation.servo.simulated_line import SimulatedLine
from kf_imitation.servo.simulated_servo import SimulatedServo

INSTRUCTIONS = (
    p.PING,
    p.READ,
    p.WRITE,
    p.REG_WRITE,
    p.ACTION,
    p.FACTORY_RESET,
    p.REBOOT,
    p.CLEAR,
    p.BACKUP,
    p.STATUS,
    p.SYNC_READ,
    p.SYNC_WRITE,
    p.FAST_SYNC_READ,
    p.BULK_READ,
    p.BULK_WRITE,
    p.FAST_BULK_READ,
    0x00,
    0xFF,
)
LONGEST_BURST_S = 2.0


def burst(rng: random.Random) -> bytes:
    """Return some bytes that no decent host would send."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return bytes(rng.choices((0xFF, 0xFD, 0x00, 0x01, 0x55), k=rng.randrange(100)))
    ids = (1, 2, p.BROADCAST_ID, rng.randrange(256))
    content = rng.choice(
        (b'', b'\x01CTRL', b'\x02CTRL', b'\x01DXL"', rng.randbytes(rng.randrange(60)))
    )
    if rng.random() < 0.5:  # an address that exists, most likely
        content = rng.randrange(260).to_bytes(2, 'little') + content
    data = encode(rng.choice(ids), rng.choice(INSTRUCTIONS), content)
    if kind == 2:
        return data
    if kind == 3:
        return data[: rng.randrange(len(data))]  # truncated
    head = bytearray(data)
    head[5:7] = rng.randrange(65536).to_bytes(2, 'little')  # any length, oversize too
    return bytes(head)


def survives(seed: int) -> tuple[str, int]:
    """Send one sequence of bursts; returns the fault ('' for none) and the bytes sent."""
    rng = random.Random(seed)
    servos = [SimulatedServo(MODELS['XL330-M288'], 1), SimulatedServo(MODELS['XM430-W350'], 2)]
    line = SimulatedLine(servos)
    sent = 0
    begin = time.process_time()
    for _ in range(20):
        data = burst(rng)
        sent += len(data)
        line.receive(data, 1_000_000)
        line.step(0.002)
    line.step(0.6)  # a pause: reboots end, half packets are forgotten
    if time.process_time() - begin > LONGEST_BURST_S:
        return 'hangs', sent
    for servo in servos:
        if servos[0].id == servos[1].id:
            break  # the noise made them namesakes, which no ping can tell apart
        replies = line.receive(encode(servo.id, p.PING), servo.baud)
        packets = [packet for reply in replies for packet in Parser().feed(reply.data)]
        if not any(packet.id == servo.id and packet.valid for packet in packets):
            return f'servo {servo.id} does not answer', sent
    return '', sent


def main() -> int:
    """Fuzz for a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0, help='of processor time')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    end = time.process_time() + args.seconds
    seed, total = args.seed, 0
    while time.process_time() < end:
        fault, sent = survives(seed)
        total += sent
        if fault:
            print(f'seed {seed}: {fault}')
            return 1
        seed += 1
    print(
        f'{seed - args.seed} sequences, {total} bytes in {args.seconds:g} s of processor time: '
        'no crash, no hang, always an answer'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
