"""The columns of a stream, and what names say: which column has which role, and what the rows of a table are.

A pattern matches the words of a name (`orderDate` is `order date`). To recognize more names, extend the tables.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.rules import amounts, times
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.rules.schemas import listed, moments

MAX_COLUMNS = 500

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\W_]+")
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)

Columns = Mapping[str, "Column"]


def words(name: str) -> str:
    """Give a name's words in lower case: `orderDate`, `order_date` and `Order-Date` are `order date`."""
    return _BETWEEN.sub(" ", _CAMEL.sub("_", name).lower()).strip()


@dataclass(frozen=True)
class Column:
    """A field of a stream, or a field of an object in it."""

    name: str  # the field, or its path
    values: Sequence[Any]  # its value in each sampled row; None where it is empty
    is_moment: bool = False  # the schema declares a date or date-time
    is_nested: bool = False  # it is part of an object

    @cached_property
    def filled(self) -> list[Any]:
        """Its values that are not empty."""
        return [value for value in self.values if value is not None]

    @cached_property
    def texts(self) -> list[str]:
        """Its different texts and numbers, as text."""
        return list(dict.fromkeys(str(value) for value in self.filled if _is_scalar(value)))

    @cached_property
    def amounts(self) -> list[Decimal | None]:
        """Its values as amounts; None where a value is not one."""
        return [None if (amount := amounts.to_amount(value)) is None else Decimal(amount) for value in self.values]

    @cached_property
    def seconds(self) -> list[int]:
        """Its values that are times within Kissmetrics' limits, in seconds since the Unix epoch."""
        found = []
        for value in self.filled:
            with suppress(ValueError, OverflowError):
                found.append(times.to_seconds(value))
        return [second for second in found if EARLIEST_TIME <= second < LATEST_TIME]

    @property
    def is_date_only(self) -> bool:
        """Whether its times are days without a time of day."""
        return bool(self.seconds) and all(second % 86_400 == 0 for second in self.seconds)

    def is_id(self) -> bool:
        """Whether it may hold IDs."""
        return self.has_most(sum(map(_is_scalar, self.filled)))

    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.has_most(sum(isinstance(value, str) for value in self.filled))

    def has_most(self, number: int) -> bool:
        """Tell whether a number is four fifths of its values; a column that was not sampled may be anything."""
        return not self.values or (bool(self.filled) and number * 5 >= len(self.filled) * 4)


def columns_of(schema: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Column]:
    """Give a stream's columns by name, with those of objects one level deep by path: `billing.email`."""
    names = dict.fromkeys([*listed(schema), *(name for row in rows for name in row)])
    top = [name for name in names if not is_metadata(name)][:MAX_COLUMNS]
    paths = dict.fromkeys(path for row in rows for path in _paths(row) if path not in names)
    dated = {path for path, _ in moments(schema)}
    columns = {}
    for name in [*top, *list(paths)[:MAX_COLUMNS]]:
        values = [None if is_empty(value) else value for value in map(getter(name), rows)]
        columns[name] = Column(name, values, name in dated, name in paths)
    return columns


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool)


def _paths(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping) and _PLAIN_NAME.fullmatch(name) and not is_metadata(name):
            yield from (f"{name}.{key}" for key in value if _PLAIN_NAME.fullmatch(key))


class Role(NamedTuple):
    """How a column is known to have a role."""

    fits: Callable[[Column], bool]  # checks the column's values
    patterns: tuple[str, ...]  # regular expressions on the words of its name, the best first
    last: str = "(?!)"  # words that make it the last choice
    never: str = "(?!)"  # words that rule it out


def rank(columns: Columns, role: Role, besides: Collection[str | None] = ()) -> list[str]:
    """Give the columns that have a role and are not in `besides`, the likeliest first, those of objects last."""
    ranked = []
    for number, column in enumerate(columns.values()):
        name = words(column.name)
        places = [place for place, pattern in enumerate(role.patterns) if re.search(pattern, name)]
        if re.search(rf"\b({role.last})\b", name):
            places = [len(role.patterns)]
        is_never = (column.values and not column.filled) or re.search(rf"\b({role.never})\b", name)
        if places and column.name not in besides and not is_never and role.fits(column):
            ranked.append((column.is_nested, places[0], name.count(" "), -len(column.filled), number, column.name))
    return [name for *_, name in sorted(ranked)]


