"""The settings that the mapping uses: of one stream (an entry of `streams`), and of all streams together.

A field is the one definition of a setting. `target_kissmetrics.config` derives the JSON Schema, the checks and the
value from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_args

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Template
from target_kissmetrics.mapping.rules.names import NameProblem

Kind = Literal["event", "user_attributes", "alias", "experiment", "segment", "mparticle", "kissmetrics", "ignore"]

KINDS: tuple[Kind, ...] = get_args(Kind)

FLAT_KINDS: tuple[Kind, ...] = ("event", "user_attributes", "alias", "experiment")
"""Kinds whose rows are flat: one event, one person's attributes, one alias or one assignment a row."""

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


def setting(  # noqa: PLR0913 - the parts of a definition
    description: str,
    *,
    default: Any = None,
    required: str | None = None,
    read: Callable[[str, Any], Any] | None = None,
    of: type | None = None,
    secret: bool = False,
    in_repr: bool = True,
    **keywords: Any,
) -> Any:
    """Define a setting, as a field of a dataclass. The field's annotation gives its type and its choices.

    Args:
        description: What `--about`, Meltano and the reference show.
        default: The default, as a config would hold it.
        required: What to do when it is missing; None for a setting that may be missing.
        read: Converts a value of the right type; gets the setting's place and the value. Raises ConfigError.
        of: The dataclass that defines the object, or each object in the list.
        secret: Whether messages must not show the value.
        in_repr: Whether `repr` may show the value.
        **keywords: Keywords of JSON Schema, such as `minimum`.
    """
    if secret:
        keywords |= {"secret": True, "writeOnly": True}
    value = tuple(default) if isinstance(default, list) else default
    if read is not None and value is not None:
        value = read("", value)
    return field(
        default=MISSING if required and value is None else value,
        repr=in_repr and not secret,
        metadata={
            "default": default,
            "required": required,
            "read": read,
            "of": of,
            "keywords": {"description": description, **keywords},
        },
    )


def read_property_name(place: str, value: str) -> str:
    """Read the name of a property.

    Raises:
        ConfigError: Kissmetrics does not accept it.
    """
    try:
        return names.property_name(value)
    except NameProblem as problem:
        raise ConfigError(place, f"{value[:60]!r}: {problem.problem}; write another name") from None


def _read_event_name(place: str, value: str) -> str:
    """Read the name of an event, which may be a template."""
    if not Template(value).fields:
        try:
            names.event_name(value)
        except NameProblem as problem:
            raise ConfigError(place, f"{value[:60]!r}: {problem.problem}; write another name") from None
    return value


