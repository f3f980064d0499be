"""Each kind of fault by itself, over real sockets: a call is acknowledged, or the delivery stops and says why."""

from __future__ import annotations

import gc
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Protocol, get_args

import pytest
from faulty_host import FATAL, HARMLESS, RETRIED, FaultyHost, Serve, dribbling_host, faulty_host, fine, tls_context

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.calls import Outgoing, Record
from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport
from target_kissmetrics.kissmetrics.http.dispatcher import Dispatcher
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.http.transport import Host
from target_kissmetrics.kissmetrics.wire import Encoder
from target_kissmetrics.sandbox.model import Duplicates

KEY = "s3cret"
PATIENCE = 30.0
CALLS = 6


class Sent:
    """What became of some calls."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.is_delivered = False
        self.errors: list[DeliveryError] = []
        self.retries = 0

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Told by the dispatcher."""

    def retried(self, why: str) -> None:  # noqa: ARG002 - told by the dispatcher
        self.retries += 1

    def delivered(self) -> None:
        self.is_delivered = True
        self.over.set()

    def failed(self, error: DeliveryError) -> None:
        self.errors.append(error)
        self.over.set()


class Send(Protocol):
    """Sends calls one after the other, as often as it takes."""

    def __call__(
        self, url: str, *, budget: float = PATIENCE, timeout: float = 0.4, connections: int = 1, calls: int = CALLS
    ) -> Sent: ...


@pytest.fixture(params=["requests", "curl"])
def send(request: pytest.FixtureRequest) -> Send:
    """Every kind of fault is tried with both clients."""

    def deliver(
        url: str, *, budget: float = PATIENCE, timeout: float = 0.4, connections: int = 1, calls: int = CALLS
    ) -> Sent:
        sent = Sent()
        client = RequestsTransport if request.param == "requests" else CurlTransport
        delivery = Dispatcher(
            encoder=Encoder(KEY),
            transport=lambda: client(Host(url, timeout, timeout, "test", connections)),
            policy=RetryPolicy(budget, lambda longest: min(longest, 0.01)),
            pacing=Pacing(),
            connections=connections,
            host=url,
            failed=sent.failed,
            warn=lambda _: None,
            acknowledged=sent.acknowledged,
            retried=sent.retried,
        )
        calls_out = [Outgoing(None, Record("ada", "E", 1_700_000_000 + n, {"n": str(n)})) for n in range(calls)]
        delivery.send(calls_out, sent.delivered)
        assert sent.over.wait(PATIENCE), "neither delivered nor failed"
        delivery.close(PATIENCE)
        return sent

    return deliver


@pytest.fixture
def host() -> Iterator[FaultyHost]:
    with faulty_host() as host:
        yield host


def test_there_are_at_least_twenty_kinds() -> None:
    assert len(RETRIED) >= 20
    assert RETRIED.keys().isdisjoint([*HARMLESS, *FATAL])


# Kinds take turns between the rules for duplicates, which doubles no time.
@pytest.mark.parametrize(("kind", "duplicates"), list(zip(RETRIED, cycle(get_args(Duplicates)), strict=False)))
def test_a_call_is_retried_until_it_is_acknowledged_and_is_kept_once(
    kind: str, duplicates: Duplicates, send: Send
) -> None:
    fault = (kind, RETRIED[kind])
    with faulty_host(duplicates=duplicates) as host:
        host.script(("", fine), fault, fault)
        sent = send(host.url)
        assert (sent.is_delivered, sent.errors) == (True, [])
        assert host.served[kind] == 2
        # Where a kept connection ends without a word, libcurl itself asks once more.
        assert 0 <= sent.retries <= 2
        assert host.summary()["events"] == CALLS
        assert set(host.not_kept()) <= {"duplicate-event"}


@pytest.mark.parametrize("kind", HARMLESS)
def test_an_answer_counts_however_it_comes(host: FaultyHost, kind: str, send: Send) -> None:
    host.script(then=(kind, HARMLESS[kind]))
    sent = send(host.url)
    assert (sent.is_delivered, sent.errors) == (True, [])
    assert host.served[kind] >= CALLS
    assert host.summary()["events"] == CALLS


@pytest.mark.parametrize("kind", FATAL)
def test_what_no_retry_fixes_stops_at_once_and_says_the_likely_cause(host: FaultyHost, kind: str, send: Send) -> None:
    serve, expected = FATAL[kind]
    host.script(("", fine), then=(kind, serve))
    sent = send(host.url)
    assert not sent.is_delivered
    (error,) = sent.errors
    assert isinstance(error, Refused)
    assert expected in str(error)
    assert KEY not in str(error)
    assert host.served[kind] == 1


def test_an_outage_past_the_budget_ends_it(host: FaultyHost, send: Send) -> None:
    host.script(("", fine), then=("503", RETRIED["504"]))
    sent = send(host.url, budget=0.2)
    (error,) = sent.errors
    assert isinstance(error, Unreachable)
    assert "retry_timeout_seconds" in str(error)


