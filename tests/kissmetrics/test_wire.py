"""What a call looks like on the wire: read back it is what was meant, whatever it holds."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.wire import Encoder, HttpMethod, Request, as_import_line

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "&_k=x",
            "a=b&_p=evil",
            "%26_n%3Dx",
            "a;b",
            "#",
            "?",
            "/../a",
            "a+b c",
            "\r\nHost: x",
            "\0",
            "é\u0301\U0001d4b3",
            "_k",
        ]
    ),
)
NAMES = HOSTILE.filter(lambda name: not name.startswith("_"))
PROPERTIES = st.dictionaries(NAMES, HOSTILE, max_size=5)
TIMES = st.integers(1_230_768_000, 4_102_444_800)
MAYBE = st.none() | HOSTILE
RECORDS = st.builds(Record, HOSTILE, HOSTILE, TIMES, PROPERTIES, MAYBE, MAYBE, st.booleans())
SETS = st.builds(Set, HOSTILE, TIMES, PROPERTIES, MAYBE, MAYBE, st.booleans())
ALIASES = st.builds(Alias, HOSTILE, HOSTILE, TIMES)
METHODS: st.SearchStrategy[HttpMethod] = st.sampled_from(["auto", "get", "post"])


def parameters(request: Request) -> list[tuple[str, str]]:
    form = request.body.decode("ascii") if request.body is not None else urlsplit(request.target).query
    return parse_qsl(form, keep_blank_values=True, strict_parsing=True)


def read_back(request: Request, key: str) -> Call:
    """Read a request as the tracking API does."""
    pairs = parameters(request)
    named = dict(pairs)
    assert len(named) == len(pairs), "a parameter came twice"
    assert named.pop("_k") == key
    path, person = urlsplit(request.target).path, named.pop("_p")
    if path == "/a":
        alias = Alias(person, named.pop("_n"), 0)
        assert not named
        return alias
    event = named.pop("_n", None)
    time = int(named.pop("_t"))
    assert named.pop("_d") == "1"
    rest: dict[str, Any] = {"address": named.pop("_ip", None), "user_agent": named.pop("_ua", None)}
    if path == "/e":
        assert event is not None
        return Record(person, event, time, named, **rest)
    assert path == "/s"
    assert event is None
    return Set(person, time, named, **rest)


def on_the_wire(call: Call) -> Call:
    """Give a call without what does not travel."""
    if isinstance(call, Alias):
        return Alias(call.person, call.other, 0)
    if isinstance(call, Record):
        return Record(call.person, call.event, call.time, call.properties, call.address, call.user_agent)
    return Set(call.person, call.time, call.properties, call.address, call.user_agent)


@given(st.one_of(RECORDS, SETS, ALIASES), HOSTILE, METHODS)
def test_what_is_read_back_is_what_was_meant_and_nothing_else(call: Call, key: str, method: HttpMethod) -> None:
    assert read_back(Encoder(key, method).encode(call), key) == on_the_wire(call)


@given(st.one_of(RECORDS, SETS, ALIASES), METHODS)
def test_a_request_is_one_line_of_plain_characters(call: Call, method: HttpMethod) -> None:
    request = Encoder("key", method).encode(call)
    form = request.body.decode("ascii") if request.body is not None else urlsplit(request.target).query
    unreserved = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%=&")
    assert set(form) <= unreserved
    assert "#" not in request.target


@given(st.one_of(RECORDS, SETS, ALIASES), METHODS)
def test_the_key_is_in_its_parameter_alone_and_never_shown(call: Call, method: HttpMethod) -> None:
    key = "s3cret/key+\U0001f511"
    quoted = "s3cret%2Fkey%2B%F0%9F%94%91"
    request = Encoder(key, method).encode(call)
    assert (request.target + (request.body or b"").decode()).count(quoted) == 1
    assert (request.body is None) or (quoted not in request.target)
    for shown in (repr(request), str(request), f"{request}", repr([request])):
        assert "s3cret" not in shown
    assert "s3cret" not in repr(Encoder(key))
    assert "s3cret" not in str(as_import_line(call))


@pytest.mark.parametrize("extra", range(-3, 4))
def test_a_target_past_2048_bytes_goes_out_as_post(extra: int) -> None:
    encoder = Encoder("key")
    empty = len(encoder.encode(Set("p", 1, {"a": ""})).target)
    request = encoder.encode(Set("p", 1, {"a": "x" * (2048 - empty + extra)}))
    if extra <= 0:
        assert (request.method, request.body, len(request.target)) == ("GET", None, 2048 + extra)
    else:
        assert (request.method, request.target) == ("POST", "/s")
        assert len(request.body or b"") == 2048 + extra - len("/s?")


def test_what_counts_is_the_length_as_it_travels() -> None:
    assert Encoder("key").encode(Set("p", 1, {"a": "é" * 400})).method == "POST"
    assert Encoder("key").encode(Set("p", 1, {"a": "e" * 400})).method == "GET"
    assert Encoder("key", "auto", "/" + "p" * 2000).encode(Set("p", 1, {"a": "e" * 21})).method == "POST"
    assert Encoder("key", "auto", "/" + "p" * 2000).encode(Set("p", 1, {"a": "e" * 20})).method == "GET"


def test_a_method_can_be_asked_for() -> None:
    long, short = Set("p", 1, {"a": "x" * 9000}), Set("p", 1, {"a": "x"})
    assert [Encoder("k", "get").encode(call).method for call in (long, short)] == ["GET", "GET"]
    assert [Encoder("k", "post").encode(call).method for call in (long, short)] == ["POST", "POST"]


def test_a_tracking_host_may_be_behind_a_path() -> None:
    assert Encoder("k", "get", "/km").encode(Alias("a", "b", 1)).target == "/km/a?_k=k&_p=a&_n=b"
    assert Encoder("k", "post", "/km").encode(Record("a", "b", 1)).target == "/km/e"


def test_half_a_character_is_no_request() -> None:
    with pytest.raises(UnicodeEncodeError):
        Encoder("k").encode(Set("p", 1, {"a": "\ud800"}))


@given(st.one_of(RECORDS, SETS, ALIASES))
def test_an_import_line_holds_the_same_but_no_key(call: Call) -> None:
    line = dict(as_import_line(call))
    assert line.pop("_p") == call.person
    assert line.pop("_t") == call.time
    if isinstance(call, Alias):
        assert line == {"_p2": call.other}
        return
    if isinstance(call, Record):
        assert line.pop("_n") == call.event
    assert line.pop("_ip", None) == call.address
    assert line.pop("_ua", None) == call.user_agent
    assert line == call.properties
