"""What makes the revenue of a stream wrong, and the keys of its entry that put it right."""

from __future__ import annotations

import re
from typing import Any

from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Template, spelled
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.suggest import roles
from target_kissmetrics.preview.suggest.columns import Column, Columns, words

WHEN_IS_SAMPLED = "`when` has the values of the sampled rows; rows with others are left out: add them"

_FEW_ROWS = 3
_LEAST_CENTS = 100
_CENTS = re.compile(r"\b(cents?|pence|pennies)\b")
_REFUND = re.compile(r"\brefund(s|ed)?\b")
_UNPAID = re.compile(
    r"\b(failed|failure|cancell?ed|pending|draft|void|voided|declined|refused|refund|refunded|unpaid|uncollectible|"
    r"expired|abandoned|incomplete|rejected|error)\b"
)


def own_amount(stream: Stream, columns: Columns) -> str | None:
    """Give the column that a run takes for revenue."""
    named = stream.entry.revenue
    paths = stream.settings.revenue_fields if named is None else named
    return next((path for path in spelled(paths, columns).values() if columns[path].filled), None)


def about(columns: Columns, amount: str | None, entry: StreamSettings) -> tuple[list[str], dict[str, Any]]:
    """Warn of amounts in cents or in several currencies, and of rows that nobody paid; give the keys that put it right.

    What the `entry` puts right already is not warned of.
    """
    if amount is None:
        return [], {}
    mixed = _about_currencies(columns, amount)
    if mixed:
        return mixed, {"revenue": False}
    warnings, keys = _about_cents(columns[amount]) if entry.revenue_divide_by == 1 else ([], {})
    named = Template(entry.event_name).fields if entry.event_name else spelled(EVENT_NAME_CANDIDATES, columns).values()
    for name in dict.fromkeys([*named, *roles.rank(columns, roles.STATUS)]):
        paid, unpaid = _by_payment(columns[name], columns[amount], entry) if name in columns else ([], [])
        if unpaid:
            listed = ", ".join(map(repr, unpaid))
            warnings += [f"some rows with {name} {listed} have {amount}, which may be no revenue", WHEN_IS_SAMPLED]
        if unpaid and not paid:
            keys["revenue"] = False
        elif unpaid and name in named:
            keys["event_name"] = entry.event_name or f"{{{name}}}"
            keys["events"] = [{"when": {name: paid}}, {"when": {name: unpaid}, "revenue": False}]
        elif unpaid:
            keys["when"] = {**dict(entry.when or ()), **keys.get("when", {}), name: paid}
    return warnings, keys


def _about_currencies(columns: Columns, amount: str) -> list[str]:
    for name in roles.rank(columns, roles.CURRENCY):
        several = sorted({text.upper() for text in columns[name].texts})
        if len(several) > 1:
            mixed = f"{name} has more than one value ({', '.join(several[:4])}); amounts are summed and not converted"
            return [mixed, f"convert {amount} to one currency at the source, then set revenue: {amount}"]
    return []


def _about_cents(money: Column) -> tuple[list[str], dict[str, Any]]:
    is_whole = all(text.removeprefix("-").isdecimal() for text in money.texts)
    if is_whole and _CENTS.search(words(money.name)):
        told = f"{money.name} counts cents by its name; without revenue_divide_by: 100 it is 100 times too high"
        return [told], {"revenue_divide_by": 100}
    are_large = any(amount is not None and abs(amount) >= _LEAST_CENTS for amount in money.amounts)
    if are_large and len(money.filled) >= _FEW_ROWS and all(isinstance(value, int) for value in money.filled):
        return [f"{money.name} holds whole numbers only; if they are cents, set revenue_divide_by: 100"], {}
    return [], {}


def _by_payment(column: Column, money: Column, entry: StreamSettings) -> tuple[list[Any], list[str]]:
    """Give a column's values, and apart from them its texts that say that nobody paid the row's amount.

    Amounts below zero are refunds already, and of an order that is refunded in part, a part is revenue.
    """
    pairs = zip(column.values, money.amounts, strict=True)
    texts = sorted({text for text, amount in pairs if isinstance(text, str) and amount is not None and amount > 0})
    unpaid = [text for text in texts if _UNPAID.search(words(text)) and "partial" not in words(text)]
    if entry.refund:
        unpaid = [text for text in unpaid if not _REFUND.search(words(text))]
    values = [value for value in column.values if value is None or isinstance(value, (str, int))]
    return [value for value in dict.fromkeys(values) if value not in unpaid], unpaid
