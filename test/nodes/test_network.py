"""Nobody else on the network may move the head: no packet of ROS leaves the machine."""

import os
import socket
import struct
from functools import partial

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sensor_msgs.msg import JointState

from kf_imitation.nodes import node_main, parameter_reader, programs
from kf_imitation.nodes.composition import Composition
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

OUTGOING = 4  # PACKET_OUTGOING of linux/if_packet.h
IPV4 = b'\x08\x00'
UDP = 17


@pytest.fixture
def sniffer():
    if not hasattr(socket, 'AF_PACKET'):
        pytest.skip('packets can be watched on Linux only')
    try:
        watching = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0003))
    except PermissionError:
        pytest.skip('watching packets needs root')
    watching.setblocking(False)
    yield watching
    watching.close()


def left_the_machine(sniffer, domain):
    """Destinations of DDS packets of this domain that were sent on a real interface."""
    first = 7400 + 250 * int(domain)
    found = set()
    while True:
        try:
            data, (interface, _, kind, *_) = sniffer.recvfrom(65535)
        except BlockingIOError:
            return found
        if interface == 'lo' or kind != OUTGOING or data[12:14] != IPV4 or data[23] != UDP:
            continue
        (port,) = struct.unpack('!H', data[36:38])
        if first <= port < first + 250:
            found.add((interface, socket.inet_ntoa(data[30:34]), port))


class _BeginsError(Exception):
    """ROS is about to begin."""


WAYS = {
    **{name: partial(programs.run, name) for name in programs.NODES},
    'mimic': lambda: Composition(build_graph(RunOptions(source='test-pattern'))),
    'params save': lambda: parameter_reader.read_parameters(None, 1.0),
}


@pytest.mark.parametrize('reach', ['', 'SUBNET'])
@pytest.mark.parametrize('way', WAYS)
def test_whichever_way_a_node_is_started_it_is_local_unless_the_user_opened_it(
    monkeypatch, way, reach
):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', reach)
    if not reach:
        monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE')
    ranges = []

    def begin(**_):
        ranges.append(os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'])
        raise _BeginsError

    monkeypatch.setattr(node_main.rclpy, 'init', begin)
    with pytest.raises(_BeginsError):
        WAYS[way]()
    assert ranges == [reach or 'LOCALHOST']


@pytest.mark.parametrize('leave_unset', [True, False])
def test_no_packet_leaves_the_machine(start, listener, sniffer, domain, environment, leave_unset):
    if leave_unset:  # the command line sets it itself
        environment.pop('ROS_AUTOMATIC_DISCOVERY_RANGE')
    process = start('mimic', '--source', 'test-pattern:3')
    states = listener.listen(JointState, 'joint_states')
    seen = set()

    def watch():
        seen.update(left_the_machine(sniffer, domain))
        return process.poll() is not None

    listener.wait_for(watch, timeout_s=90)
    assert process.returncode == 0
    assert states  # the listener on this machine got them
    assert not seen


def test_the_watching_itself_works(start, sniffer, domain, environment, listener):
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'SUBNET'
    start('mimic', '--source', 'test-pattern')
    seen = set()

    def watch():
        seen.update(left_the_machine(sniffer, domain))
        return bool(seen)

    interfaces = [name for _, name in socket.if_nameindex() if name != 'lo']
    if not interfaces:
        pytest.skip('there is no network')
    listener.wait_for(watch, timeout_s=60)
