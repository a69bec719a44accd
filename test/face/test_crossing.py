"""Who is who after two people have crossed: their ways, sizes and colours, without a network."""

import itertools

import numpy as np

from kf_imitation.data_types import FaceRegion
from kf_imitation.face.crossing import Crossing, Verdict

SIZE = 40
LOST_S = 0.7
RED, BLUE = (40, 40, 200), (200, 60, 40)


def face(x, size=SIZE):
    return FaceRegion(x - size / 2, 60 - size / 2, size)


def picture(*people):
    """People (x of the middle, colour), the nearest last, on grey."""
    image = np.full((120, 400, 3), 128, np.uint8)
    for x, colour in people:
        image[20:, max(0, round(x) - SIZE // 2) : max(0, round(x) + SIZE // 2)] = colour
    return image


def told(ways, colours, near=1, others=()):
    """Verdicts on a tracker that always follows the nearer one while the two are close."""
    crossing, verdicts, followed = None, [], 0
    for index, (first, second) in enumerate(ways):
        now_s, people = index / 30, ((first, colours[0]), (second, colours[1]))
        image = picture(people[1 - near], people[near])
        seen = [face(x) for x in (first, second) if 0 < x < 400]
        if abs(first - second) < 0.8 * SIZE:
            seen, followed = [face((first, second)[near])], near
        followed_x = (first, second)[followed]
        if crossing is None:
            crossing = Crossing(now_s, face(first), face(second), image)
            continue
        verdicts.append(crossing.push(now_s, face(followed_x), [*seen, *others], image, LOST_S))
        if verdicts[-1] is Verdict.SWAPPED:
            followed = int(abs(crossing.own.x + SIZE / 2 - second) < 1)
    return verdicts, followed, crossing


def walk(*stops, step=4.0):
    """A way from stop to stop."""
    places = [np.arange(a, b, np.sign(b - a) * step) for a, b in itertools.pairwise(stops)]
    return np.concatenate(places).tolist()


def test_two_in_the_same_clothes_are_known_by_their_ways():
    first, second = walk(80, 320), walk(320, 80)
    verdicts, followed, _ = told(zip(first, second, strict=True), (RED, RED))
    assert Verdict.SWAPPED in verdicts and followed == 0
    assert Verdict.REPLACED not in verdicts


def test_two_who_turn_back_behind_one_another_are_known_by_their_colours():
    first, second = walk(80, 190, 80), walk(320, 210, 320)
    verdicts, followed, _ = told(zip(first, second, strict=True), (RED, BLUE))
    assert Verdict.SWAPPED in verdicts and followed == 0


def test_one_who_passes_behind_changes_nothing():
    second = walk(60, 360)
    verdicts, followed, _ = told(((200, x) for x in second), (RED, BLUE), near=0)
    assert set(verdicts) == {Verdict.SAME} and followed == 0


def test_one_who_stays_before_the_other_is_another_once_the_first_counts_as_lost():
    second = walk(100, 200) + [200.0] * 60
    verdicts, _, _ = told(((200, x) for x in second), (RED, BLUE))
    met = next(i for i, x in enumerate(second) if 200 - x < 0.8 * SIZE)
    replaced = verdicts.index(Verdict.REPLACED)
    assert LOST_S < (replaced - met) / 30 < LOST_S + 0.3
    assert verdicts.count(Verdict.REPLACED) == 1


def test_what_looks_like_neither_of_them_is_not_taken_for_one_of_them():
    second = walk(100, 200) + [200.0] * 12
    lamp = FaceRegion(340, 10, 20)
    verdicts, _, _ = told(((200, x) for x in second), (RED, BLUE), others=[lamp])
    assert Verdict.SWAPPED not in verdicts


def test_who_goes_out_of_sight_alone_is_forgotten():
    second = walk(300, 396) + [500.0] * 60
    verdicts, _, _ = told(((200, x) for x in second), (RED, BLUE))
    assert Verdict.OVER in verdicts
