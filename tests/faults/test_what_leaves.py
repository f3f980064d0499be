"""What commands show and write: no secret, wherever it is pasted, and nothing that steers a terminal."""

from __future__ import annotations

import gc
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from faulty_host import FaultyHost, faulty_host
from promises import leaks

from target_kissmetrics.commands import check, replay
from target_kissmetrics.config.about import keys_within
from target_kissmetrics.preview import cli as preview
from target_kissmetrics.target import TargetKissmetrics

KEY = "k3y-that+must=not&show"
COMMANDS = ["target", "check", "replay", "dry-run", "preview --html preview.html", "preview --suggest"]

_SCHEMA: dict[str, Any] = {"properties": dict(TargetKissmetrics.config_jsonschema["properties"])}
TargetKissmetrics.append_builtin_config(_SCHEMA)
SCHEMAS: dict[str, Any] = _SCHEMA["properties"]
ENTRY_KEYS = [path.removeprefix("[].") for path, *_ in keys_within(SCHEMAS["streams"])]

EVIL = "e\x1b[31m\x9b2J\nFORGED | ERROR\r\u202egnp\u2028x\x7f\u200b"

TIMES = {"timestamp": 1704067200}
ROWS = [
    {"id": 1, "user_id": "ada", "event": "Seen", **TIMES},
    {"id": 2, "user_id": "", "event": "Seen", **TIMES},  # rejected
    {"id": 3, "user_id": "ada", "event": "Seen", "note": "x" * 600, **TIMES},  # a property is dropped
]
FIELDS: dict[str, Any] = {name: {} for name in ("id", "user_id", "event", "note", "timestamp")}
MESSAGES = [
    {"type": "SCHEMA", "stream": "events", "key_properties": ["id"], "schema": {"properties": FIELDS}},
    *({"type": "RECORD", "stream": "events", "record": row} for row in ROWS),
    {"type": "STATE", "value": 1},
]

SPECIAL: dict[str, list[Any]] = {
    "attribute_store_url": [f"sqlite:///{KEY}.db", f"postgresql://{KEY}@127.0.0.1:9/{KEY}", f"sqlite:///{KEY}/x.db"],
    "rejects_path": [KEY, f"{KEY}/rejects.jsonl"],
    "report_path": [f"{KEY}.html", f"{KEY}/report.json"],
    "files_url": [KEY, f"memory://{KEY}/in", f"nonsense://u:{KEY}@h/in"],
    "tracking_url": ["{url}/" + KEY, f"http://{KEY}.invalid", f"http://u:{KEY}@h", f"https://127.0.0.1:9/{KEY}"],
    "stream_maps": [
        {"events": {"__alias__": KEY}},
        {"events": {"__alias__": f"'{KEY}'"}},
        {"events": {"__source__": KEY}},
        {"events": {"__filter__": f"'{KEY}' + 1"}},
        {"events": {"__key_properties__": [KEY]}},
        {"events": {"event": f"'{KEY}'"}},
        {"events": {"user_id": f"nothing('{KEY}')"}},
        {"events": {KEY: f"({KEY}"}},
        {KEY: {"id": KEY}, "events": {}},
        {"events": {}, "__else__": KEY},
    ],
    "stream_map_config": [{"hash_seed": KEY}],
    "batch_config": [
        {"storage": {"root": KEY, "prefix": KEY, "params": {KEY: KEY}}, "encoding": {"format": KEY}},
        {"storage": {KEY: KEY}},
    ],
}
"""Values of the form that a setting wants, beside those of its JSON types."""


def of_its_types(schema: dict[str, Any]) -> list[Any]:
    """Give values that are the key, or hold it."""
    inner = dict.fromkeys(schema.get("items", schema).get("properties", ()), KEY)
    return [KEY, [KEY], {KEY: KEY}, *([inner, [inner]] if inner else [])]


