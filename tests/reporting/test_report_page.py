"""The report as a page: offline, without scripts, nothing that data could break out of; looked at in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from browsing import programs, running_browser
from reported import ABOUT, Reported, properties_of, record

from target_kissmetrics.reporting.report import Ending
from target_kissmetrics.reporting.report_page import as_page, findings, number, plot

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e</style>"
SCREENSHOTS = Path(__file__).parent.parent.parent / ".cache" / "screenshots"


def a_run() -> Reported:
    run = Reported()
    run.wait(0)
    for at in range(40):
        run.send("events", record(at=at), record("Viewed", at), seconds=0.03 + at % 7 / 50)
        if at > 20:
            run.send("users", properties_of(at), seconds=0.05 + at % 3, attempts=1 + at % 2)
        run.wait(1)
    run.stream("events", 5).rejected.update(["no-identity"] * 3 + ["too-old"] * 2)
    run.stream("events").set_aside["bad-amount"] += 2
    run.stream("users", 500).unchanged = 480
    return run


class Parsed(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "path", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_loads_and_runs_nothing() -> None:
    page = as_page(a_run().report())
    parsed = Parsed(page)
    assert parsed.open == []
    assert {"script", "link", "img", "iframe", "object", "image", "use"}.isdisjoint(parsed.tags)
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in {"src", "srcset"}]
    assert {value for name, value in parsed.attributes if name == "href"} == {"#main", "#stream-0", "#stream-1"}
    assert not re.search(r"url\(|@import|https?://(?!h\b)", page)
    assert "default-src 'none'" in page


def test_behind_each_plot_there_is_a_table_and_beside_it_words() -> None:
    parsed = Parsed(as_page(a_run().report()))
    plots = [value for name, value in parsed.attributes if name == "aria-label" and value and " from " in value]
    assert len(plots) == 9  # calls, latency and rows: of all, of each stream
    assert any(re.search(r"All streams: calls\. calls: from [\d.]+ to [\d.]+$", text) for text in plots)
    assert parsed.text.count(", in numbers") >= 3
    assert parsed.tags.count("figcaption") == 9


def test_it_holds_the_figures_and_the_reasons() -> None:
    text = Parsed(as_page(a_run().report())).text
    for told in ("Complete:", "no-identity", "too-old", "bad-amount", "it answered 503", "2024-01-01T00:00:39Z", "480"):
        assert told in text
    assert "ada@example.com" not in text


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (Ending("complete"), "Complete: Every row that was read is delivered"),
        (
            Ending("failed", "h: it answered 404."),
            "Failed: h: it answered 404. What was acknowledged is stored",
        ),
        (Ending("stopped", "stopped by SIGTERM"), "Stopped: stopped by SIGTERM. The next run resumes"),
    ],
)
def test_it_says_how_the_run_ended_and_what_that_means(ending: Ending, told: str) -> None:
    assert told in Parsed(as_page(Reported().report(ending))).text


def test_it_says_that_a_dry_run_sent_nothing_and_that_files_have_to_be_taken() -> None:
    dry = Parsed(as_page(Reported().report(about=msgspec.structs.replace(ABOUT, delivery="dry run")))).text
    assert "This was a dry run. Nothing was sent or stored" in dry
    files = Parsed(as_page(Reported().report(about=msgspec.structs.replace(ABOUT, delivery="files")))).text
    assert "Kissmetrics has them once it has read the files" in files
    assert "dry run" not in files


def test_no_name_breaks_out_of_its_place() -> None:
    run = Reported()
    run.wait(0)
    run.send(HOSTILE, record(HOSTILE, 0, {HOSTILE: HOSTILE}), seconds=1.0)
    run.wait(1)
    run.streams[HOSTILE].rejected[HOSTILE] += 1
    about = msgspec.structs.replace(ABOUT, settings={"streams": HOSTILE})
    page = as_page(run.report(Ending("failed", HOSTILE), about, names=True))
    parsed = Parsed(page)
    assert parsed.open == []
    assert "img" not in parsed.tags
    assert "<img" not in page
    assert "\u202e" not in page
    assert parsed.text.count("onerror=alert(1)") >= 5


def test_a_finding_says_what_to_do() -> None:
    assert findings(Reported().report()) == []
    run = Reported()
    run.send("events", *(record(f"Viewed {number}") for number in range(300)))
    run.stream("events").collisions = 2
    run.stream("events").rejected["too-old"] += 1
    run.send("events", record("Retried"), attempts=100)
    text = " ".join(findings(run.report()))
    assert "1 rows or properties were not sent" in text
    assert "target-kissmetrics-replay" in text
    assert "spread_duplicates" in text
    assert "301 distinct event names" in text
    assert "max_requests_per_second" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00012, "0.00012"), (0.5, "0.5"), (1.0, "1"), (99.95, "100"), (1234.5, "1,234"), (20.0, "20")],
)
def test_numbers_are_short_and_without_an_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_a_plot_of_nothing_is_none_and_one_value_is_a_dot() -> None:
    assert not plot("t", "s", [0.5], {"a": [None]}, until=1)
    dot = plot("t", "s", [0.5, 1.5], {"a": [1.0, None]}, until=2)
    assert re.search(r'd="M[\d.,]+h0"', dot)
    broken = plot("t", "s", [0, 1, 2, 3, 4], {"a": [1, 2, None, 3, 4]}, until=5)
    assert broken.count("h0") == 2


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    if programs() is None:
        pytest.skip("Chromium is not installed (Debian: chromium chromium-driver)")
    with running_browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_offline_in_a_browser_that_finds_nothing_to_complain_of(
    browser: Chrome, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(as_page(a_run().report(Ending("failed", "http://h: it answered 404"))), encoding="utf-8")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0,
                                                                 "uploadThroughput": 0})  # fmt: skip
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for width in (1200, 420):
        browser.set_window_size(width, 1400)
        browser.get(path.as_uri())
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(SCREENSHOTS / f"report-{scheme}-{width}.png"))
        wide, shown = browser.execute_script("return [document.body.scrollWidth, window.innerWidth]")
        assert wide <= shown
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"]  # type: ignore[no-untyped-call]
    assert complaints == []
    assert browser.execute_script("return document.querySelectorAll('svg.plot').length") == 9
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
