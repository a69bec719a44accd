"""Pictures of one run over the demo clip: its summary, a moment of its video, its report."""

import csv
import math
import shutil
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.cli.main import main as kf_imitation
from kf_imitation.data_types import Image
from kf_imitation.paths import share_path
from kf_imitation.ros_graph.nodes import DEMO_CLIP

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
WINDOW = (1600, 1200)  # of the report [px]
SHOWN = (1200, 900)
ARRIVED_S = 0.3  # after a keyframe the robot has arrived: a moment for the video


def run_pictures(folder: Path) -> dict[str, Image]:
    """Replay the demo clip into a folder and return pictures by file name.

    Raises:
        RuntimeError: a command failed, or no browser is installed.
    """
    run, video = folder / 'demo', folder / 'demo.mp4'
    clip = str(share_path(DEMO_CLIP))
    for command in (
        ['replay', clip, '--out', str(run), '--video', str(video), '--learn', '--summary'],
        ['report', str(run)],
    ):
        if kf_imitation(command):
            raise RuntimeError(f'kf_imitation {command[0]} failed')
    open_s, scores = keyframes(run)
    summary = cv2.imread(str(run / 'summary.png'))
    assert summary is not None
    return {
        'summary.png': summary,
        'side_by_side.png': frame_at(video, open_s + ARRIVED_S),
        'report.png': report_page(run / 'report.html', 1 + int(np.argmax(scores))),
    }


def keyframes(run: Path) -> tuple[float, list[float]]:
    """Return when the jaw opens widest and stays so [s], and the scores of all keyframes."""
    with (run / 'expression.csv').open() as file:
        rows = list(csv.DictReader(file))
    ends_s = [float(row['committed_s']) for row in rows[1:]] + [math.inf]
    widest = max(
        (
            row
            for row, end_s in zip(rows, ends_s, strict=True)
            if end_s > float(row['committed_s']) + ARRIVED_S
        ),
        key=lambda row: float(row['jaw_open']),
    )
    with (run / 'scores.csv').open() as file:
        scores = [float(row['score'] or 0) for row in csv.DictReader(file) if row['committed_s']]
    return float(widest['committed_s']), scores


def frame_at(video: Path, time_s: float) -> Image:
    """Return the frame of a video that is shown at a time."""
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, round(time_s * capture.get(cv2.CAP_PROP_FPS)))
    taken, frame = capture.read()
    capture.release()
    if not taken:
        raise RuntimeError(f'{video} has no frame at {time_s:.2f} s')
    return frame.astype(np.uint8)


def report_page(page_file: Path, keyframe: int) -> Image:
    """Return the top of a report in a window, a keyframe chosen."""
    from playwright.sync_api import sync_playwright

    browser_file = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_file, args=['--no-sandbox'])
        width, height = WINDOW
        page = browser.new_page(viewport={'width': width, 'height': height}, color_scheme='light')
        page.set_default_timeout(60_000)
        page.goto(page_file.absolute().as_uri())
        page.wait_for_selector('body[data-ready=true]')
        page.click(f'#strip button:nth-child({keyframe})')
        page.wait_for_function(
            f'document.getElementById("why").innerText.includes("{keyframe} at")'
        )
        page.mouse.move(0, 0)
        data = page.screenshot()
        browser.close()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return cv2.resize(picture, SHOWN, interpolation=cv2.INTER_AREA)
