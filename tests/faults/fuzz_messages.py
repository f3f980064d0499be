"""Whole message streams by a fuzzer that is led by what its inputs reach: atheris, where it runs (Linux, macOS).

    pip install 'atheris>=3'
    python tests/faults/fuzz_messages.py [FOLDER] [-max_total_time=180]

The folder keeps inputs that reached something new, from run to run; it begins with a few that are well-formed. What
`tests/hostile.py` holds for any run holds for each of them: the fuzzer stops at the first for which it does not, and
writes it to a file.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

with atheris.instrument_imports(include=["target_kissmetrics"]):
    from hostile import check, feed

STREAMS = [{"stream": "events", "kind": "event"}, {"stream": "users", "kind": "user_attributes"}]
FIELDS = ["id", "user_id", "device_id", "event", "timestamp", "revenue", "products", "plan", "updated_at", "type", "_p"]
BEGINNINGS = [
    '{"type":"RECORD","stream":"events","record":{"id":1,"user_id":"ada","event":"E","timestamp":"2024-01-01T00:00:00Z"}}',
    (
        '{"type":"RECORD","stream":"events","record":{"id":1,"device_id":5.0,"event":"E","timestamp":1704067200.5,'
        '"revenue":"$1,234.50","products":[{"sku":"a"},{"sku":1e3}],"x":{"y":[1,true,null]}}}'
    ),
    '{"type":"RECORD","stream":"users","record":{"id":"ada","plan":NaN,"updated_at":-1e999}}\n{"type":"STATE","value":{}}',
    (
        '{"type":"RECORD","stream":"messages","record":{"type":"track","userId":"u","event":"E","properties":{"revenue":1},'
        '"context":{"ip":"1.2.3.4"},"timestamp":"2024-01-01"}}'
    ),
    (
        '{"type":"RECORD","stream":"batches","record":{"mpid":"7","events":[{"event_type":"commerce_event","data":'
        '{"timestamp_unixtime_ms":1704067200000,"product_action":{"action":"purchase","total_amount":5}}}]}}'
    ),
    '{"type":"RECORD","stream":"export","record":{"_p":"a","_t":1704067200,"_n":"E","Plan":"Gold"}}',
    (
        '{"type":"SCHEMA","stream":"links","key_properties":[],"schema":{"properties":{"user_id":{},"previous_id":{}}}}\n'
        '{"type":"ACTIVATE_VERSION","stream":"events","version":1}'
    ),
    '{"type":"BATCH","stream":"events","encoding":{"format":"jsonl"},"manifest":["file:///none"]}',
]


def _schema(stream: str, fields: list[str]) -> str:
    schema: dict[str, dict[str, dict[str, str]]] = {"properties": {name: {} for name in fields}}
    return json.dumps({"type": "SCHEMA", "stream": stream, "key_properties": [], "schema": schema}) + "\n"


SCHEMAS = (
    _schema("events", FIELDS)
    + _schema("users", FIELDS)
    + _schema("messages", ["type", "userId", "messageId"])
    + _schema("batches", ["events", "mpid", "user_identities"])
    + _schema("export", ["_p", "_t", "_n"])
).encode()


def main() -> None:
    """Run the fuzzer."""
    logging.disable(logging.CRITICAL)
    arguments = sys.argv
    if not any(not argument.startswith("-") for argument in arguments[1:]):
        arguments = [arguments[0], tempfile.mkdtemp(prefix="fuzz-"), *arguments[1:]]
    corpus = Path(next(argument for argument in arguments[1:] if not argument.startswith("-")))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(BEGINNINGS):
        (corpus / f"beginning-{number}").write_text(text, encoding="utf-8")
    folder = Path(tempfile.mkdtemp(prefix="fuzzed-"))

    def one(data: bytes) -> None:
        check(feed(folder, SCHEMAS + data, streams=STREAMS, alias_identities=True))

    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
