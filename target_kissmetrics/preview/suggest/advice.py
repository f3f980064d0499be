"""What makes the data of a stream wrong although its entry is right, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Template, spelled
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.suggest import roles
from target_kissmetrics.preview.suggest.columns import Column, Columns, words
from target_kissmetrics.preview.suggest.roles import rank

_FEW_ROWS = 3
_LEAST_CENTS = 100
_CENTS = re.compile(r"\b(cents?|pence|pennies)\b")
_REFUND = re.compile(r"\brefund(s|ed)?\b")
_UNPAID = re.compile(
    r"\b(failed|failure|cancell?ed|pending|draft|void|voided|declined|refused|refund|refunded|unpaid|uncollectible|"
    r"expired|abandoned|incomplete|rejected|error)\b"
)


def about_rows_without_id(columns: Columns, ids: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Warn of rows where all columns that are tried for an ID are empty, and name another one that is not."""
    tried = [columns[name].values for name in ids if name in columns]
    empty = [row for row, values in enumerate(zip(*tried, strict=True)) if all(value is None for value in values)]
    helps = {name: sum(columns[name].values[row] is not None for row in empty) for name in others if name not in ids}
    best = max(helps, key=lambda name: helps[name], default="")
    if empty:
        more = f"; {helps[best]} of them have {best}" if best and helps[best] else ""
        yield f"{len(empty)} of {len(tried[0])} sampled rows have no {' or '.join(ids)} and would be rejected{more}"


@dataclass(slots=True)
class Money:
    """What is wrong with the amounts in a column.

    Attributes:
        fix: The expression of a stream map that fixes the column; None if there is none.
        is_mixed: They are in several currencies, which nothing fixes.
        is_wrong: They are no revenue as they are.
    """

    amount: str = ""
    warnings: list[str] = field(default_factory=list)
    fix: str | None = None
    is_mixed: bool = False
    is_wrong: bool = False


def own_amount(stream: Stream, columns: Columns) -> str | None:
    """Give the column that a run takes for revenue."""
    named = stream.entry.revenue
    paths = stream.settings.revenue_fields if named is None else named
    return next((path for path in spelled(paths, columns).values() if columns[path].filled), None)


def about_own_money(stream: Stream, columns: Columns) -> Money | None:
    """Give what is wrong with the amounts that a run reads now; None if it reads none."""
    entry = stream.entry
    amount = None if entry.events else own_amount(stream, columns)
    return about_money(columns, amount, entry, entry.event_name, refund=entry.refund) if amount else None


def about_money(columns: Columns, amount: str, entry: StreamSettings, event_name: str | None, *, refund: bool) -> Money:
    """Warn of wrong revenue: cents, several currencies, rows that nobody paid.

    What the stream's own stream map or its `entry` fixes is not warned of.
    """
    money, column = Money(amount), columns[amount]
    for name in rank(columns, roles.CURRENCY):
        several = sorted({text.upper() for text in columns[name].texts})
        if len(several) > 1:
            money.is_mixed = True
            money.warnings.append(
                f"{name} has more than one value ({', '.join(several[:4])}); amounts are summed and not converted; "
                f"convert {amount} to one currency at the source"
            )
    value = f"record.get({amount!r})"
    are_cents = entry.revenue_divide_by == 1 and _are_cents(column)
    if are_cents:
        money.warnings.append(f"{amount} counts cents by its name; as revenue it would be 100 times too high")
    elif entry.revenue_divide_by == 1 and _may_be_cents(column):
        money.warnings.append(f"{amount} holds whole numbers only; if they are cents, as Stripe's are, divide by 100")
    conditions = {amount: value} if are_cents else {}
    conditions |= _conditions(columns, column, event_name, money.warnings, refund=refund)
    if conditions and not any(columns[name].is_nested for name in (amount, *conditions)):
        # The SDK infers the type of an expression from how it begins.
        first = f"float({value}) / 100" if are_cents else value
        money.fix = f"{first} if {' and '.join(conditions.values())} else None"
    money.is_wrong = money.is_mixed or bool(conditions)
    return money


def _conditions(
    columns: Columns, money: Column, event_name: str | None, warnings: list[str], *, refund: bool
) -> Iterator[tuple[str, str]]:
    """Give conditions for amounts that were paid, by column; `warnings` gets the values of rows that were not."""
    named = Template(event_name).fields if event_name else spelled(EVENT_NAME_CANDIDATES, columns).values()
    for name in dict.fromkeys([*named, *rank(columns, roles.STATUS)]):
        unpaid = _unpaid(columns[name], money, refund=refund) if name in columns else []
        if unpaid:
            listed = ", ".join(map(repr, unpaid))
            what = f"some rows with {name} {listed} have {money.name}"
            warnings.append(f"{what}, which may be no revenue")
            yield name, f"record.get({name!r}) not in [{listed}]"
        if any(_REFUND.search(words(one)) for one in unpaid):
            warnings.append(
                f"to subtract refunds, send {money.name} negative: refund: true, in the entry of a stream of their own"
            )


def about_different_ids(streams: Mapping[str, tuple[Columns, Sequence[str]]]) -> Iterator[tuple[str, str, str]]:
    """Yield pairs of streams with different IDs for the same people, and a warning of each.

    The second stream has the IDs of the first in a column of its own. `streams` has the columns of each, and those of
    its IDs, the preferred first.
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


def _are_cents(money: Column) -> bool:
    is_whole = all(text.removeprefix("-").isdecimal() for text in money.texts)
    return is_whole and _CENTS.search(money.words) is not None


def _may_be_cents(money: Column) -> bool:
    are_large = any(amount is not None and abs(amount) >= _LEAST_CENTS for amount in money.amounts)
    return are_large and len(money.filled) >= _FEW_ROWS and all(isinstance(value, int) for value in money.filled)


def _unpaid(column: Column, money: Column, *, refund: bool) -> list[str]:
    """Give a column's values such as `failed` in rows with an amount above zero: negative ones are refunds already."""
    pairs = zip(column.values, money.amounts, strict=True)
    texts = {text for text, amount in pairs if isinstance(text, str) and amount is not None and amount > 0}
    # Of an order that is refunded in part, a part is revenue.
    found = [text for text in sorted(texts) if _UNPAID.search(words(text)) and "partial" not in words(text)]
    return [text for text in found if not (refund and _REFUND.search(words(text)))]
