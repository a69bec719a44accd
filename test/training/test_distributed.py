"""Two CPU processes train together; the run resumes and leaves TensorBoard curves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from fake_faces import write_labelled_clips  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# What each process ends with is written by the process itself.
PROGRAM = """
import hashlib, json, os
from pathlib import Path
import training.keyframe.train.run as train
from training.keyframe.train.task import KeyframeTraining

# Not an argument: Lightning starts the other process with the arguments left in sys.argv.
out = Path(os.environ['FACTS'])
seen = []
draw = KeyframeTraining.training_step
def step(self, batch, index):
    seen.append(hashlib.sha256(batch['crops'].numpy().tobytes()).hexdigest())
    return draw(self, batch, index)
KeyframeTraining.training_step = step
def end(self):
    def digest(net):
        rows = b''.join(v.cpu().numpy().tobytes() for v in net.state_dict().values())
        return hashlib.sha256(rows).hexdigest()
    facts = {'rank': self.global_rank, 'step': self.global_step, 'seen': seen,
             'mean': digest(self.mean_net), 'net': digest(self.net)}
    (out / f'rank{self.global_rank}.json').write_text(json.dumps(facts))
KeyframeTraining.on_train_end = end
train.main()
"""


def train(tmp_path, steps, devices):
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    command = [sys.executable, str(program)]
    command += ['--config', 'training/keyframe/train/configs/lite.yaml', '--threads', '1']
    command += ['--clips', str(tmp_path / 'clips'), '--cache', str(tmp_path / 'cache')]
    command += ['--animated', str(tmp_path / 'none'), '--faces', str(tmp_path / 'none.npz')]
    command += ['--out', str(tmp_path / 'run'), '--accelerator', 'cpu', '--devices', str(devices)]
    command += ['--set', f'max_steps={steps}', 'data.windows=2', 'data.frames=2', 'half=false']
    command += ['hold_out=[id10003]', 'frozen=[]', 'data.crop_px=128', 'print_every=1']
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'FACTS': str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(f.read_text()) for f in sorted(tmp_path.glob('rank*.json'))]


@pytest.mark.timeout(600)
def test_two_processes_share_weights_and_not_samples_and_a_run_goes_on(tmp_path):
    write_labelled_clips(tmp_path / 'clips')
    first = train(tmp_path, 2, 2)
    assert [r['rank'] for r in first] == [0, 1] and all(r['step'] == 2 for r in first)
    assert first[0]['mean'] == first[1]['mean'] and first[0]['net'] == first[1]['net']
    assert not set(first[0]['seen']) & set(first[1]['seen'])
    second = train(tmp_path, 3, 2)
    assert all(r['step'] == 3 and len(r['seen']) == 1 for r in second)
    assert second[0]['mean'] == second[1]['mean'] != first[0]['mean']

    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = {}
    for folder in sorted((tmp_path / 'run/tensorboard').iterdir()):
        events = EventAccumulator(str(folder)).Reload()
        for tag in events.Tags()['scalars']:
            curves.setdefault(tag, []).extend(e.step for e in events.Scalars(tag))
    assert curves['vector'] == [0, 1, 2] and 'rate' in curves
