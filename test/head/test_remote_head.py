"""A head with a motor process of its own, and what happens when either process is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.errors import ConfigError, PortError, ServoSetupError
from kf_imitation.head import motor_link
from kf_imitation.head.clock import boottime_ns
from kf_imitation.head.motor_connection import MotorConnection
from kf_imitation.head.motor_link import NOTHING, Kind, MotorError, MotorLink, socket_pair
from kf_imitation.head.motor_messages import fingerprint
from kf_imitation.head.motor_process import ASKED_TO_END
from kf_imitation.head.remote_head import RemoteHead
from kf_imitation.head.reports import ERROR, OK
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
STEP = np.deg2rad(4.0)  # by which a servo lags behind at most, then its goal; a jump would be 17
LONG_S = 80.0  # a busy machine takes a while to start a program
TARGET = np.array([0.3, 0.5])

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def robot_file(tmp_path):
    """Jaw and neck yaw, as a file that another process can read."""

    def write(**changes):
        file = share_path('config/robots/sim_face.yaml')
        document = yaml.safe_load(file.read_text(encoding='utf-8'))
        joints = [document['joints'][0], document['joints'][9]]
        document |= {'joints': joints, 'coupled_limits': [], 'urdf': '', 'exit': 'limp', **changes}
        path = tmp_path / 'two_joints.yaml'
        path.write_text(yaml.safe_dump(document), encoding='utf-8')
        return path

    return write


@pytest.fixture
def rig(robot_file, rig_of):
    rig = rig_of(load_robot(str(robot_file())))
    rig.timeout_s = LONG_S
    return rig


@pytest.fixture
def make_head(rig):
    """Make a started head on the rig; ended after the test."""
    heads = []

    def make(start=True, **options):
        head = RemoteHead(rig.robot, rig.port.device, hold_s=60.0, **options)
        heads.append(head)
        if start:
            head.open()
            head.start()
        return head

    yield make
    for head in heads:
        head.close()


@pytest.fixture
def head(make_head):
    return make_head()


def present(rig):
    with rig.port.lock:
        return np.array([servo.physics.angle_rad - np.pi for servo in rig.line.servos])


def go(rig, head, target=TARGET):
    """Move there, or be on the way."""
    before = present(rig)
    assert head.set_goal(target, time.time_ns()) == ''
    rig.wait(lambda: np.abs(present(rig) - before).min() > 0.05, 'motion')


def is_level(head, level, words=''):
    return lambda: head.status().level == level and words in head.status().sentence


def largest_step(rig):
    """Largest step between goals of a servo, and from where it was to the first [rad]."""
    with rig.port.lock:
        goals = {}
        for record in rig.log:
            if record.register == 'goal_position':
                goals.setdefault(record.id, []).append(record.value)
    return max(np.abs(np.diff(ticks)).max() for ticks in goals.values()) * RAD_PER_TICK


def alive(pid):
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


# --- as ServoController --------------------------------------------------------------------------


def test_the_motor_process_has_neither_ros_nor_vision_in_it():
    look = (
        'import sys, kf_imitation.head.motor_process\n'
        'print({"rclpy", "cv2", "onnxruntime", "kf_imitation.pipeline"} & set(sys.modules))'
    )
    answer = subprocess.run(
        [sys.executable, '-c', look], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert answer.stdout == 'set()\n'


def test_goals_go_through_the_motor_process_and_cycles_come_back(rig, head):
    cycles = []
    head.on_cycle = cycles.append
    assert head.pid != os.getpid()
    go(rig, head)
    rig.wait(lambda: cycles and np.abs(cycles[-1].present_rad - TARGET).max() < 0.01, 'arrival')
    assert cycles[-1].names == rig.robot.names and cycles[-1].commanding
    rig.wait(is_level(head, OK, 'following'), 'report')
    assert head.statistics().cycles > 10
    head.relax()
    rig.wait(is_level(head, OK, 'at rest in neutral'), 'neutral')


def test_cycles_that_nobody_wants_do_not_come_but_the_one_asked_for(rig, head):
    cycles, wanted_hz = [], [0.0]
    head.cycles_hz = lambda: wanted_hz[0]
    head.on_cycle = cycles.append

    def came_in(seconds):
        """Return how many came in so many seconds of the bus."""
        begin = head.statistics().cycles
        wait_for_cycles(rig, head, begin + 20)  # the wish has arrived
        count, begin = len(cycles), head.statistics().cycles
        wait_for_cycles(rig, head, begin + 100 * seconds)
        return (len(cycles) - count) / (head.statistics().cycles - begin)

    assert came_in(2) < 0.2
    go(rig, head)
    asked_ns = boottime_ns()
    head.ask_for_cycle()
    rig.wait(lambda: cycles and cycles[-1].stamp_ns >= asked_ns, 'cycle')
    assert cycles[-1].commanding
    wanted_hz[0] = EVERY_HZ
    assert came_in(1) > 0.7
    assert head.status().level == OK


def wait_for_cycles(rig, head, count):
    rig.wait(lambda: head.statistics().cycles >= count, 'cycles')


def test_reflexes_go_through_the_motor_process_and_what_is_wrong_comes_back(rig, head):
    cycles, jaw = [], np.array([0])
    head.on_cycle = cycles.append

    def opened():
        assert head.set_reflex(jaw, np.array([0.3]), time.time_ns()) == ''
        return cycles and abs(cycles[-1].present_rad[0] - 0.3) < 0.02

    rig.wait(opened, 'reflex')
    assert 'jaw = 2 rad is outside' in head.set_reflex(jaw, np.array([2.0]), time.time_ns())


def test_what_is_wrong_with_a_command_comes_back_and_is_counted(rig, head):
    assert 'outside' in head.set_goal(np.array([9.0, 0.0]), time.time_ns())
    assert 'in the future' in head.set_goal(TARGET, 2 * time.time_ns())
    reason = head.set_trajectory(['nose'], [TrajectoryPoint(1.0, (0.1,))])
    assert reason.startswith('trajectory: nose is not a joint')
    rig.wait(lambda: head.status().values['rejected commands'] == '3', 'count')
    assert 'nose' in head.status().values['last rejected command']


def test_a_long_trajectory_arrives_whole(rig, head):
    times = np.arange(1, 5001) * 0.01
    points = [TrajectoryPoint(t, (0.2 * np.sin(t / 2.0) ** 2, 0.0)) for t in times.tolist()]
    assert head.set_trajectory(rig.robot.names, points) == ''
    rig.wait(is_level(head, OK, 'following a trajectory'), 'trajectory')
    rig.wait(lambda: present(rig)[0] > 0.05, 'motion')


def test_stop_reset_and_torque_answer_when_the_servos_have_confirmed(rig, head):
    go(rig, head)
    stopped = head.stop().result(LONG_S)
    assert stopped.done and 'every servo confirmed' in stopped.sentence
    assert head.latched and rig.torques() == [False, False]
    assert head.set_goal(TARGET, time.time_ns()) == 'stopped: reset first'
    for on in (False, True):  # torque does not end a stop
        torque = head.torque(on).result(LONG_S)
        assert torque.done is not on
    assert torque.sentence == 'stopped: reset first' and rig.torques() == [False, False]
    assert head.reset().result(LONG_S).done
    assert rig.torques() == [True, True]
    rig.wait(lambda: not head.latched, 'report')
    assert head.torque(False).result(LONG_S).done
    assert head.torque(True).result(LONG_S).done
    assert (
        head.recover(careful=True)
        .result(LONG_S)
        .sentence.endswith('no servo has a hardware error')
    )


def test_what_keeps_a_head_from_opening_is_the_same_error(rig, make_head, robot_file):
    head = make_head(start=False)
    apply_fault('dead 10', rig.port)
    with pytest.raises(ServoSetupError, match='neck_yaw'):
        head.open()
    apply_fault('normal', rig.port)
    robot_file(stop='hold')
    with pytest.raises(ConfigError, match='changed after the servo node read it'):
        head.open()
    robot_file()
    head.open()
    rig.port.unplug()
    with pytest.raises(PortError):
        head.start()
    rig.port.plug()
    head.start()
    assert rig.torques() == [True, True]


def test_rest_lets_go_and_close_ends_the_process(rig, head):
    pid = head.pid
    head.rest()
    assert rig.torques() == [False, False]
    head.start()
    assert rig.torques() == [True, True]
    head.close()
    head.close()
    assert rig.torques() == [False, False] and not alive(pid)
    head.open()
    assert head.pid != pid


def test_a_stopped_head_is_stopped_after_a_restart_of_both_processes(rig, make_head):
    first = make_head(stop_record=StopRecord(rig.robot))
    assert first.stop().result(LONG_S).done
    first.close()
    second = make_head(stop_record=StopRecord(rig.robot))
    assert second.latched and rig.torques() == [False, False]
    assert 'stopped before' in second.warnings[-1]


# --- the motor process dies ----------------------------------------------------------------------


def test_a_killed_motor_process_is_reported_and_started_again_without_a_jump(rig, head):
    changes = []
    head.on_change = lambda: changes.append(head.status())
    go(rig, head)
    os.kill(head.pid, signal.SIGKILL)
    rig.wait(is_level(head, ERROR, 'was killed by signal 9'), 'error')
    assert 'killed by signal 9' in head.set_goal(TARGET, time.time_ns()) or head.restarts
    rig.wait(lambda: head.restarts == 1, 'restart')
    assert rig.torques() == [True, True]
    rig.wait(lambda: np.abs(present(rig)).max() < 0.01, 'neutral')
    assert largest_step(rig) < STEP
    assert changes[0].level == ERROR
    go(rig, head)


def test_a_stop_outlives_a_killed_motor_process(rig, head):
    assert head.stop().result(LONG_S).done
    os.kill(head.pid, signal.SIGKILL)
    rig.wait(lambda: head.restarts == 1, 'restart')
    assert head.latched and rig.torques() == [False, False]
    assert head.reset().result(LONG_S).done
    assert rig.torques() == [True, True]


def test_a_stop_counts_that_finds_no_motor_process(rig, head):
    os.kill(head.pid, signal.SIGKILL)
    rig.wait(is_level(head, ERROR), 'error')
    answer = head.stop().result(LONG_S)
    assert answer.done or 'The stop counts' in answer.sentence
    rig.wait(lambda: head.restarts == 1, 'restart')
    rig.wait(lambda: rig.torques() == [False, False], 'stop')
    assert head.latched


def test_a_hanging_motor_process_is_reported_killed_and_started_again(rig, head):
    go(rig, head)
    pid = head.pid
    os.kill(pid, signal.SIGSTOP)
    rig.wait(is_level(head, ERROR, 'has been silent for'), 'error')
    assert 'does not answer' in head.set_goal(TARGET, time.time_ns())
    rig.wait(lambda: head.restarts == 1, 'restart')
    # It said: was killed by signal 9. Nobody else had done that.
    assert 'the motor process hung for 5 s and was started again' in head.status().sentence
    assert not alive(pid) and rig.torques() == [True, True]
    assert largest_step(rig) < STEP


def test_a_motor_process_that_stood_still_for_a_moment_goes_on(rig, head):
    go(rig, head)
    pid = head.pid
    os.kill(pid, signal.SIGSTOP)
    rig.wait(is_level(head, ERROR, 'has been silent for'), 'error')
    os.kill(pid, signal.SIGCONT)
    rig.wait(lambda: head.status().level != ERROR, 'report')
    assert (head.pid, head.restarts) == (pid, 0)
    assert largest_step(rig) < STEP


def test_a_head_whose_motor_process_died_is_let_go_of_at_the_end(rig, head):
    os.kill(head.pid, signal.SIGKILL)
    assert head.close() == ''
    assert rig.torques() == [False, False]


def kill_at(monkeypatch, act, times):
    """Kill the motor process as it is asked for something, so many times."""
    call = MotorConnection.call

    def killing(motor, asked, *rest, **values):
        nonlocal times
        if asked == act and times:
            times -= 1
            os.kill(motor.pid, signal.SIGKILL)
        return call(motor, asked, *rest, **values)

    monkeypatch.setattr(MotorConnection, 'call', killing)


@pytest.mark.parametrize('act', ['open', 'start'])
def test_a_motor_process_that_is_killed_while_the_head_starts_is_started_once_more(
    rig, make_head, monkeypatch, act
):
    # The run ended with one line: the motor process was killed by signal 9.
    kill_at(monkeypatch, act, 1)
    head = make_head()
    go(rig, head)
    rig.wait(lambda: head.status().level != ERROR, 'report')  # a busy machine is warned of
    assert largest_step(rig) < STEP


def test_a_head_that_cannot_be_started_says_what_its_servos_do_and_what_to_do(
    make_head, monkeypatch
):
    kill_at(monkeypatch, 'start', 2)
    head = make_head(start=False)
    head.open()
    with pytest.raises(MotorError, match=r'signal 9\. Servos .* hold .*servo off --robot'):
        head.start()


def test_a_head_that_cannot_be_left_by_its_exit_policy_says_so_once(rig, make_head, capfd):
    # A run whose simulator was killed ended with exit code 0.
    head = make_head()
    rig.port.unplug()
    problem = head.close()
    rig.port.plug()
    assert 'not left as its exit policy says (limp)' in problem
    assert 'servo off --robot' in problem
    assert 'not left as' not in capfd.readouterr().err  # the motor process leaves it to the caller


def test_a_motor_process_that_is_reported_to_end_lets_go_and_stays_away(rig, head):
    os.kill(head.pid, signal.SIGTERM)
    rig.wait(is_level(head, ERROR, 'was told to end and let go'), 'end')
    assert rig.torques() == [False, False] and head.restarts == 0
    answer = head.reset().result(LONG_S)  # it said that it was being started again, for ever
    assert not answer.done and 'start the head again' in answer.sentence
    head.rest()
    head.start()
    assert rig.torques() == [True, True]


def test_ctrl_c_is_for_the_process_that_started_it(rig, head):
    assert os.getpgid(head.pid) != os.getpgid(0)
    os.kill(head.pid, signal.SIGINT)
    go(rig, head)


# --- the one who started it dies -----------------------------------------------------------------

HOST = """
import sys, time
import numpy as np
from kf_imitation.head.remote_head import RemoteHead
from kf_imitation.robot import load_robot
head = RemoteHead(load_robot(sys.argv[1]), sys.argv[2], hold_s=60.0)
head.open()
head.start()
head.set_goal(np.array([0.3, 0.5]), time.time_ns())
print(head.pid, flush=True)
for line in sys.stdin:
    print(head.status().level, head.status().sentence, flush=True)
