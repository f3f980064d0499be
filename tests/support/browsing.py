"""A real browser for tests: Debian's Chromium, headless, over its own driver. Nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server",
)  # fmt: skip


def programs() -> tuple[str, str] | None:
    """Give the browser and its driver; None where one is not installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def running_browser(profile: Path) -> Iterator[Chrome]:
    """Run a browser with a fresh profile."""
    found = programs()
    assert found is not None, "Chromium is not installed (Debian: chromium and chromium-driver)"
    options = ChromeOptions()
    options.binary_location = found[0]
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    browser = Chrome(options=options, service=Service(found[1]))
    browser.set_script_timeout(30)
    try:
        yield browser
    finally:
        browser.quit()
