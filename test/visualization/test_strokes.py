"""The drawn face that a page paints from strokes, beside the one in pictures."""

import base64

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.paths import share_path
from kf_imitation.visualization.avatar import draw_face, face_strokes

EDGE = 240
PAINT = """async ([edge, strokes, points]) => {
  const { paintStrokes } = await import('/drawn.js');
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = edge;
  paintStrokes(canvas, strokes, new Uint8Array(points).buffer);
  return canvas.toDataURL('image/png').split(',')[1];
}"""
FACES = {
    'rest': {},
    'laugh': {'mouth_smile_left': 1.0, 'mouth_smile_right': 1.0, 'jaw_open': 0.7},
    'look aside': {'head_yaw': 0.4, 'gaze_yaw': 0.3, 'eye_close_left': 0.6, 'head_roll': 0.2},
}


@pytest.fixture
def page(browser):
    context = browser.new_context()
    page = context.new_page()
    script = share_path('media/cockpit/drawn.js').read_text(encoding='utf-8')
    page.route('**/*', lambda route: route.fulfill(body='<p>', content_type='text/html'))
    page.route(
        '**/drawn.js', lambda route: route.fulfill(body=script, content_type='text/javascript')
    )
    page.goto('http://drawn.test/')
    yield page
    context.close()


@pytest.mark.parametrize('name', FACES)
def test_a_page_paints_the_face_that_pictures_show(page, name):
    values = np.float32([FACES[name].get(channel, 0.0) for channel in CHANNELS])
    strokes, points = face_strokes(values)
    png = base64.b64decode(page.evaluate(PAINT, [EDGE, strokes, list(points)]))
    painted = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)
    apart = np.abs(painted - draw_face(values, EDGE)).max(axis=2)
    assert apart.mean() < 6 and (apart > 60).mean() < 0.02


def test_every_point_of_a_face_belongs_to_a_stroke():
    strokes, points = face_strokes(np.zeros(len(CHANNELS), np.float32))
    assert 4 * sum(stroke[1] for stroke in strokes) == len(points)
    kinds = [stroke[0] for stroke in strokes]
    assert kinds.count('inside') == kinds.count('outside') > 0
