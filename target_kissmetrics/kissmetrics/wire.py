"""Calls as requests to the tracking API.

    GET /e?_k=KEY&_p=PERSON&_n=EVENT&_t=SECONDS&_d=1&NAME=VALUE...     record
    GET /s?_k=KEY&_p=PERSON&_t=SECONDS&_d=1&NAME=VALUE...              set
    GET /a?_k=KEY&_p=IDENTITY&_n=IDENTITY                              alias

or the same as a form-encoded POST. `_d=1` makes Kissmetrics use `_t`; without it, the time of arrival counts. The API
key enters a request only here. Source: support.kissmetrics.io, "API Specifications"; `_ip`, `_ua` and POST past 2,048
bytes as in Segment's server integration.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal
from urllib.parse import quote

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record

HttpMethod = Literal["auto", "get", "post"]

MAX_GET_TARGET_BYTES = 2048
"""With method `auto`, a longer request target becomes a POST."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, without its host. The target and the body (a form) hold the API key: never log them."""

    method: str
    target: str
    body: bytes | None

    def __repr__(self) -> str:
        """Show the request without the key."""
        return f"Request({self.method} {self.target.partition('?')[0]})"


class Encoder:
    """Writes calls as requests of one product; `prefix` is the path in front of `/e`, `/s` and `/a`."""

    def __init__(self, api_key: str, method: HttpMethod = "auto", prefix: str = "") -> None:
        self._key = f"_k={_quote(api_key)}"
        self._method = method
        self._prefix = prefix

    def encode(self, call: Call) -> Request:
        """Write a call as a request; UnicodeEncodeError for a lone surrogate (the mapping lets none through)."""
        path, form = self._form(call)
        target = f"{self._prefix}{path}"
        length = len(target) + 1 + len(form)
        if self._method == "get" or (self._method == "auto" and length <= MAX_GET_TARGET_BYTES):
            return Request("GET", f"{target}?{form}", None)
        return Request("POST", target, form.encode("ascii"))

    def _form(self, call: Call) -> tuple[str, str]:
        parts = [self._key, f"_p={_quote(call.person)}"]
        if isinstance(call, Alias):
            parts.append(f"_n={_quote(call.other)}")
        else:
            parts += [f"_n={_quote(call.event)}"] if isinstance(call, Record) else []
            parts.append(f"_t={call.time}&_d=1")
        if call.address:
            parts.append(f"_ip={_quote(call.address)}")
        if call.user_agent:
            parts.append(f"_ua={_quote(call.user_agent)}")
        if isinstance(call, Alias):
            return "/a", "&".join(parts)
        parts.extend([f"{_quote_short(name)}={_quote_value(value)}" for name, value in call.properties.items()])
        return ("/e" if isinstance(call, Record) else "/s"), "&".join(parts)


_ESCAPES = {code: f"%{code:02X}" for code in range(128) if not (chr(code).isalnum() or chr(code) in "_.-~")}
"""All of ASCII but the characters that RFC 3986 calls unreserved (section 2.3)."""


def _quote(text: str) -> str:
    """Return what `urllib.parse.quote` returns, in a fifth of its time for ASCII text."""
    if not text.isascii():
        return quote(text, safe="")
    return text if text.isalnum() else text.translate(_ESCAPES)


_quote_short = lru_cache(maxsize=16384)(_quote)
"""A stream's rows repeat property names, plans, countries and small numbers."""


def _quote_value(text: str) -> str:
    return _quote_short(text) if len(text) <= 32 else _quote(text)


def as_import_line(call: Call) -> dict[str, str | int]:
    """Give a call as a line of Kissmetrics' JSON import files, which need no key. Source: "Importing data"."""
    line: dict[str, str | int] = {"_p": call.person, "_t": call.time}
    if isinstance(call, Alias):
        line["_p2"] = call.other
        return line
    if isinstance(call, Record):
        line["_n"] = call.event
    if call.address:
        line["_ip"] = call.address
    if call.user_agent:
        line["_ua"] = call.user_agent
    line.update(call.properties)
    return line
