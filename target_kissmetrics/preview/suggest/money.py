"""What makes the revenue of a stream wrong, and the keys of its entry that put it right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Template, spelled
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.suggest import roles
from target_kissmetrics.preview.suggest.columns import Column, Columns, words
from target_kissmetrics.preview.suggest.roles import rank

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
    """Warn of revenue in cents, in several currencies, of rows that nobody paid; give the keys that put it right.

    What the `entry` puts right already is not warned of.
    """
    warnings: list[str] = []
    keys: dict[str, Any] = {}
    if amount is None:
        return warnings, keys
    if entry.revenue_divide_by == 1 and _are_cents(columns[amount]):
        keys["revenue_divide_by"] = 100
        warnings.append(f"{amount} counts cents by its name; without revenue_divide_by: 100 it is 100 times too high")
    elif entry.revenue_divide_by == 1 and _may_be_cents(columns[amount]):
        warnings.append(f"{amount} holds whole numbers only; if they are cents, set revenue_divide_by: 100")
    for name, is_event, paid, unpaid in _unpaid(columns, columns[amount], entry):
        what = f"some rows with {name} {', '.join(map(repr, unpaid))} have {amount}, which may be no revenue"
        warnings += [what, WHEN_IS_SAMPLED] if paid else [f"{what}; revenue: {amount}"]
        if not paid:
            keys["revenue"] = False
        elif is_event:
            keys["event_name"] = entry.event_name or f"{{{name}}}"
            keys["events"] = [{"when": {name: paid}}, {"when": {name: unpaid}, "revenue": False}]
        else:
            keys["when"] = {**dict(entry.when or ()), **keys.get("when", {}), name: paid}
    for name in rank(columns, roles.CURRENCY):
        several = sorted({text.upper() for text in columns[name].texts})
        if len(several) > 1:
            keys = {"revenue": False}
            listed = ", ".join(several[:4])
            warnings.append(f"{name} has more than one value ({listed}); amounts are summed and not converted")
            warnings.append(f"convert {amount} to one currency at the source, then set revenue: {amount}")
    return warnings, keys


def _unpaid(columns: Columns, money: Column, entry: StreamSettings) -> Iterator[tuple[str, bool, list[Any], list[str]]]:
    """Yield columns whose text says of some rows with an amount above zero that nobody paid it: negative ones are refunds.

    Each comes with whether it names the event, its other values, and these texts.
    """
    named = Template(entry.event_name).fields if entry.event_name else spelled(EVENT_NAME_CANDIDATES, columns).values()
    for name in dict.fromkeys([*named, *rank(columns, roles.STATUS)]):
        values = columns[name].values if name in columns else ()
        pairs = zip(values, money.amounts, strict=False)
        texts = sorted({text for text, amount in pairs if isinstance(text, str) and amount is not None and amount > 0})
        unpaid = [text for text in texts if _is_unpaid(words(text), is_refund=entry.refund)]
        if unpaid:
            paid = [one for one in dict.fromkeys(filter(_may_be_chosen, values)) if one not in unpaid]
            yield name, name in named, paid, unpaid


def _is_unpaid(text: str, *, is_refund: bool) -> bool:
    # Of an order that is refunded in part, a part is revenue.
    is_right = "partial" in text or (is_refund and _REFUND.search(text))
    return _UNPAID.search(text) is not None and not is_right


def _may_be_chosen(value: object) -> bool:
    return value is None or isinstance(value, (str, int))


def _are_cents(money: Column) -> bool:
    is_whole = all(text.removeprefix("-").isdecimal() for text in money.texts)
    return is_whole and _CENTS.search(money.words) is not None


def _may_be_cents(money: Column) -> bool:
    are_large = any(amount is not None and abs(amount) >= _LEAST_CENTS for amount in money.amounts)
    return are_large and len(money.filled) >= _FEW_ROWS and all(isinstance(value, int) for value in money.filled)
