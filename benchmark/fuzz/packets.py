"""The packet parser and the simulated servos: random, truncated and oversize packets.

A sequence is 20 bursts: random bytes, packets of all instructions with random content, some of
them cut short or with a false length; writes of extreme values to registers that exist; a supply,
load or horn that changes meanwhile. Then

- the parser, given the same bytes in pieces of any size, must find the next good packet;
- after a pause on the line every servo must answer the next ping, and be read as a whole.
"""

import random
from collections import Counter

from hypothesis import strategies as st

from benchmark.fuzz.bounds import FuzzError
from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.simulator import packet as p
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.packet import Parser, encode
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo

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
IDS = (1, 2, 3)
BAUDS = (1_000_000,) * 8 + (57_600, 4_000_000)
BURSTS = 20
PAUSE_S = 0.6  # reboots end, half packets are forgotten
WHOLE_TABLE = bytes((0, 0)) + (700).to_bytes(2, 'little')


def burst(rng: random.Random) -> bytes:
    """Return some bytes that no decent host would send."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return bytes(rng.choices((0xFF, 0xFD, 0x00, 0x01, 0x55), k=rng.randrange(100)))
    if kind == 2:
        return extreme_write(rng)
    content = rng.choice(
        (b'', b'\x01CTRL', b'\x02CTRL', b'\x01DXL"', rng.randbytes(rng.randrange(60)))
    )
    if rng.random() < 0.5:  # an address that exists, most likely
        content = rng.randrange(260).to_bytes(2, 'little') + content
    data = encode(any_id(rng), rng.choice(INSTRUCTIONS), content)
    if kind == 3:
        return data
    if kind == 4:
        return data[: rng.randrange(len(data))]  # truncated
    head = bytearray(data)
    head[5:7] = rng.randrange(65536).to_bytes(2, 'little')  # any length, oversize too
    return bytes(head)


def extreme_write(rng: random.Random) -> bytes:
    """Return a write of a register that exists, to a value that it may not be made for."""
    register = rng.choice(list(MODELS['XM540-W270'].registers.values()))
    top = 256**register.size
    value = rng.choice(
        (0, 1, top - 1, top // 2, top // 2 - 1, rng.randrange(top), register.maximum % top)
    )
    content = register.address.to_bytes(2, 'little') + value.to_bytes(register.size, 'little')
    return encode(any_id(rng), rng.choice((p.WRITE, p.WRITE, p.REG_WRITE)), content)


def any_id(rng: random.Random) -> int:
    """Return the id of a servo, most likely."""
    return rng.choice((*IDS, p.BROADCAST_ID, rng.randrange(256)))


def check_parser(rng: random.Random, garbage: bytes) -> None:
    """Feed garbage and a good packet in pieces; raise FuzzError if the packet is not found.

    One of two is enough, as no parser can tell chance: a false header may cover the packet with
    the right checksum, and one cut by its last byte may end in FF, where the packet begins.
    """
    for gap in (b'', b'\x00\x00'):
        good = p.Packet(200, p.STATUS, rng.randbytes(3))
        data = garbage + gap + encode(good.id, good.instruction, good.parameters)
        data += bytes(p.MAX_LENGTH)  # whatever a false header asks for
        parser, found, start = Parser(), False, 0
        while start < len(data):
            end = start + rng.choice((1, 7, 64, 4096))
            found |= good in parser.feed(data[start:end])
            start = end
            if parser.pending > p.MAX_LENGTH:
                raise FuzzError(f'the parser keeps {parser.pending} bytes')
        if found:
            return
    raise FuzzError('the parser does not find the next good packet')


def stir(rng: random.Random, servo: SimulatedServo) -> None:
    """Change what acts on a servo from outside."""
    around = servo.physics.surroundings
    around.supply_v = rng.choice((0.0, 4.0, servo.model.nominal_voltage_v, 30.0))
    around.load = rng.uniform(-1.0, 1.0)
    around.blocked = rng.random() < 0.3
    servo.physics.temperature_c = rng.uniform(-40.0, 150.0)


def run_sequence(seed: int) -> Counter[str]:
    """Send one sequence of bursts; returns what was sent and heard.

    Raises:
        FuzzError: a hang, silence or a packet that was not found.
    """
    rng = random.Random(seed)
    servos = [SimulatedServo(MODELS[rng.choice(list(MODELS))], id_) for id_ in IDS]
    line = SimulatedBus(servos)
    garbage, replies = b'', 0
    for _ in range(BURSTS):
        data = burst(rng)
        garbage += data
        replies += len(line.receive(data, rng.choice(BAUDS)))
        if rng.random() < 0.05:
            stir(rng, rng.choice(servos))
        line.step(0.002)
    check_parser(rng, garbage)
    for servo in servos:
        servo.physics.surroundings.supply_v = servo.model.nominal_voltage_v
    line.step(PAUSE_S)
    instructions = line.instructions
    for servo in servos:
        if [other.id for other in servos].count(servo.id) == 1:  # namesakes cannot be told apart
            check_servo(line, servo)
    return Counter(sequences=1, bytes=len(garbage), instructions=instructions, replies=replies)


def check_servo(line: SimulatedBus, servo: SimulatedServo) -> None:
    """Raise FuzzError if a servo does not answer a ping, or cannot be read."""
    for instruction, content in ((p.PING, b''), (p.READ, WHOLE_TABLE)):
        replies = line.receive(encode(servo.id, instruction, content), servo.baud)
        packets = [packet for reply in replies for packet in Parser().feed(reply.data)]
        answered = any(packet.id == servo.id and packet.valid for packet in packets)
        silent = instruction != p.PING and not servo.registers.get('status_return_level')
        if not (answered or silent):
            raise FuzzError(f'servo {servo.id} does not reply')


def run(data: st.DataObject) -> Counter[str]:
    """Send one sequence, of any seed."""
    return run_sequence(data.draw(st.integers(0, 2**32 - 1), label='seed'))
