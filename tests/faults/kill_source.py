"""Rows that runs are killed over, and what Kissmetrics has to hold of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from promises import Expected

PEOPLE = 6
DAY = datetime(2024, 1, 1, tzinfo=UTC)

_TEXT = {"type": ["string", "null"]}
_SCHEMAS = {
    "orders": {
        "order_id": {"type": "integer"},
        "user_id": _TEXT,
        "day": _TEXT,
        "total": {"type": "number"},
        "items": {},
    },
    "clicks": {"click_id": {"type": "integer"}, "user_id": _TEXT, "device_id": _TEXT, "at": _TEXT},
    "signups": {"signup_id": {"type": "integer"}, "user_id": _TEXT, "at": _TEXT},
    "users": {"user_id": _TEXT, "plan": _TEXT, "city": _TEXT, "updated_at": _TEXT},
    "links": {"user_id": _TEXT, "previous_id": _TEXT},
}
_KEYS = {
    "orders": ["order_id"],
    "clicks": ["click_id"],
    "signups": ["signup_id"],
    "users": ["user_id", "updated_at"],
    "links": ["user_id", "previous_id"],
}
STREAMS = [
    {
        "stream": "orders",
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Purchased",
        "timestamp": "day",
        "revenue": "total",
        "exclude": ["total"],
        "line_items": "items",
        "spread_duplicates": True,
    },
    {"stream": "clicks", "kind": "event", "customer_id": "user_id", "event_name": "Clicked", "timestamp": "at"},
    {
        "stream": "signups",
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Signed Up",
        "timestamp": "at",
        "once": True,
    },
    {"stream": "users", "kind": "user_attributes", "customer_id": "user_id", "timestamp": "updated_at"},
    {"stream": "links", "kind": "alias", "customer_id": "user_id"},
]


class Source:
    """Rows of five streams, in an order of their own, with a STATE after some of them.

    Args:
        seed: Whatever is drawn is drawn from it.
        rows: How many rows.
    """

    def __init__(self, seed: int, rows: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
        self._plans: dict[str, tuple[str, str]] = {}
        self.rows = [self._row(number) for number in range(rows)]
        self.states = {position for position in range(1, rows) if self._random.random() < 0.2} | {rows}

    def messages(self, start: int) -> Iterator[dict[str, Any]]:
        """Give what the tap writes when it goes on from a STATE."""
        for stream, fields in _SCHEMAS.items():
            schema = {"type": "object", "properties": fields}
            yield {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": _KEYS[stream]}
        for position in range(start, len(self.rows) + 1):
            if position > start and position in self.states:
                yield {"type": "STATE", "value": {"position": position}}
            if position < len(self.rows):
                stream, record = self.rows[position]
                yield {"type": "RECORD", "stream": stream, "record": record}

    def expected(self, end: int) -> dict[str, Expected]:
        """Give what has to be held of the rows before a position, by person."""
        people: dict[str, Expected] = {}
        for stream, record in self.rows[:end]:
            if record["user_id"] == "guest":
                continue
            person = people.setdefault(record["user_id"], Expected())
            _ADD[stream](person, record)
        return people

    def rejected(self, end: int) -> list[dict[str, Any]]:
        """Give the rows before a position that have to be in the file of rejects."""
        return [record for _, record in self.rows[:end] if record["user_id"] == "guest"]

    def _row(self, number: int) -> tuple[str, dict[str, Any]]:
        draw = self._random
        person = f"u{draw.randrange(PEOPLE)}"
        # Every row has a second of its own, but for orders: they have a day.
        at = (DAY + timedelta(seconds=number * 7)).isoformat()
        kind = draw.random()
        if kind < 0.3:
            items = [{"sku": f"{number}-{place}", "quantity": place + 1} for place in range(draw.randrange(4))]
            day = (DAY + timedelta(days=30 + draw.randrange(2))).date().isoformat()
            total = draw.randrange(1, 100_000) / 100
            return "orders", {"order_id": number, "user_id": person, "day": day, "total": total, "items": items}
        if kind < 0.5:
            device = f"{person}-d{draw.randrange(4)}" if draw.random() < 0.5 else None
            return "clicks", {"click_id": number, "user_id": person, "device_id": device, "at": at}
        if kind < 0.6:
            return "signups", {"signup_id": number, "user_id": person, "at": at}
        if kind < 0.9:
            plan = draw.choice(["Free", "Gold", "Pro"])
            return "users", {"user_id": person, "plan": plan, "city": draw.choice(["Oslo", "Rome"]), "updated_at": at}
        if kind < 0.95:
            return "links", {"user_id": person, "previous_id": f"{person}-d{draw.randrange(4)}"}
        return "clicks", {"click_id": number, "user_id": "guest", "device_id": None, "at": at}


def _add_order(person: Expected, record: dict[str, Any]) -> None:
    person.events["Purchased"] += 1
    person.values.setdefault("order_id", []).append(record["order_id"])
    for item in record["items"]:
        person.values.setdefault("sku", []).append(item["sku"])


def _add_click(person: Expected, record: dict[str, Any]) -> None:
    person.events["Clicked"] += 1
    person.values.setdefault("click_id", []).append(record["click_id"])
    if record["device_id"] is not None:
        person.others.add(record["device_id"])


def _add_signup(person: Expected, record: dict[str, Any]) -> None:
    if not person.events["Signed Up"]:
        person.events["Signed Up"] += 1
        person.values["signup_id"] = [record["signup_id"]]


def _add_user(person: Expected, record: dict[str, Any]) -> None:
    for name in ("plan", "city"):
        values = person.values.setdefault(name, [])
        if values[-1:] != [record[name]]:
            values.append(record[name])


def _add_link(person: Expected, record: dict[str, Any]) -> None:
    person.others.add(record["previous_id"])


_ADD: dict[str, Callable[[Expected, dict[str, Any]], None]] = {
    "orders": _add_order,
    "clicks": _add_click,
    "signups": _add_signup,
    "users": _add_user,
    "links": _add_link,
}
