"""The cockpit in a real browser, beside a real graph with simulated servos."""

import json
import os
import re
import shutil
import subprocess
from time import monotonic

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('aiohttp', reason='pip install aiohttp')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import JointState
from servo_talk import angle

from kf_imitation.bags.reader import topics
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
AXE = 'axe-core@4.10.3'
LINE = re.compile(r'cockpit of \w+: (http\S+)')
WAIT_S = 90  # many times what a machine that also runs other tests needs


def address(stream):
    """Return the address that a program prints; it prints little afterwards."""
    for line in stream:
        if found := LINE.search(line):
            return found.group(1)
    pytest.fail('no address was printed')


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={'width': 900, 'height': 700})
    page = context.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    problems = []
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.on('console', lambda line: line.type == 'error' and problems.append(line.text))
    yield page
    context.close()
    # A server that ends, at any moment, and actions that are rejected.
    known = (
        'WebSocket connection',
        'net::ERR_',
        'Failed to fetch',
        'status of 400',
        'status of 403',
    )
    assert [p for p in problems if not any(word in p for word in known)] == []


@pytest.fixture
def cockpit(start):
    """Start a cockpit beside what runs; returns its process and address."""

    def begin(*options):
        process = start('cockpit', *options)
        return process, address(process.stdout)

    return begin


def state(diagnostics):
    """Return the newest state of the servo node."""
    for message in reversed(diagnostics):
        for status in message.status:
            if status.name.endswith('servo'):
                return {pair.key: pair.value for pair in status.values}.get('state')
    return None


def wait_for(page, listener, condition, what):
    """Let page and listener both go on until a condition holds."""
    end_s = monotonic() + WAIT_S
    while not condition():
        assert monotonic() < end_s, f'waited in vain for {what}; {page.inner_text("body")[:600]}'
        listener.executor.spin_once(timeout_sec=0.02)
        page.wait_for_timeout(20)


def shows(page, script):
    """Wait until a script is true; the page's policy forbids Playwright's own way (eval)."""
    end_s = monotonic() + WAIT_S
    while not page.evaluate(script):
        assert monotonic() < end_s, f'{script} never was true; {page.inner_text("#state")}'
        page.wait_for_timeout(50)


def answers(page, text):
    """Wait until the page says what became of an action."""
    shows(page, f"document.querySelector('#answer').textContent.includes({text!r})")


def is_live(page):
    return page.inner_text('#link') == 'live'


def test_mimic_prints_an_address_whose_page_shows_the_run_and_stops_it(
    start, environment, listener, page, make_video, tmp_path
):
    environment['HOME'] = str(tmp_path)
    # Every frame of a file, over and over: keyframes come however busy the machine is.
    params = tmp_path / 'params.yaml'
    params.write_text('/**/camera: {ros__parameters: {loop: true}}', encoding='utf-8')
    options = ('--source', str(make_video()), '--every-frame', '--params', str(params))
    process = start('mimic', *options)
    url = address(process.stderr)
    diagnostics = listener.listen(DiagnosticArray, '/diagnostics')
    page.goto(url)
    assert page.title() in ('Cockpit', f'Cockpit of {ROBOT.name}')
    page.wait_for_selector('#keyframes li div time:not(:empty)')
    page.locator('#keyframes li', has_text='change 0.').first.wait_for()
    page.locator('#keyframes li', has_text='by ').first.wait_for()  # what moved, and how far
    shows(page, "document.querySelector('#camera').width > 300")
    shows(page, "document.querySelector('#stages').rows.length > 4")
    page.click('summary:has-text("All 51 shapes")')  # drawn while it is open
    shows(page, 'document.querySelectorAll("#shapes .channel").length === 51')
    shows(page, 'document.querySelector("#shapes .bars i").style.transform.startsWith("scaleX")')
    page.click('summary:has-text("All 51 shapes")')
    page.click('#camera-mirror')
    answers(page, 'camera.mirror = True')
    assert value_of(listener, 'camera', 'mirror').bool_value
    wait_for(page, listener, lambda: state(diagnostics) == 'running', 'the head')
    page.click('[data-action=neutral]')  # its button keeps the focus
    page.keyboard.press('Space')
    wait_for(page, listener, lambda: state(diagnostics) == 'stopped', 'the stop')
    answers(page, 'Stopped.')
    count = len(diagnostics)
    wait_for(page, listener, lambda: len(diagnostics) > count + 8, 'more diagnostics')
    assert state(diagnostics) == 'stopped'
    shows(page, "document.querySelector('#advice').textContent.startsWith('Press Reset')")
    shows(page, "document.querySelector('#authority').textContent === 'Moved by: stop'")
    page.click('[data-action=reset]')
    wait_for(page, listener, lambda: state(diagnostics) == 'running', 'the reset')
    page.keyboard.press('Escape')
    wait_for(page, listener, lambda: state(diagnostics) == 'stopped', 'the second stop')

    page.click('#record')
    shows(page, "document.querySelector('#recording').textContent.startsWith('recording to')")
    page.click('#record')
    shows(page, "document.querySelector('#recording').textContent.startsWith('closed')")
    (bag,) = (tmp_path / 'kf_imitation').iterdir()
    assert '/joint_states' in topics(bag) and '/image_raw' not in topics(bag)

    page.click('#calibrate')
    shows(page, "!document.querySelector('#coach').hidden")
    page.click('#calibrate')
    shows(page, "document.querySelector('#calibration').textContent.startsWith('Cancelled')")


