"""What the report plays: pictures of the person, joints of the robot, and its head in 3-D."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kf_imitation.bags.reader import header_stamp_ns
from kf_imitation.camera.encodings import image_to_bgr
from kf_imitation.camera.sources import open_source
from kf_imitation.cockpit.model import head_model
from kf_imitation.cockpit.pictures import jpeg
from kf_imitation.data_types import Image
from kf_imitation.errors import KfImitationError
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.paths import share_path
from kf_imitation.reporting.curves import rounded, thinning
from kf_imitation.reporting.recording import Recording

# Told how much of some work is done, 0 to 1.
Reached = Callable[[float], None]
# A minute of these is 6 MB.
_PICTURE_PX = 240
_PICTURES_HZ = 12.5
_VENDORED = 'media/cockpit/vendor'
_EXAMPLES = (
    'three/examples/jsm/controls/OrbitControls.js',
    'three/examples/jsm/loaders/STLLoader.js',
    'three/examples/jsm/loaders/ColladaLoader.js',
    'three/examples/jsm/loaders/TGALoader.js',
)
_MODULES = {
    'three': f'{_VENDORED}/three/build/three.module.min.js',
    **{name: f'{_VENDORED}/{name}' for name in _EXAMPLES},
    'urdf-loader': f'{_VENDORED}/urdf-loader/URDFLoader.js',
    'urdf-loader/URDFClasses.js': f'{_VENDORED}/urdf-loader/URDFClasses.js',
    'head': 'media/cockpit/head.js',
}
# Files inside one page have no place that a relative name could start from.
_NAMES = {
    "'./URDFClasses.js'": "'urdf-loader/URDFClasses.js'",
    "'../loaders/TGALoader.js'": "'three/examples/jsm/loaders/TGALoader.js'",
}


def import_map() -> dict[str, Any]:
    """Return the modules that draw the head, the cockpit's own, as an import map of data."""
    found = {}
    for name, path in _MODULES.items():
        text = share_path(path).read_text(encoding='utf-8')
        for relative, absolute in _NAMES.items():
            text = text.replace(relative, absolute)
        found[name] = _data_uri('text/javascript', text.encode())
    return {'imports': found}


def playback(
    recording: Recording, source: str, images: bool, reached: Reached
) -> dict[str, Any] | None:
    """Return what is played; times are seconds since the first frame.

    Args:
        recording: of the run.
        source: the video of a replay, if it is still there.
        images: show the person.
        reached: told how much is done, 0 to 1.

    Returns:
        joints, time_s and rad (a row per joint), urdf, meshes, and pictures [time_s, data]; None
        without joints of this robot.
    """
    joints = recording.signals('joint_states')
    if joints is None or recording.present_rad is None:
        return None
    thin = thinning(len(joints.stamps))
    time_s = rounded(recording.seconds(joints.stamps[::thin]), 3)
    model = head_model(recording.robot)
    return {
        'joints': list(joints.names),
        'time_s': time_s,
        'rad': [rounded(column, 3) for column in joints.values[::thin].T],
        'urdf': _data_uri('application/xml', model.urdf.encode()),
        'meshes': {
            name: _data_uri('application/octet-stream', path.read_bytes())
            for name, path in model.meshes.items()
        },
        'pictures': list(_pictures(recording, source, time_s[-1], reached)) if images else [],
    }


def _pictures(
    recording: Recording, source: str, length_s: float, reached: Reached
) -> Iterator[tuple[float, str]]:
    due_s = 0.0
    for time_s, bgr in _images(recording, source):
        if time_s >= due_s:
            due_s = max(due_s + 1 / _PICTURES_HZ, time_s)
            reached(min(1.0, time_s / max(length_s, 1e-3)))
            yield round(time_s, 3), _data_uri('image/jpeg', jpeg(bgr, _PICTURE_PX))


def _images(recording: Recording, source: str) -> Iterator[tuple[float, Image]]:
    """Every picture of the camera: as recorded, else of the video that was replayed."""
    recorded = False
    for message in recording.messages('image_raw'):
        recorded = True
        bgr = image_to_bgr(
            message.data, message.encoding, message.height, message.width, message.step
        )
        yield (header_stamp_ns(message) - recording.start_ns) * 1e-9, bgr
    if recorded or not source or not Path(source).exists():
        return
    try:
        video = open_source(source, SourceSettings())
    except KfImitationError:  # something else of that name
        return
    try:
        first_ns: int | None = None
        while (frame := video.read()) is not None:
            first_ns = frame.stamp_ns if first_ns is None else first_ns
            yield (frame.stamp_ns - first_ns) * 1e-9, frame.bgr
    finally:
        video.close()


def _data_uri(kind: str, data: bytes) -> str:
    return f'data:{kind};base64,{base64.b64encode(data).decode("ascii")}'
