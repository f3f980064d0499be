"""The one filter over texts that leave: log, report, preview, reasons of rejects. It knows the secrets of the run."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote
from urllib.request import getproxies_environment

API_KEY = "(the API key)"
HIDDEN = "(not shown)"

MIN_CHARACTERS = 4
"""A shorter secret is hidden only as the password of a URL: else it would be found in any word."""

_START = 12
"""Characters of the API key by which it is known where a message cuts it."""

_PUBLIC = frozenset({"root", "prefix", "format", "compression"})
"""In `batch_config`, everything else may be an option of the storage."""

_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|seed|salt|signature|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"(?:password|secret|token|api_key|access_key|account_key)$", re.IGNORECASE)
_PARAMETER = re.compile(r"([\w-]+)\s*=\s*(?:'([^']*)'|([^\s;&,']+))")
"""Of a connection string, or the query of a URL."""


class _Filter:
    """The secrets of one run, as a pattern."""

    def __init__(self) -> None:
        self._pattern: re.Pattern[str] | None = None

    def learn(self, config: Mapping[str, Any]) -> None:
        """Know the secrets of a config, and of the environment, in the place of those that were known before."""
        given = config.get("api_key")
        key = _spellings([given] if isinstance(given, str) else [])
        others = _spellings([*_in_config(config), *_in_environment(os.environ)]) - key
        parts = [re.escape(text) for text in sorted(others, key=len, reverse=True)]
        if key:
            whole = [re.escape(text) for text in sorted(key, key=len, reverse=True)]
            cut = [rf"{re.escape(text[:_START])}[\w%.-]*" for text in key if len(text) > _START]
            parts.insert(0, f"(?P<key>{'|'.join(whole + cut)})")
        self._pattern = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def redact(self, text: str) -> str:
        """Hide every secret in a text, however it is spelled there."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: API_KEY if found.lastgroup else HIDDEN, text)


_RUN = _Filter()
learn, redact = _RUN.learn, _RUN.redact


def each_text(value: Any, change: Callable[[str], str] = redact) -> Any:
    """Change every text in lists and objects, names too; by default, hide the secrets."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {each_text(name, change): each_text(inner, change) for name, inner in value.items()}
    return [each_text(inner, change) for inner in value] if isinstance(value, (list, tuple)) else value


def _in_config(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what a config holds of secrets: options of a storage, passwords in URLs and connection strings."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _in_config(inner, (*path, str(name)))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _in_config(inner, path)
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        yield from _in_text(str(value))
        of_storage = path[:1] == ("batch_config",) and path[-1] not in _PUBLIC
        if of_storage or (path[:1] == ("stream_map_config",) and _SECRET_NAME.search(path[-1])):
            yield str(value)


def _in_environment(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the credentials of proxies, and what libraries read for themselves, such as PGPASSWORD."""
    for proxy in getproxies_environment().values():
        yield from _in_text(proxy if "://" in proxy else f"//{proxy}")
    yield from (value for name, value in variables.items() if _VARIABLE.search(name) and len(value) > MIN_CHARACTERS)


def _in_text(text: str) -> Iterator[str]:
    """Yield the passwords in a URL or a connection string.

    An "@" in a password should be escaped, but need not be: it may reach up to the last one, and a library that takes
    the first one for its end shows the rest as a host.
    """
    login, is_login, _ = text.partition("//")[2].rpartition("@")
    password = login.partition(":")[2]
    if is_login and password:
        yield from (f":{password}@", password, *re.split("[@/:?#]", password))
        yield base64.b64encode(unquote(login).encode(errors="replace")).decode()  # as a proxy gets it
    for name, quoted, plain in _PARAMETER.findall(text):
        if _SECRET_NAME.search(name):
            yield quoted or plain


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Give the ways in which URLs, JSON and Python spell secrets, but for what might be any word or number."""
    found = {text for secret in secrets for text in (secret, secret.strip(), unquote(secret))}
    found = {text for text in found if len(text) >= (2 * MIN_CHARACTERS if text.isdecimal() else MIN_CHARACTERS)}
    ways: tuple[Callable[[str], str], ...] = (
        str,
        lambda text: quote(text, safe="", errors="replace"),
        lambda text: quote(text, errors="replace"),
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
    )
    return {way(text) for text in found for way in ways}
