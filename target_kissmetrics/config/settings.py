"""The settings: their schema, and the frozen values that one reading of a config gives.

The schema is what `--about`, Meltano and the README's table show. A config is read once, before any record, and
every mistake in it is one line that names the setting.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

from singer_sdk import typing as th

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.mapping.registry import KINDS
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.shard import Shard

BLOCKED_IDENTITIES = (
    "anonymous",
    "guest",
    "null",
    "none",
    "nil",
    "undefined",
    "nan",
    "unknown",
    "n/a",
    "(not set)",
    "[object object]",
)

_DAY = 86_400
_LEAST_RATE = 0.001
"""Of requests a second: a waiting time cannot be endless."""

_FIELDS = th.ArrayType(th.StringType)

_STREAM = th.ObjectType(
    th.Property("stream", th.StringType, required=True, description="A stream's name, or a glob (`*`, `?`)."),
    th.Property(
        "kind",
        th.StringType,
        allowed_values=list(KINDS),
        description="What the stream's rows are; left out: decided from its schema, or the run stops.",
    ),
    th.Property("customer_id", th.StringType, description="Field that holds the customer ID."),
    th.Property("device_id", th.StringType, description="Field that holds the device ID."),
    th.Property("timestamp", th.StringType, description="Field that holds the time."),
    th.Property(
        "event_name",
        th.StringType,
        description="Event: a constant, or a template over the row's fields: `Viewed {screen_name} Screen`.",
    ),
    th.Property("include", _FIELDS, description="Fields or globs that become properties; left out: all."),
    th.Property("exclude", _FIELDS, description="Fields or globs that do not become properties."),
    th.Property(
        "rename",
        th.ArrayType(
            th.ObjectType(
                th.Property("field", th.StringType, required=True, description="A field's name."),
                th.Property("property", th.StringType, required=True, description="What it is called at Kissmetrics."),
            )
        ),
        description="The property's name for a field.",
    ),
    th.Property(
        "revenue",
        th.CustomType({"type": ["string", "array", "boolean", "null"], "items": {"type": "string"}}),
        description="Event: the field, or list of fields, that holds its amount; `false`: none.",
    ),
    th.Property("refund", th.BooleanType, description="Event: send the amount negative."),
    th.Property("line_items", th.StringType, description="Event: field that holds an array of objects."),
    th.Property("user_attributes", th.StringType, description="Event: field that holds an object of user attributes."),
    th.Property("once", th.BooleanType, description="Event: record it once for each person."),
    th.Property(
        "spread_duplicates",
        th.BooleanType,
        description="Event: move events of one person, name and second to the next free second.",
    ),
    th.Property("previous_id", th.StringType, description="Alias: field that holds the other identity."),
    th.Property("experiment", th.StringType, description="Experiment: field that holds the experiment's name."),
    th.Property("variant", th.StringType, description="Experiment: field that holds the variant."),
)

_PROPERTIES = th.PropertiesList(
    th.Property("api_key", th.StringType, required=True, secret=True, description="The Kissmetrics product's key."),
    th.Property(
        "use_customer_id",
        th.BooleanType,
        default=False,
        description="true: the customer ID identifies the person; false: the device ID does.",
    ),
    th.Property(
        "identity_fallback",
        th.BooleanType,
        default=True,
        description="When the preferred ID is missing or empty, use the other one; false: reject such a record.",
    ),
    th.Property(
        "include_all_user_attributes",
        th.BooleanType,
        default=False,
        description="true: send every user attribute each time; false: only those whose value differs from what was "
        "last sent for that person.",
    ),
    th.Property(
        "revenue_key",
        th.StringType,
        default="Billing Amount",
        description="The one Kissmetrics property that holds revenue.",
    ),
    th.Property(
        "revenue_fields",
        _FIELDS,
        default=["revenue"],
        description="Fields of an event whose amount is mapped to `revenue_key` when its stream names none itself; "
        "the first that holds an amount wins.",
    ),
    th.Property(
        "streams",
        th.ArrayType(_STREAM),
        default=[],
        description="How streams are read; the first entry whose `stream` (a name or a glob) matches wins.",
    ),
    th.Property(
        "alias_identities",
        th.BooleanType,
        default=False,
        description="When a record carries both IDs, alias them, once per pair. Kissmetrics never undoes an alias.",
    ),
    th.Property(
        "max_aliases_per_identity",
        th.IntegerType(minimum=0),
        default=10,
        description="An alias that would give one identity more partners than this is rejected.",
    ),
    th.Property(
        "blocked_identities",
        _FIELDS,
        default=list(BLOCKED_IDENTITIES),
        description="Identities never used nor aliased, compared without case and surrounding space.",
    ),
    th.Property(
        "campaign_properties",
        th.BooleanType,
        default=True,
        description="Name campaign fields (`utm_source`, `referrer`, ...) as Kissmetrics' reports know them.",
    ),
    th.Property(
        "send_ip_and_user_agent",
        th.BooleanType,
        default=True,
        description="Pass on a person's address and user agent where a message format carries them.",
    ),
    th.Property(
        "prefix_properties",
        th.BooleanType,
        default=False,
        description="Name an event's properties `{event} - {property}`; never the revenue property.",
    ),
    th.Property(
        "datetime_format",
        th.StringType,
        default="unix",
        allowed_values=["unix", "iso8601"],
        description="How date-time values of properties are written.",
    ),
    th.Property(
        "delivery",
        th.StringType,
        default="api",
        allowed_values=["api", "files"],
        description="The tracking API, or files for Kissmetrics' JSON import.",
    ),
    th.Property(
        "tracking_url",
        th.StringType,
        default="https://trk.kissmetrics.io",
        description="Where the tracking API is.",
    ),
    th.Property(
        "http_method",
        th.StringType,
        default="auto",
        allowed_values=["auto", "get", "post"],
        description="auto: GET, and POST once the request target passes 2,048 bytes.",
    ),
    th.Property(
        "http_client",
        th.StringType,
        default="auto",
        allowed_values=["auto", "requests", "curl"],
        description="What sends the requests.",
    ),
    th.Property(
        "max_connections",
        th.IntegerType(minimum=1, maximum=1024),
        default=64,
        description="Requests in flight at once.",
    ),
    th.Property(
        "max_requests_per_second",
        th.NumberType(exclusive_minimum=0),
        description="A ceiling on the request rate; left out: none.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=_DAY),
        default=30,
        description="For one request.",
    ),
    th.Property(
        "connect_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=_DAY),
        default=10,
        description="For setting up a connection, within `request_timeout_seconds`.",
    ),
    th.Property(
        "retry_timeout_seconds",
        th.NumberType(minimum=0, maximum=30 * _DAY),
        default=300,
        description="How long one call is retried before the run fails.",
    ),
    th.Property(
        "files_url",
        th.StringType,
        default="kissmetrics-import",
        description="Folder or bucket for `delivery: files`: a local path or an fsspec URL (`s3://bucket/prefix`).",
    ),
    th.Property(
        "files_base_name",
        th.StringType,
        default="kissmetrics",
        description="File names start with it.",
    ),
    th.Property(
        "files_max_rows",
        th.IntegerType(minimum=1),
        default=500000,
        description="A new file begins after this many lines.",
    ),
    th.Property(
        "attribute_store_url",
        th.StringType,
        default="sqlite:///target-kissmetrics.db",
        description="SQLAlchemy URL of the store that remembers what was sent; PostgreSQL when several runs share it. "
        "A password in it belongs in the environment.",
    ),
    th.Property(
        "on_invalid_record",
        th.StringType,
        default="reject",
        allowed_values=["reject", "fail"],
        description="reject: set it aside with its reason and go on; fail: stop the run at the first.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        default="target-kissmetrics-rejects.jsonl",
        description="Where rejected records and set-aside properties go (appended, mode 0600), one JSON object a line.",
    ),
    th.Property(
        "max_rejects",
        th.IntegerType(minimum=0),
        description="More rejected rows than this in a run fail it; left out: any number.",
    ),
    th.Property(
        "max_reject_ratio",
        th.NumberType(minimum=0, maximum=1),
        description="A stream of whose rows more than this part (0.1 is a tenth) were rejected fails the run, judged "
        "after its first 1,000 rows; left out: any.",
    ),
    th.Property(
        "report_path",
        th.StringType,
        description="Where a report of the run goes when it ends, however it ends (mode 0600, without personal data): "
        "`report.html` is a page, with the same as JSON beside it (`report.json`); `report.json` is JSON alone; left "
        "out: none.",
    ),
    th.Property(
        "report_names",
        th.BooleanType,
        default=False,
        description="Let the report list names of events and properties too, which may be made from data.",
    ),
    th.Property(
        "shard",
        th.ObjectType(
            th.Property("index", th.IntegerType(minimum=0), required=True, description="Which slice, from 0."),
            th.Property("count", th.IntegerType(minimum=1), required=True, description="How many there are."),
            additional_properties=False,
        ),
        description="A slice of each stream, by a hash of the person: `index` from 0, `count` slices. For several "
        "processes that read the same rows, each with a STATE of its own and all with one store.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType,
        default=False,
        description="Do everything but send and remember: each call is logged as one JSON line, no STATE is passed on.",
    ),
)

SCHEMA: dict[str, Any] = _PROPERTIES.to_dict()
"""JSON Schema of this target's own settings. The SDK adds its own beside them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A config, read. Attributes are named as the settings are."""

    api_key: str = field(repr=False)
    mapping: MappingSettings
    streams: tuple[StreamSettings, ...]
    include_all_user_attributes: bool
    max_aliases_per_identity: int
    delivery: Literal["api", "files"]
    tracking_url: str
    http_method: Literal["auto", "get", "post"]
    http_client: Literal["auto", "requests", "curl"]
    max_connections: int
    max_requests_per_second: float | None
    request_timeout_seconds: float
    connect_timeout_seconds: float
    retry_timeout_seconds: float
    files_url: str
    files_base_name: str
    files_max_rows: int
    attribute_store_url: str = field(repr=False)
    on_invalid_record: Literal["reject", "fail"]
    rejects_path: str
    max_rejects: int | None
    max_reject_ratio: float | None
    report_path: str | None
    report_names: bool
    dry_run: bool
    shard: Shard | None = None


