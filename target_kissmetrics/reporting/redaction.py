"""The one filter over texts that leave: log, report, preview, reasons of rejects. It knows the secrets of the run."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote
from urllib.request import getproxies_environment

API_KEY = "(the API key)"
MIN_KEY, MIN_PASSWORD, MIN_NUMBER = 6, 4, 8
"""Characters of the API key, of another secret, and of one that is a number: shorter ones may be part of any word."""

_KEY_START = 12  # characters by which the API key is known where a message cuts it
_PUBLIC = frozenset({"root", "prefix", "format", "compression"})  # of `batch_config`; all else may be a credential

_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|seed|salt|signature|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"(?:password|secret|token|api_key|access_key|account_key)$", re.IGNORECASE)
_PARAMETER = re.compile(r"([\w-]+)\s*=\s*(?:'([^']*)'|([^\s;&,']+))")  # of a connection string, or a URL's query
_hidden: dict[str, re.Pattern[str]] = {}  # what is shown in the place of secrets -> the pattern that finds them


def set_secrets(config: Mapping[str, Any]) -> None:
    """Replace the known secrets by those of this config and of the environment."""
    key = config.get("api_key")
    keys = _spellings([key] if isinstance(key, str) else [], MIN_KEY)
    others = _spellings([*_in_config(config), *_in_environment()], MIN_PASSWORD)
    cut = [rf"{re.escape(text[:_KEY_START])}[\w%.-]*" for text in keys if len(text) > _KEY_START]
    found = {API_KEY: [*map(re.escape, keys), *cut], "(not shown)": [*map(re.escape, others)]}
    _hidden.clear()
    _hidden.update({shown: re.compile("|".join(ways)) for shown, ways in found.items() if ways})


def redact(text: str) -> str:
    """Hide every secret in a text, however it is spelled there."""
    for shown, pattern in _hidden.items():
        text = pattern.sub(shown, text)
    return text


def redact_key(text: str) -> str:
    """Hide the API key alone, in a name that is read back: any name may hold somebody's password."""
    pattern = _hidden.get(API_KEY)
    return pattern.sub(API_KEY, text) if pattern else text


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text in lists and objects, but not their names."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: each_text(inner, change) for name, inner in value.items()}
    return [each_text(inner, change) for inner in value] if isinstance(value, (list, tuple)) else value


def _in_config(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield logins, the options of a storage, and the passwords in URLs and connection strings."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _in_config(inner, (*path, str(name)))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _in_config(inner, path)
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        yield from _in_text(str(value))
        of_storage = path[:1] == ("batch_config",) and path[-1] not in _PUBLIC
        is_login = path in {("query_api_user",), ("query_api_password",)}
        if of_storage or is_login or (path[:1] == ("stream_map_config",) and _SECRET_NAME.search(path[-1])):
            yield str(value)


def _in_environment() -> Iterator[str]:
    """Yield the credentials of proxies, and what libraries read for themselves, such as PGPASSWORD."""
    for proxy in getproxies_environment().values():
        yield from _in_text(proxy if "://" in proxy else f"//{proxy}")
    yield from (value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= MIN_NUMBER)


def _in_text(text: str) -> Iterator[str]:
    """Yield the passwords in a URL or a connection string."""
    # A password may hold any character, so it may reach up to the last "@"; a library may show its parts as a host.
    login, _, _ = text.partition("//")[2].rpartition("@")
    if password := login.partition(":")[2]:
        yield from (f":{password}@", password, *re.split("[@/:?#]", password))
        yield base64.b64encode(unquote(login).encode(errors="replace")).decode()  # as a proxy gets it
    yield from (quoted or plain for name, quoted, plain in _PARAMETER.findall(text) if _SECRET_NAME.search(name))


def _spellings(secrets: Iterable[str], least: int) -> list[str]:
    """Give the ways in which URLs, JSON and Python spell secrets, the longest first."""
    found = {text for secret in secrets for text in (secret, secret.strip(), unquote(secret))}
    spelled = {
        cased
        for text in found
        if len(text) >= (MIN_NUMBER if text.isdecimal() else least)
        for quoted in (quote(text, errors="replace"), quote(text, safe="", errors="replace"))
        for way in (text, quoted, json.dumps(text)[1:-1], repr(text)[1:-1])
        for cased in (way, way.lower(), way.upper())  # names of hosts lose their case
    }
    return sorted(spelled, key=len, reverse=True)