def test_no_request_takes_longer_than_its_time_limit_however_lively_the_host_is(host: FaultyHost, send: Send) -> None:
    host.script(then=("endless-header", RETRIED["endless-header"]))
    began = time.monotonic()
    sent = send(host.url, budget=0.5, timeout=0.5, calls=1)
    assert isinstance(sent.errors[0], Unreachable)
    assert "no answer in time" in str(sent.errors[0])
    assert time.monotonic() - began < 10


def test_retry_after_is_a_pause_of_all_connections(host: FaultyHost, send: Send) -> None:
    calls = 12
    arrivals: list[float] = []
    together = threading.Barrier(calls)

    def overloaded(exchange: object) -> None:
        together.wait(PATIENCE)
        RETRIED["429-retry-after-seconds"](exchange)  # type: ignore[arg-type]

    def noting(_: int) -> None:
        arrivals.append(time.monotonic())

    host.on_request = noting
    fault: tuple[str, Serve] = ("429", overloaded)
    host.script(*[fault] * calls)
    sent = send(host.url, connections=calls, calls=calls, timeout=PATIENCE)
    assert sent.is_delivered
    again = arrivals[calls:]
    assert len(again) == calls
    assert again[0] - max(arrivals[:calls]) >= 0.9


def test_a_proxy_that_wants_a_password_stops_at_once(
    host: FaultyHost, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", host.url)
    host.script(then=("407", FATAL["407"][0]))
    (error,) = send("https://trk.example", timeout=5).errors
    assert isinstance(error, Refused)
    assert "the proxy answered 407" in str(error)
    assert host.served["407"] == 1


# TLS


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate, and its key, that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


HALF_A_TLS_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
"""A server's hello of 16 KB, of which little comes."""

TOO_LONG_SECONDS = 6.0


# Where the limit ends a TLS handshake, ssl and urllib3 leave the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["tls", "proxy-to-http", "proxy-to-https", "tls-behind-a-proxy"])
def test_no_handshake_takes_longer_than_the_time_limit_however_lively_the_host_is(
    monkeypatch: pytest.MonkeyPatch, send: Send, way: str
) -> None:
    answers, url = [b"HTTP/1.1 200 "], "https://trk.example"
    if way == "tls":
        answers, url = [HALF_A_TLS_RECORD], "https://127.0.0.1:{port}"
    elif way == "proxy-to-http":
        url = "http://trk.example"
    elif way == "tls-behind-a-proxy":
        answers = [b"HTTP/1.1 200 Connected\r\n\r\n", HALF_A_TLS_RECORD]
    with dribbling_host(*answers) as port:
        if way != "tls":
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.setenv(name, "")
        began = time.monotonic()
        sent = send(url.format(port=port), budget=0, timeout=1, calls=1)
        took = time.monotonic() - began
    assert isinstance(sent.errors[0], Unreachable)
    assert "no answer in time" in str(sent.errors[0])
    assert took < TOO_LONG_SECONDS
    gc.collect()  # here, and not in another test


def test_a_certificate_that_is_not_trusted_stops_at_once(certificate: tuple[Path, Path], send: Send) -> None:
    with faulty_host(tls_context(*certificate)) as host:
        sent = send(host.url, timeout=5)
    (error,) = sent.errors
    assert isinstance(error, Refused)
    assert "certificate is not trusted" in str(error)
    assert host.requests == 0


def test_one_that_is_trusted_is_used(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with faulty_host(tls_context(*certificate)) as host:
        host.script(("reset", RETRIED["reset"]), ("endless-header", RETRIED["endless-header"]))
        sent = send(host.url, timeout=2)
        assert (sent.is_delivered, sent.errors) == (True, [])
        assert host.summary()["events"] == CALLS


def test_a_certificate_of_another_host_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    certificate, key = make_certificate(tmp_path, "DNS:elsewhere.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with faulty_host(tls_context(certificate, key)) as host:
        sent = send(host.url, timeout=5)
    (error,) = sent.errors
    assert isinstance(error, Refused)
    assert "certificate is not trusted" in str(error)
    assert host.requests == 0


def test_https_to_a_host_that_speaks_http_stops_at_once(host: FaultyHost, send: Send) -> None:
    sent = send(host.url.replace("http://", "https://"), timeout=5)
    (error,) = sent.errors
    assert isinstance(error, Refused)
    assert "does not speak TLS" in str(error)


def test_no_tls_below_1_2_is_spoken(certificate: tuple[Path, Path], send: Send) -> None:
    context = tls_context(*certificate)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with faulty_host(context) as host:
        sent = send(host.url, timeout=5, budget=0)
    (error,) = sent.errors
    assert "TLS" in str(error)
    assert host.requests == 0
