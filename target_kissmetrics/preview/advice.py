"""What a person should know of a suggested entry, beyond what an entry can say: in lines, each with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Template
from target_kissmetrics.mapping.settings import MappingSettings
from target_kissmetrics.preview import roles
from target_kissmetrics.preview.profile import FieldProfile, Profile

_ALTERNATIVES = 3
_MANY_DIGITS = 3
_FEW_ROWS = 3
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_WORDS_OF_YAML = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_MAPPED = " with the stream map"


class Told(NamedTuple):
    """Lines for a person, and expressions of a stream map, by field, that mend what they tell of."""

    lines: list[str]
    rules: dict[str, str]


def of_others(chosen: str | None, device: str | None, candidates: Sequence[str]) -> Iterator[str]:
    """Tell which other fields may name the person."""
    others = [name for name in candidates if name not in {chosen, device}]
    if (chosen or device) and others:
        yield (
            f"{' or '.join(others[:_ALTERNATIVES])} could be customer_id as well: take the one by which your product "
            "names its people to Kissmetrics"
        )


def of_people(profile: Profile, settings: MappingSettings, customer: str | None, device: str | None) -> Iterator[str]:
    """Tell of IDs that stand for nobody, and of which ID wins where a row has two."""
    field = profile.fields.get(customer or "")
    if field is not None and field.nobodies:
        yield (
            f"{customer} is 0 or -1 in {field.nobodies} of {profile.rows} sampled rows: if that stands for guests, add "
            "it to the setting blocked_identities, or they all become one person"
        )
    if not customer or not device:
        return
    first, second = (customer, device) if settings.use_customer_id else (device, customer)
    other_way = "" if settings.use_customer_id else f"; set use_customer_id: true to take {customer} first"
    yield (
        f"{first} is the person, {second} where it is empty: use_customer_id, a setting of the target, is "
        f"{str(settings.use_customer_id).lower()}{other_way}"
    )
    if not settings.alias_identities:
        yield f"the setting alias_identities: true makes {customer} and {device} of one row one person, for ever"


def of_gaps(
    profile: Profile,
    settings: MappingSettings,
    ids: tuple[Sequence[str], Sequence[str]],
    others: Sequence[str],
) -> Told:
    """Tell of rows that name nobody, and of the field that may name them.

    Args:
        profile: The stream's.
        settings: Which ID is preferred, and whether the other may stand in.
        ids: Fields of the customer ID, and of the device ID.
        others: Other fields that may hold an ID.
    """
    first, second = ids if settings.use_customer_id else ids[::-1]
    tried = [*first, *(second if settings.identity_fallback else ())]
    empty = profile.rows_without(tried)
    if not tried or not empty:
        return Told([], {})
    told = f"{empty.bit_count()} of {profile.rows} sampled rows have no {' or '.join(tried)}, and would be rejected"
    helps = {name: (empty & ~profile.rows_without([name])).bit_count() for name in others if name not in tried}
    best = max(helps, key=lambda name: helps[name], default="")
    if not best or not helps[best]:
        return Told([told], {})
    told = f"{told}; {helps[best]} of them have {best}"
    if best in profile.fields and tried[0] in profile.fields:
        rule = f"record.get({tried[0]!r}) or record.get({best!r})"
        return Told([f"{told}: the stream map takes it there"], {tried[0]: rule})
    return Told([told], {})


def of_money(profile: Profile, amount: str, event_name: str | None, *, refund: bool) -> Told:
    """Tell of what makes a revenue wrong: cents, several currencies, rows that nobody paid.

    Args:
        profile: The stream's, after its stream maps: what they mended is not told of.
        amount: The field of the amount.
        event_name: The events' name, with the fields in it.
        refund: The amounts are sent negative.
    """
    field = profile.fields[amount]
    lines: list[str] = []
    cents = _of_cents(profile, field)
    lines += [cents] if cents else []
    lines += _of_currencies(profile, amount)
    named = {path: profile.fields.get(path) for path in (Template(event_name).fields if event_name else ())}
    events = {path: roles.unpaid_values(found, field) for path, found in named.items() if found is not None}
    states = {path: values for path, values in roles.unpaid_states(profile, field).items() if path not in named}
    events, states = _unpaid(events, refund=refund), _unpaid(states, refund=refund)
    for path, values in (*events.items(), *states.items()):
        what = f"take {amount} out there" if path in events else "leave them out"
        lines.append(f"{path} is {_quoted(values)} in some rows, whose {amount} may be no revenue; {what}{_MAPPED}")
    refunds = [value for values in (*events.values(), *states.values()) for value in values if roles.is_refund(value)]
    if refunds:
        lines.append(
            f"where {_quoted(refunds)} gives back what was counted, send {amount} negative instead: refund: true, in "
            "the entry of a stream of its own, as the README has for public-refunds"
        )
    rules = {amount: _amount(amount, _conditions(events), divide=bool(cents))} if cents or events else {}
    if states:
        rules["__filter__"] = " and ".join(_conditions(states))
    return Told(lines, rules)


def of_net(profile: Profile, amount: str) -> Iterator[str]:
    """Tell of tax and shipping that an amount may hold."""
    beside = roles.beside_net(profile, amount)
    if beside:
        yield f"if {amount} includes {', '.join(beside)}, take it off with a stream map: Kissmetrics wants the net"


def of_stream_map(profile: Profile, stream: str, rules: Mapping[str, str]) -> Iterator[str]:
    """Write expressions as the one stream map that a stream can have, to be pasted.

    A field has one expression, and a stream one map: what is there already stays, and is to be mended.
    """
    there = [name for name in rules if name in profile.mapped]
    if there:
        yield (
            f"the stream's map has {', '.join(there)} already: mend it in that expression, for a second one takes its "
            "place"
        )
    written = ", ".join(f"{_key(name)}: {_text(rule)}" for name, rule in rules.items() if name not in there)
    if written and profile.mapped:
        yield f"to be added to the stream's map: {{{written}}}"
    elif written:
        yield (
            "the stream map; stream_maps stands beside streams, not in it: "
            f"stream_maps: {{{_key(stream)}: {{{written}}}}}"
        )


def _of_cents(profile: Profile, field: FieldProfile) -> str | None:
    if "/" in str(profile.mapped.get(field.name)):
        return None
    if roles.is_in_cents(field.name) and (field.is_whole or not field.filled):
        return f"{field.name} counts cents by its name, and revenue would be a hundredfold; divide it{_MAPPED}"
    if field.name not in profile.mapped and _may_be_cents(field):
        return (
            f"{field.name} holds whole numbers alone: if they are cents, as Stripe's are, divide them{_MAPPED}, and if "
            "not, take / 100 out of it"
        )
    return None


def _of_currencies(profile: Profile, amount: str) -> Iterator[str]:
    for name, values in roles.currencies(profile).items():
        yield (
            f"{name} has more than one value ({', '.join(values)}): amounts are added up as they are, not converted; "
            f"bring {amount} to one currency at the source"
        )


def _unpaid(found: Mapping[str, list[str]], *, refund: bool) -> dict[str, list[str]]:
    """Give the fields and values that tell of no revenue; a refund's own rows do not when they are sent negative."""
    kept = {path: [one for one in values if not (refund and roles.is_refund(one))] for path, values in found.items()}
    return {path: values for path, values in kept.items() if values}


def _conditions(unpaid: Mapping[str, list[str]]) -> list[str]:
    return [f"record.get({path!r}) not in [{_quoted(values)}]" for path, values in unpaid.items()]


def _amount(name: str, conditions: Sequence[str], *, divide: bool) -> str:
    """Give the expression of an amount. The SDK takes the type of its result from how it begins."""
    value = f"record.get({name!r})"
    if divide:
        return f"float({value}) / 100 if {' and '.join([value, *conditions])} else None"
    return f"{value} if {' and '.join(conditions)} else None"


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(map(repr, values))


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS_OF_YAML else _text(name)


def _text(text: str) -> str:
    """Write a text as YAML takes it, in double quotes."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _may_be_cents(field: FieldProfile) -> bool:
    return field.filled >= _FEW_ROWS and field.wholes == field.filled and max(map(len, field.distinct)) >= _MANY_DIGITS


def in_row_and_items(profile: Profile, items: str) -> list[str]:
    """Give the fields that a row and the items in it both have, and that would be one property."""
    top = {folded(names.clean(name)) for name, field in profile.fields.items() if field.scalars}
    field = profile.fields.get(items)
    return [name for name in (field.item_fields if field else ()) if folded(names.clean(name)) in top]
