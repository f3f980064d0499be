from __future__ import annotations

import contextlib
import re
import socket
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from target_kissmetrics.sandbox import server as server_module
from target_kissmetrics.sandbox.rules import Call, SandboxError
from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.sandbox.server import bind, make_server, url_of
from target_kissmetrics.sandbox.service import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "abcdef01-and-the-rest-of-it"
OTHER_KEY = "fedcba98-and-the-rest-of-it"
NOW = "1700000000"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.reset()
    return server


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def event(person: str = "ada", name: str = "Paid", **more: str) -> dict[str, str]:
    return {"_k": KEY, "_p": person, "_n": name, "_t": NOW, "_d": "1", **more}


def address(sandbox: RunningSandbox) -> tuple[str, int]:
    host, port = sandbox.url.removeprefix("http://").split(":")
    return host, int(port)


def raw(
    sandbox: RunningSandbox, method: str, target: str, body: bytes | None = None, host: str | None = None
) -> tuple[int, str | None, bytes]:
    """Send a target as it is written: a client that tidies it up would hide what is tested."""
    connection = HTTPConnection(*address(sandbox), timeout=10)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()
    finally:
        connection.close()


class TestTracking:
    @pytest.mark.parametrize("path", ["/e", "/s", "/a"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_the_answer_is_always_the_gif(
        self, sandbox: RunningSandbox, http: requests.Session, path: str, method: str
    ) -> None:
        answer = http.request(method, sandbox.url + path, params=event(), timeout=10)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
        assert answer.content.startswith(b"GIF89a\x01\x00\x01\x00")
        assert sandbox.summary()["calls"] == 1

    def test_get(self, sandbox: RunningSandbox, http: requests.Session) -> None:
        http.get(sandbox.url + "/e", params=event("é & ü", Plan="Gold+"), timeout=10)
        assert sandbox.person("é & ü") == {
            "identities": ["é & ü"],
            "events": [{"name": "Paid", "timestamp": int(NOW)}],
            "properties": {"Plan": [{"value": "Gold+", "timestamp": int(NOW)}]},
        }

    def test_post_with_query_and_body_where_the_body_wins(
        self, sandbox: RunningSandbox, http: requests.Session
    ) -> None:
        http.post(sandbox.url + "/e", params=event(Plan="query"), data={"Plan": "body", "Seats": "3"}, timeout=10)
        person = sandbox.person("ada")
        assert person is not None
        assert {name: values[0]["value"] for name, values in person["properties"].items()} == {
            "Plan": "body",
            "Seats": 3,
        }

    @pytest.mark.parametrize(
        "query",
        ["", "?", "?%", "?%zz=%ff&_p=%ff%fe", "?&&&===;;", "?_p", "?_p=a&_n=%00&_t=%F0%9F&_d=1", "?" + "x" * 60_000],
    )
    def test_broken_queries_are_no_error(self, sandbox: RunningSandbox, query: str) -> None:
        for path in ("/e", "/s", "/a"):
            assert raw(sandbox, "GET", path + query)[:2] == (200, "image/gif")
        assert sandbox.summary()["calls"] == 3

    @pytest.mark.parametrize(
        "body", [b"", b"\xff\xfe=%", b'{"_p": 1}', b"\x00" * 100, b"x" * 3_000_000, b"=" * 1000], ids=range(6)
    )
    def test_broken_bodies_are_no_error(self, sandbox: RunningSandbox, body: bytes) -> None:
        for path in ("/e", "/s", "/a"):
            assert raw(sandbox, "POST", path, body)[:2] == (200, "image/gif")
        assert sandbox.summary()["calls"] == 3

    def test_a_client_that_goes_away_in_the_middle_is_no_call(self, sandbox: RunningSandbox) -> None:
        with socket.create_connection(address(sandbox), timeout=10) as connection:
            connection.sendall(b"POST /e?_p=a&_n=b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n_k")
        assert raw(sandbox, "GET", "/s?_p=a&x=1")[0] == 200
        assert sandbox.summary()["events"] == 0

    def test_without_the_flag_the_time_of_arrival_counts(self, sandbox: RunningSandbox, http: requests.Session) -> None:
        http.get(sandbox.url + "/e", params=event(_d=""), timeout=10)
        person = sandbox.person("ada")
        assert person is not None
        assert person["events"][0]["timestamp"] > int(NOW)


def test_a_store_that_cannot_be_written_is_told_in_the_log_alone(
    tmp_path: Path, http: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Sandbox(store=tmp_path / "s.db")) as broken:
        broken.close()
        with running(broken) as sandbox:
            assert http.get(sandbox.url + "/e", params=event(), timeout=10).status_code == 200
            assert http.post(sandbox.url + "/api/reset", timeout=10).status_code == 500
    assert "cannot write" in caplog.text


class TestApi:
    def get(self, sandbox: RunningSandbox, path: str, **params: str | int) -> Any:
        answer = requests.get(sandbox.url + path, params=params, timeout=10)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert KEY not in answer.text
        return answer.json()

    @pytest.fixture
    def filled(self, sandbox: RunningSandbox, http: requests.Session) -> RunningSandbox:
        http.get(sandbox.url + "/e", params=event(**{"Billing Amount": "19.99"}), timeout=10)
        http.get(sandbox.url + "/e", params=event(**{"Billing Amount": "19.99"}), timeout=10)
        http.get(sandbox.url + "/s", params={**event("bob"), "Plan": "Gold"}, timeout=10)
        http.get(sandbox.url + "/a", params={"_k": KEY, "_p": "ada", "_n": "device"}, timeout=10)
        http.get(sandbox.url + "/e", params=event(_k=OTHER_KEY, **{"Billing Amount": "0.02"}), timeout=10)
        return sandbox

    def test_summary(self, filled: RunningSandbox) -> None:
        assert self.get(filled, "/api/summary") == {
            "people": 3,
            "events": 2,
            "event_names": 1,
            "property_names": 2,
            "aliases": 1,
            "revenue": "20.01",
            "calls": 5,
            "not_kept": 1,
            "duplicates": "current",
        }
        assert self.get(filled, "/api/summary", product="fedcba98")["revenue"] == "0.02"
        assert filled.summary() == self.get(filled, "/api/summary")

    def test_people(self, filled: RunningSandbox) -> None:
        everyone = self.get(filled, "/api/people")
        assert everyone == {
            "people": [
                {"identities": ["ada", "device"], "events": 1},
                {"identities": ["bob"], "events": 0},
                {"identities": ["ada"], "events": 1},
            ],
            "next": None,
        }
        first = self.get(filled, "/api/people", limit=2)
        rest = self.get(filled, "/api/people", limit=2, after=first["next"])
        assert first["people"] + rest["people"] == everyone["people"]
        assert rest["next"] is None
        assert len(self.get(filled, "/api/people", product="fedcba98")["people"]) == 1

    def test_events(self, filled: RunningSandbox) -> None:
        assert self.get(filled, "/api/events") == [{"name": "Paid", "count": 2, "people": 2}]
        assert self.get(filled, "/api/events", product="abcdef01") == [{"name": "Paid", "count": 1, "people": 1}]
        assert filled.events("abcdef01") == self.get(filled, "/api/events", product="abcdef01")

    def test_not_kept(self, filled: RunningSandbox) -> None:
        parameters = {**event(), "Billing Amount": "19.99"}
        del parameters["_k"]
        lost = [{"reason": "duplicate-event", "path": "/e", "parameters": parameters}]
        assert self.get(filled, "/api/not-kept") == lost == filled.not_kept()
        assert self.get(filled, "/api/not-kept", limit=0) == []
        assert self.get(filled, "/api/not-kept", product="fedcba98") == []

    def test_an_unknown_person(self, filled: RunningSandbox) -> None:
        assert requests.get(filled.url + "/api/people/nobody", timeout=10).status_code == 404
        assert filled.person("nobody") is None

    @pytest.mark.parametrize(
        "identity",
        [
            "a/b//c",
            "/a",
            "a/",
            "ada@example.com",
            "100%25",
            "a?b#c",
            "é😀",
            "a+b c",
            HOSTILE,
            '"\\',
            "summary",
        ],
    )
    def test_any_identity_is_found_under_its_own_path(self, sandbox: RunningSandbox, identity: str) -> None:
        requests.get(sandbox.url + "/e", params=event(identity), timeout=10)
        for written in (quote(identity, safe=""), quote(identity)):
            assert raw(sandbox, "GET", "/api/people/" + written)[0] == 200

    @pytest.mark.parametrize("query", ["?limit=many", "?limit=1.5", "?after=x"])
    def test_a_limit_that_is_none(self, sandbox: RunningSandbox, query: str) -> None:
        answer = requests.get(sandbox.url + "/api/people" + query, timeout=10)
        assert answer.status_code == 400
        assert "must be a whole number" in answer.json()["error"]

    @pytest.mark.parametrize("query", ["?limit=-5", "?after=-5", "?limit=999999999999999999", "?limit="])
    def test_a_limit_beyond_reason_is_brought_back(self, sandbox: RunningSandbox, query: str) -> None:
        for path in ("/api/people", "/api/not-kept"):
            assert requests.get(sandbox.url + path + query, timeout=10).status_code == 200

    def test_reset(self, filled: RunningSandbox) -> None:
        assert requests.post(filled.url + "/api/reset", timeout=10).status_code == 200
        assert set(self.get(filled, "/api/summary").values()) == {0, "0", "current"}

    def test_reset_from_its_own_page_and_from_nobody_elses(self, filled: RunningSandbox) -> None:
        foreign = (
            "https://evil.example",
            "null",
            "",
            filled.url.replace("http:", "https:"),
            filled.url + ".evil.example",
        )
        for origin, status in (*((one, 403) for one in foreign), (filled.url, 200)):
            answer = requests.post(filled.url + "/api/reset", headers={"Origin": origin}, timeout=10)
            assert answer.status_code == status

    def test_reset_is_no_get(self, filled: RunningSandbox) -> None:
        assert requests.get(filled.url + "/api/reset", timeout=10).status_code == 405
        assert filled.summary()["calls"] == 5


class TestHostNames:
    """Any page in a browser reads what answers under a name that the page's owner lets resolve to this machine."""

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "evil.localhost",
            "127.0.0.1@evil.example", "evil.example@127.0.0.1", "evil.example#127.0.0.1", "127.0.0.1, evil.example",
            "192.0.2.7:8765", "[2001:db8::1]", "127.0.0.1evil", "127.0.0.1:80x", "",
        ],
    )  # fmt: skip
    def test_another_one_reads_and_deletes_nothing(self, sandbox: RunningSandbox, host: str) -> None:
        requests.get(sandbox.url + "/e", params=event(), timeout=10)
        for path in ("/", "/api/people", "/api/people/ada", "/api/calls", "/api/nothing"):
            status, kind, body = raw(sandbox, "GET", path, host=host)
            assert (status, kind) == (403, "application/json")
            assert b"ada" not in body
            assert b"host name" in body
        assert raw(sandbox, "POST", "/api/reset", host=host)[0] == 403
        assert sandbox.summary()["people"] == 1

    @pytest.mark.parametrize(
        "host", ["localhost", "LocalHost:1", "localhost.", "127.0.0.1:9000", "127.1.2.3", "[::1]:8765"]
    )
    def test_loopback_names_are_its_own_with_any_port(self, sandbox: RunningSandbox, host: str) -> None:
        assert raw(sandbox, "GET", "/api/summary", host=host)[0] == 200
        assert raw(sandbox, "GET", "/", host=host)[0] == 200

    def test_the_tracking_api_answers_under_any_name(self, sandbox: RunningSandbox) -> None:
        for path in ("/e", "/s", "/a"):
            assert raw(sandbox, "GET", path + "?_p=ada", host="trk.example")[:2] == (200, "image/gif")

    def test_an_address_is_its_own_where_all_are_bound(self, caplog: pytest.LogCaptureFixture) -> None:
        with running(host="0.0.0.0") as open_to_all:  # noqa: S104
            for host in ("192.0.2.7:80", "[2001:db8::1]", socket.gethostname(), "localhost"):
                assert raw(open_to_all, "GET", "/api/summary", host=host)[0] == 200
            for host in ("evil.example", "192.0.2.7.evil.example", "1.2.3"):
                assert raw(open_to_all, "GET", "/api/summary", host=host)[0] == 403
        assert "whoever reaches 0.0.0.0" in caplog.text

    @pytest.mark.parametrize(
        ("host", "is_warned"),
        [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True), ("0", True)],  # noqa: S104
    )
    def test_an_address_that_others_reach_is_warned_of(
        self, caplog: pytest.LogCaptureFixture, host: str, is_warned: bool
    ) -> None:
        with bind(host, 0) as sock:
            make_server(Sandbox(), sock, host)
        assert ("whoever reaches" in caplog.text) is is_warned


