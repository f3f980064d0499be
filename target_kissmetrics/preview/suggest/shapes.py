"""Tables that are known by their names. To support another one, add a line."""

from __future__ import annotations

import re
from typing import NamedTuple

from target_kissmetrics.preview.suggest.columns import words


class Shape(NamedTuple):
    """A table.

    Attributes:
        nouns: The last word of its name in the singular; alternatives are separated by `|`.
        kind: What its rows are.
        event_name: The name of its events. Amounts of refunds are sent negative.
        note: What else to consider.
    """

    nouns: str
    kind: str | None = None
    event_name: str | None = None
    note: str = ""


REFUNDED = "Refunded"
OTHER_SYSTEM = "contact|lead|prospect|person|people"
"""Their key numbers the records of another system, so an e-mail address is a better ID."""

_TWICE = "where orders carry the same money, set revenue: false here, or it counts twice"
_ALIAS = "if it links two IDs of a person, use kind: alias with customer_id and previous_id; an alias is permanent"
_TEST = "if it says who got which variant, use kind: experiment with customer_id, experiment and variant"

SHAPES = (
    Shape("order|purchase|sale|transaction|checkout", "event", "Purchased"),
    Shape("refund|return|chargeback", "event", REFUNDED),
    Shape("payment|charge", "event", "Paid", _TWICE),
    Shape("invoice", "event", "Invoiced", _TWICE),
    Shape("subscription", "event", "Subscribed", _TWICE),
    Shape("signup|registration", "event", "Signed Up"),
    Shape("login", "event", "Logged In"),
    Shape("session", "event", "Started Session"),
    Shape("visit", "event", "Visited Site"),
    Shape("pageview|view", "event", "Viewed Page"),
    Shape("click", "event", "Clicked"),
    Shape("booking|reservation|appointment", "event", "Booked"),
    Shape("ticket", "event", "Opened Ticket"),
    Shape(OTHER_SYSTEM, "user_attributes"),
    Shape("user|customer|profile|member|visitor", "user_attributes"),
    Shape("alias|merge|identity|link|mapping|map|stitch", "ignore", note=_ALIAS),
    Shape("assignment|experiment|exposure|enrollment|variant|test|allocation", "ignore", note=_TEST),
    Shape("country|currency|category|product|plan|setting|role|tag|status|type|migration|language|region", "ignore"),
    Shape("sku|price|tax|permission|department|store|warehouse|coupon|feature|config|template|article", "ignore"),
    Shape("lookup|version|rate|channel|campaign|brand", "ignore"),
)


def shape_of(stream: str) -> Shape:
    """Give what is known of a table with a stream's name; an empty shape when nothing is."""
    noun = words_of(stream).rpartition(" ")[2]
    return next((shape for shape in SHAPES if noun in shape.nouns.split("|")), Shape(""))


def words_of(stream: str) -> str:
    """Give the words of a stream's own name, the last one in the singular: `order item` for `public-order_items`."""
    name = words(re.split(r"[-./]", stream.strip("-./ "))[-1])
    if len(name.rpartition(" ")[2]) > 4 and name.endswith("ies"):
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches", "shes", "uses")):
        return name[:-2]
    is_plural = len(name.rpartition(" ")[2]) > 3 and name.endswith("s") and not name.endswith(("ss", "us", "is"))
    return name[:-1] if is_plural else name


def title(text: str) -> str:
    """Write words as a name: `Order Item`."""
    return " ".join(word[:1].upper() + word[1:] for word in text.split())
