"""Messages that no honest tap writes, from a seed, with an oracle that knows what each of them may become.

    python tests/faults/hostile_messages.py [--messages 1000000] [--seed 1] [--jobs 2] [--seconds 900]

Each row has a tag, which has to come back in exactly one call or one rejected row. Where the oracle knows the value of
a field, the call has to hold exactly that, or the row has to be rejected. Each run ends with a message that may end it,
in one line. Exit 1 when anything else happens.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from hostile import Ended, check, feed

from target_kissmetrics.kissmetrics.calls import Alias

ROWS_A_RUN = 1000
SECONDS_A_RUN = 120
TIME = 1_704_067_200
REJECTED = "(rejected)"
UNKNOWN = "(not known to the oracle)"
EMPTY = frozenset({"null", '""', '" \\t"'})
"""Attributes without a time get the time of the run."""


@dataclass(frozen=True)
class Token:
    """A JSON value, and what it is as an identity, as a time and as a property: `REJECTED`, or the text that is sent.

    A property that is not sent, for whatever reason, is `REJECTED`.
    """

    text: str
    identity: str = REJECTED
    time: int | str = REJECTED
    value: str = REJECTED


def text_token(text: str, **roles: Any) -> Token:
    """Return the token of a text that is an identity and a value as it is."""
    return Token(json.dumps(text), **{"identity": re.sub("[,:]", " ", text), "value": text, **roles})


LONG = "12345678901234567890123456789012345.5"
TOKENS = [
    *(Token(text) for text in ("NaN", "Infinity", "-Infinity", "1e9999999999999999999", "-1e-9999999999999999999")),
    *(Token(text) for text in ("1e999999999", "1" * 5000, "-" + "9" * 4400, "0." + "1" * 5000, "1" * 5000 + ".5")),
    *(Token(text) for text in ('"\\ud800"', '"a\\udfff"', "null", '""', '" \\t"', "[]", "{}", "[[1]]", "[{}]")),
    *(Token("[" * depth + "]" * depth) for depth in (60, 480, 1000, 5000)),
    *(Token('{"a":' * depth + "1" + "}" * depth) for depth in (60, 480, 1000)),
    Token('"' + "x" * 600 + '"'),
    Token('"' + "x" * 300 + '"', value="x" * 300),
    Token('"\\u0000"', value="\x00"),
    Token("1e308", value="1" + "0" * 308),
    Token("true", value="true"),
    Token("-0", value="0"),
    Token("-0.0", value="0"),
    Token('[1,"a",true,null]', value="1,a,true"),
    Token('"[1]"', value="[1]"),
    Token("1.10", identity="1.1", value="1.1"),
    Token("1e3", identity="1000", value="1000"),
    Token("5.0", identity="5", value="5"),
    Token(LONG, identity=LONG, value=LONG),
    Token("1704067200", "1704067200", TIME, "1704067200"),
    Token("1704067200000", "1704067200000", TIME, "1704067200000"),
    Token("1230768000", "1230768000", 1230768000, "1230768000"),
    Token("1230767999", "1230767999", REJECTED, "1230767999"),
    Token("4102444800", "4102444800", REJECTED, "4102444800"),
    Token("99999999999999999999", "99999999999999999999", REJECTED, "99999999999999999999"),
    text_token("ada"),
    text_token("_k"),
    text_token("a,b:c"),
    text_token("12 pcs"),
    text_token("\u202eevil\u202c", identity=UNKNOWN),
    text_token("\U0001f600\u00e9"),
    text_token("%26_k=1&_p=x#?"),
    text_token("2024-01-01", time=TIME),
    text_token("2024-01-01T00:00:00Z", time=TIME),
    text_token("2024-01-01T05:30:00+05:30", time=TIME),
    text_token("1704067200", time=TIME),
    text_token("2024-02-30"),
    text_token("9999-99-99T99:99:99Z"),
]
NOBODY = [token for token in TOKENS if token.identity == REJECTED]
NAMES = [
    "_k",
    "_p",
    " _t",
    "_n",
    "a,b:c",
    "",
    "x" * 300,
    "\x00",
    "\ud800",
    "note.a",
    "\u202e",
    "NOTE",
    "Billing Amount",
]
KINDS = ("event", "user_attributes", "segment", "mparticle", "kissmetrics")
ENTRIES: list[dict[str, Any]] = [
    {"stream": "event", "kind": "event", "customer_id": "user_id", "timestamp": "timestamp"},
    {"stream": "user_attributes", "kind": "user_attributes", "customer_id": "user_id", "timestamp": "timestamp"},
    *({"stream": kind, "kind": kind} for kind in KINDS[2:]),
]
ROLES: dict[str, dict[str, str]] = {
    "event": {"user_id": "identity", "timestamp": "time", "note": "value", "event": UNKNOWN, "revenue": UNKNOWN},
    "user_attributes": {"user_id": "identity", "timestamp": "time", "note": "value", "plan": UNKNOWN},
    "segment": {"userId": "identity", "timestamp": "time", "type": UNKNOWN, "event": UNKNOWN, "context": UNKNOWN},
    "mparticle": {"user_identities": UNKNOWN, "user_attributes": UNKNOWN, "device_info": UNKNOWN, "ip": UNKNOWN},
    "kissmetrics": {"_p": "identity", "_t": "time", "note": "value", "_n": UNKNOWN},
}
LAST = [
    '{"type":"STATE","value":1}',
    '{"type":"STATE","value":1e9999999999999999999}',
    '{"type":"STATE","value":' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"type":"STATE"}',
    '{"type":"BATCH","stream":"event","encoding":{"format":"jsonl"},"manifest":["file:///no/such"]}',
    '{"type":"ACTIVATE_VERSION","stream":"event","version":{}}',
    '{"type":"RECORD","stream":"never","record":{}}',
    '{"type":"RECORD","stream":"event","record":[]}',
    '{"type":"SCHEMA","stream":"event","key_properties":[1e9999999999999999999],"schema":{}}',
    '{"type":"SCHEMA","stream":"other","key_properties":[],"schema":{"properties":{"a":{"$ref":"file:///dev/zero"}}}}',
    '{"type":"RECORD","stream":"event","record":{"id"',
    "[" * 100_000,
    "\x00",
    "[]",
]
TAG = re.compile(r"tag-\d+-")


@dataclass
class Row:
    """A row, and what the oracle knows of it: the fields with a role that is known, each with its token."""

    kind: str
    tag: str
    line: str
    known: dict[str, Token] = field(default_factory=dict)
    is_changed: bool = False


def a_row(draw: random.Random, number: int) -> Row:
    """Draw a row: a well-formed one in which up to three fields are hostile, and perhaps one of a hostile name."""
    kind, tag = draw.choice(KINDS), f"tag-{number}-"
    base = _well_formed(kind, tag, number)
    row = Row(kind, tag, "")
    inner = base["events"][0]["data"]["custom_attributes"] if kind == "mparticle" else base
    tokens: dict[str, Token] = {}
    for name in draw.sample(list(ROLES[kind]), draw.randrange(4) if number >= len(KINDS) else 0):
        # Attributes of one person and second would be merged, so that each person is the only one of their row.
        tokens[name] = draw.choice(NOBODY if (kind, name) == ("user_attributes", "user_id") else TOKENS)
        base[name] = f"@{name}@"
    odd = draw.choice(NAMES) if draw.random() < 0.2 and number >= len(KINDS) else None
    if odd is not None and odd not in base:
        tokens[odd], inner[odd] = draw.choice(TOKENS), f"@{odd}@"
    for name, token in tokens.items():
        role = ROLES[kind].get(name, UNKNOWN)
        if role != UNKNOWN:
            row.known[role] = (
                Token("", UNKNOWN, UNKNOWN) if kind == "user_attributes" and token.text in EMPTY else token
            )
        row.is_changed |= role == UNKNOWN
    text = json.dumps({"type": "RECORD", "stream": kind, "record": base})
    for name, token in tokens.items():
        text = text.replace(json.dumps(f"@{name}@"), token.text)
    row.line = text
    return row


def _well_formed(kind: str, tag: str, number: int) -> dict[str, Any]:
    """Return a row of a kind, whose person is its own."""
    person, at = f"person {number}", "2024-01-01T00:00:00Z"
    if kind == "event":
        return {"id": number, "user_id": person, "event": "E", "timestamp": TIME, "tag": tag}
    if kind == "user_attributes":
        return {"id": number, "user_id": person, "timestamp": TIME, "plan": "x", "tag": tag}
    if kind == "segment":
        properties = {"tag": tag}
        return {
            "messageId": tag,
            "type": "track",
            "userId": person,
            "event": "E",
            "timestamp": at,
            "properties": properties,
        }
    if kind == "mparticle":
        data = {"event_name": "E", "timestamp_unixtime_ms": TIME * 1000, "custom_attributes": {"tag": tag}}
        events = [{"event_type": "custom_event", "data": data}]
        return {"events": events, "user_identities": [{"identity_type": "customer_id", "identity": person}]}
    return {"_p": person, "_t": TIME, "_n": "E", "tag": tag}


def data_of(rows: list[Row], last: str) -> bytes:
    """Return the input of a run."""
    schemas = []
    for kind in KINDS:
        fields = [*_well_formed(kind, "", 0), *ROLES[kind]]
        schema = {"properties": {name: {} for name in fields}, "additionalProperties": True}
        schemas.append(json.dumps({"type": "SCHEMA", "stream": kind, "key_properties": [], "schema": schema}))
    return "".join(f"{line}\n" for line in (*schemas, *(row.line for row in rows), last)).encode()


def problems_of(rows: list[Row], ended: Ended) -> Iterator[str]:
    """Yield what is wrong with how a run ended."""
    try:
        check(ended)
    except AssertionError as problem:
        yield f"a check of every run failed: {problem}"
        return
    calls: dict[str, list[Any]] = {}
    for call in ended.calls:
        properties = {} if isinstance(call, Alias) else call.properties
        calls.setdefault(properties.get("tag", ""), []).append(call)
    rejected = Counter(tag for line in ended.rejects if line["field"] is None for tag in _tags(line["record"]))
    in_part = Counter(tag for line in ended.rejects if line["field"] is not None for tag in _tags(line["record"]))
    for row in rows:
        yield from _ended_wrong(row, calls.get(row.tag, []), rejected[row.tag], in_part[row.tag])


def _ended_wrong(row: Row, sent: list[Any], rejected: int, in_part: int) -> Iterator[str]:
    """Yield what is wrong with how a row ended: its calls, and how often it, and parts of it, were rejected."""
    is_batch_without_event = row.kind == "mparticle" and in_part > 0 and not sent
    if len(sent) + rejected != 1 and not is_batch_without_event:
        yield f"{row.kind}: {len(sent)} calls, {rejected} times rejected: {row.line[:300]}"
    elif sent:
        yield from _wrong(row, sent[0])
    elif not row.is_changed and not any(_is_rejected(row, role) for role in ("identity", "time")):
        yield f"{row.kind}: rejected, and nothing is wrong with it: {row.line[:300]}"


def _tags(record: Any) -> set[str]:
    return set(TAG.findall(json.dumps(record, default=str)))


def _is_rejected(row: Row, role: str) -> bool:
    token = row.known.get(role)
    return token is not None and getattr(token, role) in {REJECTED, UNKNOWN}


def _wrong(row: Row, call: Any) -> Iterator[str]:
    """Yield what is wrong with the call of a row."""
    number = row.tag.split("-")[1]
    person, at = row.known.get("identity"), row.known.get("time")
    expected = {
        "person": f"person {number}" if person is None else person.identity,
        "time": TIME if at is None else at.time,
    }
    for name, value in expected.items():
        is_fixed = not row.is_changed or row.kind in {"event", "user_attributes"}
        if is_fixed and value != UNKNOWN and getattr(call, name) != value:
            yield f"{row.kind}: {name} {str(getattr(call, name))[:60]!r}, not {str(value)[:60]!r}: {row.line[:300]}"
    token = row.known.get("value")
    sent = call.properties.get("note", REJECTED)
    if token is not None and token.value != sent:
        yield f"{row.kind}: note {sent[:60]!r}, not {token.value[:60]!r}: {row.line[:300]}"


def run(seed: int, rows: int = ROWS_A_RUN) -> tuple[int, Counter[str], list[str]]:
    """Run the target over hostile messages of a seed; return how many, how they ended, and what is wrong."""
    logging.disable(logging.CRITICAL)
    draw = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
    drawn = [a_row(draw, number) for number in range(rows)]
    faulthandler.dump_traceback_later(SECONDS_A_RUN, exit=True)
    with TemporaryDirectory() as folder:
        ended = feed(
            Path(folder), data_of(drawn, draw.choice(LAST)), streams=ENTRIES, validate_records=draw.random() < 0.2
        )
    faulthandler.cancel_dump_traceback_later()
    counts = Counter({"calls": len(ended.calls), "rejects": len(ended.rejects), "ended in one line": bool(ended.error)})
    counts.update(line["code"] for line in ended.rejects)
    return rows + len(KINDS) + 1, counts, [f"seed {seed}: {problem}" for problem in problems_of(drawn, ended)]


def main() -> int:
    """Run; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each run has one of its own")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no run after so many seconds")
    arguments = parser.parse_args()
    began, seed, messages, counts, problems = time.monotonic(), arguments.seed, 0, Counter[str](), list[str]()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        while messages < arguments.messages and time.monotonic() - began < arguments.seconds:
            seeds = range(seed, seed + 10 * arguments.jobs)
            for number, figures, found in pool.map(partial(run, rows=ROWS_A_RUN), seeds):
                messages += number
                counts += figures
                problems += found
            seed = seeds.stop
    sys.stdout.write(
        f"seeds {arguments.seed} to {seed - 1}: {messages:,} messages in {time.monotonic() - began:.0f} s, "
        f"{dict(counts.most_common())}\n{len(problems)} things wrong\n"
    )
    sys.stdout.writelines(f"  {problem}\n" for problem in problems[:40])
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
