"""Sources of frames: damaged videos, pictures and folders, and whatever a user may name.

A source plays what is there, in the order of time, or says why not; its files stay as they are.
"""

import tempfile
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from benchmark.fuzz.bounds import FuzzError
from benchmark.fuzz.damage import DAMAGES, damaged
from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.sources import make_source
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings

FRAMES = 12
SIZE = (64, 48)
VIDEOS = {'a.mp4': 'mp4v', 'a.avi': 'MJPG', 'a.mkv': 'MJPG', 'a.webm': 'VP80', 'a.mov': 'mp4v'}
PICTURES = ('.jpg', '.png', '.bmp', '.webp', '.tiff', '.ppm')
# What no strategy of letters comes upon: the beginnings that mean something.
_WORDS = ('test-pattern', 'topic:', 'file://', '/dev/', '~', '..', ':', '%20', '%', '²', '\0', '/')
NAMES = st.lists(st.one_of(st.sampled_from(_WORDS), st.text(max_size=5)), max_size=4).map(''.join)


def run(data: st.DataObject) -> Counter[str]:
    """Play one damaged source, or name one."""
    if data.draw(st.integers(0, 9), label='kind') == 0:
        return _name(data.draw(NAMES, label='name'))
    with tempfile.TemporaryDirectory() as folder:
        name = data.draw(st.sampled_from(sorted(seeds())), label='seed')
        content = damaged(seeds()[name], data.draw(DAMAGES, label='damage'))
        if name in VIDEOS:
            return _play(write(Path(folder), {name: content}) / name, Path(folder))
        # Among good ones, unless the folder holds it alone.
        others = {f'{i}{name}': seeds()[name] for i in range(data.draw(st.integers(0, 2)))}
        return _play(write(Path(folder), {f'1_{name}': content, **others}), Path(folder))


@cache
def seeds() -> dict[str, bytes]:
    """Good files by name."""
    found = {}
    frames = [picture(index) for index in range(FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        for name, code in VIDEOS.items():
            path = str(Path(folder, name))
            writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*code), 30, SIZE)
            for frame in frames:
                writer.write(frame)
            writer.release()
            found[name] = Path(path).read_bytes()
    for suffix in PICTURES:
        found[f'a{suffix}'] = cv2.imencode(suffix, frames[0])[1].tobytes()
    return found


def picture(index: int) -> np.ndarray:
    """Return a picture with enough in it that damage shows."""
    rng = np.random.default_rng(index)
    return cv2.GaussianBlur(rng.integers(0, 256, (*SIZE[::-1], 3), np.uint8), (5, 5), 0)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files; returns their folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def play(source: FrameSource) -> int:
    """Read a source to its end and check what it gives; returns how many frames."""
    stamps = []
    source.open()
    try:
        while (frame := source.read()) is not None:
            stamps.append(frame.stamp_ns)
            good = frame.bgr.dtype == np.uint8 and frame.bgr.ndim == 3 and frame.bgr.size
            if not good or frame.bgr.shape[2] != 3:
                raise FuzzError(f'frame {frame.index} is no picture: {frame.bgr.shape}')
    finally:
        source.close()
    if not stamps:
        raise FuzzError('it opens, but gives no frame and does not say why')
    if any(a >= b for a, b in pairwise(stamps)):
        raise FuzzError('time goes back')
    return len(stamps)


def _play(path: Path, folder: Path) -> Counter[str]:
    before = contents(folder)
    try:
        frames = play(make_source(str(path), SourceSettings()))
        result = Counter(played=1, frames=frames)
    except SourceError as error:
        if str(path) not in str(error) or '\n' in str(error):
            raise FuzzError(f'does not say which file: {error}') from error
        result = Counter(refused=1)
    if contents(folder) != before:
        raise FuzzError('the files have changed')
    return result


def _name(name: str) -> Counter[str]:
    try:
        make_source(name, SourceSettings())
    except SourceError:
        return Counter({'names refused': 1})
    return Counter({'names taken': 1})
