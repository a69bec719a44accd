"""Servos at rest cost next to nothing, and live on as if every step were computed."""

import pytest

from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.physics import ServoPhysics
from kf_imitation.actuators.dynamixel.simulator.port import IDLE_S, REST_S, SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo

MODEL = MODELS['XL330-M288']


class EveryStep(SimulatedServo):
    """Computes every step, also at rest."""

    def _stay(self, steps):
        return 0


def put(servo, name, value):
    register = servo.model.registers[name]
    return servo.write(register.address, (value % 2**32).to_bytes(4, 'little')[: register.size])


def rested(kind=SimulatedServo, **registers):
    servo = kind(MODEL, 1)
    for name, value in {'torque_enable': 1, **registers}.items():
        put(servo, name, value)
    servo.step(1.0)
    return servo


def move(servo):
    put(servo, 'goal_position', 2600)


def block_and_load(servo):
    servo.physics.surroundings.load = 0.1


def heat(servo):
    servo.physics.temperature_c = 71.0


def torque_off(servo):
    put(servo, 'torque_enable', 0)


def low_supply(servo):
    servo.physics.surroundings.supply_v = 3.0


def power_cut(servo):
    servo.physics.surroundings.supply_v = 0.0


EVENTS = [move, block_and_load, heat, torque_off, low_supply, power_cut, SimulatedServo.reboot]


def content(servo):
    servo.read(0, 1)  # brings what is measured up to date
    return dict(servo.registers.contents(MODEL.registers)), servo.physics.temperature_c


@pytest.mark.parametrize('event', EVENTS, ids=lambda event: event.__name__)
def test_rest_before_and_after_an_event_is_the_same_as_every_step(event):
    servos = rested(bus_watchdog=120), rested(EveryStep, bus_watchdog=120)
    for number in range(80):
        for servo in servos:
            if number == 20:
                event(servo)
            servo.hear()
            servo.step(0.037)
        assert content(servos[0]) == content(servos[1])
    for _ in range(80):  # the host falls silent: the watchdog trips at rest
        for servo in servos:
            servo.step(0.037)
        assert content(servos[0]) == content(servos[1])
    if event is move:
        assert content(servos[0])[0]['bus_watchdog'] == 255


def test_nothing_is_integrated_at_rest(monkeypatch):
    servo = rested()
    put(servo, 'goal_position', 2100)
    servo.step(3.0)
    assert servo.at_rest
    monkeypatch.setattr(ServoPhysics, 'step', lambda *_: pytest.fail('a step'))
    for _ in range(100):
        put(servo, 'goal_position', 2100)  # the same goal, as in every cycle
        servo.step(0.01)
        servo.read(0, 200)


def test_a_new_goal_ends_the_rest():
    servo = rested()
    put(servo, 'goal_position', 2100)
    servo.step(0.1)
    assert not servo.at_rest
    servo.step(3.0)
    assert servo.at_rest
    assert abs(content(servo)[0]['present_position'] - 2100) <= 20


def test_the_bus_sleeps_longer_while_its_servos_rest():
    servo = rested()
    servo.step(1.0)
    port = SimulatedPort(SimulatedBus([servo]), PseudoTerminal())
    try:
        assert port.pause_s() == REST_S
        put(servo, 'goal_position', 2600)
        servo.step(0.01)
        assert port.pause_s() == IDLE_S
    finally:
        port.close()