SPELLINGS = ["_k", "_K", "%5Fk", "_%6B", "%5F%4B", "%255Fk", "+_k", "_k%20", "%3A_k", "_k=old&_k", "_K=old&_k"]


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_spelling_of_the_key_is_kept(tmp_path: Path, spelled: str, method: str) -> None:
    store = tmp_path / "s.db"
    with running(Sandbox(store=store)) as sandbox:
        for path in ("/e", "/s", "/a"):
            form = f"_p=ada&x=1&{spelled}={KEY}"
            target, body = (f"{path}?{form}", None) if method == "GET" else (path, form.encode())
            assert raw(sandbox, method, target, body)[0] == 200
        seen = [raw(sandbox, "GET", f"/api/{view}")[2] for view in ("calls", "not-kept", "people/ada")]
        files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert not [text for text in [*seen, *files, store.read_bytes()] if b"the-rest" in text or b"old" in text]


class TestLimitsOfARequest:
    @pytest.mark.parametrize(("in_query", "in_body"), [(2000, 0), (0, 2000), (1000, 1000)])
    def test_more_than_2000_parameters_are_refused(self, sandbox: RunningSandbox, in_query: int, in_body: int) -> None:
        query, body = "&".join(f"q{n}=1" for n in range(in_query)), "&".join(f"b{n}=1" for n in range(in_body))
        method = "POST" if in_body else "GET"
        assert raw(sandbox, method, "/s?" + query, body.encode())[:2] == (200, "image/gif")
        assert sandbox.summary()["calls"] == 1
        status, _, said = raw(sandbox, method, f"/s?{query}&_p=a", body.encode())
        assert (status, b"2000" in said) == (413, True)
        assert sandbox.summary()["calls"] == 1

    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"GET /api/peo",
            b"GET /e HTTP/1.1\r\nHost: x\r\nX-",
            b"POST /e?_p=a&_n=b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n_k",
            b"GET /e HTTP/1.1\r\nHost: x\r\n\r\nGET /e HT",
        ],
        ids=["nothing", "half a target", "half a head", "half a body", "half a second one"],
    )  # fmt: skip
    def test_a_request_that_never_ends_is_ended(self, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
        monkeypatch.setattr(server_module, "_REQUEST_SECONDS", 0.2)
        with running() as sandbox, socket.create_connection(address(sandbox), timeout=10) as connection:
            connection.sendall(sent)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65_536):
                    pass
            assert sandbox.summary()["events"] == 0

    def test_a_connection_that_is_used_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "_REQUEST_SECONDS", 0.5)
        with running() as sandbox, closing(HTTPConnection(*address(sandbox), timeout=10)) as connection:
            connection.connect()
            own = connection.sock
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                connection.request("GET", "/e?_p=a&_n=b")
                assert connection.getresponse().read()
            assert connection.sock is own


