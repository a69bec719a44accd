"""The rendered faces: same seed same bytes, flow that warps, landmarks where they belong."""

import numpy as np
import pytest

numba = pytest.importorskip('numba', reason='the renderer needs numba (training extra)')
cv2 = pytest.importorskip('cv2')

from face_renderer import (  # noqa: E402
    face_model,
    sequence,
)

if not face_model.default_path().exists():
    pytest.skip('the face model is not beside the repository', allow_module_level=True)

from face_renderer.appearance import Atlas, StyleChoice, make_style  # noqa: E402
from face_renderer.face_model import SIDES, FaceModel, Person  # noqa: E402
from face_renderer.generate import Studio, main  # noqa: E402
from face_renderer.scene import (  # noqa: E402
    Actor,
    Lights,
    Pose,
    crop_camera,
    flow_between,
    render,
)
from kf_imitation.face_geometry.wflw import FLIP  # noqa: E402

pytestmark = pytest.mark.shared
SIZE = 128


@pytest.fixture(scope='module')
def studio():
    return Studio(None, 11)


@pytest.fixture(scope='module')
def model(studio):
    return studio.model


@pytest.fixture(scope='module')
def bald(studio):
    """The mean face with a plain look."""
    choice = StyleChoice(skin=2, hair_style='bald', beard=0.0, glasses=False, makeup=0, age=0.3)
    style = make_style(studio.atlas, np.random.default_rng(3), choice)
    return Actor(Person(studio.model, np.zeros(100, np.float32)), style, studio.atlas)


def lights(key=0.7):
    return Lights(
        np.array([[0.3, 0.4, 0.87]], np.float32),
        np.full((1, 3), key, np.float32),
        np.array([8.0], np.float32),
        np.full(3, 0.5, np.float32),
        np.full(3, 0.3, np.float32),
    )


def draw(actor, weights, pose, camera=None, size=SIZE, key=0.7):
    camera = camera or crop_camera(actor, weights, pose, size)
    behind = np.full((size, size, 3), 0.1, np.float32)
    return render(actor, weights, pose, camera, lights(key), behind), camera


def test_same_seed_gives_the_same_bytes(studio):
    again = Studio(None, 11)
    for first, second in ((studio.still(3, 64), again.still(3, 64)),):
        for key, value in first.items():
            np.testing.assert_array_equal(value, second[key], err_msg=key)
    assert not np.array_equal(studio.still(4, 64)['image'], studio.still(3, 64)['image'])


def test_an_item_does_not_depend_on_what_was_made_before(studio):
    alone = Studio(None, 11).pairs(2, 64, 2)[0]
    studio.still(1, 64)
    after = studio.pairs(2, 64, 2)[0]
    np.testing.assert_array_equal(alone['flow'], after['flow'])
    np.testing.assert_array_equal(alone['next_image'], after['next_image'])