def configs() -> Iterator[Any]:
    for name, schema in SCHEMAS.items():
        if name != "api_key":
            values = [*SPECIAL.get(name, []), *of_its_types(schema)]
            yield pytest.param([{name: value} for value in values], id=name)
    for name in ENTRY_KEYS:
        key, _, inner = name.partition("[].")
        entries: list[Any] = [{key: [{inner: KEY}]}] if inner else [{key: KEY}, {key: [KEY]}, {key: {KEY: KEY}}]
        kinds = ("event", "user_attributes", "alias", "experiment", None)
        streams = [[{"stream": "events", "kind": kind, **entry}] for entry in entries for kind in kinds]
        yield pytest.param([{"streams": one} for one in streams], id=f"streams.{name}")
    yield pytest.param([{KEY: KEY}, {"streams": [{"stream": "events", KEY: KEY}]}], id="unknown names")


def invoke(url: str, command: str, config: dict[str, Any], messages: Sequence[Any]) -> None:
    """Run a command in the current folder, in this process."""
    needed = {"api_key": KEY, "tracking_url": url, "retry_timeout_seconds": 0, "connect_timeout_seconds": 1}
    needed |= {"report_path": "report.html", "report_names": True, "dry_run": command == "dry-run"}
    needed |= {"delivery": "files"} if "files_url" in config else {}
    Path("config.json").write_text(json.dumps(needed | config).replace("{url}", url), encoding="utf-8")
    Path("in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in messages), encoding="utf-8")
    name, *arguments = command.split()
    arguments += ["--config", "config.json"]
    if name == "preview":
        preview.main(["in.jsonl", *arguments])
        return
    if name == "replay":
        arguments.append(str(config.get("rejects_path", "target-kissmetrics-rejects.jsonl")))
    logging.getLogger().handlers.clear()
    make: Any = {"check": check.command, "replay": replay.command}.get(name, lambda own: own)
    with Path("in.jsonl").open(encoding="utf-8") as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", lines)
        with pytest.raises(SystemExit):
            make(TargetKissmetrics.cli)(arguments)


Run = Callable[..., dict[str, str]]


@pytest.fixture
def run(tmp_path: Path, host: FaultyHost, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run all commands in a folder; give all texts that they show and write."""
    folders = (tmp_path / str(number) for number in count())

    def run(config: dict[str, Any], messages: Sequence[Any] = MESSAGES) -> dict[str, str]:
        folder, shown = next(folders), {}
        folder.mkdir()
        with chdir(folder):
            for command in COMMANDS:
                invoke(host.url, command, config, messages)
                shown[command] = "".join(capfd.readouterr())
        given = {folder / "config.json", folder / "in.jsonl"}
        left = [path for path in folder.rglob("*") if path.is_file() and path not in given and ".db" not in path.name]
        return shown | {path.name: path.read_bytes().decode(errors="replace") for path in left}

    return run


@pytest.fixture(scope="module")
def host() -> Iterator[FaultyHost]:
    with faulty_host() as host:
        yield host


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the commands log everything, and leave this process as it was."""
    monkeypatch.setenv("TARGET_KISSMETRICS_LOGLEVEL", "DEBUG")
    root, threshold = logging.getLogger(), gc.get_threshold()
    handlers, level = root.handlers[:], root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    root.handlers[:], root.level = handlers, level
    gc.set_threshold(*threshold)
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("pasted", [*configs()])
def test_a_key_in_another_setting_is_shown_nowhere(run: Run, pasted: list[Any]) -> None:
    for config in pasted:
        assert leaks(run(config), [KEY]) == []


def hostile(kind: str) -> list[Any]:
    """Give an input of which one part is the hostile text."""
    name = EVIL if kind == "stream" else "events"
    field = EVIL if kind == "field" else "note"
    row = {"id": 1, "user_id": "ada", "event": "Seen", field: "y", "amounts": {"a": "x" * 600}, **TIMES}
    rows = [row, {**row, "id": 2, "user_id": ""}, {**row, "id": 3, field: "x" * 600}]
    schema: dict[str, Any] = {"properties": {name: {} for name in row}}
    keys = ["id"]
    if kind == "event":
        rows = [{**row, "event": f"{EVIL} {n}" * n} for n, row in enumerate(rows, 1)]
    if kind == "value":
        rows = [{**row, "user_id": EVIL, "note": EVIL, "timestamp": EVIL} for row in rows]
    if kind == "ref":
        schema["properties"]["note"] = {"$ref": f"#/{EVIL}"}
    if kind == "key":
        keys = [EVIL]
    if kind == "type":
        schema["properties"]["note"] = {"type": EVIL}
    batch = {"type": "BATCH", "stream": name, "encoding": {"format": "jsonl"}, "manifest": [f"file:///{EVIL}"]}
    batch |= {"encoding": {"format": EVIL}} if kind == "format" else {}
    return [
        {"type": "SCHEMA", "stream": name, "key_properties": keys, "schema": schema},
        *({"type": "RECORD", "stream": name, "record": row} for row in rows),
        {"type": "ACTIVATE_VERSION", "stream": name, "version": 1},
        {"type": "STATE", "value": {"bookmarks": {name: 1}}},
        *([batch] if kind in {"file", "format"} else []),
        *([{"type": EVIL, "stream": name}] if kind == "message" else []),
        *([{"type": "RECORD", "stream": EVIL, "record": {}}] if kind == "unknown stream" else []),
    ]


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize(
    "kind",
    ["stream", "field", "event", "value", "ref", "key", "type", "file", "format", "message", "unknown stream"],
)
def test_nothing_that_a_tap_chooses_steers_a_terminal(run: Run, kind: str, validates: bool) -> None:
    config = {"validate_records": validates, "streams": [{"stream": "event", "kind": "event"}]}
    for name, text in run(config, hostile(kind)).items():
        assert [line for line in text.split("\n") if not line.isprintable() or line.startswith("FORGED")] == [], name


BATCH = {
    "type": "BATCH",
    "stream": "events",
    "encoding": {"format": "jsonl"},
    "manifest": ["nonsense://bucket/a.jsonl"],
}


@pytest.mark.parametrize(
    ("config", "secrets"),
    [
        ({"attribute_store_url": "postgresql://etl:hunter-22@127.0.0.1:9/etl"}, ["hunter-22"]),
        ({"attribute_store_url": "postgresql://etl:hunt@er-22@127.0.0.1:9/etl"}, ["hunt", "er-22"]),
        ({"attribute_store_url": "postgresql://etl:p@ss/w@127.0.0.1:9/etl"}, ["p@ss", "ss/w", "'ss'", '"ss"']),
        ({"attribute_store_url": "postgresql://127.0.0.1:9/etl?user=etl&password=hunter-22"}, ["hunter-22"]),
        ({"attribute_store_url": "host=127.0.0.1 password=hunter-22"}, ["hunter-22"]),
        ({"attribute_store_url": "mysql://etl:hunter-22@127.0.0.1/etl"}, ["hunter-22"]),
        ({"attribute_store_url": ["postgresql://etl:hunter-22@127.0.0.1/etl"]}, ["hunter-22"]),
        ({"files_url": "nonsense://etl:hunter-22@host/in"}, ["hunter-22"]),
        ({"files_url": "sftp://etl:hunt@er-22@127.0.0.1:9/in"}, ["hunt", "er-22"]),
        ({"tracking_url": "http://etl:hunter-22@host"}, ["hunter-22"]),
        ({"batch_config": {"storage": {"root": "s3://key:hunter-22@bucket", "params": {"secret": 22}}}}, ["hunter-22"]),
        (
            {"batch_config": {"storage": {"params": {"key": "AKIA-77", "secret": "hunter-22"}}}},
            ["AKIA-77", "hunter-22"],
        ),
        ({"batch_config": {"storage": {"params": ["hunter-22"]}}}, ["hunter-22"]),
        ({"batch_config": {"storage": "{'params': {'secret': 'hunter-22'}}"}}, ["hunter-22"]),
        ({"batch_config": {"storage": {"secret": "hunter-22"}}}, ["hunter-22"]),
        ({"batch_config": {"encoding": {"format": {"secret": "hunter-22"}}}}, ["hunter-22"]),
    ],
)
def test_a_password_in_a_setting_is_shown_nowhere(run: Run, config: dict[str, Any], secrets: list[str]) -> None:
    assert leaks(run(config, [*MESSAGES[:-1], BATCH]), secrets) == []


def test_a_key_that_travels_in_clear_is_warned_of_once(run: Run) -> None:
    shown = run({"tracking_url": "http://host.invalid"})
    counted = {command: shown[command].count("travel in clear") for command in ("target", "check", "dry-run")}
    assert counted == {"target": 1, "check": 1, "dry-run": 0}
    assert "travel in clear" not in run({})["target"]
