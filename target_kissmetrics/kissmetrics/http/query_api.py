"""Reads Kissmetrics' Query API, which shows what a product has. Kissmetrics calls it beta.

    GET {url}/products?offset=&limit=                {"data": [{"id", "name", ...}, ...]}
    GET {url}/products/{id}/events?offset=&limit=    {"events": [{"name", "total", ...}, ...]}

With HTTP Basic authentication, and at most 15 requests a minute. A list does not say how long it is: it ends with a
page that is not full. Source: query.kissmetrics.io, "Kissmetrics Query API v3".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import requests
from requests.auth import HTTPBasicAuth

from target_kissmetrics.errors import ConfigError, Refused, Unreachable
from target_kissmetrics.kissmetrics.http.requests_transport import no_answer
from target_kissmetrics.kissmetrics.names import folded

REQUESTS_A_MINUTE = 15
PAGE = 50
_MINUTE = 60.0
_ATTEMPTS = 3  # another program may ask with the same account


class _Product(msgspec.Struct):
    id: int | str
    name: str


class _Event(msgspec.Struct):
    name: str
    total: int | None


@dataclass
class QueryApi:
    """Reads as one account; its password may be empty."""

    url: str
    user: str
    password: str
    sleep: Callable[[float], None] = time.sleep
    _requests: int = field(default=0, init=False)

    def products(self) -> dict[str, str]:
        """Give the names of the account's products by their IDs. Raises like `event_totals`."""
        return {str(one.id): one.name for one in self._list("/products", "data", _Product)}

    def event_totals(self, product_id: str) -> Counter[str]:
        """Give how many events a product has of each folded name.

        Raises:
            ConfigError: The account has no such product, or the user or the password is wrong.
            Unreachable: There is no answer, or one that says to try again.
            Refused: Any other answer.
        """
        totals: Counter[str] = Counter()
        for event in self._list(f"/products/{quote(product_id, safe='')}/events", "events", _Event):
            totals[folded(event.name)] += event.total or 0
        return totals

    def _list(self, path: str, key: str, kind: type[Any]) -> list[Any]:
        found: list[Any] = []
        page: list[Any] = []
        while True:
            before, content = page, self._get(path, len(found))
            try:
                page = msgspec.convert(msgspec.json.decode(content)[key], list[kind], strict=False)  # type: ignore[valid-type]
            except (msgspec.MsgspecError, ValueError, LookupError, TypeError, RecursionError):
                raise Refused(f"query_url: {self.url}{path} does not answer with a list; check the address") from None
            if page != before:  # else a server that knows no offset
                found += page
            if page == before or len(page) < PAGE:
                return found

    def _get(self, path: str, offset: int) -> bytes:
        for attempt in range(_ATTEMPTS):
            if attempt or (self._requests and self._requests % REQUESTS_A_MINUTE == 0):
                self.sleep(_MINUTE)
            self._requests += 1
            try:
                answer = requests.get(
                    f"{self.url}{path}",
                    params={"offset": offset, "limit": PAGE},
                    auth=HTTPBasicAuth(self.user.encode(), self.password.encode()),
                    timeout=_MINUTE,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                cause = no_answer(error).cause
                raise Unreachable(f"query_url: {self.url} cannot be reached: {cause}; check it, or try later") from None
            if answer.status_code != requests.codes.too_many_requests:
                break
        if answer.status_code != requests.codes.ok:
            raise self._error(answer.status_code)
        return answer.content

    def _error(self, status: int) -> Exception:
        answers = f"{self.url} answers {status}"
        if status in {401, 403}:
            login = "an account's e-mail address and password, or the API key without a password"
            return ConfigError("query_api_user", f"{answers}; check query_api_user and query_api_password: {login}")
        if status == 404:
            return ConfigError("product_id", f"{answers}; check product_id, and the address in query_url")
        if status == 429 or status >= 500:
            return Unreachable(f"query_url: {answers}; try again later")
        return Refused(f"query_url: {answers}, not with a list; check the address")
