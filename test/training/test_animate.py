"""Animated photographs: motion carried over to another face, drawn and packed."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('numba')

from fake_faces import fake_points
from scipy.spatial.transform import Rotation

from training.data import animate, clip_cache, face_mesh, face_warp
from training.data.mouth_paint import MouthAppearance

S = face_warp.CANVAS_PX


def picture():
    y, x = np.mgrid[0:S, 0:S]
    waves = [128 + 60 * np.sin(x / 9 + c) * np.cos(y / 11 - c) for c in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def face():
    flat = fake_points()
    bulge = 0.004 * ((flat - 96) ** 2).sum(axis=1)
    return face_warp.Face(picture(), np.column_stack([flat, bulge]), np.eye(3), np.zeros(52))


def mouth_appearance(teeth=(5.0, 5.0, 30.0), upper=-0.5, lower=-0.5):
    return MouthAppearance(np.array([5.0, 5.0, 30.0]), np.array(teeth), upper, lower, 0.07, 0.0)


def test_mirror_order_knows_the_pairs():
    order = face_mesh.mirror_order(fake_points()[None], face_mesh.MOTION_POINTS)
    partner = dict(zip(face_mesh.MOTION_POINTS, face_mesh.MOTION_POINTS[order], strict=True))
    assert [partner[i] for i in face_mesh.RIGHT_LIDS] == face_mesh.LEFT_LIDS
    assert [partner[i] for i in face_mesh.LEFT_BROW] == face_mesh.RIGHT_BROW
    assert (partner[78], partner[61], partner[13], partner[468]) == (308, 291, 13, 473)


def test_mirror_order_needs_somebody_who_looks_ahead():
    turned = fake_points()[None].copy()
    turned[:, face_mesh.NOSE_TIP, 0] += 20
    with pytest.raises(ValueError, match='looks ahead'):
        face_mesh.mirror_order(turned, face_mesh.MOTION_POINTS)


def test_motion_of_a_turning_head_holds_no_motion_of_the_skin():
    points = face().points
    angles = np.linspace(0, 0.3, 5)
    rotation = Rotation.from_rotvec(np.outer(angles, [0, 1, 0])).as_matrix()
    moving = np.stack([(points - 96) @ r.T + 96 for r in rotation])
    motion = animate.take_motion(moving, rotation)
    assert np.abs(motion.offsets).max() < 1e-6
    np.testing.assert_allclose(motion.turns[-1], rotation[-1], atol=1e-9)
    again = animate.move_points(face(), motion, skin=1.0, head=1.0)
    assert np.abs(again[-1] - again[0])[face_mesh.NOSE_TIP, 0] > 1


def test_motion_of_the_lips_goes_to_the_lips_of_a_larger_face():
    points = face().points
    open_lips = points.copy()
    open_lips[14, 1] += 6
    motion = animate.take_motion(np.stack([points, open_lips]), np.tile(np.eye(3), (2, 1, 1)))
    wide = face_warp.Face(picture(), (points - 96) * 1.2 + 96, np.eye(3), np.zeros(52))
    moved = animate.move_points(wide, motion, skin=1.0, head=0.0)
    step = moved[1] - moved[0]
    assert step[14, 1] == pytest.approx(6 * 1.2)
    assert np.abs(np.delete(step, 14, axis=0)).max() < 1e-6


def test_a_face_drawn_where_it_was_is_the_photograph_and_opened_lips_show_the_mouth():
    own = face()
    mesh = face_warp.Mesh(own)
    mouth = mouth_appearance()
    still = mesh.draw(own.points, mouth)
    # Slivers of triangles may miss a pixel.
    assert np.percentile(np.abs(still.astype(int) - own.image), 99.5) <= 2
    moved = own.points.copy()
    moved[face_mesh.INNER_LIPS, 1] += np.where(moved[face_mesh.INNER_LIPS, 1] > 128, 6, 0)
    changed = np.abs(mesh.draw(moved, mouth).astype(int) - still).max(axis=-1) > 8
    rows, columns = np.nonzero(changed)
    assert columns.min() > 60 and columns.max() < 132 and rows.min() > 110
    assert (mesh.draw(moved, mouth)[131, 96] < 60).all()


def test_teeth_stay_with_skull_and_jaw():
    own = face()
    moved = own.points.copy()
    inner = np.array(face_mesh.INNER_LIPS)
    below = inner[moved[inner, 1] > 128]
    moved[below, 1] += 14
    moved[152, 1] += 14  # the jaw
    teeth = np.array([200.0, 200.0, 200.0])
    bright = face_warp.Mesh(own).draw(moved, mouth_appearance(teeth=teeth, upper=0.06, lower=0.06))
    # Beside the gap between the front teeth.
    lit = bright[120:160, 98].min(axis=1) > 150
    edges = np.flatnonzero(np.diff(lit.astype(int)))
    assert len(edges) >= 3  # teeth, dark, teeth
    # The same lips without a motion of the jaw have lower teeth further up.
    moved[152] = own.points[152]
    held = face_warp.Mesh(own).draw(moved, mouth_appearance(teeth=teeth, upper=-0.2, lower=0.06))
    assert (held[120:160, 98].min(axis=1) > 150).sum() > lit.sum() / 2


def test_a_borrowed_shape_keeps_size_place_and_turn():
    own = face()
    turn = Rotation.from_rotvec([0.1, 0.3, 0.2]).as_matrix()
    narrow = own.points.copy()
    narrow[:, 1] = 96 + (narrow[:, 1] - 96) * 0.8
    rigid = own.points[face_mesh.RIGID].mean(axis=0)
    other = face_warp.Face(picture(), 1.5 * narrow @ turn.T + 20, turn, np.zeros(52))
    shaped = animate.borrow_shape(own, other, 1.0)
    np.testing.assert_allclose(shaped.points[face_mesh.RIGID].mean(axis=0), rigid, atol=1e-6)
    assert face_mesh.eye_distance(shaped.points) == pytest.approx(
        face_mesh.eye_distance(own.points)
    )
    heights = [np.ptp(p[face_mesh.OUTLINE, 1]) for p in (shaped.points, own.points)]
    assert heights[0] / heights[1] == pytest.approx(0.8, abs=0.02)
    np.testing.assert_allclose(animate.borrow_shape(own, other, 0.0).points, own.points)


def test_shards_open_as_clips_of_separate_pieces(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (4, S, S, 3), np.uint8) for _ in range(3)]
    points = np.tile(fake_points(), (4, 1, 1))
    row = {
        'blendshapes': np.zeros((4, 52), np.float32),
        'head_pose': np.tile(np.eye(3, dtype=np.float32), (4, 1, 1)),
        'points': points,
        'names': np.array(['_neutral', *(f'shape{i}' for i in range(51))]),
    }
    animate.write_shard(tmp_path / 'animated_0001', frames, [row] * 3)
    clip = clip_cache.load(tmp_path / 'animated_0001.npy')
    assert [(p.start, p.stop) for p in clip.pieces()] == [(0, 4), (4, 8), (8, 12)]
    np.testing.assert_array_equal(clip.frames[4:8], frames[1])
    np.testing.assert_allclose(clip.labels.points_px[5], fake_points(), atol=0.04)


def teacher_that_sees(*offsets):
    """A teacher that finds the fake face so far to the right in its frames; None: no face."""
    left = iter(offsets)

    def label(wide):
        offset = next(left)
        if offset is None:
            return None
        mesh = np.pad(fake_points(), ((0, 0), (0, 1))) + np.array([offset, 0, 0])
        return {
            'blendshapes': np.full(52, offset, np.float32),
            'names': ['_neutral'],
            'head_pose': np.eye(4),
            'landmarks': mesh + animate.AIR_PX + 0.5,
        }

    return SimpleNamespace(label=label)


def test_a_sequence_has_the_points_drawn_and_the_blendshapes_seen():
    frames = np.zeros((2, S, S, 3), np.uint8)
    drawn = np.tile(np.pad(fake_points(), ((0, 0), (0, 1))), (2, 1, 1))
    row = animate.label_sequence(teacher_that_sees(1, 2), frames, drawn)
    np.testing.assert_array_equal(row['points'], drawn[..., :2])
    assert row['blendshapes'][:, 0].tolist() == [1, 2] and row['head_pose'].shape == (2, 3, 3)
    # No face in one frame, or one elsewhere.
    assert animate.label_sequence(teacher_that_sees(1, None), frames, drawn) is None
    assert animate.label_sequence(teacher_that_sees(1, 40), frames, drawn) is None
