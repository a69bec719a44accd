"""Run the commands of docs/tutorials/own_videos.md literally, those too that the tests only parse.

    python -m benchmark.training_tutorial --clips ../shared/data/clips/train

In a folder of its own, on the first frames of some clips under the names of the tutorial. All that
is changed is `--minutes`, so that a training lasts some steps. Ends with the code of the first
command that fails. Needs PyTorch, MediaPipe and its model (`--teacher`). Takes some minutes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / 'docs/tutorials/own_videos.md'
BLOCK = re.compile(r'```bash\n(.*?)```', re.DOTALL)
PEOPLE = {'train': ('anna', 'ben', 'cara'), 'dev': ('dora',)}


def script_of(text: str, minutes: float) -> str:
    """Return all commands of a page but installations, trainings as short as `minutes`."""
    commands = [b for b in BLOCK.findall(text) if not b.startswith('pip ')]
    return re.sub(r'--minutes [\d.]+', f'--minutes {minutes:g}', '\n'.join(commands))


def cut(source: Path, target: Path, frames: int) -> None:
    """Copy the first frames of a video."""
    reader = cv2.VideoCapture(str(source))
    size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    code, fps = cv2.VideoWriter.fourcc(*'mp4v'), reader.get(cv2.CAP_PROP_FPS)
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(target), code, fps, size)
    for _ in range(frames):
        seen, image = reader.read()
        if seen:
            writer.write(image)
    writer.release()


def prepare(folder: Path, clips: Sequence[Path], frames: int) -> None:
    """Make a folder that looks like the project's, with videos of one's own beside it."""
    for shared in ('config', 'training', 'docs', 'kf_imitation', 'media', 'urdf'):
        (folder / shared).symlink_to(ROOT / shared)
    shutil.copytree(ROOT / 'models', folder / 'models')  # the export writes there
    sources = iter(clips)
    for split, people in PEOPLE.items():
        for name in people:
            cut(next(sources), folder / 'my_clips' / split / f'{name}.mp4', frames)


def main() -> int:
    """Run the tutorial; 2 without clips, else the code of the shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=ROOT / '../shared/data/clips/train')
    parser.add_argument(
        '--teacher', type=Path, default=ROOT / '../shared/models/face_landmarker.task'
    )
    parser.add_argument('--frames', type=int, default=60, help='of each clip')
    parser.add_argument('--minutes', type=float, default=0.1, help='of each training')
    options = parser.parse_args()
    clips = sorted(options.clips.glob('*.mp4'))
    wanted = sum(map(len, PEOPLE.values()))
    if len(clips) < wanted:
        parser.error(f'{options.clips} has fewer than {wanted} videos')
    script = script_of(TUTORIAL.read_text(encoding='utf-8'), options.minutes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, clips, options.frames)
        environment = os.environ | {
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'PYTHONPATH': os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH')))),
            'KF_IMITATION_FACE_LANDMARKER': str(options.teacher.resolve()),
        }
        command = ['bash', '-euxo', 'pipefail', '-c', script]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == '__main__':
    sys.exit(main())