def _read_fields(place: str, value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(text.strip() for text in value):
        raise ConfigError(place, f"must be a list of non-empty strings, not {list(value)!r}")
    return value


def _read_revenue(place: str, value: str | tuple[str, ...] | bool) -> tuple[str, ...]:
    if value is False:
        return ()
    if value is True or value == ():
        raise ConfigError(place, f"must be a field, a list of fields or false, not {value!r}")
    return _read_fields(place, (value,) if isinstance(value, str) else tuple(value))


@dataclass(frozen=True, slots=True)
class _Rename:
    field: str = setting("A field's name.", required="write {field: ..., property: ...}")
    property: str = setting(
        "Its name at Kissmetrics.", required="write {field: ..., property: ...}", read=read_property_name
    )


def _read_renames(place: str, value: tuple[_Rename, ...]) -> tuple[tuple[str, str], ...]:
    renames: dict[str, str] = {}
    for index, rename in enumerate(value):
        if rename.field in renames:
            raise ConfigError(f"{place}[{index}]", f"field {rename.field!r} is renamed twice; take one of the two out")
        renames[rename.field] = rename.property
    return tuple(renames.items())


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """An entry of `streams`. For a key that is None, the mapping tries the candidates of the specification.

    Attributes:
        place: The entry's name in messages: `streams[2]`.
        revenue: Fields that hold the amount; empty for `false`.
    """

    place: str = "streams"
    stream: str = setting(
        "A stream's name, or a glob (`*`, `?`).", default="*", required="set it to a stream's name or a glob"
    )
    kind: Kind | None = setting(  # noqa: RUF009 - it returns a field
        "What the stream's rows are. Without it, the target decides from the schema, or stops the run."
    )
    customer_id: str | None = setting("Field that holds the customer ID.")
    device_id: str | None = setting("Field that holds the device ID.")
    timestamp: str | None = setting("Field that holds the time.")
    event_name: str | None = setting(
        "Event: a constant, or a template over the row's fields: `Viewed {screen_name} Screen`.", read=_read_event_name
    )
    include: tuple[str, ...] | None = setting(
        "Fields or globs that become properties. Without it, all do.", read=_read_fields
    )
    exclude: tuple[str, ...] = setting("Fields or globs that do not become properties.", default=[], read=_read_fields)
    rename: tuple[tuple[str, str], ...] = setting(
        "The property's name for a field.", default=[], of=_Rename, read=_read_renames
    )
    revenue: tuple[str, ...] | None = setting(
        "Event: the field, or list of fields, that holds its amount; `false`: none.",
        read=_read_revenue,
        type=["string", "array", "boolean", "null"],
    )
    refund: bool = setting("Event: send the amount negative.", default=False)
    line_items: str | None = setting("Event: field that holds an array of objects.")
    user_attributes: str | None = setting("Event: field that holds an object of user attributes.")
    once: bool = setting("Event: record it once for each person.", default=False)
    spread_duplicates: bool = setting(
        "Event: move events of one person, name and second to the next free second.", default=False
    )
    previous_id: str | None = setting("Alias: field that holds the other identity.")
    experiment: str | None = setting("Experiment: field that holds the experiment's name.")
    variant: str | None = setting("Experiment: field that holds the variant.")

    @property
    def is_glob(self) -> bool:
        """Whether the entry may match several streams."""
        return "*" in self.stream or "?" in self.stream


def _read_entries(_: str, value: tuple[StreamSettings, ...]) -> tuple[StreamSettings, ...]:
    for entry in value:
        check_keys(entry, entry.kind)
    return value


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
        read=_read_entries,
    )
    alias_identities: bool = setting(
        "When a record carries both IDs, alias them, once per pair. Kissmetrics never undoes an alias.", default=False
    )
    max_aliases_per_identity: int = setting(
        "Reject an alias that would give one identity more partners than this.", default=10, minimum=0
    )
    blocked_identities: frozenset[str] = setting(
        "Identities that are never used nor aliased, compared without case and surrounding space.",
        default=list(BLOCKED_IDENTITIES),
        read=_read_identities,
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
    datetime_format: Literal["unix", "iso8601"] = setting(
        "How date-time values of properties are written.", default="unix"
    )


_PERSON_KEYS = frozenset({"customer_id", "device_id", "timestamp"})
PROPERTY_KEYS = frozenset({"include", "exclude", "rename"})
_EVENT_KEYS = frozenset(
    {"event_name", "revenue", "refund", "line_items", "user_attributes", "once", "spread_duplicates"}
)
_KEYS_OF_KIND: dict[Kind, frozenset[str]] = {
    "event": _PERSON_KEYS | PROPERTY_KEYS | _EVENT_KEYS,
    "user_attributes": _PERSON_KEYS | PROPERTY_KEYS,
    "alias": _PERSON_KEYS | {"previous_id"},
    "experiment": _PERSON_KEYS | {"experiment", "variant"},
    "segment": frozenset(),
    "mparticle": frozenset(),
    "kissmetrics": frozenset(),
    "ignore": _PERSON_KEYS | PROPERTY_KEYS | _EVENT_KEYS | {"previous_id", "experiment", "variant"},
}


def kinds_of(key: str) -> tuple[Kind, ...]:
    """Return the kinds for which a key of an entry has a meaning, without `ignore`."""
    return tuple(kind for kind in KINDS if kind != "ignore" and key in _KEYS_OF_KIND[kind])


ALL_KEYS = frozenset(key.name for key in fields(StreamSettings)) - {"place", "stream", "kind"}


def check_keys(entry: StreamSettings, kind: Kind | None, keys: Collection[str] = ALL_KEYS) -> None:
    """Check that every key of an entry has a meaning for the stream's kind.

    Args:
        entry: The entry.
        kind: The stream's kind; None before it is decided.
        keys: The keys to check.

    Raises:
        ConfigError: A key would have no effect.
    """
    for key in fields(StreamSettings):
        given = key.name in keys and getattr(entry, key.name) != key.default
        if given and kind is not None and key.name not in _KEYS_OF_KIND[kind]:
            what_to_do = "give such streams an entry of their own, before it" if entry.is_glob else "change the kind"
            raise ConfigError(
                f"{entry.place}.{key.name}", f"has no meaning for kind {kind}; take it out, or {what_to_do}"
            )
