"""The report in a real browser: real clicks, what-if, widths, dark and light, no network."""

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.cockpit.model import head_model
from kf_imitation.parameters.modes import MODES
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.reporting import page as report
from kf_imitation.reporting.data import ReportData, final_run
from kf_imitation.reporting.health import Fault
from kf_imitation.reporting.playback import _data_uri
from kf_imitation.robot import load_robot

pytestmark = pytest.mark.timeout(150)

FPS, SECONDS = 30, 60
# A grey square, 1 x 1 px.
PICTURE = (
    'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAC'
    'hwGA60e6kgAAAABJRU5ErkJggg=='
)


@pytest.fixture(scope='module')
def page_file(tmp_path_factory):
    """A run of a minute with a peak every second."""
    stamps = (np.arange(FPS * SECONDS, dtype=np.int64) * 1_000_000_000) // FPS
    score = 0.35 * (1 - np.cos(2 * np.pi * stamps * 1e-9))
    explanation = {
        'flow_share': 0.75,
        'appearance_share': 0.2,
        'still_share': 0.05,
        'head_share': 0.2,
        'score_without_head': 0.6,
        'strongest': [['jawOpen', 0.1]],
    }
    keyframes = [
        {
            'number': n + 1,
            'time_s': n + 0.5,
            'score': 0.7,
            'prominence': 0.7,
            'threshold': 0.1,
            'commit_delay_s': 0.17,
            'rank': 99,
            'explanation': explanation,
            'picture': PICTURE,
        }
        for n in range(SECONDS)
    ]
    robot = load_robot('sim_face')
    model = head_model(robot)
    swing = np.sin(2 * np.pi * stamps * 1e-9 / 10).tolist()
    player = {
        'joints': list(robot.names),
        'time_s': (stamps * 1e-9).tolist(),
        'rad': [swing if name == 'neck_yaw' else [0.0] * len(swing) for name in robot.names],
        'urdf': _data_uri('application/xml', model.urdf.encode()),
        'meshes': {n: _data_uri('x/x', p.read_bytes()) for n, p in model.meshes.items()},
        'pictures': [[0.0, PICTURE], [30.0, f'{PICTURE}#later']],
    }
    moments = [
        {'name': 'blink', 'time_s': 5.0, 'share': 0.9, 'reached': True},
        {'name': 'jaw open', 'time_s': 30.0, 'share': 0.4, 'reached': False},
    ]
    line = {'name': 'left', 'time_s': (stamps * 1e-9).tolist(), 'value': score.tolist()}
    data = ReportData(
        'clip.mp4',
        {
            'fps': FPS,
            'settings': asdict(DetectorSettings(mode='peak')),
            'run': final_run(stamps, score),
            'keyframes': keyframes,
            'truth_s': None,
            'channels': [{'title': 'mouth', 'lines': [line]}] * 6,
            'joints': [{'title': 'jaw', 'lines': [line]}] * 6,
            'moments': moments,
            'player': player,
        },
        {
            'score': {'p50': 1.0, 'p95': 2.0, 'p99': 3.0, 'n': 1800},
            # On a busy machine.
            'expression': {'p50': 1100.8, 'p95': 1181.0, 'p99': 1259.7, 'n': 1800},
        },
        [Fault('servo: jaw is hot', 3, 1.0, 2.0)],
    )
    path = tmp_path_factory.mktemp('report') / 'report.html'
    path.write_text(report.page(data), encoding='utf-8')
    return path


@contextmanager
def page_of(browser, page_file):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)  # for shared machines; the report aims at 3 s
    page.problems = []
    page.on('pageerror', lambda error: page.problems.append(str(error)))
    page.on('request', lambda r: page.problems.append(r.url) if 'file:' not in r.url else None)
    page.goto(page_file.as_uri())
    page.wait_for_selector('body[data-ready=true]')
    yield page
    assert [p for p in page.problems if not p.startswith(('data:', 'blob:'))] == []
    context.close()


@pytest.fixture
def opened(browser, page_file):
    with page_of(browser, page_file) as page:
        yield page


@pytest.fixture(scope='module')
def page_of_many_tests(browser, page_file):
    """To load the page is most of a test."""
    with page_of(browser, page_file) as page:
        yield page


@pytest.fixture
def as_in_the_run(page_of_many_tests):
    """The page of other tests too, with the settings of the run and the whole of it in view."""
    page = page_of_many_tests
    page.emulate_media(color_scheme='light')
    page.set_viewport_size({'width': 1280, 'height': 720})
    page.evaluate('scrollTo(0, 0)')
    # By script: while the charts follow the window, one may lie over a button.
    for button in ('#reset', '#whole'):
        page.locator(button).dispatch_event('click')
    page.wait_for_function('document.getElementById("found").textContent === "60"')
    return page


