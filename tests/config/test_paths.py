"""The files of a run: any two that are one end it before the first row, by one line that names both settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.config.paths import check_distinct
from target_kissmetrics.errors import ConfigError

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has links of this kind for everybody")


def problem(*written: Path, others: tuple[Path, ...] = ()) -> str | None:
    try:
        check_distinct([("read", path) for path in others], [(f"set{n}", path) for n, path in enumerate(written)])
    except ConfigError as error:
        return str(error)
    return None


def hard_link(folder: Path) -> None:
    (folder / "one").write_text("")
    os.link(folder / "one", folder / "other")


def symbolic_link(folder: Path) -> None:
    (folder / "one").write_text("")
    (folder / "other").symlink_to("one")


def chain(folder: Path) -> None:
    symbolic_link(folder)
    (folder / "third").symlink_to("other")


def link_to_nothing(folder: Path) -> None:
    (folder / "other").symlink_to("one")


def linked_folder(folder: Path) -> None:
    (folder / "folder").symlink_to(folder)


@posix
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (None, ("one", "one")),
        (None, ("one", "x/../one")),
        (None, ("one", "ONE")),
        (None, ("\u00e9", "E\u0301")),
        (hard_link, ("one", "other")),
        (symbolic_link, ("one", "other")),
        (chain, ("one", "third")),
        (link_to_nothing, ("one", "other")),
        (linked_folder, ("one", "folder/one")),
        (linked_folder, ("none/one", "folder/none/one")),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_two_paths_of_one_file_are_found(
    tmp_path: Path, make: Callable[[Path], None] | None, names: tuple[str, str], turned: bool
) -> None:
    if make is not None:
        make(tmp_path)
    one, other = (tmp_path / name for name in (reversed(names) if turned else names))
    assert problem(one, other) == f"set1: {other} and {one} of set0 are the same file; name another file"
    assert problem(other, others=(one,)) == f"set0: {other} and {one} of read are the same file; name another file"


def test_other_files_devices_and_files_that_are_only_read_may_be_the_same(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("")
    assert problem(one, other, tmp_path / "folder" / "one", tmp_path) is None
    assert problem(Path(os.devnull), Path(os.devnull)) is None
    assert problem(other, others=(one, one)) is None
    assert problem(tmp_path / "none" / "a", tmp_path / "none" / "b") is None


@posix
def test_a_link_that_leads_to_itself_is_for_its_user_to_find(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert problem(tmp_path / "loop", tmp_path / "one") is None


# Whole commands

MESSAGES = [
    {"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": {"properties": {"user_id": {}, "plan": {}}}},
    {"type": "RECORD", "stream": "s", "record": {"user_id": "u", "plan": "x"}},
]
CONFIG = {"api_key": "k", "tracking_url": "http://127.0.0.1:9", "streams": [{"stream": "s", "kind": "user_attributes"}]}


def run(
    folder: Path, config: dict[str, Any], *arguments: str, module: str = "target_kissmetrics", stdout: str = "state"
) -> list[str]:
    """Run a command in a folder with `config.json`; give its errors."""
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "input.jsonl").write_text("".join(json.dumps(message) + "\n" for message in MESSAGES))
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with (folder / "input.jsonl").open() as stdin, (folder / stdout).open("w") as out:
        done = subprocess.run(
            [*command_of(module), *arguments, "--config", "config.json"],
            stdin=stdin,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before | {stdout: b""}
    assert "Traceback" not in done.stderr
    return [line.partition("ERROR")[2] for line in done.stderr.splitlines() if "ERROR" in line]


@pytest.mark.parametrize(
    ("config", "one", "other"),
    [
        ({"rejects_path": "km.json", "report_path": "km.html"}, "report_path", "rejects_path"),
        ({"rejects_path": "km.html", "report_path": "km.html"}, "report_path", "rejects_path"),
        ({"rejects_path": "./x.db", "attribute_store_url": "sqlite:///x.db"}, "rejects_path", "attribute_store_url"),
        ({"rejects_path": "x.db", "attribute_store_url": "sqlite:///a/../x.db"}, "rejects_path", "attribute_store_url"),
        ({"rejects_path": "x.db-wal", "attribute_store_url": "sqlite:///x.db"}, "rejects_path", "attribute_store_url"),
        ({"rejects_path": "X.db-shm", "attribute_store_url": "sqlite:///x.db"}, "rejects_path", "attribute_store_url"),
        ({"rejects_path": "x", "attribute_store_url": "sqlite:///x.schemas"}, "rejects_path", "attribute_store_url"),
        (
            {"rejects_path": "x.db", "attribute_store_url": "sqlite+pysqlite:///file:x.db?mode=rwc&uri=true"},
            "rejects_path",
            "attribute_store_url",
        ),
        ({"report_path": "x.json", "attribute_store_url": "sqlite:///x.json"}, "report_path", "attribute_store_url"),
        ({"report_path": "config.html"}, "report_path", "--config"),
        ({"rejects_path": "config.json"}, "rejects_path", "--config"),
        ({"attribute_store_url": "sqlite:///config.json"}, "attribute_store_url", "--config"),
        ({"delivery": "files", "files_url": "out", "rejects_path": "out"}, "rejects_path", "files_url"),
        ({"delivery": "files", "files_url": "file://{}/o.json", "report_path": "o.json"}, "report_path", "files_url"),
        ({"rejects_path": "input.jsonl"}, "rejects_path", "standard input"),
        ({"report_path": "state.json"}, "report_path", "standard output"),
    ],
)
def test_no_output_of_a_run_is_another_one_or_a_file_that_it_reads(
    tmp_path: Path, config: dict[str, Any], one: str, other: str
) -> None:
    config = {name: value.format(tmp_path.as_posix()) for name, value in config.items()}
    stdout = "state.json" if other == "standard output" else "state"
    (tmp_path / "a").mkdir()
    (error,) = run(tmp_path, config, stdout=stdout)
    assert f"{one}: " in error
    assert f"of {other} are the same file; name another file" in error


def test_the_input_that_an_option_names_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "messages.jsonl").write_text("{}\n")
    (error,) = run(tmp_path, {"rejects_path": "messages.jsonl"}, "--input", "messages.jsonl")
    assert "rejects_path: messages.jsonl and messages.jsonl of --input are the same file" in error


@pytest.mark.parametrize("name", ["config.json", "x.db"])
def test_the_file_that_a_replay_replaces_is_no_other_one(tmp_path: Path, name: str) -> None:
    config = {"attribute_store_url": "sqlite:///x.db"}
    (error,) = run(tmp_path, config, name, module="target_kissmetrics.commands.replay")
    assert f"{name} of " in error or f"/{name}" in error
    assert "the file to replay: " in error
