"""All pictures of docs and README: `python -m benchmark.pictures --out docs/images`.

The faces are drawn, the person is the rendered one of the demo clip. The model of the head needs
yourdfpy (pip install '.[test]'), the picture of the report playwright and a Chromium. After new
weights all of them are out of date; `--drawn` makes those that no network has a part in.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmark.expression_grid import FROWN, RAISED, SMILE, WIDE, grid
from benchmark.run_pictures import run_pictures
from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import CHANNELS, Expression, Image
from kf_imitation.keyframe.explanation_values import keyframe_values, words
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import build_face_pipeline
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.robot.meshes import MESHES
from kf_imitation.robot.urdf import description
from kf_imitation.ros_graph.nodes import DEMO_CLIP, merged_parameters
from kf_imitation.visualization.avatar import Avatar
from kf_imitation.visualization.drawing import label
from kf_imitation.visualization.live_overlay import LiveOverlay

FACES: dict[str, dict[str, float]] = {
    'neutral': {},
    'laugh': {**SMILE, 'jaw_open': 0.7, 'eye_close_left': 0.3, 'eye_close_right': 0.3},
    'surprise': {**RAISED, **WIDE, 'jaw_open': 0.8},
    'anger': {'brow_lower': 1.0, 'lip_press': 0.6, **FROWN},
    'wink': {'eye_close_left': 1.0, **SMILE},
    'look away': {'head_yaw': 0.4, 'gaze_yaw': 0.3, 'brow_raise_left': 0.6, **SMILE},
}
_BACKGROUND = (40, 34, 30)
# Light from the upper left in front, in picture axes (x right, y down, z away).
_LIGHT = np.array([-0.3, -0.6, -0.75]) / np.linalg.norm([0.3, 0.6, 0.75])
# Frames after a keyframe, so that the picture shows its reasons; fewer than keyframes are apart.
_AFTER = 4

Pose = NDArray[np.float64]


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('docs/images'))
    parser.add_argument('--robot', default='sim_face')
    parser.add_argument('--drawn', action='store_true', help='only those without a network')
    args = parser.parse_args()
    robot = load_robot(args.robot)
    mapping = JointMapping(robot)
    avatar = Avatar(mapping.channels, 240)
    poses = {name: mapping.goals(expression(values)) for name, values in FACES.items()}
    pictures = {
        'expressions.png': grid(),
        'avatar.png': sheet({name: avatar.draw(pose) for name, pose in poses.items()}),
        'head.png': sheet(
            {
                name: drawn_model(description(robot), dict(zip(robot.names, pose, strict=True)))
                for name, pose in poses.items()
            }
        ),
    }
    if not args.drawn:
        pictures['annotated.jpg'] = annotated()
        with TemporaryDirectory() as folder:
            pictures |= run_pictures(Path(folder))
    for name, picture in pictures.items():
        cv2.imwrite(str(args.out / name), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(args.out / name)


def expression(values: Mapping[str, float]) -> Expression:
    """Return an expression by channel names."""
    row = np.array([values.get(channel, 0.0) for channel in CHANNELS], np.float32)
    return Expression(0, row, np.ones(len(CHANNELS), np.float32))


def sheet(pictures: Mapping[str, Image]) -> Image:
    """Put pictures with their names beside each other, three in a row."""
    named = []
    for name, picture in pictures.items():
        label(picture, name, (8, 20))
        named.append(picture)
    rows = [np.hstack(named[i : i + 3]) for i in range(0, len(named), 3)]
    return np.vstack(rows)


def annotated() -> Image:
    """Return keyframe/annotated a moment after the keyframe of the demo clip that scores most."""
    pipeline = build_face_pipeline(merged_parameters()['keyframe'], Ledger())
    overlay, best, picture = LiveOverlay(), 0.0, None
    drawn_at = -1  # index of the frame that is to be drawn
    source = open_source(str(share_path(DEMO_CLIP)), SourceSettings())
    while (frame := source.read()) is not None:
        step = pipeline.push(frame)
        overlay.add(step.scores, [chosen.keyframe for chosen in step.chosen])
        for chosen in step.chosen:
            explanation = pipeline.explain(chosen)
            values = keyframe_values(chosen.keyframe, 0.0, chosen.change, explanation)
            overlay.explain(chosen.keyframe.stamp_ns, words(values, explanation))
            drawn_at = -1
            if chosen.keyframe.score > best:
                best, drawn_at = chosen.keyframe.score, frame.index + _AFTER
        if frame.index == drawn_at:
            picture = overlay.draw(frame, step.region, step.state)
    if picture is None:
        raise RuntimeError('the demo clip has no keyframe')
    return picture


def drawn_model(urdf: str, angles: Mapping[str, float], size_px: int = 240) -> Image:
    """Draw the visuals of a URDF from in front.

    Args:
        urdf: text.
        angles: by joint [rad].
        size_px: edge of the picture.
    """
    triangles, colours = _visuals(urdf, angles)
    to_picture = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    corners = (triangles - [0.0, 0.0, 0.16]) @ to_picture.T
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    seen = normal[:, 2] < 0
    shade = 0.45 + 0.55 * np.clip(normal @ _LIGHT, 0, 1)
    edge = 2 * size_px
    pixels = corners * edge / 0.36
    pixels[..., :2] += edge / 2
    picture = np.full((edge, edge, 3), _BACKGROUND, np.uint8)
    depth = np.full((edge, edge), np.inf)
    for corner, colour in zip(pixels[seen], (colours * shade[:, None])[seen], strict=True):
        _fill(picture, depth, corner, 255 * colour)
    return cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _visuals(urdf: str, angles: Mapping[str, float]) -> tuple[Pose, Pose]:
    """Return corners (N, 3, 3) in the base's frame [m] and colours (N, 3), blue first."""
    import io

    import yourdfpy

    robot = yourdfpy.URDF.load(io.StringIO(urdf), load_meshes=False)
    robot.update_cfg(dict(angles))
    triangles, colours = [], []
    for name, link in robot.link_map.items():
        base = robot.get_transform(name, robot.base_link)
        for visual in link.visuals:
            if visual.geometry.mesh is None:
                continue
            pose = base @ visual.origin
            file = Path(visual.geometry.mesh.filename).name
            corners = MESHES[file].astype(np.float64) * visual.geometry.mesh.scale
            triangles.append(corners @ pose[:3, :3].T + pose[:3, 3])
            colour = np.asarray(visual.material.color.rgba[2::-1], np.float64)
            colours.append(np.tile(colour, (len(corners), 1)))
    return np.concatenate(triangles), np.concatenate(colours)


def _fill(picture: Image, depth: Pose, corner: Pose, colour: Pose) -> None:
    """Fill a triangle where nothing nearer is; corners (3, 3) in pixels, z away."""
    low = np.maximum(np.floor(corner[:, :2].min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corner[:, :2].max(axis=0)).astype(int) + 1, picture.shape[0])
    if (low >= high).any():
        return
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corner
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if abs(area) < 1e-9:
        return
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
    second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
    third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
    z = az + second * (bz - az) + third * (cz - az)
    place = slice(low[1], high[1]), slice(low[0], high[0])
    inside = (second >= 0) & (third >= 0) & (second + third <= 1) & (z < depth[place])
    depth[place][inside] = z[inside]
    picture[place][inside] = colour


if __name__ == '__main__':
    main()