"""


@pytest.fixture
def host(rig):
    """A process that has started a head; returned with the id of the motor process."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOST, rig.robot.source, rig.port.device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    motor = int(process.stdout.readline())
    yield process, motor
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    rig.wait(lambda: not alive(motor), 'end of the motor process')


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_when_the_node_dies_the_head_goes_to_neutral_and_is_left(rig, host, number):
    process, motor = host
    rig.wait(lambda: np.abs(present(rig)).min() > 0.1, 'motion')
    process.send_signal(number)
    rig.wait(lambda: not alive(motor), 'end of the motor process')
    assert rig.torques() == [False, False]
    assert np.abs(present(rig)).max() < 0.02
    assert largest_step(rig) < STEP


def test_a_node_that_wakes_up_says_so_and_begins_again(rig, host):
    process, motor = host
    process.send_signal(signal.SIGSTOP)
    rig.wait(lambda: not alive(motor), 'end of the motor process')
    process.send_signal(signal.SIGCONT)
    rig.wait(lambda: rig.torques() == [True, True], 'restart')
    process.stdin.write('\n')
    process.stdin.flush()
    level, sentence = process.stdout.readline().split(maxsplit=1)
    assert int(level) == ERROR and 'started again' in sentence


# --- what the motor process makes of a bad other end ---------------------------------------------


