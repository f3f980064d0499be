"""Reads Kissmetrics' Query API, which shows what a product has. Kissmetrics calls it beta.

    GET {url}/products?offset=&limit=                {"data": [{"id", "name", ...}, ...]}
    GET {url}/products/{id}/events?offset=&limit=    {"events": [{"name", "total", ...}, ...]}

With HTTP Basic authentication, and at most 15 requests a minute. A list does not say how long it is: it ends with a
page that is not full. Source: query.kissmetrics.io, "Kissmetrics Query API v3".
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import requests
from requests.auth import HTTPBasicAuth

from target_kissmetrics.errors import ConfigError, Refused, Unreachable
from target_kissmetrics.kissmetrics.http.requests_connection import no_answer
from target_kissmetrics.kissmetrics.names import folded

REQUESTS_A_MINUTE = 15
PAGE = 50
_MINUTE = 60.0
_ATTEMPTS = 3


class _Product(msgspec.Struct):
    id: int | str
    name: str


class _Products(msgspec.Struct):
    listed: list[_Product] = msgspec.field(name="data")


class _Event(msgspec.Struct):
    name: str
    total: int | None


class _Events(msgspec.Struct):
    listed: list[_Event] = msgspec.field(name="events")


@dataclass
class QueryApi:
    """Reads as one account; its password may be empty."""

    url: str
    user: str
    password: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _latest: deque[float] = field(default_factory=lambda: deque(maxlen=REQUESTS_A_MINUTE))

    def products(self) -> dict[str, str]:
        """Give the names of the account's products by their IDs. Raises like `event_totals`."""
        return {str(one.id): one.name for one in self._all("/products", _Products)}

    def event_totals(self, product_id: str) -> Counter[str]:
        """Give how many events a product has of each folded name.

        Raises:
            ConfigError: The account has no such product, or the user or the password is wrong.
            Unreachable: There is no answer, or one that says to try again.
            Refused: Any other answer.
        """
        path = f"/products/{quote(product_id, safe='')}/events"
        totals: Counter[str] = Counter()
        for one in self._all(path, _Events):
            totals[folded(one.name)] += one.total or 0
        return totals

    def _all(self, path: str, kind: type[Any]) -> list[Any]:
        found: list[Any] = []
        page: list[Any] = []
        while True:
            before, answer = page, self._get(path, len(found))
            try:
                page = msgspec.json.decode(answer.content, type=kind, strict=False).listed
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise Refused(f"query_url: {self.url}{path} does not answer with a list; check the address") from None
            if page == before:  # a server that knows no offset
                return found
            found += page
            if len(page) < PAGE:
                return found

    def _get(self, path: str, offset: int) -> requests.Response:
        for _ in range(_ATTEMPTS):
            if len(self._latest) == REQUESTS_A_MINUTE:
                self.sleep(max(0.0, self._latest[0] + _MINUTE - self.clock()))
            self._latest.append(self.clock())
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
            self.sleep(_MINUTE)  # another program asks with the same account
        self._check(answer.status_code)
        return answer

    def _check(self, status: int) -> None:
        answers = f"{self.url} answers {status}"
        if status in {requests.codes.unauthorized, requests.codes.forbidden}:
            raise ConfigError(
                "query_api_user",
                f"{answers}; check query_api_user and query_api_password: an account's e-mail address and password, or "
                "the API key without a password",
            )
        if status == requests.codes.not_found:
            raise ConfigError("product_id", f"{answers}; check product_id, and the address in query_url")
        if status >= requests.codes.server_error or status == requests.codes.too_many_requests:
            raise Unreachable(f"query_url: {answers}; try again later")
        if status != requests.codes.ok:
            raise Refused(f"query_url: {answers}, not with a list; check the address")
