"""The API key, pasted into any other setting, is in nothing that any command shows or writes."""

from __future__ import annotations

import gc
import json
import logging
import signal
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faulty_host import FaultyHost, faulty_host

from target_kissmetrics.commands import check, replay
from target_kissmetrics.config.about import keys_within
from target_kissmetrics.preview import cli as preview
from target_kissmetrics.target import TargetKissmetrics

KEY = "k3y-that+must=not&show"
COMMANDS = ["target", "check", "replay", "dry run", "preview --html preview.html", "preview --suggest"]

_SCHEMA: dict[str, Any] = {"properties": dict(TargetKissmetrics.config_jsonschema["properties"])}
TargetKissmetrics.append_builtin_config(_SCHEMA)
SCHEMAS: dict[str, Any] = _SCHEMA["properties"]
ENTRY_KEYS = [path.removeprefix("[].") for path, *_ in keys_within(SCHEMAS["streams"])]

TIMES = {"timestamp": 1704067200}
ROWS = [
    {"id": 1, "user_id": "ada", "event": "Seen", **TIMES},
    {"id": 2, "user_id": "", "event": "Seen", **TIMES},  # rejected
    {"id": 3, "user_id": "ada", "event": "Seen", "note": "x" * 600, **TIMES},  # a property is dropped
]
FIELDS = dict.fromkeys(["id", "user_id", "event", "note", "timestamp"], {})
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
    inner = {name: KEY for name in schema.get("items", schema).get("properties", {})}
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


def invoke(folder: Path, url: str, command: str, config: dict[str, Any]) -> str:
    """Run a command in a folder, in this process; give its output, except for what the preview writes to this one's."""
    needed = {"api_key": KEY, "tracking_url": url, "retry_timeout_seconds": 0, "connect_timeout_seconds": 1}
    needed |= {"report_path": "report.html", "report_names": True, "dry_run": command == "dry run"}
    needed |= {"delivery": "files"} if "files_url" in config else {}
    text = json.dumps(needed | config).replace("{url}", url)
    (folder / "config.json").write_text(text, encoding="utf-8")
    (folder / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in MESSAGES), encoding="utf-8")
    if command.startswith("preview"):
        preview.main(["in.jsonl", "--config", "config.json", *command.split()[1:]])
        return ""
    rejects = config.get("rejects_path", "target-kissmetrics-rejects.jsonl")
    made, arguments = {
        "check": (check.command, []),
        "replay": (replay.command, [str(rejects)]),
    }.get(command, (lambda own: own, []))
    with (folder / "in.jsonl").open("rb") as messages:
        done = CliRunner().invoke(
            made(TargetKissmetrics.cli), [*arguments, "--config", "config.json"], input=messages.read()
        )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


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
def test_it_is_shown_nowhere(
    tmp_path: Path, host: FaultyHost, pasted: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    for number, config in enumerate(pasted):
        folder = tmp_path / str(number)
        folder.mkdir()
        with chdir(folder):
            shown = {command: invoke(folder, host.url, command, config) for command in COMMANDS}
        captured = capfd.readouterr()
        shown |= {"output": captured.out, "errors": captured.err}
        shown |= {path.name: path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()}
        lines = [(name, line) for name, text in shown.items() for line in text.splitlines() if KEY in line]
        assert [(name, line) for name, line in lines if name not in {"config.json", "in.jsonl"}] == []
