"""Rendered people who pass each other: an id stays with its person."""

from functools import cache

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import Frame
from kf_imitation.errors import KfImitationError
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.parameters.settings import FaceSettings
from kf_imitation.paths import share_path

pytestmark = pytest.mark.timeout(400)  # the renderer may have to be compiled first

EDGE = 216  # of a rendered person [px]
WIDTH, HEIGHT = 384, 240
BELOW = 120  # rows of clothes that go on below the picture of a person
TURNED = (0.0, 0.3, 0.6, 0.9)  # yaw [rad]


@cache
def renderer():
    """What it takes to render people, or the reason why it is not there."""
    pytest.importorskip('numba', reason='the renderer needs numba')
    from face_renderer.appearance import Atlas
    from face_renderer.face_model import FaceModel

    try:
        model = FaceModel.load(None)
    except KfImitationError as missing:
        pytest.skip(f'no face model: {missing}')
    return model, Atlas(model)


@cache
def person(seed, yaw=0.0):
    """Two seeds are two people alike in age, skin, hair and eyes, in clothes of their own."""
    model, atlas = renderer()
    from face_renderer.appearance import StyleChoice, make_style
    from face_renderer.demo import LIGHTS
    from face_renderer.face_model import Person
    from face_renderer.scene import Actor, Camera, Pose, render

    rng = np.random.default_rng(seed)
    identity = (0.8 * rng.standard_normal(100)).clip(-1.5, 1.5).astype(np.float32)
    choice = StyleChoice(2.6, 2, 1, 'short', 0.0, False, 0.15, 0.35)
    actor = Actor(Person(model, identity), make_style(atlas, rng, choice), atlas)
    camera = Camera(2.0 * EDGE, EDGE / 2, 0.42 * EDGE, EDGE, EDGE)
    drawn = render(
        actor,
        np.zeros(len(model.expression_names), np.float32),
        Pose(yaw, 0.0, 0.0, 0.0, -0.6, -62.0),
        camera,
        LIGHTS,
        np.zeros((EDGE, EDGE, 3), np.float32),
    )
    layer = np.dstack([255 * drawn.image, drawn.cover]).astype(np.float32)
    return np.pad(layer, ((0, BELOW), (0, 0), (0, 0)), 'edge')


def scene(*people):
    """People (layer, x of the middle, scale), the nearest last, before a wall with a window."""
    image = np.full((HEIGHT, WIDTH, 3), (120.0, 130.0, 125.0), np.float32)
    image[20:90, 30:110] = 60.0
    for layer, x, scale in people:
        matrix = np.array(
            [[scale, 0, x - scale * EDGE / 2], [0, scale, 110 - 0.42 * scale * EDGE]]
        )
        drawn = cv2.warpAffine(layer, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        image = image * (1 - drawn[..., 3:]) + drawn[..., :3]
    return image.clip(0, 255).astype(np.uint8)


def follow(images):
    tracker = FaceTracker(FaceSettings())
    return [tracker.update(Frame(i, round(i / 30 * 1e9), image)) for i, image in enumerate(images)]


def whose(regions, ways, apart_px):
    """Ids by who wears them (0 or 1), where two people are apart."""
    worn = ([], [])
    for region, places in zip(regions, ways, strict=True):
        if region is not None and abs(places[0] - places[1]) > apart_px:
            off = [abs(region.x + region.size / 2 - x) for x in places]
            worn[off[1] < off[0]].append(region.track_id)
    return worn


@pytest.mark.parametrize(
    ('speeds', 'scales', 'first_is_near'),
    [
        ((0.0, 5.4), (0.8, 0.8), False),
        ((0.0, 2.8), (0.8, 0.8), False),
        ((0.0, 4.8), (0.75, 1.05), False),
        ((-2.6, 2.6), (0.8, 0.8), False),
        ((-2.6, 2.6), (0.8, 0.8), True),
        ((0.0, 3.6), (0.8, 0.8), True),
    ],
    ids=['passes before', 'slowly', 'nearer', 'both walk', 'both walk, behind', 'passes behind'],
)
def test_an_id_never_goes_over_to_a_person_who_crosses(speeds, scales, first_is_near):
    people = person(12), person(31)
    frames = 150 if speeds == (0.0, 2.8) else 100
    ways = [[192 + v * (i - frames / 2) for v in speeds] for i in range(frames)]
    images = []
    for i, places in enumerate(ways):
        order = (1, 0) if first_is_near else (0, 1)
        shown = [k for k in order if k == 0 or i > 15]  # the first is there first
        images.append(scene(*((people[k], places[k], scales[k]) for k in shown)))
    first, second = whose(follow(images), ways, apart_px=90)
    assert first and first[0] == 1 and not set(first) & set(second)


def test_one_who_turns_away_and_back_keeps_the_id():
    turns = [0.0] * 20 + [y for y in (*TURNED, *reversed(TURNED)) for _ in range(5)] + [0.0] * 20
    regions = follow([scene((person(12, yaw), 192, 0.9)) for yaw in turns])
    assert {r.track_id for r in regions[2:] if r is not None} == {1}
    assert regions[-1] is not None


def test_one_person_alone_keeps_the_id_and_costs_one_look_in_two_frames_more(monkeypatch):
    video = cv2.VideoCapture(str(share_path('media/demo.mp4')))
    looks = []
    located = FaceTracker._locate
    monkeypatch.setattr(FaceTracker, '_locate', lambda *args: looks.append(1) or located(*args))
    images = (video.read()[1] for _ in range(420))
    regions = follow(images)
    assert {r.track_id for r in regions[1:]} == {1}
    assert len(looks) < 1.6 * len(regions)