def value_of(listener, node, name):
    request = GetParameters.Request(names=[name])
    answer = listener.call(GetParameters, f'/{node}/get_parameters', request)
    return answer.values[0]


def test_what_is_turned_on_the_page_is_seen_by_a_ros_client(
    servo_node, start_node, listener, page, cockpit
):
    servo_node(hold_s=3600.0)
    _, url = cockpit()
    states = listener.listen(JointState, 'joint_states')
    wait_for(page, listener, lambda: bool(states), 'joint_states')
    page.goto(url)
    page.click('summary:has-text("More parameters")')
    field = page.locator('[id="servo-hold_s"]')
    field.fill('77')
    field.press('Tab')
    answers(page, 'hold_s = 77')
    assert value_of(listener, 'servo', 'hold_s').double_value == 77.0
    field.fill('99999')
    field.press('Tab')
    answers(page, 'from 0.1 to 3600 s')
    assert value_of(listener, 'servo', 'hold_s').double_value == 77.0

    diagnostics = listener.listen(DiagnosticArray, '/diagnostics')
    page.goto('about:blank')
    told = lambda: [m.status[0].message for m in diagnostics]  # noqa: E731
    wait_for(page, listener, lambda: 'nobody watching' in told(), 'the page to be gone')
    page.goto(url)  # a later watcher is told the values too
    shows(page, "document.getElementById('servo-hold_s')?.value === '77'")

    joint = next(j for j in ROBOT.joints if j.name == 'jaw')
    shows(page, "document.querySelector('#sentence').textContent.startsWith('Head')")
    shows(page, 'Boolean(window.cockpitHead)')
    page.evaluate("document.querySelector('#face').style.display = 'none'")
    page.wait_for_timeout(500)
    before = page.locator('#head').screenshot()
    slider = page.locator('#jog-jaw')
    assert float(slider.get_attribute('max')) == joint.limits_rad[1]
    slider.focus()
    pressed_s, was_sender = -9.0, False
    senders = lambda: listener.node.count_publishers('/servo/joint_trajectory')  # noqa: E731

    def has_arrived():
        """Press again now and then: on a busy machine a pause voids the goal."""
        nonlocal pressed_s, was_sender
        was_sender = was_sender or senders() == 1
        if monotonic() > pressed_s + 5:
            pressed_s = monotonic()
            slider.press('Home')
            slider.press('End')
        return was_sender and angle(states, 'jaw') > 0.9 * joint.limits_rad[1]

    wait_for(page, listener, has_arrived, 'the jog')
    wait_for(page, listener, lambda: page.locator('#head').screenshot() != before, 'the 3-D head')
    assert max(angle([s], 'jaw') for s in states) <= joint.limits_rad[1] + 0.02
    wait_for(page, listener, lambda: senders() == 0, 'the topic to be free for others again')
    beyond = page.evaluate(
        """() => import('./connection.js').then(({ act }) =>
            act({ action: 'jog', joint: 'jaw', position_rad: 3 }))"""
    )
    assert not beyond['done'] and 'its limits' in beyond['sentence']


