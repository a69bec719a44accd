"""The pictures of docs/cockpit.md: the page beside the demo clip, wide and on a phone.

    python -m benchmark.cockpit_pictures [--out docs/images]

Runs `kf_imitation mimic` on the demo clip, no frame skipped, so that a busy machine only slows it
down, and takes the page when some keyframes were chosen and the head is drawn. Needs Playwright
and Chromium; begin in the folder of the repository.
"""

import argparse
import os
import re
import signal
import subprocess
from pathlib import Path
from shutil import which
from time import monotonic
from typing import Any

from benchmark.run_pictures import BROWSERS
from kf_imitation.child_process import end_child, start_child

WAIT_S = 180.0
DRAWN_MS = 2000
CLIP = 'media/demo.mp4'
# File -> width, height, colours, JPEG quality.
PICTURES = {
    'cockpit.jpg': (1440, 960, 'light', 78),
    'cockpit_phone.jpg': (450, 950, 'dark', 72),
}
# The page's policy forbids the evaluation that Playwright waits with.
READY = """() => document.querySelectorAll('#keyframes img').length >= 16
    && !document.getElementById('face').hidden
    && document.getElementById('sentence').textContent.startsWith('Head: following')"""


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('docs/images'))
    args = parser.parse_args()
    words = ['mimic', '--source', CLIP, '--loop', '--every-frame', '--quiet']
    run = start_child('kf_imitation.cli.main', words, stderr=subprocess.PIPE)
    try:
        assert run.stderr is not None
        found = (re.search(r'cockpit of \S+: (http\S+)', line) for line in run.stderr)
        url = next(match[1] for match in found if match)
        take(url, args.out, run.pid)
    finally:
        os.kill(run.pid, signal.SIGCONT)
        run.terminate()
        end_child(run, 20.0)


def take(url: str, out: Path, pid: int) -> None:
    """Open the page in every size and keep what it shows.

    The run stands still meanwhile: a browser without a GPU is behind with the head in 3-D.
    """
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        for name, (width, height, colours, quality) in PICTURES.items():
            page: Any = browser.new_page(
                viewport={'width': width, 'height': height}, color_scheme=colours
            )
            page.set_default_timeout(WAIT_S * 1000)
            page.goto(url)
            end_s = monotonic() + WAIT_S
            while not page.evaluate(READY):
                if monotonic() > end_s:
                    raise RuntimeError(f'{name}: {page.inner_text("body")[:600]}')
                page.wait_for_timeout(100)
            os.kill(pid, signal.SIGSTOP)
            page.wait_for_timeout(DRAWN_MS)
            page.screenshot(path=out / name, type='jpeg', quality=quality)
            os.kill(pid, signal.SIGCONT)
            page.close()
            print(out / name)
        browser.close()


if __name__ == '__main__':
    main()
