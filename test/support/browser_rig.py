"""A real browser where there is one: Playwright drives it."""

import shutil
from pathlib import Path

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')


@pytest.fixture(scope='session')
def browser():
    """Chromium of the machine, else the one that `playwright install chromium` brought."""
    api = pytest.importorskip('playwright.sync_api', reason='pip install playwright')
    with api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(path).is_file():
            pytest.skip('no Chromium: install it, or run `playwright install chromium`')
        launched = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        yield launched
        launched.close()


@pytest.fixture
def empty_page(browser):
    context = browser.new_context(offline=True)
    yield context.new_page()
    context.close()
