"""Two runs compared, in a real browser and as text."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from kf_imitation.cli.main import main
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.reporting import comparison
from kf_imitation.reporting.data import ReportData, final_run
from kf_imitation.reporting.page import plotly_script

pytestmark = pytest.mark.timeout(150)


def run_of(prominence, times_s, **more):
    """A run of 6 s with a peak every second, of which some are its keyframes."""
    stamps = (np.arange(180, dtype=np.int64) * 1_000_000_000) // 30
    score = 0.35 * (1 - np.cos(2 * np.pi * stamps * 1e-9))
    keyframes = [
        {
            'number': number + 1,
            'time_s': time_s,
            'score': 0.7,
            'prominence': 0.7,
            'threshold': prominence,
            'commit_delay_s': 0.1 * prominence,
            'picture': None,
        }
        for number, time_s in enumerate(times_s)
    ]
    line = {'name': 'left', 'time_s': [0.0, 5.0], 'value': [0.0, prominence]}
    page = {
        'fps': 30.0,
        'scored_by': 'keyframe_default',
        'settings': asdict(DetectorSettings(mode='peak', prominence=prominence)),
        'run': final_run(stamps, score),
        'keyframes': keyframes,
        'truth_s': [0.5, 1.5, 2.5],
        'channels': [{'title': 'eyes', 'lines': [line]}],
        'joints': [{'title': 'jaw', 'lines': [line]}, {'title': f'own {prominence}', 'lines': []}],
        'moments': [{'name': 'blink', 'time_s': 1.0, 'share': 0.9, 'reached': prominence < 0.5}],
    }
    return ReportData('clip <b>.mp4', page, **more)


@pytest.fixture(scope='module')
def text():
    first = run_of(
        0.1,
        [0.5, 1.5, 2.5, 3.5],
        joint_sizes=[['jaw', '-0.1', '+0.2', '40%', '0.0100']],
        sizes={'joint jaw': {'gain': 0.5, 'ccc': 0.6, 'rest': 0.0, 'apex': float('nan')}},
        times_ms={'score': {'p50': 1.0, 'p99': 3.0, 'n': 25}},
    )
    second = run_of(
        0.9,
        [1.55, 5.5],
        joint_sizes=[['jaw', '-0.1', '+0.1', '25%', '0.0200']],
        sizes={'joint jaw': {'gain': 0.25, 'ccc': 0.3, 'rest': 0.0, 'apex': 0.8}},
        times_ms={'score': {'p50': 2.0}},
    )
    return comparison.page(('out/a', 'out/<b>'), first, second)


@pytest.fixture
def opened(browser, text, tmp_path):
    path = tmp_path / 'ab.html'
    path.write_text(text, encoding='utf-8')
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems = []
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector('body[data-ready=true]')
    yield page
    assert problems == []
    context.close()


def has(page, place, *words):
    """Wait until a place says all that."""
    for word in words:
        page.locator(place, has_text=word).wait_for()


def test_measures_of_both_runs_stand_side_by_side(text):
    own = text.replace(plotly_script(), '')
    assert 'out/&lt;b&gt;' in own and 'clip &lt;b&gt;.mp4' in own
    for row in (
        ('keyframes', '4', '2'),
        ('… only in this run', '3', '1'),
        ('E_n against the labels', '1', '1'),
        ('E_l against the labels', '0.00 frames', '1.50 frames'),
        ('longest commit delay', '0.01 s', '0.09 s'),
        ('blinks and apexes reached', '1 of 1', '0 of 1'),
        ('setting: prominence', '0.1', '0.9'),
        ('jaw', '40%', '25%', '0.0100', '0.0200'),
        ('joint jaw', '0.50 / 0.25', '0.60 / 0.30', '0.00 / 0.00', '– / 0.80'),
        ('score', '1.0', '2.0', '3.0', '–'),
    ):
        assert ''.join(f'<td>{cell}</td>' for cell in row) in own, row
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', own, re.DOTALL)[1])
    assert data['pairs'] == [[1, 0]]
    assert [group['title'] for group in data['joints']] == ['jaw']  # what both have
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', own)


def test_how_two_runs_differ_besides_the_settings_of_the_detector_is_listed():
    mirrored = {'camera.mirror': True, 'keyframe.detector.mode': 'peak'}
    runs = [run_of(0.1, [0.5], parameters=given) for given in (mirrored, {}, None)]
    row = '<td>parameter: camera.mirror</td><td>True</td><td>False</td>'
    told = ''.join(comparison.tables(*runs[:2], 1))
    assert row in told and told.count('parameter: ') == 1
    assert 'parameter: ' not in ''.join(comparison.tables(runs[0], runs[2], 1))


def test_a_keyframe_of_one_run_says_what_the_other_made_of_it(opened):
    has(opened, '#common', '1 in common', '3 only in A, 1 only in B')
    assert opened.locator('#strip-a .alone').count() == 3
    opened.click('#strip-a button:nth-child(2)')
    has(opened, '#why', 'Keyframe 2 of A at 1.50 s', 'keyframe 1 at 1.55 s (+0.05 s)', 'A peak')
    opened.locator('#strip-b button[aria-pressed=true]', has_text='B 1').wait_for()
    opened.wait_for_function(
        """() => {
            const [low, high] = document.getElementById('score').layout.xaxis.range;
            return Math.abs(low) < 0.01 && Math.abs(high - 3) < 0.01;
        }"""
    )
    opened.click('#strip-a button:nth-child(3)')
    # B has no keyframe there, and why.
    has(opened, '#why', 'no keyframe there', 'Too flat')
    opened.wait_for_function(
        'document.querySelectorAll("#strip-b button[aria-pressed=true]").length === 0'
    )
    opened.click('#whole')
    opened.wait_for_function('document.getElementById("score").layout.xaxis.range[1] > 5.9')


@pytest.mark.parametrize('width', [360, 1600])
def test_the_comparison_fits_its_window(opened, width):
    opened.set_viewport_size({'width': width, 'height': 900})
    opened.locator('#joints .chart').last.scroll_into_view_if_needed()
    opened.wait_for_selector('#joints .chart:last-child .main-svg')
    opened.wait_for_function('document.documentElement.scrollWidth <= innerWidth')


def test_three_runs_cannot_be_compared(capsys):
    assert main(['report', 'a', 'b', 'c']) == 2
    assert '3 runs were named' in capsys.readouterr().err
