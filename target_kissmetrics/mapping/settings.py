"""The settings that the mapping uses: of one stream (an entry of `streams`), and of all streams together.

A field is the one definition of a setting. `target_kissmetrics.config` derives the JSON Schema, the checks and the
value from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import UTC, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.kissmetrics.limits import LARGEST_VALUE_CHARACTERS, MAX_NAMES, MAX_VALUE_CHARACTERS
from target_kissmetrics.kissmetrics.names import folded as folded_name
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Template

ROW_KEYS = frozenset({"unwrap", "when", "timezone"})
"""Keys of an entry that every kind has."""

PERSON_KEYS = frozenset({"customer_id", "device_id", "timestamp"})
"""Keys of an entry that say who a row is about, and when."""

PROPERTY_KEYS = frozenset({"include", "exclude", "rename", "set"})
"""Keys of an entry that choose and name properties."""

BLOCKED_IDENTITIES = (
    "anonymous", "guest", "null", "none", "nil", "undefined", "nan", "unknown", "n/a", "(not set)",
    "[object object]", "-1", "true", "false", "anon", "not_authenticated", "not set", "no_user", "[]", "{}", '""',
)  # fmt: skip


def setting(  # noqa: PLR0913 - the parts of a definition
    description: str,
    *,
    default: Any = None,
    required: str | None = None,
    read: Callable[[str, Any], Any] | None = None,
    of: type | None = None,
    secret: bool = False,
    **keywords: Any,
) -> Any:
    """Define a setting, as a field of a dataclass. The field's annotation gives its type and its choices.

    Args:
        description: What `--about`, Meltano and the reference show.
        default: The default, as a config would hold it.
        required: What to do when it is missing; None for a setting that may be missing.
        read: Converts a value of the right type; gets the setting's place and the value. Raises ConfigError.
        of: The dataclass that defines the object, or each object in the list.
        secret: Whether messages, reports and `repr` must not show the value.
        **keywords: Keywords of JSON Schema, such as `minimum`; a function is called for its value.
    """
    if secret:
        keywords |= {"secret": True, "writeOnly": True}
    value = tuple(default) if isinstance(default, list) else default
    if read is not None and value is not None:
        value = read("", value)
    return field(
        default=MISSING if required and value is None else value,
        repr=not secret,
        metadata={
            "default": default,
            "required": required,
            "read": read,
            "of": of,
            "keywords": {"description": description, **keywords},
        },
    )


def read_property_name(place: str, value: str) -> str:
    """Read the name of a property; a ConfigError says why Kissmetrics does not accept it."""
    return _read_name(place, value, names.property_name)


def _read_name(place: str, value: str, read: Callable[[str], str]) -> str:
    try:
        return read(value)
    except Rejected as problem:
        raise ConfigError(place, f"{value[:60]!r}: {problem.problem}; write another name") from None


def _read_event_name(place: str, value: str) -> str:
    if not Template(value).fields:
        _read_name(place, value, names.event_name)
    return value


def _read_one_or_more(place: str, value: str | tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ConfigError(place, "must be a field or a list of fields, not an empty list")
    return (value,) if isinstance(value, str) else value


def _read_revenue(place: str, value: str | tuple[str, ...] | bool) -> tuple[str, ...]:
    if value is True or value == ():
        raise ConfigError(place, f"must be a field, a list of fields or false, not {value!r}")
    return () if value is False else _read_one_or_more(place, value)


def _read_timezone(place: str, value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        fix = did_you_mean(value, sorted(available_timezones())) or "; write an IANA name, such as Europe/Berlin"
        raise ConfigError(place, f"{value!r} is no time zone{fix}") from None
    return value


def _read_when(place: str, value: Mapping[str, Any]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if not value:
        raise ConfigError(place, "is empty, so it has no effect; write {field: value}, or remove it")
    wanted = {name: tuple(one) if isinstance(one, (list, tuple)) else (one,) for name, one in value.items()}
    for name, values in wanted.items():
        if not values or not all(one is None or isinstance(one, (str, int, float)) for one in values):
            problem = f"must be a text, a number, true, false, null, or a list of them, not {value[name]!r}"
            raise ConfigError(f"{place}.{name}", problem)
    return tuple(wanted.items())


def _read_timestamp(place: str, value: str | bool) -> str:
    if value is True:
        raise ConfigError(place, "must be a field or false, not True")
    return value or ""


@dataclass(frozen=True, slots=True)
class _Constant:
    property: str = setting("A property's name.", required="write {property: ..., value: ...}", read=read_property_name)
    value: str = setting(
        "Its value: a constant, or a template over the row's fields.", required="write {property: ..., value: ...}"
    )


def _read_constants(place: str, value: tuple[_Constant, ...]) -> tuple[tuple[str, str], ...]:
    folded = [folded_name(one.property) for one in value]
    for index, one in enumerate(value):
        if folded.index(folded[index]) < index:
            raise ConfigError(f"{place}[{index}]", f"property {one.property!r} is set twice; take one of the two out")
    return tuple((one.property, one.value) for one in value)


@dataclass(frozen=True, slots=True)
class _Rename:
    field: str = setting("A field's name.", required="write {field: ..., property: ...}")
    property: str = setting(
        "Its name at Kissmetrics.", required="write {field: ..., property: ...}", read=read_property_name
    )


def _read_renames(place: str, value: tuple[_Rename, ...]) -> tuple[tuple[str, str], ...]:
    renames: dict[str, str] = {}
    for index, rename in enumerate(value):
        if "*" in rename.field or "?" in rename.field:
            raise ConfigError(f"{place}[{index}].field", f"{rename.field!r} is a glob; rename takes one field each")
        if rename.field in renames:
            raise ConfigError(f"{place}[{index}]", f"field {rename.field!r} is renamed twice; take one of the two out")
        renames[rename.field] = rename.property
    return tuple(renames.items())


def _kinds() -> list[str]:
    """Give the names of all kinds; the registry imports this module."""
    from target_kissmetrics.mapping.registry import KINDS  # noqa: PLC0415

    return list(KINDS)


@dataclass(frozen=True, slots=True)
class EventSettings:
    """An item of `events`, and the keys of an entry that an item may have.

    Attributes:
        place: Its name in messages: `streams[2].events[0]`.
        given: The keys that it has.
        timestamp: Field that holds the time; empty for `false`.
        revenue: Fields that hold the amount; empty for `false`.
    """

    place: str = "streams"
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    event_name: str | None = setting(
        "Event: a constant, or a template over the row's fields: `Viewed {screen_name} Screen`.", read=_read_event_name
    )
    timestamp: str | None = setting(
        "Field that holds the time; `false`: none, and the time of extraction serves.",
        read=_read_timestamp,
        type=["string", "boolean", "null"],
    )
    when: tuple[tuple[str, tuple[Any, ...]], ...] | None = setting(
        "Map only rows in which each of these fields has the value, or one of the values: `{status: [paid, shipped]}`. "
        "null is an absent field too.",
        read=_read_when,
        type=["object", "null"],
    )
    include: tuple[str, ...] | None = setting("Fields or globs that become properties. Without it, all do.")
    exclude: tuple[str, ...] = setting("Fields or globs that do not become properties.", default=[])
    rename: tuple[tuple[str, str], ...] = setting(
        "The property's name for a field.", default=[], of=_Rename, read=_read_renames
    )
    revenue: tuple[str, ...] | None = setting(
        "Event: the field, or list of fields, that holds its amount; `false`: none.",
        read=_read_revenue,
        type=["string", "array", "boolean", "null"],
    )
    revenue_divide_by: int = setting("Event: divide the amount by this: 100 for cents.", default=1, minimum=1)
    refund: bool = setting("Event: send the amount negative.", default=False)
    line_items: str | None = setting("Event: field that holds an array of objects.")
    once: bool = setting("Event: record it once for each person.", default=False)
    ignore: bool = setting("Messages, in an item of `events`: send no such event.", default=False)
    spread_duplicates: bool = setting(
        "Event: move events of one person, name and second to the next free second.", default=False
    )


@dataclass(frozen=True, slots=True)
class StreamSettings(EventSettings):
    """An entry of `streams`. For a key that is None, the mapping tries the candidates of the specification."""

    stream: str = setting(
        "A stream's name, or a glob (`*`, `?`).", default="*", required="set it to a stream's name or a glob"
    )
    kind: str | None = setting(
        "What the stream's rows are. Without it, the target decides from the schema, or stops the run.", enum=_kinds
    )
    unwrap: tuple[str, ...] = setting(
        "Fields whose own fields are lifted to the top of the row: objects, or lists of `{key, value}` objects.",
        default=[],
    )
    timezone: str | None = setting(
        "IANA name of the time zone of times without one, such as `Europe/Berlin`; UTC without it.", read=_read_timezone
    )
    customer_id: tuple[str, ...] | None = setting(
        "Field that holds the customer ID, or a list of fields; the first that holds an acceptable ID counts.",
        read=_read_one_or_more,
        type=["string", "array", "null"],
    )
    device_id: tuple[str, ...] | None = setting(
        "Field, or list of fields, that holds the device ID.", read=_read_one_or_more, type=["string", "array", "null"]
    )
    set: tuple[tuple[str, str], ...] = setting(
        "Properties with a constant or computed value: `[{property: Plan, value: '{plan} {interval}'}]`.",
        default=[],
        of=_Constant,
        read=_read_constants,
    )
    events: tuple[StreamSettings, ...] = setting(
        "Event: several events from one row. Each item has the keys that differ from the entry's. An event whose time "
        "is null has not happened. Messages: keys for the events whose name an item's `event_name`, a glob, matches; "
        "the first that does counts.",
        default=[],
        of=EventSettings,
    )
    user_attributes: str | None = setting("Event: field that holds an object of user attributes.")
    send_once_per_row: bool | None = setting(
        "Event: send a row's event once, identified by the row's key, whatever changes in the row. Without it: true "
        "where the stream has a key and a revenue field, and `once` is not set; else false."
    )
    previous_id: str | None = setting("Alias: field that holds the other identity.")
    experiment: str | None = setting("Experiment: field that holds the experiment's name.")
    variant: str | None = setting("Experiment: field that holds the variant.")

    def of_event(self, item: EventSettings) -> StreamSettings:
        """Return the settings of one of several events: those of its item, else those of the entry."""
        given = {key: getattr(item, key) for key in item.given} | {"place": item.place, "given": item.given}
        return replace(self, **given, events=(), send_once_per_row=None if item.once else self.send_once_per_row)

    @property
    def is_glob(self) -> bool:
        """Whether the entry may match several streams."""
        return "*" in self.stream or "?" in self.stream

    @property
    def zone(self) -> tzinfo:
        """The time zone of times without one."""
        return ZoneInfo(self.timezone) if self.timezone else UTC


ITEM_KEYS = frozenset(one.name for one in fields(EventSettings) if one.metadata)
"""Keys of an item of `events`."""


def _read_identities(_: str, value: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names.clean(text).lower() for text in value)


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """The settings that decide which calls a row becomes, named as in the config."""

    use_customer_id: bool = setting(
        "true: the customer ID identifies the person; false: the device ID does.", default=False
    )
    identity_fallback: bool = setting(
        "When the preferred ID is missing or empty, use the other one; false: reject such a record.", default=True
    )
    include_all_user_attributes: bool = setting(
        "true: send every user attribute each time; false: only those whose value differs from the last sent value "
        "for that person.",
        default=False,
    )
    revenue_key: str = setting(
        "The one Kissmetrics property that holds revenue.", default="Billing Amount", read=read_property_name
    )
    revenue_fields: tuple[str, ...] = setting(
        "Fields of an event whose amount is mapped to `revenue_key` when its stream names none itself; the first that "
        "holds an amount wins.",
        default=["revenue"],
    )
    streams: tuple[StreamSettings, ...] = setting(
        "How to map each stream; the first entry whose `stream` (a name or a glob) matches wins.",
        default=[],
        of=StreamSettings,
    )
    alias_identities: bool = setting(
        "When a record carries both IDs, alias them, once per pair. Kissmetrics never undoes an alias.", default=False
    )
    max_aliases_per_identity: int = setting(
        "Reject an alias that would give one identity more partners than this.", default=10, minimum=0
    )
    max_event_names: int = setting(
        "Reject events whose name would give the product more distinct names than this.",
        default=1000,
        minimum=1,
        maximum=MAX_NAMES,
    )
    max_property_names: int = setting(
        "Reject properties whose name would give the product more distinct names; revenue's does not count.",
        default=5000,
        minimum=1,
        maximum=MAX_NAMES,
    )
    blocked_identities: frozenset[str] = setting(
        "Identities that are never used nor aliased, compared without case and surrounding space; nor are those of "
        "nothing but zeros.",
        default=list(BLOCKED_IDENTITIES),
        read=_read_identities,
    )
    lowercase_identities: bool = setting(
        "Lower-case every identity: `Ada@Example.com` and `ada@example.com` are one person.", default=False
    )
    allowed_events: tuple[str, ...] | None = setting(
        "A tracking plan: names, or globs, of events that may be sent; others are rejected with `not-in-plan`."
    )
    allowed_properties: tuple[str, ...] | None = setting(
        "Likewise of properties, also of people; others are dropped. `revenue_key` is always allowed."
    )
    campaign_properties: bool = setting(
        "Give campaign fields (`utm_source`, `referrer`, ...) the names that Kissmetrics' reports use.", default=True
    )
    send_ip_and_user_agent: bool = setting(
        "Send a person's address and user agent where a message format carries them.", default=True
    )
    prefix_properties: bool = setting(
        "Name an event's properties `{event} - {property}`; never the revenue property.", default=False
    )
    max_future_seconds: float = setting(
        "A time further ahead of the clock than this rejects its row: it would stay the latest value until then.",
        default=86_400,
        minimum=0,
    )
    datetime_format: Literal["unix", "iso8601"] = setting(
        "How date-time values of properties are written.", default="unix"
    )
    max_value_length: int = setting(
        "Characters of a property's value; longer ones are dropped. Kissmetrics' limit is 512, formerly 8192.",
        default=MAX_VALUE_CHARACTERS,
        minimum=1,
        maximum=LARGEST_VALUE_CHARACTERS,
    )