@pytest.fixture(scope="module")
def busy() -> Iterator[RunningSandbox]:
    served = Sandbox()
    for n in range(600):
        parameters = {"_p": "ada", "_n": "Paid", "_t": str(int(NOW) + n), "_d": "1", "Plan": str(n)}
        served.take(Call("key", "/e", parameters, int(NOW)))
        served.take(Call("key", "/a", {"_p": "ada", "_n": f"device {n}"}, int(NOW)))
    with running(served) as sandbox:
        yield sandbox


class TestPersonInPages:
    @pytest.mark.parametrize("query", [{}, {"limit": 500}, {"limit": 100_000}, {"limit": 7}])
    def test_has_500_items_at_most_and_every_one_once(self, busy: RunningSandbox, query: dict[str, int]) -> None:
        whole, after, seen = busy.person("ada"), 0, Counter[str]()
        assert whole is not None
        assert "next" not in whole
        while True:
            page = requests.get(busy.url + "/api/people/ada", params={**query, "after": after}, timeout=10).json()
            values = [one["value"] for one in page["properties"].get("Plan", [])]
            times = [one["timestamp"] for one in page["events"]]
            assert len(values) + len(times) <= min(500, query.get("limit", 500))
            assert len(page["identities"]) <= 500
            assert times == sorted(times)
            seen.update(map(str, [*values, *times]))
            if "next" not in page:
                break
            after = page["next"]
        assert set(seen.values()) == {1}
        assert len(seen) == 1200 == len(whole["events"]) + len(whole["properties"]["Plan"])