class Hand:
    """The other end of a motor process, in the hands of the test."""

    def __init__(self, rig):
        own, other = socket_pair()
        command = [sys.executable, '-m', 'kf_imitation.head.motor_process']
        with other:
            self.process = subprocess.Popen(
                [*command, '--fd', str(other.fileno())], pass_fds=(other.fileno(),), cwd=ROOT
            )
        self.link = MotorLink(own, 1.0)
        self.robot = rig.robot
        self._wait = rig.wait
        self._heard = []

    def begin(self, port):
        self.ask(
            'open',
            robot=self.robot.source,
            fingerprint=fingerprint(self.robot),
            port=port,
            rate_hz=100.0,
            exit_policy='',
            remembers=False,
            latched=False,
        )
        self.ask('start')
        self.ask('times', hold_s=60.0, trajectory_most_s=600.0)

    def say(self, act, array=NOTHING, number=0, **values):
        return self.link.send(Kind.CALL, {'act': act, **values}, array, number)

    def ask(self, act, array=NOTHING, **values):
        """Ask and wait for the answer, with signs of life."""
        assert self.say(act, array, number=1, **values)
        self._heard.clear()

        def answered():
            self.say('alive')
            self._heard.extend(m for m in self.link.receive() if m.kind is Kind.ANSWER)
            return self._heard

        self._wait(answered, 'answer')
        return self._heard[0].values

    def reports(self):
        return [m.values for m in self.link.receive() if m.kind is Kind.REPORT]


