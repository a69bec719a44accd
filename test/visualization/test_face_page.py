"""The page that shows the drawn face, asked over HTTP as a browser does."""

import re
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from threading import Event, Thread

import cv2
import numpy as np
import pytest

from kf_imitation.errors import ConfigError
from kf_imitation.visualization.face_page import FacePage

ANY_PORT = 0


@pytest.fixture
def page():
    page = FacePage(ANY_PORT, 'my <head>')
    yield page
    page.close()


def picture(value):
    return np.full((32, 32, 3), value, np.uint8)


def keep_showing(page, value):
    """Show a picture again and again, as the node does, until told to stop."""
    stop = Event()

    def show():
        while not stop.wait(0.01):
            page.show(picture(value))

    thread = Thread(target=show)
    thread.start()
    return lambda: (stop.set(), thread.join())


def read_picture(stream):
    head = stream.readline() + stream.readline() + stream.readline()
    length = int(re.search(rb'Content-Length: (\d+)', head).group(1))
    assert stream.readline() == b'\r\n'
    data = stream.read(length)
    assert stream.readline() == b'\r\n'
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_page_names_the_robot_and_loads_nothing_from_elsewhere(page):
    with urllib.request.urlopen(page.url, timeout=10) as answer:
        text = answer.read().decode()
    assert '<title>my &lt;head&gt;</title>' in text
    assert 'face.mjpeg' in text and '://' not in text


def test_browsers_ask_for_no_icon_that_is_not_there(page):
    """Without one in the page they ask for /favicon.ico, which was a 404 with every visit."""
    with urllib.request.urlopen(page.url, timeout=10) as answer:
        (icon,) = re.findall(r'<link rel="icon" href="([^"]*)">', answer.read().decode())
    kind, drawing = icon.split(',', 1)
    assert kind == 'data:image/svg+xml'
    assert ET.fromstring(urllib.parse.unquote(drawing)).tag == '{http://www.w3.org/2000/svg}svg'


def test_pictures_arrive_as_they_are_shown(page):
    with urllib.request.urlopen(f'{page.url}face.mjpeg', timeout=10) as stream:
        for value in (40, 200):
            finish = keep_showing(page, value)
            found = read_picture(stream)
            while abs(int(found[0, 0, 0]) - value) > 4:  # one shown before may come first
                found = read_picture(stream)
            finish()
    assert found.shape == (32, 32, 3)


def test_without_a_browser_nothing_is_encoded(page, monkeypatch):
    monkeypatch.setattr(cv2, 'imencode', lambda *_: pytest.fail('encoded'))
    page.show(picture(1))
    assert page.watchers == 0


def test_only_this_machine_can_look(page):
    assert page.url.startswith('http://127.0.0.1:')


def test_other_paths_are_not_there(page):
    with pytest.raises(urllib.error.HTTPError, match='404'):
        urllib.request.urlopen(f'{page.url}etc/passwd', timeout=10)


def test_a_port_in_use_is_rejected_by_number(page):
    port = int(page.url.rstrip('/').rsplit(':', 1)[1])
    with pytest.raises(ConfigError, match=rf'page_port = {port}: .*in use'):
        FacePage(port, 'another')
