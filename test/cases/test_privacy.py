"""Nothing leaves the machine: onnxruntime's telemetry is off before it is loaded."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD_A_MODEL = (
    'from kf_imitation.inference import OnnxModel\n'
    "model = OnnxModel.load('face_region', 1)\n"
    'print("loaded")\n'
)


@pytest.mark.parametrize('package', ['kf_imitation', 'training', 'benchmark'])
def test_telemetry_is_off_before_onnxruntime_can_be_loaded(package):
    environment = {k: v for k, v in os.environ.items() if k != 'ORT_DISABLE_TELEMETRY'}
    code = (
        f'import sys, os, {package}\n'
        "assert 'onnxruntime' not in sys.modules\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    found = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.stdout == '1\n', found.stderr


def test_loading_a_model_asks_no_name_server_and_keeps_no_events(tmp_path):
    strace = shutil.which('strace')
    if strace is None:
        pytest.skip('strace is not installed')
    log = tmp_path / 'calls'
    environment = {k: v for k, v in os.environ.items() if k != 'ORT_DISABLE_TELEMETRY'}
    environment |= {'HOME': str(tmp_path / 'home'), 'XDG_CACHE_HOME': str(tmp_path / 'cache')}
    command = [strace, '-f', '-o', str(log), '-e', 'trace=connect,sendto,sendmmsg,openat']
    run = subprocess.run(
        [*command, sys.executable, '-c', LOAD_A_MODEL],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if 'ptrace' in run.stderr.lower() and 'loaded' not in run.stdout:
        pytest.skip('strace may not trace here')
    assert run.stdout == 'loaded\n', run.stderr
    calls = log.read_text(encoding='utf-8', errors='replace')
    assert 'onnxruntime' in calls  # it did look on
    assert not re.search(r'AF_INET|onnxruntime\.db|resolv\.conf', calls)