def set_slider(page, name, value):
    """Move a slider and wait until all is drawn again."""
    page.evaluate('delete document.body.dataset.redrawMs')
    page.locator(f'#{name}').evaluate(
        '(e, v) => { e.value = v; e.dispatchEvent(new Event("input")); }', str(value)
    )
    page.wait_for_selector('body[data-redraw-ms]')


def choose_mode(page, mode):
    page.evaluate('delete document.body.dataset.redrawMs')
    page.select_option('#mode', mode)
    page.wait_for_selector('body[data-redraw-ms]')


def text(page, place):
    return page.locator(place).inner_text()


def score_range(page):
    return page.evaluate('document.getElementById("score").layout.xaxis.range')


def rings(page):
    """How many keyframes of other settings the chart shows."""
    return page.evaluate('document.getElementById("score").data[3].x.length')


def test_the_settings_of_the_run_give_its_keyframes(as_in_the_run):
    assert (
        text(as_in_the_run, '#found'),
        text(as_in_the_run, '#en'),
        text(as_in_the_run, '#el'),
    ) == (
        '60',
        '0',
        '0.00',
    )
    assert rings(as_in_the_run) == 0
    assert as_in_the_run.locator('#mode option').all_inner_texts() == list(MODES)


def test_person_and_robot_are_played_on_one_time_axis(opened):
    opened.wait_for_selector('body[data-head=true]')
    head = lambda: opened.locator('#head').screenshot()  # noqa: E731

    def seek(time_s):
        opened.locator('#scrub').evaluate(
            '(e, v) => { e.value = v; e.dispatchEvent(new Event("input")); }', str(time_s)
        )

    seek(0)
    before, turned = head(), False
    seek(2.5)  # the head is turned
    for _ in range(200):
        if turned := head() != before:
            break
    assert turned
    assert opened.locator('#person-frame').get_attribute('src') == PICTURE
    assert '1 of 2 blinks and apexes were reached' in text(opened, '#moment-count')
    opened.click('#moments .missed')
    assert text(opened, '#now') == '30.00 s'
    assert opened.locator('#person-frame').get_attribute('src') == f'{PICTURE}#later'
    opened.locator('#strip button').nth(9).click()  # a keyframe, at 9.5 s
    assert text(opened, '#now') == '9.50 s'
    opened.select_option('#speed', '2')
    opened.click('#play')
    opened.wait_for_function('Number(document.getElementById("scrub").value) > 9.8')
    opened.click('#play')
    assert text(opened, '#play') == 'Play'


def test_a_printed_report_shows_the_charts_that_nobody_scrolled_to(opened):
    undrawn = "[...document.querySelectorAll('.canvas')].filter((c) => !c.querySelector('svg'))"
    assert opened.evaluate(f'{undrawn}.length') > 0
    opened.pdf()
    opened.wait_for_function(f'{undrawn}.length === 0')


def test_the_frame_and_the_curves_can_be_kept(opened):
    opened.wait_for_selector('body[data-head=true]')
    with opened.expect_download() as kept:
        opened.click('#save-curves')
    lines = Path(kept.value.path()).read_text(encoding='utf-8').splitlines()
    assert lines[0].startswith('time_s,score,') and 'jaw_rad' in lines[0]
    assert len(lines) == 1 + FPS * SECONDS
    with opened.expect_download() as kept:
        opened.click('#save-frame')
    picture = cv2.imread(str(kept.value.path()))
    assert picture.shape[0] == 480 and picture.std() > 5  # the head, not an empty canvas


def test_a_slider_redraws_keyframes_and_errors_at_once(as_in_the_run):
    set_slider(as_in_the_run, 'prominence', 0.3)
    set_slider(as_in_the_run, 'spacing_s', 2)
    assert (text(as_in_the_run, '#found'), text(as_in_the_run, '#en')) == ('30', '30')
    assert rings(as_in_the_run) == 30
    assert text(as_in_the_run, '#prominence-value') == '0.30'
    assert as_in_the_run.locator('#strip button.dropped').count() == 30
    as_in_the_run.click('summary')
    assert 'detector.spacing_s: 2.00' in text(as_in_the_run, '#parameters')
    as_in_the_run.click('#reset')
    as_in_the_run.wait_for_function('document.getElementById("found").textContent === "60"')
    assert rings(as_in_the_run) == 0