@pytest.fixture
def hand(rig):
    hand = Hand(rig)
    hand.begin(rig.port.device)
    yield hand
    hand.link.close()
    assert hand.process.wait(LONG_S) in (0, ASKED_TO_END)


def test_a_reader_that_takes_nothing_delays_no_cycle(rig, hand):
    def commands():
        return len(rig.writes('goal_position'))

    def alive():
        return hand.say('alive', cycles_hz=EVERY_HZ)

    before = commands()

    def many():
        alive()  # but it does not read
        return commands() > before + 2 * 1000

    rig.wait(many, 'cycles')
    reports = []
    rig.wait(lambda: alive() and (reports.extend(hand.reports()) or reports), 'report')
    rig.wait(
        lambda: (
            alive()
            and (
                reports.extend(hand.reports())
                or int(reports[-1]['values']['states dropped']) > 100
            )
        ),
        'count of what was dropped',
    )


def test_commands_that_are_old_by_their_own_stamp_are_void_but_a_stop_counts(
    rig, hand, monkeypatch
):
    now_ns = motor_link.boottime_ns
    with monkeypatch.context() as patch:
        patch.setattr(motor_link, 'boottime_ns', lambda: now_ns() - 7_200_000_000)
        answers = [
            hand.ask('goal', TARGET, stamp_ns=1),
            hand.ask('trajectory', np.array([1.0, 0.2, 0.0]), names=['jaw'], delay_s=0.0),
            hand.ask('reset'),
        ]
        assert all('sent 7.2 s ago, at most 0.5 s' in answer['result'] for answer in answers)
        assert hand.ask('stop')['done']
    assert rig.torques() == [False, False]
    assert np.abs(present(rig)).max() < 0.01
    reports = []
    rig.wait(lambda: hand.say('alive') and (reports.extend(hand.reports()) or reports), 'report')
    assert reports[-1]['values']['rejected commands'] == '3'