def read_settings(config: Mapping[str, Any], other_settings: Iterable[str] = ()) -> Settings:
    """Read a config.

    Args:
        config: As it came: from a file, from the environment, from Meltano. A null is a setting left out.
        other_settings: Names of settings that somebody else reads (the SDK's own).

    Raises:
        ConfigError: The first mistake, naming its setting. It never shows the value of a secret.
    """
    try:
        return _read(config, other_settings)
    except ConfigError as problem:
        # A key that was pasted in the wrong place would be shown as that setting's value.
        key = config.get("api_key")
        told = str(problem).removeprefix(f"{problem.setting}: ")
        raise ConfigError(_without_key(problem.setting, key), _without_key(told, key)) from None


def _without_key(text: str, key: object) -> str:
    if not isinstance(key, str) or not key.strip():
        return text
    for written in {key, key.strip(), repr(key)[1:-1]}:
        text = text.replace(written, "(the API key)")
    return text


def _read(config: Mapping[str, Any], other_settings: Iterable[str]) -> Settings:
    own = SCHEMA["properties"]
    known = {*own, *other_settings}
    for name in config:
        if name not in known:
            raise ConfigError(name, f"no such setting{did_you_mean(name, sorted(known)) or _NO_SUCH}")
    values = {name: _value(name, own[name], config.get(name)) for name in own}
    _check_delivery(values)
    mapping = MappingSettings(
        use_customer_id=values["use_customer_id"],
        identity_fallback=values["identity_fallback"],
        revenue_key=_property_name("revenue_key", values["revenue_key"]),
        revenue_fields=tuple(values["revenue_fields"]),
        alias_identities=values["alias_identities"],
        blocked_identities=frozenset(names.clean(text).lower() for text in values["blocked_identities"]),
        campaign_properties=values["campaign_properties"],
        send_ip_and_user_agent=values["send_ip_and_user_agent"],
        prefix_properties=values["prefix_properties"],
        datetime_format=values["datetime_format"],
    )
    return Settings(
        api_key=_api_key(values["api_key"]),
        mapping=mapping,
        streams=tuple(read_entry(entry, index) for index, entry in enumerate(values["streams"])),
        tracking_url=_tracking_url(values["tracking_url"]),
        shard=_shard(values["shard"]),
        **{name: values[name] for name in _TAKEN_AS_THEY_ARE},
    )