def test_what_was_before_and_after_a_keyframe_is_played_and_can_be_kept(opened):
    opened.wait_for_selector('body[data-head=true]')
    opened.locator('#strip button').nth(9).click()  # a keyframe, at 9.5 s
    opened.get_by_role('button', name='Play before and after').click()
    opened.wait_for_selector('#play:text-is("Pause")')
    # Again and again: it goes back once it has come to the end.
    opened.evaluate("""() => {
        const scrub = document.getElementById('scrub');
        window.seen = [Infinity, -Infinity, false];
        setInterval(() => {
            const now = Number(scrub.value), [low, high] = window.seen;
            window.seen = [Math.min(low, now), Math.max(high, now), window.seen[2] || now < high];
        }, 20);
    }""")
    opened.wait_for_function('window.seen[2]')
    low, high, _ = opened.evaluate('window.seen')
    assert 8.75 <= low < high <= 10.25
    with opened.expect_download() as kept:
        opened.get_by_role('button', name='Clip as WebM').click()
    assert kept.value.suggested_filename == 'clip-9.50s.webm'
    assert Path(kept.value.path()).read_bytes().startswith(bytes.fromhex('1a45dfa3'))
    opened.wait_for_selector('#play:text-is("Play")')


@pytest.mark.parametrize(
    ('name', 'value', 'found'),
    [('threshold', 0.75, '0'), ('prominence', 0.6, '0'), ('commit_delay_s', 0.0, '0')],
)
def test_every_slider_counts(as_in_the_run, name, value, found):
    # A score of 0.7 is below a threshold of 0.75; within the commit delay of the run it falls by
    # 0.18, too little for a prominence of 0.6; without a delay it falls by less than 0.05.
    set_slider(as_in_the_run, name, value)
    assert text(as_in_the_run, '#found') == found


def test_another_mode_finds_other_frames_and_greys_out_what_it_does_not_use(as_in_the_run):
    choose_mode(as_in_the_run, 'settle')
    assert text(as_in_the_run, '#el') in ('–', '6.00') or text(as_in_the_run, '#found') != '60'
    assert as_in_the_run.locator('#travel_threshold').is_disabled()
    choose_mode(as_in_the_run, 'travel')
    assert as_in_the_run.locator('#commit_delay_s').is_disabled()
    set_slider(as_in_the_run, 'travel_threshold', 5)
    few = int(text(as_in_the_run, '#found'))
    set_slider(as_in_the_run, 'travel_threshold', 1)
    assert int(text(as_in_the_run, '#found')) > few > 0


def test_a_click_on_a_keyframe_reports_why_and_zooms_there(as_in_the_run):
    as_in_the_run.click('#strip button:nth-child(12)')
    why = text(as_in_the_run, '#why')
    assert 'Keyframe 12 at 11.50 s' in why and 'jawOpen' in why
    for share in ('75 %', '20 %', '80 %', 'score 0.600', 'before: 11', 'after: 13'):
        assert share in why, share
    assert score_range(as_in_the_run) == pytest.approx([10.0, 13.0])
    set_slider(as_in_the_run, 'threshold', 0.75)
    assert score_range(as_in_the_run) == pytest.approx([10.0, 13.0])
    assert 'Below the threshold' in text(as_in_the_run, '#why')
    as_in_the_run.click('#closer')
    low, high = score_range(as_in_the_run)
    assert high - low == pytest.approx(1.5)
    as_in_the_run.click('#whole')
    low, high = score_range(as_in_the_run)
    assert high - low > 50


def test_a_click_on_the_curve_reports_why_that_frame_was_not_picked(opened):
    opened.click('#strip button:nth-child(12)')
    x, y = opened.evaluate(
        """() => {
            const chart = document.getElementById('score');
            chart.scrollIntoView({block: 'center'});
            const box = chart.getBoundingClientRect(), full = chart._fullLayout;
            const at = full.xaxis.l2p(11.2), height = full.yaxis.l2p(chart.data[0].y[336]);
            return [box.left + full._size.l + at, box.top + full._size.t + height];
        }"""
    )
    opened.mouse.move(x, y)
    opened.wait_for_selector('.hoverlayer .hovertext')
    opened.mouse.click(x, y)
    opened.wait_for_function('document.getElementById("why").innerText.includes("Frame at")')
    assert 'Frame at 11.20 s' in text(opened, '#why')
    assert '11.2' in text(opened, '#why')
    assert 'expected' in text(opened, '#why') or 'Too flat' in text(opened, '#why')


