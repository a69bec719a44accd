"""The simulated bus of `port: simulated`: packets over a socket instead of a pseudo-terminal."""

import pytest

from kf_imitation.actuators.bus import NoReplyError
from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.local_socket import LocalSocket
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.errors import PortError


@pytest.fixture
def line():
    servos = [SimulatedServo(MODELS['XM430-W350'], id_) for id_ in (1, 2)]
    with SimulatedPort(SimulatedBus(servos), LocalSocket()) as port:
        yield port


@pytest.fixture
def bus(line):
    made = DynamixelBus(line.device, 1_000_000)
    made.open()
    yield made
    made.close()


def test_servos_answer_over_the_socket(bus):
    assert [reply.id for reply in bus.scan()] == [1, 2]
    bus.write(1, 65, b'\x01')
    assert {id_: reply.data for id_, reply in bus.group_read(65, 1, [1, 2]).items()} == {
        1: b'\x01',
        2: b'\x00',
    }


def test_servos_hear_their_own_baud_rate_alone(line):
    other = DynamixelBus(line.device, 57_600)
    other.open()
    with pytest.raises(NoReplyError):
        other.ping(1)
    other.close()


def test_a_bus_may_be_opened_again_and_again(line, bus):
    for _ in range(5):
        bus.close()
        bus.open()
        assert bus.ping(2).id == 2


def test_the_second_program_waits_until_the_first_has_gone(line, bus):
    second = DynamixelBus(line.device, 1_000_000)
    second.open()
    with pytest.raises(NoReplyError):
        second.ping(1, tries=1)
    assert bus.ping(1).id == 1
    bus.close()
    assert second.ping(1).id == 1
    second.close()


def test_an_unplugged_line_is_gone_until_it_is_plugged_in_again(line, bus):
    line.unplug()
    with pytest.raises(PortError):
        bus.ping(1)
    bus.close()
    with pytest.raises(PortError, match='does not exist'):
        bus.open()
    line.plug()
    bus.open()
    assert bus.ping(1).id == 1
