"""launch/inspect.launch.py under the real launch system; viewers are programs that tell."""

import os
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / 'launch/inspect.launch.py'
VIEWERS = {
    'rviz2': 'rviz2',
    'rqt_gui': 'rqt_gui',
    'plotjuggler': 'plotjuggler',
    'foxglove_bridge': 'foxglove_bridge',
    'robot_state_publisher': 'robot_state_publisher',
    'tf2_ros': 'static_transform_publisher',
}
# Says how it was called and with which parameters, then waits for Ctrl-C.
TELLING = """#!/bin/sh
trap 'kill $waiting; exit 0' INT TERM
for word in "$@"; do test -f "$word" && grep -h 'robot name\\|port:\\|address:' "$word"; done
echo "called as $0 $@"
sleep 300 & waiting=$!
wait $waiting
"""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def launch(launch_file):
    return partial(launch_file, LAUNCH_FILE)


@pytest.fixture
def viewers(prefix):
    """Install every viewer."""
    for package, executable in VIEWERS.items():
        (prefix / f'share/ament_index/resource_index/packages/{package}').touch()
        program = prefix / 'lib' / package / executable
        program.parent.mkdir()
        program.write_text(TELLING)
        program.chmod(0o755)


def read_until(process, *wanted):
    """Return the output so far when all words have come."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if all(any(word in line for line in lines) for word in wanted):
            return ''.join(lines)
    raise AssertionError(f'{wanted} did not all come:\n{"".join(lines)}')


def interrupt(process):
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert 'Traceback' not in rest, rest
    return rest


def test_every_argument_is_described(declared):
    arguments = declared(LAUNCH_FILE)
    assert {'robot', 'rviz', 'rqt', 'plotjuggler', 'foxglove', 'avatar', 'namespace'} <= set(
        arguments
    )
    assert all(len(description) > 10 for description in arguments.values())


def test_views_that_are_asked_for_but_missing_are_all_named_and_nothing_starts(launch):
    process = launch('rviz:=true', 'rqt:=maybe', 'foxglove:=true')
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'rviz: rviz2 is not installed: sudo apt install ros-' in output
    assert 'foxglove: foxglove_bridge is not installed' in output
    assert "rqt = 'maybe' must be one of auto, true, false" in output
    assert 'process started' not in output


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def test_views_that_are_missing_are_reported_and_the_face_is_drawn_all_the_same(launch, tmp_path):
    port, params = free_port(), tmp_path / 'mine.yaml'
    params.write_text(f'avatar: {{ros__parameters: {{page_port: {port}}}}}', encoding='utf-8')
    process = launch('rviz:=auto', f'params:={params}')
    output = read_until(process, f'the face of sim_face: http://127.0.0.1:{port}/')
    assert 'rviz: rviz2 is not installed' in output
    rest = interrupt(process)
    assert 'process has finished cleanly' in rest


def test_every_view_gets_its_layout_and_the_robot_its_shape(launch, viewers):
    every = [f'{view}:=true' for view in ('rviz', 'rqt', 'plotjuggler', 'foxglove', 'model')]
    process = launch(*every, 'avatar:=false', 'robot:=face22', 'namespace:=head')
    output = read_until(process, *(f'/{name} ' for name in VIEWERS.values()), 'robot name')
    for layout in ('mimic.rviz', 'mimic.perspective', 'plotjuggler.xml'):
        path = next(w for w in output.split() if w.endswith(layout))
        assert Path(path).is_file()
    assert '<robot name="face22"' in output.replace('\\"', '"')
    assert 'address: 127.0.0.1' in output and 'ws://localhost:8765' in output
    assert '__ns:=/head' in output
    interrupt(process)


def test_mimic_with_a_missing_rviz_starts_nothing(launch_file):
    process = launch_file(ROOT / 'launch/mimic.launch.py', 'source:=test-pattern', 'rviz:=true')
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'rviz: rviz2 is not installed: sudo apt install ros-' in output
    assert 'process started' not in output