class TestPage:
    def test_is_served_with_a_policy_that_lets_in_its_own_script_alone(self, sandbox: RunningSandbox) -> None:
        requests.get(sandbox.url + "/e", params=event(HOSTILE, HOSTILE, **{HOSTILE: HOSTILE}), timeout=10)
        answer = requests.get(sandbox.url + "/", timeout=10)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}=';", answer.headers["content-security-policy"])
        assert HOSTILE not in answer.text

    def test_hostile_data_leaves_as_json_only(self, sandbox: RunningSandbox) -> None:
        requests.get(sandbox.url + "/e", params=event(HOSTILE, HOSTILE, **{HOSTILE: HOSTILE}), timeout=10)
        for path in ("/api/people", "/api/events", "/api/not-kept", "/api/people/" + quote(HOSTILE, safe="")):
            answer = requests.get(sandbox.url + path, timeout=10)
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"

    def test_writes_data_as_text_and_never_as_markup(self) -> None:
        page = resources.files("target_kissmetrics.sandbox").joinpath("page.html").read_text("utf-8")
        ways_to_markup = (
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval|Function\(|\bon\w+="
        )
        assert re.findall(ways_to_markup, page) == []
        assert "textContent" in page

    def test_needs_nothing_from_elsewhere(self) -> None:
        page = resources.files("target_kissmetrics.sandbox").joinpath("page.html").read_text("utf-8")
        assert re.findall(r"https?://|<link|<img|<iframe|@import|src=", page) == []
        assert "prefers-color-scheme" in page
        assert '<html lang="en">' in page


class TestRunning:
    def test_takes_a_free_port_and_gives_it_back(self) -> None:
        with running() as one, running() as other:
            assert one.url != other.url
        with pytest.raises(requests.ConnectionError):
            requests.get(one.url, timeout=10)

    def test_keeps_a_store_and_names_the_revenue(self, tmp_path: Path) -> None:
        with running(Sandbox(store=tmp_path / "s.db")) as one:
            requests.get(one.url + "/e", params=event(Paid="5"), timeout=10)
        with running(Sandbox(store=tmp_path / "s.db", revenue_property="Paid")) as other:
            assert other.summary()["revenue"] == "5"

    def test_a_port_in_use_is_an_error(self, server: RunningSandbox) -> None:
        with pytest.raises(SandboxError, match="in use"), running(port=int(server.url.rsplit(":", 1)[1])):
            pass


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost", "localhost")],  # noqa: S104
)
def test_the_url_is_one_that_a_browser_opens(host: str, shown: str) -> None:
    with bind(host, 0) as sock:
        assert url_of(sock, host) == f"http://{shown}:{sock.getsockname()[1]}"
        assert url_of(sock, "::") == f"http://[::1]:{sock.getsockname()[1]}"


