"""The report of a minute: time to write it, to open it, and from slider to redraw.

    python -m benchmark.report [VIDEO] [--seconds 60] [--runs 5]
    python -m benchmark.report --replayed out/clip

A shorter video is played forward and backward until the time is full. Writing is measured as a
user meets it: the whole command, imports included. Opening is measured from navigation to a page
whose charts are drawn; a redraw from a slider's input event to the second frame of the browser
after it. Needs Playwright and Chromium.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from time import perf_counter
from typing import Any

import cv2
import numpy as np

AIMS_S = {'write': 15.0, 'open': 3.0, 'redraw': 0.2}
SLIDERS = {
    'prominence': (0.05, 0.3),
    'threshold': (0.1, 0.4),
    'spacing_s': (0.1, 1.0),
    'commit_delay_s': (0.1, 0.5),
}
MODES = ('peak', 'settle', 'travel', 'combined')
_BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
_REDRAW = """async ([name, value]) => {
    const control = document.getElementById(name);
    const painted = () => new Promise((done) =>
        requestAnimationFrame(() => requestAnimationFrame(done)));
    await painted();
    const began = performance.now();
    delete document.body.dataset.redrawMs;
    control.value = value;
    control.dispatchEvent(new Event(control.tagName === 'SELECT' ? 'change' : 'input'));
    while (document.body.dataset.redrawMs === undefined) await painted();
    await painted();
    return (performance.now() - began) / 1000;
}"""


def looped(video: Path, seconds: float, path: Path) -> int:
    """Write a video of at least so many seconds; return its number of frames."""
    source = cv2.VideoCapture(str(video))
    fps = source.get(cv2.CAP_PROP_FPS)
    frames = []
    while True:
        good, frame = source.read()
        if not good:
            break
        frames.append(frame)
    if not frames:
        raise SystemExit(f'{video}: cannot be read')
    wanted = max(len(frames), round(seconds * fps))
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, (width, height))
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    for i in range(wanted):
        writer.write(frames[there_and_back[i % len(there_and_back)]])
    writer.release()
    return wanted


def command(*arguments: str) -> tuple[float, float]:
    """Run a command of the package; return its wall and its processor time [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = perf_counter()
    subprocess.run(
        [sys.executable, '-m', 'kf_imitation.cli', *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - started_s, used_s


def in_browser(page_file: Path, runs: int) -> tuple[list[float], list[float]]:
    """Open a page again and again and move its controls.

    Returns:
        Times to open [s], and times to redraw [s].
    """
    from playwright.sync_api import sync_playwright

    opened, redrawn = [], []
    with sync_playwright() as playwright:
        path = next(filter(None, map(which, _BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        for _ in range(runs):
            page: Any = browser.new_page()
            page.set_default_timeout(300_000)
            started_s = perf_counter()
            page.goto(page_file.as_uri())
            page.wait_for_selector('body[data-ready=true]')
            opened.append(perf_counter() - started_s)
            for mode in MODES:
                redrawn.append(page.evaluate(_REDRAW, ['mode', mode]))
                for name, values in SLIDERS.items():
                    if page.locator(f'#{name}').is_enabled():
                        redrawn += [page.evaluate(_REDRAW, [name, str(v)]) for v in values]
            page.close()
        browser.close()
    return opened, redrawn


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('video', nargs='?', type=Path, default=Path('media/demo.mp4'))
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--replayed', type=Path, metavar='DIR', help='a replay that is there')
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        replay = args.replayed
        if replay is None:
            replay = Path(temporary) / 'replay'
            clip = Path(temporary) / 'clip.mp4'
            count = looped(args.video, args.seconds, clip)
            wall_s, used_s = command('replay', str(clip), '--out', str(replay))
            print(f'{count} frames; replay {wall_s:.1f} s, {used_s:.1f} s of processor time')
        page = Path(temporary) / 'report.html'
        write_s, used_s = command('report', str(replay), '--out', str(page))
        size_mb = page.stat().st_size / 1e6
        print(f'page of {size_mb:.1f} MB, {used_s:.1f} s of processor time to write')
        opened, redrawn = in_browser(page, args.runs)
    print('| what | median [s] | worst [s] | aim [s] | worst / aim |')
    print('|---|---|---|---|---|')
    for name, times in (('write', [write_s]), ('open', opened), ('redraw', redrawn)):
        worst, aim = max(times), AIMS_S[name]
        median = float(np.median(times))
        print(f'| {name} | {median:.2f} | {worst:.2f} | {aim:g} | {worst / aim:.2f} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
