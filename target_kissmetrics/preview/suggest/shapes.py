"""Tables that are known by their names. To support another one, add a line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from target_kissmetrics.preview.suggest.columns import words


@dataclass(frozen=True, slots=True)
class Shape:
    """A table.

    Attributes:
        nouns: The last word of its name in the singular; alternatives are separated by `|`.
        kind: What its rows are.
        event_name: The name of its events.
        is_refund: Its amounts are sent negative.
        has_own_numbers: Its key numbers the records of another system, so an e-mail address is a better ID.
        note: What else to consider.
    """

    nouns: str
    kind: str | None = None
    event_name: str | None = None
    is_refund: bool = False
    has_own_numbers: bool = False
    note: str = ""


_TWICE = "where orders carry the same money, set revenue: false here, or it counts twice"
_ALIAS = "if it links two IDs of a person, use kind: alias with customer_id and previous_id; an alias is permanent"
_TEST = "if it says who got which variant, use kind: experiment with customer_id, experiment and variant"

SHAPES = (
    Shape("order|purchase|sale|transaction|checkout", "event", "Purchased"),
    Shape("refund|return|chargeback", "event", "Refunded", is_refund=True),
    Shape("payment|charge", "event", "Paid", note=_TWICE),
    Shape("invoice", "event", "Invoiced", note=_TWICE),
    Shape("subscription", "event", "Subscribed", note=_TWICE),
    Shape("signup|registration", "event", "Signed Up"),
    Shape("login", "event", "Logged In"),
    Shape("session", "event", "Started Session"),
    Shape("visit", "event", "Visited Site"),
    Shape("pageview|view", "event", "Viewed Page"),
    Shape("click", "event", "Clicked"),
    Shape("booking|reservation|appointment", "event", "Booked"),
    Shape("ticket", "event", "Opened Ticket"),
    Shape("contact|lead|prospect|person|people", "user_attributes", has_own_numbers=True),
    Shape("user|customer|profile|member|visitor", "user_attributes"),
    Shape("alias|merge|identity|link|mapping|map|stitch", "ignore", note=_ALIAS),
    Shape("assignment|experiment|exposure|enrollment|variant|test|allocation", "ignore", note=_TEST),
    Shape("country|currency|category|product|plan|setting|role|tag|status|type|migration|language|region", "ignore"),
    Shape("sku|price|tax|permission|department|store|warehouse|coupon|feature|config|template|article", "ignore"),
    Shape("lookup|version|rate|channel|campaign|brand", "ignore"),
)

_UNKNOWN = Shape("")


def shape_of(stream: str) -> Shape:
    """Give what is known of a table with a stream's name; an empty shape when nothing is."""
    noun = words_of(stream).rpartition(" ")[2]
    return next((shape for shape in SHAPES if noun in shape.nouns.split("|")), _UNKNOWN)


def words_of(stream: str) -> str:
    """Give the words of a stream's own name, the last one in the singular: `order item` for `public-order_items`."""
    first, space, last = words(re.split(r"[-./]", stream.strip("-./ "))[-1]).rpartition(" ")
    return f"{first}{space}{_singular(last)}"


def title(text: str) -> str:
    """Write words as a name: `Order Item`."""
    return " ".join(word[:1].upper() + word[1:] for word in text.split())


def _singular(word: str) -> str:
    """Give an English noun's singular, as well as three rules can."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes", "uses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