def test_flow_warps_the_next_picture_back(bald, model):
    first = sequence.to_weights(model, {'mouthSmile': 0.2})
    second = sequence.to_weights(model, {'mouthSmile': 0.8, 'jawOpen': 0.2, 'browInnerUp': 0.5})
    # Light from everywhere: highlights and shadows do not move with the skin.
    one, camera = draw(bald, first, Pose(yaw=0.05), key=0.0)
    two, _ = draw(bald, second, Pose(yaw=0.16, pitch=0.04, x=0.4), camera, key=0.0)
    flow, valid = flow_between(bald, one, two)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    warped = cv2.remap(two.image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
    seen = valid == 1
    assert seen.mean() > 0.4
    before = np.abs(one.image - two.image)[seen].mean()
    after = np.abs(one.image - warped)[seen].mean()
    assert np.hypot(*flow[seen].T).mean() > 2
    assert after < 0.012 and after < 0.25 * before


def test_flow_agrees_with_the_movement_of_the_landmarks(bald, model):
    first = sequence.to_weights(model, {'jawOpen': 0.1})
    second = sequence.to_weights(model, {'jawOpen': 0.35})
    one, camera = draw(bald, first, Pose(), size=256)
    two, _ = draw(bald, second, Pose(yaw=0.08), camera, size=256)
    flow, valid = flow_between(bald, one, two)
    for row in (33, 37, 51, 53, 57, 77, 85, 16):
        x, y = one.landmarks[row]
        px, py = int(x), int(y)
        if valid[py, px] != 1:
            continue
        moved = two.landmarks[row] - one.landmarks[row]
        limit = 2.5 if row == 16 else 0.6  # the chin's landmark slides on the contour
        assert np.linalg.norm(flow[py, px] - moved) < limit, row


def test_a_still_pair_has_no_flow(bald, model):
    weights = sequence.to_weights(model, {'mouthSmile': 0.5})
    one, camera = draw(bald, weights, Pose())
    two, _ = draw(bald, weights, Pose(), camera)
    flow, valid = flow_between(bald, one, two)
    np.testing.assert_array_equal(one.image, two.image)
    assert np.abs(flow).max() < 2e-3
    assert (valid == 2).sum() > 0 and (valid == 1).sum() > 0


def test_landmarks_keep_their_order(bald, model):
    drawn, _ = draw(bald, np.zeros(55, np.float32), Pose())
    p = drawn.landmarks
    # Outer corner, upper lid, inner corner, lower lid; the image's left eye first.
    assert p[60, 0] < p[62, 0] < p[64, 0] < p[68, 0] < p[70, 0] < p[72, 0]
    assert p[62, 1] < p[66, 1] and p[70, 1] < p[74, 1]
    assert p[60, 0] < p[96, 0] < p[64, 0] and p[62, 1] < p[96, 1] + 2 < p[66, 1] + 4
    assert p[35, 1] < p[40, 1] < p[62, 1]
    assert p[54, 1] < p[57, 1] < p[79, 1] < p[90, 1] <= p[94, 1] + 0.5 < p[85, 1] < p[16, 1]
    assert p[0, 0] == p[:, 0].min() and p[32, 0] == p[:, 0].max()
    box = p.max(0) - p.min(0)
    assert box.max() == pytest.approx(SIZE / 1.25, rel=1e-3)


def test_a_mirrored_face_has_mirrored_landmarks(bald):
    np.testing.assert_array_equal(FLIP[FLIP], np.arange(98))
    for yaw in (0.0, 0.4):
        one, _ = draw(bald, np.zeros(55, np.float32), Pose(yaw=yaw))
        other, _ = draw(bald, np.zeros(55, np.float32), Pose(yaw=-yaw))
        flipped = other.landmarks[FLIP] * [-1, 1] + [SIZE, 0]
        assert np.abs(flipped - one.landmarks).max() < 0.8
        inner = np.r_[33:98]
        assert np.abs(flipped - one.landmarks)[inner].max() < 0.3


def test_the_far_jaw_lies_on_the_silhouette(bald):
    drawn, _ = draw(bald, np.zeros(55, np.float32), Pose(yaw=np.deg2rad(38)), size=256)
    edge = cv2.distanceTransform((drawn.cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    for row in range(22, 29):  # further down the neck is behind the jaw
        x, y = drawn.landmarks[row]
        assert edge[int(y), min(int(x), 255)] < 3.5, row
        assert drawn.visible[row]


def test_shut_eyes_have_no_gap_whoever_it_is(model):
    rng = np.random.default_rng(5)
    shut = sequence.to_weights(model, {'eyeBlink': 1.0})
    half = sequence.to_weights(model, {'eyeBlink': 0.5})
    wide = sequence.to_weights(model, {'eyeBlink': 1.0, 'eyeWide': 0.8})
    for _ in range(5):
        person = Person(model, (rng.standard_normal(100) * 0.85).astype(np.float32))
        for side in SIDES:
            opened = person.lid_gap(person.neutral, side)
            assert opened > 0.4
            assert abs(person.lid_gap(person.deform(shut), side)) < 0.12 * opened
            assert abs(person.lid_gap(person.deform(wide), side)) < 0.12 * opened
            assert 0.35 * opened < person.lid_gap(person.deform(half), side) < 0.65 * opened


def test_gaze_turns_the_pupils(bald, model):
    left = sequence.look(model, 0.8, 0.0)
    up = sequence.look(model, 0.0, 0.8)
    pose = Pose()
    rest, camera = draw(bald, np.zeros(55, np.float32), pose)
    aside, _ = draw(bald, left, pose, camera)
    above, _ = draw(bald, up, pose, camera)
    assert (aside.landmarks[96:, 0] > rest.landmarks[96:, 0] + 2).all()
    assert (above.landmarks[96:, 1] < rest.landmarks[96:, 1] - 1).all()


def test_head_pose_projects_the_head(bald):
    pose = Pose(yaw=0.3, pitch=0.1, roll=-0.2, x=2, y=-1, z=-60)
    nose = int(bald.person.model.landmarks68[30])
    head = bald.head(np.zeros(55, np.float32))
    posed = bald.pose(head, pose)[nose]
    by_matrix = pose.matrix @ np.r_[head[nose], 1]
    np.testing.assert_allclose(posed, by_matrix[:3], atol=1e-3)
    assert pose.rotation[0, 2] > 0  # a positive yaw turns the nose to the picture's right
    assert pose.rotation[1, 2] > 0  # a positive pitch lifts it


def test_limits_keep_faces_possible(model):
    wild = np.full((2, 55), 2.0, np.float32)
    kept = sequence.limit(model, wild)
    mouth = [i for n, i in model.index.items() if n.startswith('mouth')]
    assert kept[:, mouth].sum(1).max() <= sequence.MOUTH_CAP + 1e-4
    assert (kept[:, model.index['mouthClose']] <= kept[:, model.index['jawOpen']] + 1e-6).all()


def test_timelines_move_smoothly_and_rest(model):
    line = sequence.random_timeline(model, np.random.default_rng(1), 300)
    steps = np.abs(np.diff(line.weights, axis=0)).max(1)
    assert steps.max() < 0.75
    yaw = np.array([p.yaw for p in line.poses])
    assert np.abs(np.diff(yaw)).max() < 0.2
    assert np.abs(yaw).max() < 1.3


def test_the_command_writes_shards_and_goes_on_where_it_stopped(tmp_path, capsys, monkeypatch):
    # Its processes use what this one has compiled, although tests have a cache of their own.
    monkeypatch.setenv('NUMBA_CACHE_DIR', numba.config.CACHE_DIR)
    command = ['--count', '3', '--size', '64', '--shard', '2', '--kind', 'pairs', '--seed', '4']
    command += ['--out', str(tmp_path)]
    assert main(command) == 0
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert sorted(first) == ['pairs-00000.npz', 'pairs-00001.npz']
    with np.load(tmp_path / 'pairs-00000.npz') as data:
        assert data['image'].shape == (2, 64, 64, 3) and data['image'].dtype == np.uint8
        assert data['flow'].shape == (2, 64, 64, 2) and data['flow'].dtype == np.float16
        assert data['landmarks98'].shape == (2, 98, 2)
        assert data['blendshapes'].shape == (2, 52)
        assert list(data['blendshape_names'])[:2] == ['_neutral', 'browDownLeft']
    (tmp_path / 'pairs-00001.npz').unlink()
    assert main([*command, '--contact-sheet', str(tmp_path / 'sheet.png')]) == 0
    assert 'kept' in capsys.readouterr().out
    for name in first:
        with np.load(tmp_path / name) as data:
            assert len(data['image']) in (1, 2)
    assert (tmp_path / 'sheet.png').exists()


def test_a_missing_face_model_is_one_clear_line(tmp_path, capsys):
    assert main(['--out', str(tmp_path), '--model', str(tmp_path / 'no.npz')]) == 2
    message = capsys.readouterr().err
    assert 'no.npz' in message and 'importer' in message


def test_the_model_has_what_the_renderer_needs(model):
    assert isinstance(model, FaceModel) and len(model.expression_names) == 55
    assert isinstance(Atlas, type)
    for side in SIDES:
        upper, lower = model.lid_loops[side]
        assert upper[0] == lower[0] and upper[-1] == lower[-1]
        assert model.neutral[upper][:, 1].mean() > model.neutral[lower][:, 1].mean()


def test_a_hand_hides_landmarks_and_has_flow(bald, model):
    weights = np.zeros(55, np.float32)
    camera = crop_camera(bald, weights, Pose(), SIZE)
    behind = np.full((SIZE, SIZE, 3), 0.1, np.float32)
    hand = np.eye(4, dtype=np.float32)
    hand[:3, 3] = [0.0, -4.0, 15.0]
    moved = hand.copy()
    moved[0, 3] += 1.0
    free, _ = draw(bald, weights, Pose())
    one = render(bald, weights, Pose(), camera, lights(), behind, hand=hand)
    two = render(bald, weights, Pose(), camera, lights(), behind, hand=moved)
    assert free.visible[85] and not one.visible[85]
    assert one.visible[33] and free.visible[33]
    flow, valid = flow_between(bald, one, two)
    x, y = camera.project(np.array([[0.0, -4.6, 15.0 - 70.0]], np.float32))[0]
    expected = camera.focal / (70.0 - 16.5)
    assert valid[int(y), int(x)] == 1
    assert abs(flow[int(y), int(x), 0] - expected) < 0.15 * expected
    brow = one.landmarks[33].astype(int)
    assert np.abs(flow[brow[1], brow[0]]).max() < 1e-2
