"""What a person should know of a suggested entry, beyond what an entry can say: in lines, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from target_kissmetrics.mapping import names
from target_kissmetrics.mapping.fields import Template
from target_kissmetrics.mapping.settings import MappingSettings
from target_kissmetrics.preview import roles
from target_kissmetrics.preview.profile import FieldProfile, Profile

_ALTERNATIVES = 3
_MANY_DIGITS = 3
_FEW_ROWS = 3
_VALUES_TOLD = 4


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
    stream: str,
    settings: MappingSettings,
    ids: tuple[Sequence[str], Sequence[str]],
    others: Sequence[str],
) -> Iterator[str]:
    """Tell of rows that name nobody, and of the field that may name them.

    Args:
        profile: The stream's.
        stream: Its name.
        settings: Which ID is preferred, and whether the other may stand in.
        ids: Fields of the customer ID, and of the device ID.
        others: Other fields that may hold an ID.
    """
    first, second = ids if settings.use_customer_id else ids[::-1]
    tried = [*first, *(second if settings.identity_fallback else ())]
    empty = profile.rows_without(tried)
    if not tried or not empty:
        return
    told = f"{empty.bit_count()} of {profile.rows} sampled rows have no {' or '.join(tried)}, and would be rejected"
    helps = {name: (empty & ~profile.rows_without([name])).bit_count() for name in others if name not in tried}
    best = max(helps, key=lambda name: helps[name], default="")
    if not best or not helps[best]:
        yield told
        return
    told = f"{told}; {helps[best]} of them have {best}"
    if best in profile.fields and tried[0] in profile.fields:
        told += (
            f": stream_maps: {{{stream}: {{{tried[0]}: \"record['{tried[0]}'] or record['{best}']\"}}}} takes it there"
        )
    yield told


def of_money(profile: Profile, stream: str, amount: str, event_name: str | None) -> Iterator[str]:
    """Tell of what may make a revenue wrong: cents, tax and shipping, currencies, rows that nobody paid."""
    field = profile.fields[amount]
    divide = f"divide it: stream_maps: {{{stream}: {{{amount}: \"float(record['{amount}'] or 0) / 100\"}}}}"
    if roles.is_in_cents(amount):
        yield f"{amount} counts cents by its name, and revenue would be a hundredfold; {divide}"
    elif _may_be_cents(field):
        yield f"{amount} holds whole numbers alone: if they are cents, as Stripe's are, {divide}"
    beside = roles.beside_net(profile, amount)
    if beside:
        yield f"if {amount} includes {', '.join(beside)}, take it off with a stream map: Kissmetrics wants the net"
    yield from _of_currencies(profile, amount)
    yield from _of_unpaid_events(profile, stream, amount, event_name)
    for name, states in roles.unpaid_states(profile).items():
        told = ", ".join(repr(state) for state in states)
        yield (
            f"{name} is {told} in some rows, which may be no revenue; leave them out: stream_maps: {{{stream}: "
            f"{{__filter__: \"record['{name}'] not in [{told}]\"}}}}"
        )


def _of_currencies(profile: Profile, amount: str) -> Iterator[str]:
    for name, values in roles.currencies(profile).items():
        yield (
            f"{name} has more than one value ({', '.join(values)}): amounts are added up as they are, not converted; "
            f"bring {amount} to one currency at the source"
        )


def _of_unpaid_events(profile: Profile, stream: str, amount: str, event_name: str | None) -> Iterator[str]:
    """Tell of events that carry the amount, and are no payment by their name."""
    for path in Template(event_name).fields if event_name else ():
        field = profile.fields.get(path)
        unpaid = roles.unpaid_values(field)[:_VALUES_TOLD] if field else []
        if unpaid:
            told = ", ".join(repr(value) for value in unpaid)
            yield (
                f"{path} is {told} in some rows, whose {amount} may be no revenue; take it out there: stream_maps: "
                f"{{{stream}: {{{amount}: \"None if record['{path}'] in [{told}] else record['{amount}']\"}}}}"
            )


def _may_be_cents(field: FieldProfile) -> bool:
    return field.filled >= _FEW_ROWS and field.wholes == field.filled and max(map(len, field.distinct)) >= _MANY_DIGITS


def in_row_and_items(profile: Profile, items: str) -> list[str]:
    """Give the fields that a row and the items in it both have, and that would be one property."""
    top = {names.folded(names.clean(name)) for name, field in profile.fields.items() if field.scalars}
    field = profile.fields.get(items)
    return [name for name in (field.item_fields if field else ()) if names.folded(names.clean(name)) in top]
