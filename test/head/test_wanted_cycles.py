"""Of a hundred cycles a second, the motor process tells what somebody wants."""

import numpy as np
import pytest

from kf_imitation.head.motor_link import PULSE_S
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.wanted_cycles import EVERY_HZ, WantedCycles

PERIOD_NS = 10_000_000
BEGIN_NS = 4_000_000_000


def cycle(number, commanding=True):
    nothing = np.empty(0)
    stamp_ns = BEGIN_NS + number * PERIOD_NS
    return ServoCycle(stamp_ns, (), *[nothing] * 5, fresh=True, commanding=commanding)


def chosen(wanted, begin, end, commanding=True):
    return [n for n in range(begin, end) if wanted.chooses(cycle(n, commanding))]


def test_a_cycle_per_pulse_is_told_although_nobody_wants_one():
    found = chosen(WantedCycles(), 0, 300)
    assert found[0] == 0 and len(found) == pytest.approx(3 / PULSE_S, abs=1)
    assert max(np.diff(found)) * PERIOD_NS <= PULSE_S * 1e9 + PERIOD_NS


@pytest.mark.parametrize('rate_hz', [0.0, -1.0, float('nan'), 1.0, 1e-320])
def test_no_rate_ends_the_pulse(rate_hz):
    wanted = WantedCycles()
    wanted.set_rate(rate_hz)
    assert len(chosen(wanted, 0, 300)) == pytest.approx(3 / PULSE_S, abs=1)


def test_every_cycle_is_told_from_when_it_is_wanted_to_when_it_is_not():
    wanted = WantedCycles()
    chosen(wanted, 0, 5)
    wanted.set_rate(EVERY_HZ)
    assert chosen(wanted, 5, 105) == list(range(5, 105))
    wanted.set_rate(0.0)
    assert len(chosen(wanted, 105, 205)) <= 1 / PULSE_S + 1


def test_a_lower_rate_is_kept_on_average():
    wanted = WantedCycles()
    wanted.set_rate(30.0)
    assert len(chosen(wanted, 0, 1000)) == pytest.approx(300, abs=3)


def test_after_a_pause_no_cycles_are_made_up_for():
    wanted = WantedCycles()
    wanted.set_rate(30.0)
    chosen(wanted, 0, 100)
    assert len(chosen(wanted, 1000, 1100)) == pytest.approx(30, abs=2)


@pytest.mark.parametrize('commanding', [True, False])
def test_the_first_cycle_after_a_moment_is_told_once(commanding):
    wanted = WantedCycles()
    assert chosen(wanted, 0, 1) == [0]
    wanted.want_first(BEGIN_NS + 3 * PERIOD_NS - 1)
    assert not chosen(wanted, 1, 3)  # of before
    assert chosen(wanted, 3, 5, commanding) == [3]
