"""The file of rejects: whole lines, its owner's alone, on the disk when a STATE passes it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.reporting import rejects as module
from target_kissmetrics.reporting.rejects import Rejects, check_rejects_path

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes, links and pipes of this kind")


def write(rejects: Rejects, number: int = 1, text: str = "x") -> None:
    rejects.write(stream="s", code="too-old", reason="r", field=None, record={"id": number, "text": text})


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_file_is_made_with_the_first_reject_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    for number in range(2):
        rejects = Rejects(str(path))
        rejects.flush()
        assert path.exists() == bool(number)
        write(rejects, number)
        rejects.close()
    assert [line["record"]["id"] for line in lines_of(path)] == [0, 1]


@posix
def test_it_is_its_owners_alone_also_when_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text("", encoding="utf-8")
    path.chmod(0o644)
    rejects = Rejects(str(path))
    write(rejects)
    rejects.close()
    assert path.stat().st_mode & 0o777 == 0o600


@posix
def test_it_is_never_written_through_a_symbolic_link(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "rejects.jsonl"
    elsewhere.write_text("", encoding="utf-8")
    before = Rejects(str(path))
    path.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="symbolic link"):
        Rejects(str(path))
    write(before)
    with pytest.raises(StoreError, match="cannot write"):
        before.flush()
    assert elsewhere.read_bytes() == b""


def hard_linked(file: Path) -> None:
    os.link(file, file.with_name("another"))


def foreign(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(file, 12345, -1)


@posix
@pytest.mark.parametrize("name", ["rejects.jsonl", "rejects.jsonl.schemas"])
@pytest.mark.parametrize(("shared", "why"), [(hard_linked, "has another name"), (foreign, "belongs to another user")])
def test_a_file_that_somebody_else_may_hold_is_refused(
    tmp_path: Path, name: str, shared: Callable[[Path], None], why: str
) -> None:
    path, file = tmp_path / "rejects.jsonl", tmp_path / name
    rejects = Rejects(str(path))
    file.write_bytes(b"before\n")
    check_rejects_path(str(path))
    shared(file)
    with pytest.raises(ConfigError, match=f"rejects_path: .*{name} {why}.*; .*name another file"):
        check_rejects_path(str(path))
    # It may have been put there after the check.
    write(rejects)
    rejects.note_schema("s", '{"type":"SCHEMA"}')
    with pytest.raises(ConfigError, match=why):
        rejects.flush()
    assert file.read_bytes() == b"before\n"


@posix
def test_a_pipe_that_nobody_reads_does_not_hold_the_run_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    rejects = Rejects(str(path))
    write(rejects)
    with pytest.raises(StoreError, match="not a regular file"):
        rejects.flush()


@posix
def test_a_device_takes_them_too() -> None:
    rejects = Rejects(os.devnull)
    write(rejects)
    rejects.flush()
    rejects.close()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    rejects = Rejects(str(tmp_path))
    write(rejects)
    with pytest.raises(StoreError, match="rejects_path: cannot write"):
        rejects.close()


def test_half_a_line_that_a_killed_run_left_stays_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(b'{"whole": 1}\n{"ha')
    for number in range(2):
        rejects = Rejects(str(path))
        write(rejects, number)
        rejects.close()
    lines = path.read_bytes().splitlines()
    assert lines[:2] == [b'{"whole": 1}', b'{"ha']
    assert [json.loads(line)["record"]["id"] for line in lines[2:]] == [0, 1]


def test_all_is_on_the_disk_once_it_was_flushed_and_not_synced_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    path = tmp_path / "rejects.jsonl"
    rejects = Rejects(str(path))
    rejects.flush()
    assert synced == []
    write(rejects)
    rejects.flush()
    rejects.flush()
    assert synced == [path.stat().st_size]
    write(rejects, text="long" * module.BUFFERED_BYTES)
    rejects.flush()
    assert synced[1:] == [path.stat().st_size]
    rejects.close()


def test_lines_that_could_not_be_written_are_written_by_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rejects.jsonl"
    rejects = Rejects(str(path))
    for number in range(3):
        write(rejects, number)
    written = os.write
    calls: Iterator[int | OSError] = iter([7, OSError(28, "No space left on device")])

    def full_disk(descriptor: int, data: bytes) -> int:
        step = next(calls, None)
        if isinstance(step, OSError):
            raise step
        return written(descriptor, data[:step])

    monkeypatch.setattr(os, "write", full_disk)
    with pytest.raises(StoreError, match="No space left"):
        rejects.flush()
    rejects.close()
    assert [line["record"]["id"] for line in lines_of(path)] == [0, 1, 2]


def test_two_runs_may_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    text = "t" * 3000

    def run(first: int) -> None:
        rejects = Rejects(str(path))
        for number in range(first, first + 200):
            write(rejects, number, text)
        rejects.close()

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(line["record"]["id"] for line in lines_of(path))
    assert numbers == [*range(200), *range(1000, 1200)]
