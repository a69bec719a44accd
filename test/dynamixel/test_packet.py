from hypothesis import given, settings
from hypothesis import strategies as st

from kf_imitation.actuators.dynamixel.simulator import packet
from kf_imitation.actuators.dynamixel.simulator.packet import Packet, Parser, encode

IDS = st.integers(0, 252) | st.just(packet.BROADCAST_ID)
# Bytes that look like headers and stuffing are much more likely than by chance.
DATA = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x01, 0x55]) | st.integers(0, 255)).map(bytes)
PACKETS = st.builds(Packet, IDS, st.integers(0, 255), DATA)


def wire(p):
    return encode(p.id, p.instruction, p.parameters)


def test_the_examples_of_the_manual():
    assert encode(1, packet.PING).hex(' ') == 'ff ff fd 00 01 03 00 01 19 4e'
    read = encode(1, packet.READ, bytes([0x84, 0, 4, 0]))
    assert read.hex(' ') == 'ff ff fd 00 01 07 00 02 84 00 04 00 1d 15'
    status = bytes([0xA6, 0, 0, 0])
    reply = packet.encode_status(1, 0, status)
    assert reply.hex(' ') == 'ff ff fd 00 01 08 00 55 00 a6 00 00 00 8c c0'


@given(PACKETS)
def test_what_is_encoded_is_parsed(p):
    assert Parser().feed(wire(p)) == [p]


@given(st.lists(PACKETS, max_size=5), st.integers(1, 7))
def test_the_cut_of_the_stream_does_not_matter(packets, size):
    stream = b''.join(map(wire, packets))
    parser = Parser()
    found = [p for i in range(0, len(stream), size) for p in parser.feed(stream[i : i + size])]
    assert found == packets


@settings(max_examples=300)
@given(DATA, PACKETS)
def test_random_bytes_are_skipped_and_the_next_packets_found(garbage, p):
    """Whatever came before, a packet is found after at most one packet's length of others."""
    parser = Parser()
    parser.feed(garbage)
    found = []
    for _ in range(2 + packet.MAX_LENGTH // len(wire(p))):
        found += parser.feed(wire(p))
    assert p in found
    assert parser.pending < packet.MAX_LENGTH


@given(PACKETS, st.integers(0), st.integers(1, 255))
def test_a_damaged_packet_never_passes_for_a_good_one(p, position, flip):
    data = bytearray(wire(p))
    data[position % len(data)] ^= flip
    found = Parser().feed(bytes(data))
    assert all(not f.valid for f in found if f == p or f.id == p.id), found


@given(DATA)
def test_stuffing_hides_every_header_and_can_be_undone(data):
    stuffed = packet.stuff(data)
    assert packet.unstuff(stuffed) == data
    assert packet.HEADER not in stuffed


def test_a_good_packet_inside_a_broken_one_is_found():
    good = encode(5, packet.PING)
    broken = packet.HEADER + bytes([1, 14, 0, 3]) + good + b'\x00\x00\x00\x00\x00'
    found = Parser().feed(broken + good)
    assert [f.id for f in found if f.valid] == [5, 5]


def test_a_half_packet_can_be_forgotten():
    parser = Parser()
    parser.feed(encode(1, packet.PING)[:6])
    parser.reset()
    assert parser.feed(encode(2, packet.PING)) == [Packet(2, packet.PING)]
