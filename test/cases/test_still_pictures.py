"""A camera that hangs or is covered goes on sending; that is noticed, and said once."""

import numpy as np
import pytest

from kf_imitation.camera.picture_watch import AFTER_S, PictureWatch

FPS = 10


@pytest.fixture
def watch():
    said = []
    return PictureWatch('/camera', said.append), said


def scene(index, level=120, noise=2):
    rng = np.random.default_rng(index)
    picture = np.full((240, 320, 3), level, np.int16)
    picture[80:160, 100:200] += 60
    picture += rng.integers(-noise, noise + 1, picture.shape, np.int16)
    return np.clip(picture, 0, 255).astype(np.uint8)


def show(watch, pictures, start_s=0.0):
    for index, picture in enumerate(pictures):
        watch.look(picture, round((start_s + index / FPS) * 1e9))


def dark(index):
    return np.random.default_rng(index).integers(0, 4, (240, 320, 3), np.uint8)


SECONDS = range(round(2 * AFTER_S * FPS))


def test_a_person_who_holds_still_is_no_still_picture(watch):
    show(watch[0], [scene(i) for i in SECONDS])
    assert watch[1] == [] and watch[0].state == ''


def test_a_camera_that_hangs_is_said_once_and_its_return_too(watch):
    show(watch[0], [scene(0) for _ in SECONDS])
    assert watch[1] == [watch[0].state]
    assert 'sends the same picture again and again' in watch[0].state
    show(watch[0], [scene(1)], start_s=100.0)
    assert watch[1][1:] == ['/camera shows something again'] and watch[0].state == ''


def test_a_picture_that_repeats_for_a_moment_is_nothing(watch):
    show(watch[0], [scene(i // (FPS * int(AFTER_S) - 2)) for i in SECONDS])
    assert watch[1] == []


@pytest.mark.parametrize('make', [dark, lambda _: np.zeros((240, 320, 3), np.uint8)])
def test_a_covered_lens_is_said_once(watch, make):
    show(watch[0], [make(i) for i in SECONDS])
    assert watch[1] == ['/camera is black: is the lens covered, or its light off?']


def test_a_dim_room_is_not_black(watch):
    show(watch[0], [scene(i, level=3) for i in SECONDS])
    assert watch[1] == []


def test_a_source_that_starts_again_is_watched_anew(watch):
    show(watch[0], [scene(0)], start_s=1000.0)
    show(watch[0], [scene(0) for _ in range(10)])
    assert watch[1] == []
