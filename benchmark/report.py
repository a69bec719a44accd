"""The report of a minute: time to write it, to open it, and from slider to redraw.

    python -m benchmark.report [VIDEO] [--seconds 60] [--runs 5]
    python -m benchmark.report --replayed out/clip

A shorter video is played forward and backward until the time is full. Writing is measured as a
user meets it: the whole command, imports included. Opening is measured from navigation to a page
whose charts are drawn; a redraw from a slider's input event to the second frame of the browser
after it. The processor time of the page's thread stands beside both: on a busy machine it tells
what an idle one would need. Needs Playwright and Chromium.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
        [sys.executable, '-m', 'kf_imitation.cli.main', *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - started_s, used_s


@dataclass
class Spans:
    """Measured times [s]: on the clock, and of the processor."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """Return a row of the table."""
        worst, aim = max(self.wall), AIMS_S[name]
        middle, used = float(np.median(self.wall)), float(np.median(self.processor))
        most = max(self.processor)
        return (
            f'| {name} | {middle:.2f} | {worst:.2f} | {used:.2f} | {most:.2f} | {aim:g} '
            f'| {worst / aim:.2f} |'
        )


def in_browser(page_file: Path, runs: int) -> tuple[Spans, Spans]:
    """Open a page again and again and move its controls; return times to open and to redraw."""
    from playwright.sync_api import sync_playwright

    opened, redrawn = Spans(), Spans()
    with sync_playwright() as playwright:
        path = next(filter(None, map(which, _BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        for _ in range(runs):
            page: Any = browser.new_page()
            page.set_default_timeout(300_000)
            session = page.context.new_cdp_session(page)
            session.send('Performance.enable', {'timeDomain': 'threadTicks'})
            started_s = perf_counter()
            page.goto(page_file.as_uri())
            page.wait_for_selector('body[data-ready=true]')
            opened.wall.append(perf_counter() - started_s)
            opened.processor.append(used_s(session))
            for name, value in steps(page):
                before_s = used_s(session)
                redrawn.wall.append(page.evaluate(_REDRAW, [name, value]))
                redrawn.processor.append(used_s(session) - before_s)
            page.close()
        browser.close()
    return opened, redrawn


def steps(page: Any) -> Iterator[tuple[str, str]]:
    """Give every control that counts in a mode with its values, mode by mode."""
    for mode in MODES:
        yield 'mode', mode
        for name, values in SLIDERS.items():
            if page.locator(f'#{name}').is_enabled():
                yield from ((name, str(value)) for value in values)


def used_s(session: Any) -> float:
    """Return the processor time that the page's thread has spent on tasks [s]."""
    metrics = session.send('Performance.getMetrics')['metrics']
    return float(next(m['value'] for m in metrics if m['name'] == 'TaskDuration'))


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
            wall_s, processor_s = command('replay', str(clip), '--out', str(replay))
            print(f'{count} frames; replay {wall_s:.1f} s, {processor_s:.1f} s of processor time')
        page = Path(temporary) / 'report.html'
        wall_s, processor_s = command('report', str(replay), '--out', str(page))
        print(f'page of {page.stat().st_size / 1e6:.1f} MB')
        opened, redrawn = in_browser(page, args.runs)
    print('| what | median [s] | worst | processor, median [s] | worst | aim [s] | worst / aim |')
    print('|---|---|---|---|---|---|---|')
    print(Spans([wall_s], [processor_s]).row('write'))
    print(opened.row('open'))
    print(redrawn.row('redraw'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
