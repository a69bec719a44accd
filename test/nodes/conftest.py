"""ROS tests: real processes, real Fast DDS, a domain of their own, tiny videos made here."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import pytest
import yaml

from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name('small_program.py')


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def environment(domain, tmp_path, monkeypatch):
    """What every process of a test gets; also set here, for nodes in the test itself."""
    path = f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    added = {
        'ROS_DOMAIN_ID': domain,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': path,
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'PYTHONUNBUFFERED': '1',
    }
    for name, value in added.items():
        monkeypatch.setenv(name, value)
    # A node must find its transports by itself.
    return {k: v for k, v in os.environ.items() if k != 'FASTDDS_DEFAULT_PROFILES_FILE'}


@pytest.fixture
def start(environment, tmp_path, start_process):
    """Start a program of small_program.py; whatever still runs at the end is killed."""

    def begin(name: str, *arguments: str, program: Path = PROGRAM) -> subprocess.Popen[str]:
        command = [sys.executable, str(program), name, *arguments]
        return start_process(command, subprocess.PIPE, env=environment, cwd=tmp_path)

    return begin


@pytest.fixture
def start_node(start, tmp_path):
    """Start a node with the parameters that the graph gives it, as launch does."""

    def begin(spec, **changes) -> subprocess.Popen[str]:
        file = tmp_path / f'{spec.name}.yaml'
        parameters = {**spec.parameters, **changes}
        file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}), encoding='utf-8')
        return start(spec.executable, '--ros-args', '--params-file', str(file))

    return begin


@pytest.fixture
def port(request):
    """The simulated head ROBOT of the test's module on a pseudo-terminal of this process, so that
    faults can be made."""
    with SimulatedPort(
        SimulatedBus(simulated_servos(request.module.ROBOT)), PseudoTerminal()
    ) as port:
        yield port


@pytest.fixture
def servo_node(start_node):
    """Start a servo node with changed parameters.

    On a busy machine it may hear of the only command of a test late, and performs it all the same.
    """

    def begin(**changes):
        spec = build_graph(RunOptions(source='test-pattern')).node('servo')
        return start_node(spec, **{'most_latency_s': 0.0, 'command_age_s': 5.0} | changes)

    return begin


@pytest.fixture
def make_video(tmp_path) -> Callable[..., Path]:
    """Write a video whose brightness jumps twice a second, or goes black where it is told to."""

    def make(frames: int = 90, black_from: int | None = None, size=(640, 480)) -> Path:
        path = tmp_path / 'clip.mp4'
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 30, size)
        for i in range(frames):
            level = 110 + 80 * np.tanh(4 * np.sin(i * 2 * np.pi / 30))
            black = black_from is not None and i >= black_from
            writer.write(np.full((size[1], size[0], 3), 0 if black else int(level), np.uint8))
        writer.release()
        return path

    return make


class Listener:
    """Collects messages of topics in the test's own process."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from kf_imitation.ros_graph.environment import apply_defaults

        apply_defaults()
        self.context = rclpy.Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node('test_listener', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.messages: dict[str, list] = {}

    def listen(self, kind, topic: str, profile=50) -> list:
        got = self.messages.setdefault(topic, [])
        self.node.create_subscription(kind, topic, got.append, profile)
        return got

    def wait_for(
        self,
        condition: Callable[[], bool],
        timeout_s: float = 60.0,
        what: str | Callable[[], str] = 'a condition',
        send: Callable[[], None] = lambda: None,
    ) -> None:
        """Spin until the condition holds; fail after the timeout.

        Meanwhile send() once a second: what is sent before discovery is through is lost.
        """
        send_at = monotonic()
        end = send_at + timeout_s
        while not condition():
            now = monotonic()
            if now >= end:
                missing = what() if callable(what) else what
                raise AssertionError(f'waited {timeout_s} s in vain for {missing}')
            if now >= send_at:
                send()
                send_at = now + 1.0
            self.executor.spin_once(timeout_sec=0.05)

    def call(self, kind, name: str, request, timeout_s: float = 60.0):
        """Ask a service of a node once, when the answer cannot be lost any more.

        The first answers to a client may be lost (see ask). Discovery tells of this process's
        clients in the order in which they were made: a node whose answer reached a younger one
        knows this one too. So only a harmless question is repeated, never a change of state.
        """
        from rcl_interfaces.srv import GetParameters

        from kf_imitation.nodes.service_question import ask

        client = self.node.create_client(kind, name)
        harmless = f'{name.rpartition("/")[0]}/get_parameters'
        nothing = GetParameters.Request()
        heard = ask(self.node, self.executor, GetParameters, harmless, nothing, timeout_s)
        assert heard, f'{harmless} did not answer in {timeout_s} s, asked once a second'
        self.wait_for(client.service_is_ready, timeout_s, f'the service {name}')
        future = client.call_async(request)
        self.wait_for(future.done, timeout_s, f'the answer of {name}, whose node is alive')
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def listener(environment):
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def interrupt():
    """Press Ctrl-C: a signal to the whole process group, as a terminal sends it."""

    def press(process: subprocess.Popen[str], timeout_s: float = 60.0) -> tuple[str, str]:
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate(timeout=timeout_s)

    return press