_NO_SUCH = "; take it out (target-kissmetrics --about names all there are)"
_REQUIRED = (
    "is required; copy it from Kissmetrics' settings, and set TARGET_KISSMETRICS_API_KEY, or run: meltano config set "
    "target-kissmetrics api_key"
)

_TAKEN_AS_THEY_ARE = (
    "include_all_user_attributes",
    "max_aliases_per_identity",
    "delivery",
    "http_method",
    "http_client",
    "max_connections",
    "max_requests_per_second",
    "request_timeout_seconds",
    "connect_timeout_seconds",
    "retry_timeout_seconds",
    "files_url",
    "files_base_name",
    "files_max_rows",
    "attribute_store_url",
    "on_invalid_record",
    "rejects_path",
    "max_rejects",
    "max_reject_ratio",
    "report_path",
    "report_names",
    "dry_run",
)


def _value(name: str, schema: Mapping[str, Any], given: object) -> Any:
    """Check one setting against its schema; the default when left out."""
    if given is None:
        if name in SCHEMA["required"]:
            raise ConfigError(name, _REQUIRED)
        return schema.get("default")
    value = _typed(name, schema, given)
    if "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(schema["enum"])
        raise ConfigError(name, f"must be one of {choices}, not {value!r}{did_you_mean(str(value), schema['enum'])}")
    if "minimum" in schema and value < schema["minimum"]:
        raise ConfigError(name, f"must be at least {schema['minimum']}, not {value}")
    if "maximum" in schema and value > schema["maximum"]:
        raise ConfigError(name, f"must be at most {schema['maximum']}, not {value}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        raise ConfigError(name, f"must be more than {schema['exclusiveMinimum']}, not {value}")
    return value


def _typed(name: str, schema: Mapping[str, Any], given: object) -> Any:
    shown = "" if schema.get("secret") else f", not {given!r}"
    kind = schema["type"][0]
    if kind == "boolean":
        if isinstance(given, bool):
            return given
        raise ConfigError(name, f"must be true or false{shown}")
    if kind in {"integer", "number"}:
        return _number(name, kind, given)
    if kind == "object":
        return given
    if kind == "array":
        return _array(name, schema, given)
    if isinstance(given, str) and given.strip():
        return given
    raise ConfigError(name, f"must be a text that is not empty{shown}")


def _number(name: str, kind: str, given: object) -> int | float:
    """Read a number; digits in a text too, since the environment holds nothing else."""
    what = "a whole number" if kind == "integer" else "a number"
    try:
        if isinstance(given, bool) or not isinstance(given, (int, float, Decimal, str)):
            raise TypeError  # noqa: TRY301 - one text for all that is no number
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(name, f"must be {what}, not {given!r}") from None
    if value != value or value in {float("inf"), float("-inf")} or (kind == "integer" and value != int(value)):  # noqa: PLR0124
        raise ConfigError(name, f"must be {what}, not {given!r}")
    return int(value) if kind == "integer" else value


def _array(name: str, schema: Mapping[str, Any], given: object) -> list[Any]:
    if not isinstance(given, (list, tuple)):
        raise ConfigError(name, f"must be a list, not {given!r}")
    if "string" in schema["items"]["type"] and not all(isinstance(item, str) for item in given):
        raise ConfigError(name, f"must be a list of texts, not {given!r}")
    return list(given)


def _shard(given: object) -> Shard | None:
    if given is None:
        return None
    example = "must be an object such as {index: 0, count: 4}"
    if not isinstance(given, Mapping):
        raise ConfigError("shard", f"{example}, not {given!r}")
    for name in given:
        if name not in {"index", "count"}:
            raise ConfigError(f"shard.{name}", f"no such key{did_you_mean(str(name), ['index', 'count'])}; {example}")
    if len(given) < 2:
        raise ConfigError("shard", f"{example}; index and count belong together")
    index, count = (int(_number(f"shard.{name}", "integer", given[name])) for name in ("index", "count"))
    if count < 1:
        raise ConfigError("shard.count", f"must be at least 1, not {count}")
    if not 0 <= index < count:
        raise ConfigError("shard.index", f"must be from 0 to {count - 1} with count {count}, not {index}")
    return Shard(index, count)


_PLACEHOLDER = re.compile(r"\$\{?\w+\}?|\{\{?.*\}\}?|<.*>|%\w+%", re.DOTALL)


def _api_key(value: str) -> str:
    if re.search(r"\s", value) or not value.isprintable():
        raise ConfigError(
            "api_key", "holds a space or an invisible character; copy it again from Kissmetrics' settings"
        )
    if _PLACEHOLDER.fullmatch(value):
        # Kissmetrics answers 200 to any key, and keeps nothing for one that is none.
        raise ConfigError("api_key", "is a variable that nobody filled in; copy the key from Kissmetrics' settings")
    return value


def _property_name(setting: str, value: str) -> str:
    try:
        return names.property_name(value)
    except Rejected:
        raise ConfigError(
            setting, f"must be a property's name: 1 to 255 characters, no '_' in front, not {value[:60]!r}"
        ) from None


_ENDPOINTS = frozenset({"e", "s", "a"})


def _tracking_url(value: str) -> str:
    example = "such as https://trk.kissmetrics.io"
    try:
        parts = urlsplit(value.strip())
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        raise ConfigError("tracking_url", f"is no address; it must be one {example}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_readable or " " in parts.netloc:
        raise ConfigError("tracking_url", f"must start with https:// or http:// and name a host, {example}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ConfigError("tracking_url", f"must hold no user, query or fragment; it must be one {example}")
    if parts.path.rstrip("/").rpartition("/")[2] in _ENDPOINTS:
        # The calls' own paths are added to it, and Kissmetrics may well answer 200 to a path that means nothing.
        raise ConfigError("tracking_url", f"must not end in the path of a call; it must be one {example}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _check_delivery(values: Mapping[str, Any]) -> None:
    """Make sure that what the delivery needs is there."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", values["files_base_name"]):
        raise ConfigError(
            "files_base_name", f"must be letters, digits, '.', '_' and '-', not {values['files_base_name']!r}"
        )
    if values["delivery"] == "files" and values["files_url"].startswith("s3:") and not importlib.util.find_spec("s3fs"):
        raise ConfigError("files_url", "an s3:// URL needs: pip install 'target-kissmetrics[s3]'")
    is_api = values["delivery"] == "api"
    if is_api and values["http_client"] == "curl" and importlib.util.find_spec("pycurl") is None:
        raise ConfigError("http_client", "'curl' needs: pip install 'target-kissmetrics[curl]'; or use auto")
    rate = values["max_requests_per_second"]
    if rate is not None and rate < _LEAST_RATE:
        raise ConfigError(
            "max_requests_per_second", f"must be at least {_LEAST_RATE}, not {rate}; left out: no ceiling"
        )
    url, rejects = values["attribute_store_url"], values["rejects_path"]
    if url.startswith("sqlite") and url.partition(":///")[2].partition("?")[0] == rejects:
        raise ConfigError("rejects_path", f"{rejects} is the file of attribute_store_url; name another one")