class TestViews:
    def test_each_view_answers(self, sandbox: RunningSandbox, http: requests.Session) -> None:
        http.get(sandbox.url + "/e", params=event("a/b", Plan="Gold"), timeout=10)

        def ask(path: str, **given: Any) -> Any:
            answer = http.get(sandbox.url + path, params=given, timeout=10)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            return answer.json()

        assert ask("/api/calls", limit=1)[0]["parameters"]["_p"] == "a/b"
        assert ask("/api/people", text="A/")["people"] == [{"identities": ["a/b"], "events": 1}]
        assert ask("/api/months") == [{"month": "2023-11", "events": 1, "revenue": "0"}]
        assert ask("/api/not-kept/reasons") == {}
        assert ask("/api/not-kept", reason="too-old") == []
        assert ask("/api/calls", product="otherkey") == []

    @pytest.mark.parametrize("path", ["/api/calls?limit=x", "/api/people/a?after=1.5"])
    def test_what_cannot_be_answered_is_said(self, sandbox: RunningSandbox, http: requests.Session, path: str) -> None:
        answer = http.get(sandbox.url + path, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["error"]


LOGIN = ("ada@example.com", "any")


def query(sandbox: RunningSandbox, http: requests.Session, path: str, **parameters: int) -> Any:
    answer = http.get(f"{sandbox.url}/v3{path}", params=parameters, auth=LOGIN, timeout=10)
    assert answer.status_code == 200
    return answer.json()


def test_the_query_api_lists_products_and_totals_of_events(sandbox: RunningSandbox, http: requests.Session) -> None:
    for person, name in (("ada", "Paid"), ("ben", "PAID"), ("ada", "Left")):
        http.get(f"{sandbox.url}/e", params=event(person, name), timeout=10)
    http.get(f"{sandbox.url}/e", params={**event(), "_k": "another-key"}, timeout=10)
    assert [one["id"] for one in query(sandbox, http, "/products")["data"]] == [KEY[:8], "another-"]
    path = f"/products/{KEY[:8]}/events"
    events = query(sandbox, http, path)["events"]
    assert [(one["name"], one["total"]) for one in events] == [("Paid", 2), ("Left", 1)]
    assert events[0]["first_sent_at"] == "2023-11-14T22:13:20Z"
    assert query(sandbox, http, path, offset=1, limit=1)["events"] == events[1:]
    assert query(sandbox, http, path, offset=2)["events"] == []


def test_the_query_api_wants_a_login(sandbox: RunningSandbox, http: requests.Session) -> None:
    answer = http.get(f"{sandbox.url}/v3/products", timeout=10)
    assert (answer.status_code, answer.json()) == (401, {"status": 401, "messages": ["Unauthenticated."]})


def test_a_product_begins_without_events(sandbox: RunningSandbox, http: requests.Session) -> None:
    assert query(sandbox, http, "/products") == {"data": []}
    assert query(sandbox, http, f"/products/{KEY[:8]}/events") == {"events": []}
