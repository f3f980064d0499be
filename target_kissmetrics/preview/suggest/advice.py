"""What makes the data of a stream wrong although its entry is right, and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from target_kissmetrics.mapping.rules.fields import Template
from target_kissmetrics.mapping.settings import MappingSettings
from target_kissmetrics.preview.suggest import roles
from target_kissmetrics.preview.suggest.columns import Column, Columns, words
from target_kissmetrics.preview.suggest.roles import rank

_FEW_ROWS = 3
_LEAST_CENTS = 100
_NOBODY = frozenset({"0", "-1", "0.0"})
_CENTS = re.compile(r"\b(cents?|pence|pennies)\b")
_REFUND = re.compile(r"\brefund(s|ed)?\b")
_UNPAID = re.compile(
    r"\b(failed|failure|cancell?ed|pending|draft|void|voided|declined|refused|refund|refunded|unpaid|uncollectible|"
    r"expired|abandoned|incomplete|rejected|error)\b"
)


def about_ids(columns: Columns, settings: MappingSettings, customer: str | None, device: str | None) -> Iterator[str]:
    """Warn of IDs that stand for nobody, and say which ID wins where a row has two."""
    column = columns.get(customer or "")
    guests = sum(str(value) in _NOBODY for value in column.filled) if column else 0
    if column and guests:
        yield (
            f"{customer} is 0 or -1 in {guests} of {len(column.values)} sampled rows; if that stands for guests, add "
            "it to the setting blocked_identities, or they all become one person"
        )
    if customer and device:
        first, second = (customer, device) if settings.use_customer_id else (device, customer)
        other_way = "" if settings.use_customer_id else f"; set use_customer_id: true to prefer {customer}"
        yield f"{first} is the person, or {second} where it is empty{other_way}"


def about_rows_without_id(columns: Columns, ids: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Warn of rows where all columns that are tried for an ID are empty, and name another one that is not."""
    tried = [columns[name].values for name in ids if name in columns]
    empty = [row for row, values in enumerate(zip(*tried, strict=True)) if all(value is None for value in values)]
    helps = {name: sum(columns[name].values[row] is not None for row in empty) for name in others if name not in ids}
    best = max(helps, key=lambda name: helps[name], default="")
    if empty:
        more = f"; {helps[best]} of them have {best}" if best and helps[best] else ""
        yield f"{len(empty)} of {len(tried[0])} sampled rows have no {' or '.join(ids)} and would be rejected{more}"


def about_money(stream: str, columns: Columns, amount: str, event_name: str | None, *, refund: bool) -> Iterator[str]:
    """Warn of wrong revenue: cents, several currencies, rows that nobody paid. The last line is a stream map.

    Args:
        stream: The stream's name.
        columns: Its columns, after its stream map: what that fixes is not warned of.
        amount: The column of the amount.
        event_name: The events' name, with the fields in it.
        refund: Amounts are sent negative.
    """
    money = columns[amount]
    for name in rank(columns, roles.CURRENCY):
        several = sorted({text.upper() for text in columns[name].texts})
        if len(several) > 1:
            yield (
                f"{name} has more than one value ({', '.join(several[:4])}); amounts are summed and not converted; "
                f"convert {amount} to one currency at the source"
            )
    value = f"record.get({amount!r})"
    cents = _about_cents(money)
    conditions = [value] if cents else []
    yield from cents
    named = Template(event_name).fields if event_name else ()
    for name in dict.fromkeys([*named, *rank(columns, roles.STATUS)]):
        unpaid = _unpaid(columns[name], money, refund=refund) if name in columns else []
        if unpaid:
            listed = ", ".join(map(repr, unpaid))
            yield f"some rows with {name} {listed} have {amount}, which may be no revenue; remove it there"
            conditions.append(f"record.get({name!r}) not in [{listed}]")
        if any(_REFUND.search(words(one)) for one in unpaid):
            yield f"to subtract refunds, send {amount} negative: refund: true, in the entry of a stream of their own"
    if conditions:
        # The SDK infers the type of an expression from how it begins.
        fix = f"{f'float({value}) / 100' if cents else value} if {' and '.join(conditions)} else None"
        stream_map = {stream: {amount: fix}}
        is_plain = json.dumps(stream_map, ensure_ascii=False).isprintable()
        written = json.dumps(stream_map, ensure_ascii=not is_plain)
        yield f"a stream map fixes it; combine it with the one that there is: stream_maps: {written}"


def about_different_ids(streams: Mapping[str, tuple[Columns, Sequence[str]]]) -> Iterator[tuple[str, str, str]]:
    """Warn of pairs of streams with different IDs for the same people. The second has those of the first elsewhere.

    Args:
        streams: For each stream its columns, and those of its IDs, the preferred first.

    Yields:
        The names of both, and the warning.
    """
    own = {name: columns[ids[0]] for name, (columns, ids) in streams.items() if ids and ids[0] in columns}
    for (one, first), (other, second) in permutations(own.items(), 2):
        columns, ids = streams[other]
        same = next((name for name in columns if name not in ids and _holds(columns, name, first)), None)
        if same is not None and not first.texts.keys() & second.texts.keys():
            warning = (
                f"{one} has the ID {first.name}, {other} has the ID {second.name} and the values of {first.name} in "
                f"{same}; to Kissmetrics these are different people; use one ID for both, such as customer_id: {same} "
                f"in {other}"
            )
            yield one, other, warning


def _holds(columns: Columns, name: str, ids: Column) -> bool:
    """Tell whether a column holds IDs. Small numbers occur in any column, so they count in one with an ID's name."""
    column = columns[name]
    common = len(column.texts.keys() & ids.texts.keys())
    is_likely = common > 1 and common * 2 >= min(len(column.texts), len(ids.texts))
    return is_likely and (not all(text.isdigit() for text in ids.texts) or name in rank(columns, roles.CUSTOMER))


def _about_cents(money: Column) -> list[str]:
    is_whole = all(text.removeprefix("-").isdecimal() for text in money.texts)
    if _CENTS.search(money.words) and is_whole:
        return [f"{money.name} counts cents by its name, and revenue would be 100 times too high; divide it by 100"]
    are_large = any(amount is not None and abs(amount) >= _LEAST_CENTS for amount in money.amounts)
    if are_large and len(money.filled) >= _FEW_ROWS and all(isinstance(value, int) for value in money.filled):
        return [f"{money.name} holds whole numbers only; if they are cents, as Stripe's are, divide them by 100"]
    return []


def _unpaid(column: Column, money: Column, *, refund: bool) -> list[str]:
    """Give a column's values such as `failed` in rows with an amount above zero: negative ones are refunds already."""
    pairs = zip(column.values, money.amounts, strict=True)
    texts = {text for text, amount in pairs if isinstance(text, str) and amount is not None and amount > 0}
    found = [text for text in sorted(texts) if _UNPAID.search(words(text))]
    return [text for text in found if not (refund and _REFUND.search(words(text)))]
