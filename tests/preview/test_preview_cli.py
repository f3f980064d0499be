"""The command, as a process."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import command as command_of
from preview_streams import messages, write

COMMAND = [sys.executable, "-m", "target_kissmetrics.preview.cli"]
ORDERS = [{"id": n, "user_id": f"u{n}", "ordered_on": "2024-01-01", "total": 2.5} for n in range(4)]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202e"


class Result:
    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()


def run(*arguments: object, stdin: bytes = b"", folder: Path | None = None, **environment: str) -> Result:
    command = [*command_of("target_kissmetrics.preview.cli"), *map(str, arguments)]
    env = {**os.environ, "PYTHONUTF8": "1", **environment}
    return Result(
        subprocess.run(command, input=stdin, capture_output=True, check=False, env=env, cwd=folder, timeout=120)
    )


def lines(*given: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in given)


def test_standard_input_is_shown_and_nothing_is_left_behind(tmp_path: Path) -> None:
    state = {"type": "STATE", "value": {"at": 1}}
    result = run(stdin=lines(*messages("orders", ORDERS, ["id"]), state), folder=tmp_path)
    assert (result.code, result.err) == (0, "")
    assert "A run would stop here" in result.out
    assert "record Purchased  person u0  at 2024-01-01 00:00:00Z" in result.out
    assert '{"at"' not in result.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "of"),
    [("config.json", "--config"), ("in.jsonl", "the input"), ("target-kissmetrics-rejects.jsonl", "rejects_path")],
)
def test_the_page_replaces_no_file_that_the_command_or_a_run_needs(tmp_path: Path, name: str, of: str) -> None:
    write(tmp_path / "in.jsonl", *messages("orders", ORDERS, ["id"]))
    (tmp_path / "config.json").write_text("{}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = run("in.jsonl", "--config", "config.json", "--html", name, folder=tmp_path)
    assert result.code == 1
    assert f"--html: {name} and {name} of {of} are the same file; name another file" in result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_plain_without_a_terminal_and_as_wide_as_it_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", *messages("orders", ORDERS, ["id"]))
    wide, narrow = run(path), run(path, COLUMNS="60")
    assert "\x1b" not in wide.out + narrow.out
    assert max(map(len, narrow.out.splitlines())) == 60
    assert 60 < max(map(len, wide.out.splitlines())) <= 120


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are Unix's")
@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_a_terminal_gets_color_unless_no_color_is_set(tmp_path: Path, no_color: str, colored: bool) -> None:
    import pty  # noqa: PLC0415 - Unix alone has it

    path = write(tmp_path / "in.jsonl", *messages("orders", ORDERS, ["id"]))
    main, sub = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color, "COLUMNS": "100"}
    with subprocess.Popen([*COMMAND, path], stdout=sub, env=env) as process:
        os.close(sub)
        out = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:
                break
            if not part:
                break
            out += part
        assert process.wait(60) == 0
    os.close(main)
    assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]", out)) is colored


def test_the_suggestion_is_what_makes_the_preview_run_clean(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", *messages("orders", ORDERS, ["id"]))
    suggested = run(path, "--suggest")
    assert yaml.safe_load(suggested.out)["streams"][0]["event_name"] == "Purchased"
    config = tmp_path / "config.yml"
    config.write_text(suggested.out, encoding="utf-8")
    again = run(path, "--config", config)
    assert again.code == 0
    assert "would stop" not in again.out
    assert "streams[0] says so" in again.out
    assert "as configured" in run(path, "--config", config, "--suggest").out


def test_settings_come_from_files_and_the_environment(tmp_path: Path) -> None:
    config = write(tmp_path / "config.json", {"revenue_key": "Money", "stream_maps": {"orders": {"id": "__NULL__"}}})
    streams = json.dumps([{"stream": "orders", "kind": "event", "event_name": "Bought", "revenue": "total"}])
    path = write(tmp_path / "in.jsonl", *messages("orders", ORDERS))
    result = run(path, "--config", config, "--config", "ENV", TARGET_KISSMETRICS_STREAMS=streams)
    assert result.code == 0, result.err
    assert "Money = 2.5" in result.out
    assert "record Bought" in result.out
    assert not re.search(r"^│ id ", result.out, re.MULTILINE), "the stream map took it out"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('{"use_custmer_id": true}', "use_custmer_id: no such setting; did you mean 'use_customer_id'"),
        ('{"streams": [{"stream": "x", "kind": "evnt"}]}', "streams[0].kind: must be one of"),
        ("{", "is not JSON at line 1"),
        ("[]", "must be an object of settings"),
    ],
)
def test_a_mistake_in_the_config_is_one_line(tmp_path: Path, config: str, told: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(config, encoding="utf-8")
    result = run("--config", path)
    assert result.code == 1
    assert told in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_a_broken_line_ends_it_after_what_was_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run("--html", page, stdin=lines(*messages("orders", ORDERS)) + b'{"type": "RECO')
    assert result.code == 1
    assert "line 6 of the input is not valid JSON" in result.err
    assert "record Purchased" in result.out
    assert "The input ended early" in page.read_text(encoding="utf-8")


def test_rows_before_their_schema_and_files_that_are_not_there_are_told() -> None:
    result = run(stdin=lines({"type": "RECORD", "stream": "x", "record": {}}))
    assert "RECORD before SCHEMA" in result.err
    assert (
        run("no/such.jsonl").err
        == "target-kissmetrics-preview: no/such.jsonl: No such file or directory; check the path\n"
    )


def test_rows_of_batch_files_are_previewed_as_those_of_record_messages(tmp_path: Path) -> None:
    schema, *rows = messages("orders", ORDERS)
    file = tmp_path / "orders.jsonl.gz"
    file.write_bytes(gzip.compress(lines(*(row["record"] for row in rows))))
    encoding = {"format": "jsonl", "compression": "gzip"}
    batch = {"type": "BATCH", "stream": "orders", "encoding": encoding, "manifest": [file.as_uri()]}
    result = run(stdin=lines(schema, batch))
    assert "record Purchased" in result.out
    assert result.out == run(stdin=lines(schema, *rows)).out
    config = write(tmp_path / "c.json", {"batch_config": {"storage": {"root": str(tmp_path)}}})
    moved = {**batch, "manifest": ["s3://elsewhere/orders.jsonl.gz"]}
    assert run("--config", str(config), stdin=lines(schema, moved)).out == result.out
    file.unlink()
    ended = run(stdin=lines(schema, *rows, batch))
    assert ended.err.startswith(f"target-kissmetrics-preview: stream 'orders': BATCH file {file}: not found; ")
    assert "record Purchased" in ended.out


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_hostile_data_is_text(tmp_path: Path) -> None:
    rows = [
        {
            "user_id": HOSTILE,
            "event": HOSTILE,
            HOSTILE: HOSTILE,
            "time": 1_700_000_000 + n,
            "_x": HOSTILE,
            "revenue": HOSTILE,
        }
        for n in range(2)
    ]
    page = tmp_path / "page.html"
    result = run("--html", page, stdin=lines(*messages(HOSTILE, rows), *messages("plain", rows)))
    assert result.code == 0, result.err
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "form", "svg"}
    attributes = [(name, value or "") for _, given in parsed.tags for name, value in given.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "src"]
    assert all(value.startswith("#") for name, value in attributes if name == "href")
    assert "alert(1)" in parsed.text
    assert "\x1b" not in text
    assert "default-src 'none'" in text
    assert ("html", {"lang": "en"}) in parsed.tags
    assert all("scope" in given for tag, given in parsed.tags if tag == "th")
    if os.name == "posix":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory as Linux counts it")
def test_memory_stays_bounded_over_a_long_input(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415 - Unix alone has it

    path = tmp_path / "long.jsonl"
    schema = messages("events", [{"user_id": 1, "event": "", "time": 1, "text": ""}])[0]
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(schema) + "\n")
        for n in range(60_000):
            row = {"user_id": n, "event": f"e{n}", "time": 1_700_000_000 + n, "text": "x" * 2000 + str(n)}
            file.write(json.dumps({"type": "RECORD", "stream": "events", "record": row}) + "\n")
    limit = 400 << 20

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [*COMMAND, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=bounded, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert b"60,000 rows" in done.stdout
    assert b"different names of events" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="descriptors of POSIX")
@pytest.mark.parametrize(
    ("redirected", "told"), [(">&-", "standard output is closed"), ("<&-", "nothing is piped in"), ("2>&-", "")]
)
def test_a_closed_stream_is_one_line(tmp_path: Path, redirected: str, told: str) -> None:
    words = f"{sys.executable} -m target_kissmetrics.preview.cli {'' if told else '--config gone.json'} {redirected}"
    done = subprocess.run(
        ["/bin/sh", "-c", words], capture_output=True, check=False, cwd=tmp_path, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1 if told else 0)
    assert told in done.stderr