def test_the_page_comes_back_when_its_server_starts_again(cockpit, interrupt, page, listener):
    # Not a port that Linux gives to connections, which could take it meanwhile.
    process, url = cockpit('--port', str(20_000 + os.getpid() % 10_000))
    page.goto(url)
    wait_for(page, listener, lambda: is_live(page), 'the first states')
    shows(page, "document.querySelector('#sentence').textContent.includes('is not running')")
    interrupt(process)
    wait_for(page, listener, lambda: 'No connection' in page.inner_text('#link'), 'the end')
    _, again = cockpit('--port', re.search(r':(\d+)/', url).group(1))
    assert again == url
    wait_for(page, listener, lambda: is_live(page), 'the page to come back')


def servo_says(process, since, sentence):
    """Return the diagnostics of a servo node."""
    values = {'process': process, 'active since': since}
    status = DiagnosticStatus(
        level=DiagnosticStatus.WARN,
        name='kf_imitation: servo',
        hardware_id='/servo',
        message=sentence,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(status=[status])


def test_of_two_heads_in_one_domain_the_page_shows_the_one_that_takes_commands(
    cockpit, listener, page
):
    publisher = listener.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    _, url = cockpit()
    page.goto(url)
    sentence = lambda: page.inner_text('#sentence')  # noqa: E731
    told = []

    def both():
        publisher.publish(servo_says('a:1', '100.0', 'stopped; waiting for reset'))
        publisher.publish(servo_says('b:2', '200.0', 'at rest in neutral'))
        told.append(sentence())
        return told[-1].endswith('(process a:1; not shown: a second head, b:2)')

    wait_for(page, listener, both, 'the second head to be named')
    assert 'Head: stopped; waiting for reset' in told[-1]
    assert not any('at rest' in words for words in told)

    def one():
        publisher.publish(servo_says('b:2', '200.0', 'at rest in neutral'))
        return sentence() == 'Head: at rest in neutral'

    wait_for(page, listener, one, 'the second head alone')


def test_a_page_that_may_only_look_says_so(cockpit, page):
    _, url = cockpit('--look-only')
    page.goto(url)
    page.click('[data-action=reset]')
    answers(page, 'look on')


def test_the_page_fits_a_phone_in_both_colour_schemes_and_is_accessible(
    cockpit, browser, page, axe
):
    _, url = cockpit()
    for scheme in ('light', 'dark'):
        context = browser.new_context(viewport={'width': 360, 'height': 740}, color_scheme=scheme)
        phone = context.new_page()
        phone.set_default_timeout(1000 * WAIT_S)
        phone.goto(url)
        phone.wait_for_selector('#jog input')
        assert phone.evaluate('document.documentElement.scrollWidth') <= 360
        phone.evaluate('scrollTo(0, document.body.scrollHeight)')
        box = phone.locator('#stop').bounding_box()
        assert box['y'] >= 0 and box['y'] + box['height'] <= 740  # in sight wherever one is
        assert box['height'] >= 44
        for summary in phone.locator('summary').all():
            summary.click()
        # As a script of the browser itself: the page's own policy would not let it in.
        phone.evaluate(axe)
        found = phone.evaluate('axe.run()')['violations']
        serious = [v for v in found if v['impact'] in ('serious', 'critical')]
        assert [(v['id'], [n['html'] for n in v['nodes']][:3]) for v in serious] == []
        context.close()


@pytest.fixture(scope='session')
def axe(pytestconfig):
    """The text of axe-core, fetched once by npm; it is not part of this repository."""
    folder = pytestconfig.cache.mkdir('axe-core')
    script = folder / 'package/axe.min.js'
    if not script.is_file():
        if not shutil.which('npm'):
            pytest.skip('no npm to fetch axe-core')
        command = ['npm', 'pack', '--json', AXE]
        try:
            packed = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=100, check=True
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            pytest.skip(f'npm cannot fetch {AXE}')
        archive = folder / json.loads(packed.stdout)[0]['filename']
        shutil.unpack_archive(archive, folder, filter='data')
    return script.read_text(encoding='utf-8')
