"""A latched stop survives a restart of any process."""

import logging
import os
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from virtual_head import ROBOT, VirtualHead

from kf_imitation.cli.servo_tools.connection import running_head
from kf_imitation.errors import KfImitationError
from kf_imitation.head.gateway_head import GatewayHead
from kf_imitation.head.reports import OFF, RUNNING, STOPPED
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.robot import load_robot


def restarted():
    """A head in what might be another process."""
    return VirtualHead(stop_record=StopRecord(ROBOT))


def test_a_stopped_head_is_stopped_after_a_restart_until_it_is_reset():
    head = restarted()
    assert head.controller.state == RUNNING
    head.controller.stop()
    head.run(0.2)
    again = restarted()
    assert again.controller.state == STOPPED
    again.run(0.5)
    assert again.torques() == {0}
    assert 'stopped before (stopped by a command)' in again.controller.warnings[-1]
    assert 'reset first' in again.go(jaw=0.2)
    again.controller.reset()
    again.run(0.5)
    assert again.controller.state == RUNNING
    assert not any('stopped before' in warning for warning in again.controller.warnings)
    assert restarted().controller.state == RUNNING


def test_a_stop_and_a_reset_of_a_head_that_is_off_are_remembered_too():
    head = restarted()
    head.controller.close()
    assert head.controller.state == OFF
    head.controller.stop()
    assert restarted().controller.state == STOPPED
    head.controller.reset()
    assert restarted().controller.state == RUNNING


def test_a_fault_is_remembered_with_its_reason(monkeypatch):
    head = restarted()
    monkeypatch.setattr(head.controller.cycle.motion, 'advance', lambda *_: 1 / 0)
    written = []
    monkeypatch.setattr(StopRecord, 'write', lambda self, reason: written.append(reason))
    monkeypatch.setattr(StopRecord, 'write_soon', StopRecord.write)
    head.controller.cycle.on_fault = StopRecord(ROBOT).write_soon
    head.run(0.5)
    assert len(written) == 1 and 'ZeroDivisionError' in written[0]


def test_a_head_that_somebody_else_drives_remembers_its_stop():
    head = GatewayHead(ROBOT, stop_record=StopRecord(ROBOT))
    assert not head.latched
    head.stop()
    again = GatewayHead(ROBOT, stop_record=StopRecord(ROBOT))
    assert again.latched
    again.reset()
    assert not GatewayHead(ROBOT, stop_record=StopRecord(ROBOT)).latched


def test_a_folder_that_cannot_be_written_is_a_warning(monkeypatch, tmp_path, caplog):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path / 'file'))
    head = VirtualHead(stop_record=StopRecord(ROBOT))
    with caplog.at_level(logging.WARNING):
        head.controller.stop()
    assert 'a restart will not know of this stop' in caplog.text
    head.run(0.2)
    assert head.controller.state == STOPPED


def test_what_cannot_be_read_is_a_stop():
    record = StopRecord(replace(ROBOT, name='strange/robot name'))
    record.path.parent.mkdir(parents=True)
    record.path.write_bytes(b'\xff\xfe')
    assert 'stopped, perhaps' in record.read()
    assert record.path.name.startswith('strange_robot_name-')


def test_two_heads_of_one_name_have_a_stop_each():
    # A reset of one ended the stop of the other.
    one, other = (StopRecord(replace(ROBOT, source=name)) for name in ('left.yaml', 'right.yaml'))
    one.write('stopped by a command')
    assert other.read() == ''
    other.clear()
    assert one.read() == 'stopped by a command'
    assert StopRecord(replace(ROBOT, source=f'{Path.cwd()}/left.yaml')).read() == one.read()


def test_a_stop_of_an_older_version_counts_until_a_reset():
    record = StopRecord(ROBOT)
    record.path.parent.mkdir(parents=True)
    record.path.with_name(f'{ROBOT.name}.stop').write_text('stopped by a command')
    assert record.read() == 'stopped by a command'
    record.clear()
    assert record.read() == ''


@pytest.mark.parametrize('reason', ['', 'a reason\n'])
def test_the_record_is_written_whole_and_cleared(reason):
    record = StopRecord(ROBOT)
    record.write(reason)
    assert record.read() == (reason.strip() or 'stopped')
    assert os.listdir(record.path.parent) == [record.path.name]
    record.clear()
    record.clear()
    assert record.read() == '' and Path(record.path).parent.is_dir()


def test_no_tool_moves_a_head_that_was_stopped():
    StopRecord(load_robot('sim_face')).write('stopped by a command')
    args = Namespace(robot='sim_face', port='/dev/none')
    with pytest.raises(
        KfImitationError, match=r'was stopped before .*servo reset.*sim_face-[0-9a-f]{8}\.stop'
    ):
        running_head(args).__enter__()


def test_the_answer_to_a_stop_that_cannot_be_noted_says_so(tmp_path, monkeypatch):
    # A full disk: the warning was in the log alone.
    (tmp_path / 'no_folder').write_text('', encoding='utf-8')
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path / 'no_folder'))
    head = restarted()
    answer = head.controller.stop()
    head.run(0.3)
    assert answer.result(0).done
    assert 'a restart will not know of this stop' in answer.result(0).sentence