def best(columns: Columns, role: Role, besides: Collection[str | None] = ()) -> str | None:
    """Give the likeliest column of the row itself for a role."""
    return next((name for name in rank(columns, role, besides) if not columns[name].is_nested), None)


def _is_time(column: Column) -> bool:
    is_iso = column.is_text() and not column.is_date_only and all(map(times.is_full_iso, column.texts))
    is_hinted = column.is_moment or is_iso or re.search(_TIME_NAME, words(column.name)) is not None
    return is_hinted and column.has_most(len(column.seconds))


def _is_label(column: Column) -> bool:
    """Tell names that come again from texts that are all different."""
    if not column.values:
        return True
    is_short = len(column.texts) <= 50 and max(map(len, column.texts), default=0) <= 40
    comes_again = len(column.texts) * 2 <= max(len(column.filled), 10)
    return is_short and comes_again and column.is_text() and not column.has_most(len(column.seconds))


def _exactly(candidates: Iterable[str]) -> tuple[str, ...]:
    """Give the mapping's own candidates as patterns."""
    return tuple(f"^{words(name)}$" for name in candidates)


def _both(one: str, other: str) -> str:
    return rf"(?=.*\b({one})\b)(?=.*\b({other})\b)"


_ID = "id|uuid|guid|key|number|no|nr|ref|identifier|uid|pk|code"
_PERSON = (
    "user|customer|account|member|contact|person|people|profile|subscriber|client|buyer|shopper|visitor|lead|patient|"
    "player|student|recipient|participant|learner|donor|author|sender|viewer|consumer|purchaser|payer|cust|usr"
)
_MAIL = "e ?mail|mail"
_TIME_ENDS = "at|on|time|date|datetime|timestamp|ts|day|when|epoch|utc|dt"
_TIME_NAME = rf"\b({_TIME_ENDS}|\w+ed)$|\b(date|timestamp)\b"

CUSTOMER = Role(
    Column.is_id,
    (
        *_exactly(CUSTOMER_ID_CANDIDATES),
        _both("user|customer", _ID),
        _both(_PERSON, _ID),
        r"\b(uid|userid|customerid|memberid|clientid|username|login|userkey)\b",
        rf"\b({_MAIL})( address)?$",
        rf"^({_PERSON})$",
    ),
    never="by|agent|admin|staff|rep|assigned|assignee|manager|approved|anonymous|anon|"
    rf"(company|organi[sz]ation|store|shop|vendor|owner) ({_ID}|{_MAIL})",
)
EVENT_TIME = Role(
    _is_time,
    (
        r"\b(ordered|order|purchased|purchase|placed|paid|bought|completed|sold|transaction)\b",
        *_exactly(EVENT_TIME_CANDIDATES),
        r"\b(date|created)\b",
        _TIME_NAME,
        "",
    ),
    last="updated|modified|changed|deleted|expires|expired|expiry|due|birth|dob|shipped|delivered|extracted|loaded|"
    "synced|inserted|last|next|valid|archived|until|end|ended|cancell?ed|refunded|returned",
)
CHANGE_TIME = Role(_is_time, (*_exactly(ATTRIBUTE_TIME_CANDIDATES), r"\b(updated|modified|changed)\b"))
_DID = r"\b(action|activity|event|verb|operation|interaction|what|happened|occurrence|did)\b"
EVENT_NAME = Role(_is_label, (*_exactly(EVENT_NAME_CANDIDATES), _DID), never=f"{_ID}|{_TIME_ENDS}")
AMOUNT = Role(
    lambda column: column.has_most(sum(one is not None for one in column.amounts)) and not column.is_moment,
    (
        *(r"\bnet\b", r"\brevenue\b", r"\bsubtotal\b", r"\btotal\b", r"\bamount\b", r"\bpaid\b"),
        *(r"\b(price|sum)\b", r"\b(charge|payment)\b", r"\b(mrr|gross)\b", r"\bvalue\b", r"\bfee\b"),
    ),
    last="cents?|pence|pennies",
    never="tax|vat|shipping|discount|quantity|qty|count|id|currency|tip|items|units|points|number|score|status|type|"
    "rate|percent|date|at|on",
)
CURRENCY = Role(Column.is_text, (r"\bcurrency\b",))
STATUS = Role(_is_label, (r"\b(status|state)\b",))
PRIVATE = Role(
    lambda column: column.is_id() or column.name.lower().endswith("geo"),
    (
        r"\b(password|passwd|secret|token|ssn|iban|cvv|cvc|hash|salt|otp|passphrase|passport|surname|forename)\b",
        r"\b(card number|api key|credit card|social security|private key|user agent|address line|latitude|longitude)\b",
        r"\b(phone|telephone|fax|birth|birthday|birthdate|dob|street|postcode|zip|zipcode|postal|ip|nickname)\b",
        r"\b(lat|lng|coordinates|geolocation|(geo|location|address) (lon|long)|\w+ geo)$",
        r"\b(first|last|full|display)name\b|\b(first|last|middle|given|family|full|display|maiden) name$",
        rf"\b({_PERSON}|billing) name$",
        rf"\baddress$|\b({_MAIL})\b",
    ),
    never="is|has|opt|opted|optin|opens|opened|clicks|clicked|sent|count|status|verified|confirmed|type|domain|"
    "subscribed|consent|frequency|campaign|template|subject",
)
"""Secrets, and personal data that no report needs."""

