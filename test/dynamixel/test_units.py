import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import MODELS, hardware_error_text, model_name

TICKS = st.integers(-1_000_000, 1_000_000)


@given(TICKS, st.integers(0, 4095), st.sampled_from([1, -1]))
def test_ticks_and_angles_are_inverse(tick, zero, direction):
    angle = units.position_rad(float(tick), float(zero), float(direction))
    assert units.ticks(angle, zero, direction) == tick


@given(st.integers(-(2**31), 2**31 - 1))
def test_twos_complement_is_inverse(value):
    assert units.unpack(units.pack(value, 4), signed=True) == value


@given(st.integers(-32768, 32767), st.sampled_from([2, 4]))
def test_small_negative_numbers_fit_every_size(value, size):
    assert units.unpack(units.pack(value, size), signed=True) == value


@given(st.integers(-2047, 2047))
def test_speed_is_inverse(raw):
    assert units.velocity_raw(units.velocity_rad_s(float(raw))) == raw


def test_known_values():
    assert units.ticks(math.pi / 2, 2048, 1) == 3072
    assert units.ticks(math.pi / 2, 2048, -1) == 1024
    assert units.velocity_rad_s(1.0) == pytest.approx(0.02398, abs=1e-5)
    assert units.acceleration_rad_s2(1.0) == pytest.approx(0.3745, abs=1e-4)
    assert units.current_raw(0.5, MODELS['XL330-M288']) == 500
    assert units.current_raw(1.0, MODELS['XM430-W350']) == 371
    assert units.current_raw(0.65, MODELS['XL430-W250']) == 500  # load of the stall torque
    assert units.watchdog_raw(0.3) == 15
    assert units.watchdog_raw(100) == 127


def test_a_current_limit_is_never_rounded_up():
    model = MODELS['XM540-W270']
    for milliamps in range(10, 5000, 7):
        raw = units.current_raw(milliamps / 1000, model)
        assert raw * units.current_unit_a(model) <= milliamps / 1000


def test_the_travel_of_one_turn_follows_zero_and_direction():
    low, high = units.travel_rad(0, 1)
    assert (low, high) == (0.0, pytest.approx(2 * math.pi, abs=0.01))
    low, high = units.travel_rad(0, -1)
    assert low == pytest.approx(-2 * math.pi, abs=0.01)


@pytest.mark.parametrize('model', MODELS.values(), ids=MODELS)
def test_registers_of_a_model_do_not_overlap(model):
    used = {}
    for register in model.registers.values():
        assert register.size in (1, 2, 4)
        for address in range(register.address, register.address + register.size):
            assert address not in used, f'{register.name} and {used.get(address)} at {address}'
            used[address] = register.name


def test_names_and_errors_in_words():
    assert model_name(1060) == 'XL430-W250'
    assert model_name(9) == 'model 9'
    assert hardware_error_text(0b100100) == 'overheating, overload'
    assert hardware_error_text(0) == ''