def test_what_nobody_knows_is_an_answer_and_no_end(rig, hand):
    assert 'not something to ask' in hand.ask('dance')['message']
    assert 'KeyError' in hand.ask('goal', TARGET)['message']
    assert hand.ask('goal', TARGET, stamp_ns=1)['result'] == ''


def test_a_silent_other_end_is_as_good_as_gone(rig, hand):
    hand.ask('goal', TARGET, stamp_ns=1)
    rig.wait(lambda: hand.process.poll() is not None, 'end')
    assert rig.torques() == [False, False]
    assert np.abs(present(rig)).max() < 0.02


def test_an_other_end_that_is_silent_for_a_moment_is_waited_for_in_neutral(rig, hand):
    hand.ask('goal', TARGET, stamp_ns=1)
    rig.wait(lambda: hand.say('alive') and np.abs(present(rig)).min() > 0.1, 'motion')
    rig.wait(lambda: np.abs(present(rig)).max() < 0.02, 'neutral')
    assert rig.torques() == [True, True]
    assert hand.ask('goal', TARGET, stamp_ns=2)['result'] == ''
    rig.wait(lambda: hand.say('alive') and np.abs(present(rig)).min() > 0.1, 'motion')


def test_calls_to_a_process_that_ended_fail_at_once(rig):
    motor = MotorConnection(lambda _: None, lambda _: None, lambda: None)
    os.kill(motor.pid, signal.SIGKILL)
    rig.wait(motor.ended.is_set, 'end')
    assert 'killed by signal 9' in str(motor.ask('stop', 60.0).exception(1.0))
    motor.close()