REFUNDED = "Refunded"

EVENT_TABLES = {
    "order|purchase|sale|transaction|checkout": "Purchased", "refund|return|chargeback": REFUNDED,
    "payment|charge": "Paid", "invoice": "Invoiced", "subscription": "Subscribed", "signup|registration": "Signed Up",
    "login": "Logged In", "session": "Started Session", "visit": "Visited Site", "pageview|view": "Viewed Page",
    "click": "Clicked", "booking|reservation|appointment": "Booked", "ticket": "Opened Ticket",
}  # fmt: skip
"""The event of a table's rows, by the last word of its name in the singular. Amounts of refunds are sent negative."""

OTHER_SYSTEM = frozenset({"contact", "lead", "prospect", "person", "people"})
"""Their key numbers the records of another system, so an e-mail address is a better ID."""

PEOPLE = OTHER_SYSTEM | {"user", "customer", "profile", "member", "visitor"}

OTHER_TABLES = {
    "alias|merge|identity|link|mapping|map|stitch": "if it links two IDs of a person, use kind: alias with customer_id "
    "and previous_id; an alias is permanent",
    "assignment|experiment|exposure|enrollment|variant|test|allocation": "if it says who got which variant, use kind: "
    "experiment with customer_id, experiment and variant",
    "country|currency|category|product|plan|setting|role|tag|status|type|migration|language|region": "",
    "sku|price|tax|permission|department|store|warehouse|coupon|feature|config|template|article": "",
    "lookup|version|rate|channel|campaign|brand": "",
}
"""Tables that are ignored, and what to do about them."""


def look_up(table: dict[str, str], noun: str) -> str | None:
    """Give what a table says of the last word of a stream's name."""
    return next((said for nouns, said in table.items() if noun in nouns.split("|")), None)


def words_of(stream: str) -> str:
    """Give the words of a stream's own name, the last one in the singular: `order item` for `public-order_items`."""
    name = words(re.split(r"[-./]", stream.strip("-./ "))[-1])
    length = len(name.rpartition(" ")[2])
    if length > 4 and name.endswith("ies"):
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches", "shes", "uses")):
        return name[:-2]
    return name[:-1] if length > 3 and name.endswith("s") and not name.endswith(("ss", "us", "is")) else name


def title(text: str) -> str:
    """Write words as a name: `Order Item`."""
    return " ".join(word[:1].upper() + word[1:] for word in text.split())