def test_the_keyboard_reaches_and_moves_everything(opened):
    seen = []
    opened.keyboard.press('Tab')
    for _ in range(40):
        name = opened.evaluate(
            '() => document.activeElement.id || document.activeElement.parentElement.id'
        )
        seen.append(name)
        if name == 'strip' and seen.count('strip') == 1:
            opened.keyboard.press('ArrowRight')
            opened.keyboard.press('ArrowRight')
            assert 'Keyframe 3 ' in text(opened, '#why')
        # Beyond the last stop Tab begins again at the top.
        if name == 'prominence' and seen.count('prominence') == 1:
            outline = opened.evaluate('getComputedStyle(document.activeElement).outlineStyle')
            assert outline == 'solid'
            opened.keyboard.press('ArrowRight')
            opened.wait_for_function(
                'document.getElementById("prominence-value").textContent === "0.11"'
            )
        opened.keyboard.press('Tab')
    controls = {'mode', 'prominence', 'threshold', 'spacing_s', 'commit_delay_s', 'reset'}
    assert controls | {'whole', 'closer', 'earlier'} <= set(seen)
    assert seen[seen.index('strip') + 1] != 'strip'  # one stop, arrows move inside


def test_every_control_has_a_name_and_every_picture_a_text(as_in_the_run):
    nameless = as_in_the_run.evaluate(
        """() => [...document.querySelectorAll('input, select')]
            .filter((e) => !e.labels.length).map((e) => e.id)"""
    )
    assert nameless == []
    assert as_in_the_run.locator('#strip img:not([alt])').count() == 0
    assert as_in_the_run.locator('html[lang]').count() == 1


def test_no_button_sends_the_chart_away(as_in_the_run):
    """Plotly 7 brought one that uploads it to a service, shown unless told otherwise."""
    context = as_in_the_run.evaluate(
        """() => {
            const { showSendToCloud, plotlyServerURL } = document.getElementById('score')._context;
            return [showSendToCloud, plotlyServerURL];
        }"""
    )
    assert context == [False, '']
    names = as_in_the_run.locator('.modebar-btn').evaluate_all(
        '(all) => all.map((b) => b.dataset.title || b.getAttribute("aria-label"))'
    )
    assert names
    assert [name for name in names if 'hare' in name or 'loud' in name] == []


@pytest.mark.parametrize('width', [360, 1600])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_the_page_fits_its_window_and_reads_well(as_in_the_run, width, scheme):
    as_in_the_run.emulate_media(color_scheme=scheme)
    as_in_the_run.set_viewport_size({'width': width, 'height': 900})
    as_in_the_run.click('#strip button:nth-child(2)')
    # The charts follow the window a moment later.
    as_in_the_run.wait_for_function('document.documentElement.scrollWidth <= innerWidth')
    as_in_the_run.locator('#joints .chart').last.scroll_into_view_if_needed()
    as_in_the_run.wait_for_selector('#joints .chart:last-child .main-svg')
    as_in_the_run.wait_for_function('document.documentElement.scrollWidth <= innerWidth')
    assert as_in_the_run.locator('.chart').first.bounding_box()['width'] <= width
    assert 'jaw is hot' in text(as_in_the_run, 'main')
    cut = as_in_the_run.locator('.scroll').evaluate_all(
        '(all) => all.map((box) => box.scrollWidth - box.clientWidth)'
    )
    assert max(cut) <= 0
    # WCAG 2.1: 4.5 to 1 for text.
    contrast = as_in_the_run.evaluate(
        """() => {
            const light = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
                    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const style = (place) => getComputedStyle(document.querySelector(place));
            const pairs = [
                ['body', 'body'], ['p.facts', 'body'], ['dt', '.card'], ['th', '.card'],
            ];
            return pairs.map(([text, ground]) => {
                const both = [light(style(text).color), light(style(ground).backgroundColor)];
                return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
            });
        }"""
    )
    assert min(contrast) >= 4.5, contrast


def test_a_run_without_keyframes_and_scores_still_opens(browser, tmp_path):
    data = ReportData(
        'empty',
        {
            'fps': 30.0,
            'settings': asdict(DetectorSettings(mode='peak')),
            'run': final_run(np.arange(3, dtype=np.int64) * 33_333_333, np.full(3, np.nan)),
            'keyframes': [],
            'truth_s': None,
            'channels': [],
            'joints': [],
        },
    )
    path = tmp_path / 'empty.html'
    path.write_text(report.page(data), encoding='utf-8')
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector('body[data-ready=true]', timeout=60_000)
    assert (text(page, '#found'), text(page, '#el')) == ('0', '–')
    page.close()
