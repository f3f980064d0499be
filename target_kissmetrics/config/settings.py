"""The settings of a run: their definitions, their JSON Schema, and the frozen values of one config.

The target reads a config once, before any record. Every mistake is one line that names the setting.
"""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from target_kissmetrics.config.definitions import Schema, check_texts, read_object, schema_of
from target_kissmetrics.config.paths import read_path
from target_kissmetrics.config.sdk_settings import check_sdk_settings, without_flattening
from target_kissmetrics.config.stream_entries import check_reachable, checked
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.settings import MappingSettings, setting
from target_kissmetrics.mapping.shard import Shard

_DAY = 86_400
_PLACEHOLDER = re.compile(r"\$\{?\w+\}?|\{\{?.*\}\}?|<.*>|%\w+%", re.DOTALL)


def _read_api_key(place: str, value: str) -> str:
    if re.search(r"\s", value) or not value.isprintable():
        raise ConfigError(place, "contains a space or an invisible character; copy it again from Kissmetrics' settings")
    if _PLACEHOLDER.fullmatch(value):
        # Kissmetrics answers 200 to any key, and drops the calls of an unknown one.
        raise ConfigError(place, "is a variable that was not filled in; copy the key from Kissmetrics' settings")
    return value


_TRACKING_URL = re.compile(
    r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d+)?(/[\w.~:/@!$&'()*+,;=%-]*)?", re.ASCII | re.IGNORECASE
)
"""HTTP libraries differ in what they make of anything else. Source: https://www.rfc-editor.org/rfc/rfc3986#section-2"""

_LOOPBACK = re.compile(r"(.+\.)?localhost|127(\.\d+){3}|::1")
_TRACKING = "https://trk.kissmetrics.io"
_QUERY = "https://query.kissmetrics.io/v3"


def _is_in_clear(url: str) -> bool:
    """Return whether requests leave this machine without TLS."""
    return url.startswith("http:") and not _LOOPBACK.fullmatch(urlsplit(url).hostname or "")


def _read_query_url(place: str, value: str) -> str:
    url = _read_url(place, value, _QUERY)
    if _is_in_clear(url):
        raise ConfigError(place, "must start with https://, so that the password is not sent without TLS")
    return url


def _read_url(place: str, value: str, example: str = _TRACKING) -> str:
    example = f"write a URL such as {example}"
    value = value.strip().rstrip("/")
    try:
        is_url = _TRACKING_URL.fullmatch(value) and urlsplit(value).port != 0
    except ValueError:  # it has no such port, or address
        is_url = False
    if not is_url:
        what = "must be ASCII: https:// (or http://), a host, a port and a path if need be, %XX for odd characters"
        raise ConfigError(place, f"{what}; {example}")
    parts = urlsplit(value)
    if parts.path.rpartition("/")[2] in {"e", "s", "a"}:
        # The target appends the paths of the calls, and Kissmetrics may answer 200 to a path that means nothing.
        raise ConfigError(place, f"must not end with the path of a call; {example}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _read_base_name(place: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
        raise ConfigError(place, f"must be letters, digits, '.', '_' and '-', not {value!r}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(MappingSettings):
    """The values of a config, named as in the config."""

    api_key: str = setting(
        "The Kissmetrics product's key.",
        required="copy it from Kissmetrics' settings, and set TARGET_KISSMETRICS_API_KEY, or run: meltano config set "
        "target-kissmetrics api_key",
        read=_read_api_key,
        secret=True,
    )
    delivery: Literal["api", "files"] = setting(
        "The tracking API, or files for Kissmetrics' JSON import.", default="api"
    )
    tracking_url: str = setting("The URL of the tracking API.", default=_TRACKING, read=_read_url)
    http_method: Literal["auto", "get", "post"] = setting(
        "auto: GET, and POST once the request target exceeds 2,048 bytes.", default="auto"
    )
    http_client: Literal["auto", "requests", "curl"] = setting("The library that sends the requests.", default="auto")
    max_connections: int = setting("Requests in flight at once.", default=64, minimum=1, maximum=1024)
    max_requests_per_second: float | None = setting(
        "A ceiling on the request rate. Without it, there is none.", minimum=0.001
    )
    request_timeout_seconds: float = setting("For one request.", default=30, exclusiveMinimum=0, maximum=_DAY)
    connect_timeout_seconds: float = setting(
        "For setting up a connection, within `request_timeout_seconds`.", default=10, exclusiveMinimum=0, maximum=_DAY
    )
    retry_timeout_seconds: float = setting(
        "How long to retry one call before the run fails.", default=300, minimum=0, maximum=30 * _DAY
    )
    files_url: str = setting(
        "Folder or bucket for `delivery: files`: a local path or an fsspec URL (`s3://bucket/prefix`).",
        default="kissmetrics-import",
    )
    files_base_name: str = setting("File names start with it.", default="kissmetrics", read=_read_base_name)
    files_max_rows: int = setting("A new file begins after this many lines.", default=500_000, minimum=1)
    attribute_store_url: str = setting(
        "SQLAlchemy URL of the store of what was sent; use PostgreSQL when several runs share it. Put a password for "
        "it in the environment.",
        default="sqlite:///target-kissmetrics.db",
        secret=True,
    )
    on_invalid_record: Literal["reject", "fail"] = setting(
        "reject: write it to `rejects_path` with its reason and go on; fail: stop the run at the first.",
        default="reject",
    )
    rejects_path: str = setting(
        "File for rejected records and dropped properties (appended, mode 0600), one JSON object a line. `{run_id}` "
        "and `{date}` in it are those of the run. `store`: a table of the store.",
        default="target-kissmetrics-rejects.jsonl",
        read=read_path,
    )
    max_rejects: int | None = setting(
        "More rejected rows than this in a run fail it. Without it, there is no limit.", minimum=0
    )
    max_reject_ratio: float | None = setting(
        "A stream with a larger share of rejected rows than this (0.1 is a tenth) fails the run, from its 1,000th row "
        "on. Without it, there is no limit.",
        minimum=0,
        maximum=1,
    )
    report_path: str | None = setting(
        "File for a report of the run, written however the run ends (mode 0600, without personal data): `report.html` "
        "is a page, with the same as JSON beside it (`report.json`); `report.json` is JSON alone. `{run_id}` and "
        "`{date}` in it are those of the run. Without it, there is no report.",
        read=read_path,
    )
    report_names: bool = setting(
        "Also list names of events and properties in the report; names may be made from data.", default=False
    )
    max_calls: int | None = setting(
        "A run ends, without an error, before the first row that would make it send more calls than this; the next run "
        "resumes at its STATE. Without it, there is no limit.",
        minimum=1,
    )
    remember_only: bool = setting(
        "Send nothing, and store user attributes, aliases and events that are sent once as if they had been sent; skip "
        "other events. For the first run, if another sender sent them.",
        default=False,
    )
    shard: Shard | None = setting(  # noqa: RUF009 - it returns a field
        "A slice of each stream, by a hash of the person: `index` from 0, `count` slices. For several processes that "
        "read the same rows, each with its own STATE and all with one store.",
        of=Shard,
    )
    query_api_user: str | None = setting(
        "For target-kissmetrics-verify, which reads Kissmetrics' Query API: the account's e-mail address, or the API "
        "key.",
        secret=True,
    )
    query_api_password: str | None = setting(
        "The account's password; leave it out if `query_api_user` is the API key.", secret=True
    )
    product_id: str | None = setting(
        "The product's ID in the Query API. Without it, target-kissmetrics-verify lists the account's products."
    )
    query_url: str = setting("The URL of the Query API.", default=_QUERY, read=_read_query_url)
    dry_run: bool = setting("Send and store nothing: log each call as one JSON line, and emit no STATE.", default=False)

    @property
    def sends_in_clear(self) -> bool:
        """Whether calls, with the API key in each, leave this machine without TLS."""
        is_sent = self.delivery == "api" and not (self.dry_run or self.remember_only)
        return is_sent and _is_in_clear(self.tracking_url)


SCHEMA: dict[str, Any] = schema_of(Settings)  # JSON Schema of this target's own settings; the SDK adds its own


def read_settings(config: Mapping[str, Any], sdk_settings: Mapping[str, Schema] = MappingProxyType({})) -> Settings:
    """Read a config, in which a null is a setting that is missing; `sdk_settings` are only checked, by their schemas.

    A ConfigError is the first mistake. It names the setting, and may show its value.
    """
    check_texts(config)
    config = without_flattening(config)
    settings: Settings = read_object(Settings, config, known=sdk_settings.keys())
    settings = replace(settings, streams=tuple(map(checked, settings.streams)))
    check_reachable(settings.streams)
    check_sdk_settings(sdk_settings, config)
    is_files = settings.delivery == "files"
    if is_files and settings.files_url.startswith("s3:") and importlib.util.find_spec("s3fs") is None:
        raise ConfigError("files_url", "an s3:// URL needs: pip install 'target-kissmetrics[s3]'")
    if not is_files and settings.http_client == "curl" and importlib.util.find_spec("pycurl") is None:
        raise ConfigError("http_client", "'curl' needs: pip install 'target-kissmetrics[curl]'; or use auto")
    return settings
