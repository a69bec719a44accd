"""Fault commands: what is typed wrong is rejected with the reason and changes nothing."""

import pytest

from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.simulator.bus import BusFaults, SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.fault_help import HELP
from kf_imitation.actuators.dynamixel.simulator.faults import FaultCommandError, apply_fault
from kf_imitation.actuators.dynamixel.simulator.packet import READ, encode
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo

EXAMPLES = {'RATIO': '0.5', 'SECONDS': '0.1', 'ID': '1', 'CELSIUS': '40', 'FRACTION': '-0.5'}


@pytest.fixture
def port():
    made = SimulatedPort(SimulatedBus([SimulatedServo(MODELS['XM430-W350'], 1)]), PseudoTerminal())
    yield made
    made.close()


def answers(port):
    """Whether the servo still lives and answers, after some time."""
    port.line.step(1.0)
    return bool(port.line.receive(encode(1, READ, b'\x7e\x00\x14\x00'), 1_000_000))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        # A temperature of nan once ended the simulator; nan and inf seconds were never over.
        ('heat 1 nan', 'CELSIUS must be from -40 to 150'),
        ('heat 1 1e9', 'CELSIUS must be from -40 to 150'),
        ('slow inf', 'SECONDS must be from 0 to 60'),
        ('slow -1', 'SECONDS must be from 0 to 60'),
        ('supply nan', 'VOLTS must be from 0 to 30'),
        ('load 1 5', 'FRACTION must be from -1 to 1'),
        ('noise 7', 'RATIO must be from 0 to 1'),
        ('crc nan', 'RATIO must be from 0 to 1'),
        ('lose -0.1', 'RATIO must be from 0 to 1'),
        ('heat one 40', "ID must be a servo's: 1"),
        ('supply 7 99', "ID must be a servo's: 1"),  # once did nothing and said nothing
        ('dead 1.5', "ID must be a servo's: 1"),
        ('dead', 'dead ID'),
        ('heat 1', 'heat ID CELSIUS'),
        ('heat 1 20 30', 'heat ID CELSIUS'),
        ('silence 3', 'silence'),
        ('unplug now', 'unplug'),
        ('explode 3', 'commands:'),
    ],
)
def test_a_wrong_command_is_rejected_with_the_reason_and_changes_nothing(port, text, words):
    with pytest.raises(FaultCommandError) as error:
        apply_fault(text, port)
    assert f'cannot do {text!r}' in str(error.value)
    assert words in str(error.value).split(HELP)[0]
    assert port.line.faults == BusFaults(rng=port.line.faults.rng)
    assert answers(port)


def test_every_command_of_the_help_is_taken(port):
    for line in HELP.splitlines():
        for form in line[:23].split('|'):
            word, *names = form.replace('[ID]', '').replace('VOLTS', '11').split()
            apply_fault(' '.join([word, *(EXAMPLES.get(name, name) for name in names)]), port)
    apply_fault('supply 12 1', port)
    apply_fault('', port)
    apply_fault('normal', port)
    assert answers(port)
