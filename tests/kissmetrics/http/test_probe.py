from __future__ import annotations

import pytest
from scripted import ScriptedTransport

from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, PROBE_PATH, Outcome, probe
from target_kissmetrics.kissmetrics.wire import Request

OWN = "https://trk.kissmetrics.io"
ELSEWHERE = "https://events.example.com"
SANDBOX = "http://127.0.0.1:8765"


def problem_of(url: str, outcome: Outcome) -> str | None:
    return probe(ScriptedTransport(outcome), url)


def test_it_asks_once_for_a_path_that_is_no_call() -> None:
    transport = ScriptedTransport(Outcome(status=404))
    assert probe(transport, f"{ELSEWHERE}/proxy") is None
    assert transport.started == [Request("GET", f"/proxy{PROBE_PATH}", None)]
    assert not PROBE_PATH.endswith(("/e", "/s", "/a"))


@pytest.mark.parametrize("status", [200, 204, 304, 403, 404, 405, 500])
@pytest.mark.parametrize("url", [OWN, ELSEWHERE, SANDBOX])
def test_a_host_that_answers_without_a_page_will_do(url: str, status: int) -> None:
    assert problem_of(url, Outcome(status=status)) is None


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 502, 503])
def test_kissmetrics_own_hosts_may_answer_anything_to_what_is_no_call(status: int) -> None:
    assert problem_of(OWN, Outcome(status=status, body=HTML_PAGE)) is None
    assert problem_of("https://trk.kissmetrics.com", Outcome(status=status, body=HTML_PAGE)) is None


def test_no_host_takes_its_name_for_itself() -> None:
    assert problem_of("https://kissmetrics.io.example.com", Outcome(status=200, body=HTML_PAGE)) is not None
    assert problem_of("https://notkissmetrics.io", Outcome(status=200, body=HTML_PAGE)) is not None
    # Without TLS, whoever stands in between may answer in its name.
    assert problem_of("http://trk.kissmetrics.io", Outcome(status=200, body=HTML_PAGE)) is not None


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(status=200, body=HTML_PAGE), "answers 200 with an HTML page"),
        (Outcome(status=302), "answers 302, a redirect"),
        (Outcome(status=401), "wants a login; log in there"),
        (Outcome(status=407, body=HTML_PAGE), "wants a login; log in there"),
        (Outcome(status=502, body=HTML_PAGE), "answers 502: its backend does not answer; check"),
        (Outcome(status=503), "try again later"),
    ],
)
@pytest.mark.parametrize("url", [ELSEWHERE, SANDBOX])
def test_an_answer_that_would_end_a_run_is_problem_of(url: str, outcome: Outcome, expected: str) -> None:
    problem = problem_of(url, outcome)
    assert problem is not None
    assert expected in problem


def test_a_plain_request_to_a_port_for_tls_is_problem_of() -> None:
    problem = problem_of(SANDBOX, Outcome(status=400, body=HTML_PAGE))
    assert problem == "answers 400 to a plain request; write its address with https:// if it wants TLS"
    assert problem_of(ELSEWHERE, Outcome(status=400, body=HTML_PAGE)) is None


@pytest.mark.parametrize(
    ("url", "outcome", "expected"),
    [
        (
            OWN,
            Outcome(cause="its name cannot be resolved"),
            "its name cannot be resolved; check its address, the network",
        ),
        (OWN, Outcome(), "no answer; check its address"),
        (
            SANDBOX,
            Outcome(cause="connection failed"),
            "connection failed; check its address, and whether it wants https://",
        ),
        (
            OWN,
            Outcome(cause="its certificate is not trusted", permanent=True),
            "not trusted; check its address, the cert",
        ),
    ],
)
def test_a_host_that_does_not_answer_is_told_with_what_to_check(url: str, outcome: Outcome, expected: str) -> None:
    problem = problem_of(url, outcome)
    assert problem is not None
    assert problem.startswith("cannot be reached: ")
    assert expected in problem
