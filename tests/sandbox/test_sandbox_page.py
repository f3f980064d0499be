"""The sandbox's page, in a real browser. Screenshots of every view are in `.cache/screenshots` for a look."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from browsing import programs, running_browser
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from target_kissmetrics.sandbox.model import Duplicates
from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.sandbox.service import Sandbox

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.skipif(
    programs() is None and "CI" not in os.environ, reason="Chromium is not installed (Debian: chromium chromium-driver)"
)

SCREENSHOTS = Path(__file__).parent.parent.parent / ".cache" / "screenshots"
START = 1_735_689_600
DAY = 86_400
HOSTILE = "<img src=x onerror=alert(1)>/é"
VIEWS = ["calls", "people", "person/ada%40example.com", "events", "months", "not-kept", "people/a"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as made:
        fill(made.url)
        yield made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with running_browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


def fill(url: str) -> None:
    """Thirty people in four months: visits, sign-ups, purchases and a refund; and what is not kept."""
    with requests.Session() as session:
        session.trust_env = False

        def send(path: str, person: str, at: int, **more: str) -> None:
            given = {"_k": "k" * 20, "_p": person, "_t": str(at), "_d": "1", **more}
            assert session.get(url + path, params=given, timeout=10).status_code == 200

        for n in range(30):
            at = START + n * 4 * DAY
            send("/e", f"visitor-{n}", at, _n="Visited Site", **{"Campaign Source": ["mail", "search"][n % 2]})
            if n % 2 == 0:
                send("/e", f"visitor-{n}", at + 60, _n="Signed Up")
            if n % 5 == 0:
                send("/e", f"visitor-{n}", at + 90, _n="Purchased", **{"Billing Amount": f"{n + 19}.90"})
        send("/s", "ada@example.com", START, Plan="Free")
        send("/s", "ada@example.com", START + DAY, Plan="Gold", City="Oslo")
        send("/a", "ada@example.com", START, _n="visitor-0")
        send("/e", "visitor-5", START + 45 * DAY, _n="Refunded", **{"Billing Amount": "-49.90"})
        send("/e", "visitor-1", START + 4 * DAY, _n="Visited Site", **{"Campaign Source": "search"})
        send("/e", "", START, _n="Visited Site")
        send("/e", "old", 1, _n="Visited Site")
        send("/e", HOSTILE, START, _n=HOSTILE, **{HOSTILE: HOSTILE})


def wait(browser: Chrome, condition: Callable[[], object]) -> None:
    WebDriverWait(browser, 20, ignored_exceptions=[StaleElementReferenceException]).until(lambda _: condition())


def view(browser: Chrome) -> WebElement:
    return browser.find_element(By.ID, "view")


def look(browser: Chrome, sandbox: RunningSandbox, where: str, expected: str) -> str:
    """Open a view and give its text once it holds what is expected."""
    browser.get("about:blank")
    browser.get(f"{sandbox.url}/#{where}")
    wait(browser, lambda: expected in view(browser).text)
    return view(browser).text


def press(browser: Chrome, name: str) -> None:
    wait(browser, lambda: [one for one in view(browser).find_elements(By.TAG_NAME, "button") if one.text == name])
    next(one for one in view(browser).find_elements(By.TAG_NAME, "button") if one.text == name).click()


def test_calls_come_in_as_they_arrive(browser: Chrome, sandbox: RunningSandbox) -> None:
    text = look(browser, sandbox, "calls", "duplicate-event")
    assert "no-person" in text
    assert "kept" in text
    fresh = {"_k": "k" * 20, "_p": "just-now", "_n": "Came In", "_t": str(START), "_d": "1"}
    with requests.Session() as session:
        session.trust_env = False
        session.get(sandbox.url + "/e", params=fresh, timeout=10)
    wait(browser, lambda: "Came In" in view(browser).text)


@pytest.mark.parametrize("rule", ["current", "legacy"])
def test_the_rule_for_duplicates_is_shown(browser: Chrome, rule: Duplicates) -> None:
    with running(Sandbox(duplicates=rule)) as made:
        look(browser, made, "calls", "No calls yet.")
        assert f"the {rule} rule" in browser.find_element(By.ID, "rule").text


def test_calls_of_one_type_alone(browser: Chrome, sandbox: RunningSandbox) -> None:
    look(browser, sandbox, "calls", "Visited Site")
    Select(view(browser).find_element(By.ID, "path")).select_by_visible_text("alias")
    wait(browser, lambda: "Visited Site" not in view(browser).text and "visitor-0" in view(browser).text)


def test_a_person_has_identities_and_a_time_line(browser: Chrome, sandbox: RunningSandbox) -> None:
    text = look(browser, sandbox, "person/visitor-0", "Time line")
    assert "ada@example.com" in text
    assert "Free → Gold" in text
    times = re.findall(r"^20\d\d-\S+ \S+", text, re.MULTILINE)
    assert len(times) == 8
    assert times == sorted(times, reverse=True)
    assert look(browser, sandbox, "person/nobody", "Nobody has this identity.")


def test_people_have_pages(browser: Chrome, sandbox: RunningSandbox) -> None:
    look(browser, sandbox, "people", "visitor-3")
    for name, enabled in (("Previous page", False), ("Next page", False)):
        button = next(one for one in view(browser).find_elements(By.TAG_NAME, "button") if one.text == name)
        assert button.is_enabled() is enabled


def test_events_are_listed_with_counts(browser: Chrome, sandbox: RunningSandbox) -> None:
    assert "Visited Site 30 30" in look(browser, sandbox, "events", "Purchased")


def test_revenue_by_month_takes_refunds_off(browser: Chrome, sandbox: RunningSandbox) -> None:
    text = look(browser, sandbox, "months", "2025-04")
    assert re.search(r"2025-01 \d+ 44.80", text)
    assert not re.search(r"2025-02 \d+ 29.90", text)
    total = sum(float(amount) for amount in re.findall(r"20\d\d-\d\d \d+ (-?[\d.]+)", text))
    assert round(total, 2) == float(sandbox.summary()["revenue"])


def test_what_was_not_kept_says_why_and_what_to_do(browser: Chrome, sandbox: RunningSandbox) -> None:
    text = look(browser, sandbox, "not-kept", "duplicate-event")
    assert "set spread_duplicates" in text
    press(browser, "too-old")
    wait(browser, lambda: "The latest: too-old" in view(browser).text)
    assert view(browser).text.count("no-person") == 1


def test_search_finds_people(browser: Chrome, sandbox: RunningSandbox) -> None:
    look(browser, sandbox, "calls", "Visited Site")
    field = browser.find_element(By.ID, "text")
    field.send_keys("PLAN", Keys.ENTER)
    wait(browser, lambda: "Nobody yet." in view(browser).text)
    field.clear()
    field.send_keys("ADA@", Keys.ENTER)
    wait(browser, lambda: len(view(browser).find_elements(By.CSS_SELECTOR, "tbody tr")) == 1)
    view(browser).find_element(By.LINK_TEXT, "ada@example.com").click()
    wait(browser, lambda: "Time line" in view(browser).text)
    assert browser.title.startswith("Person ada@example.com")


def test_hostile_data_is_text_everywhere(browser: Chrome, sandbox: RunningSandbox) -> None:
    for where in ("calls", "people", "events", "people/onerror"):
        assert HOSTILE in look(browser, sandbox, where, HOSTILE)
    view(browser).find_element(By.LINK_TEXT, HOSTILE).click()
    wait(browser, lambda: "Time line" in view(browser).text and HOSTILE in view(browser).text)
    assert browser.find_elements(By.TAG_NAME, "img") == []


def test_the_keyboard_reaches_everything(browser: Chrome, sandbox: RunningSandbox) -> None:
    look(browser, sandbox, "calls", "Visited Site")
    browser.find_element(By.ID, "live").click()
    reached = []
    for _ in range(14):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        reached.append(active.get_attribute("id") or active.text)
    for expected in ("reset", "People", "Events", "Not kept"):
        assert expected in reached
    link = browser.find_element(By.LINK_TEXT, "Months")
    link.send_keys(Keys.ENTER)
    wait(browser, lambda: browser.switch_to.active_element.text == "Events and revenue by month")
    current = browser.find_elements(By.CSS_SELECTOR, "nav [aria-current=page]")
    assert [one.text for one in current] == ["Months"]


def test_the_focus_stays_while_data_arrives(browser: Chrome, sandbox: RunningSandbox) -> None:
    look(browser, sandbox, "not-kept", "duplicate-event")
    button = next(one for one in view(browser).find_elements(By.TAG_NAME, "button") if one.text == "too-old")
    browser.execute_script("arguments[0].focus()", button)
    with requests.Session() as session:
        session.trust_env = False
        session.get(sandbox.url + "/e", params={"_k": "k" * 20, "_n": "Nobody's"}, timeout=10)
    wait(browser, lambda: "Nobody's" in view(browser).text)
    assert browser.switch_to.active_element.tag_name == "button"


@pytest.mark.parametrize("where", VIEWS)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_every_view_fits_and_is_made_for_a_screen_reader(
    browser: Chrome, sandbox: RunningSandbox, where: str, scheme: str, width: int
) -> None:
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute("getLog", {"type": "browser"})  # what earlier tests left there
    try:
        look(browser, sandbox, where, " ")
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.execute_script(
            """return [...document.querySelectorAll('table')].every(t => t.caption && t.querySelectorAll('th').length
            && [...t.querySelectorAll('th')].every(h => h.scope))
            && [...document.querySelectorAll('input, select')].every(i => i.labels.length || i.ariaLabel)
            && [...document.querySelectorAll('button, a')].every(b => b.textContent.trim() || b.ariaLabel)
            && [...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))
            && document.querySelectorAll('h1').length === 1"""
        )
        faint = browser.execute_script(_FAINT)
        assert faint == []
        name = re.sub(r"\W+", "-", where)
        browser.save_screenshot(str(_shot(f"{name}-{scheme}-{width}")))
        complaints = [
            entry
            for entry in browser.execute("getLog", {"type": "browser"})["value"]
            if "favicon" not in entry["message"]
        ]
        assert complaints == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


_FAINT = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (part) => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
const light = (color) => {
  const [r, g, b] = channels(color).map(value => linear(value / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (channels(color).length < 4 || channels(color)[3] > 0) return color;
  }
  return 'rgb(255, 255, 255)';
};
const contrast = (element) => {
  const both = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
  return (both[0] + .05) / (both[1] + .05);
};
const texts = 'p, td, th, dt, dd, a, button:enabled, h1, h2, h3, caption, span';
return [...document.querySelectorAll(texts)]
  .filter(element => element.textContent.trim() && element.getClientRects().length && contrast(element) < 4.5)
  .map(element => element.tagName + ' ' + element.textContent.slice(0, 20));
"""
"""Texts whose contrast is below WCAG's 4.5."""


def _shot(name: str) -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS / f"{name}.png"
