"""Files for Kissmetrics in a local folder: who may read them, and what a killed run leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from target_kissmetrics.kissmetrics import import_files
from target_kissmetrics.kissmetrics.calls import Set
from target_kissmetrics.kissmetrics.import_files import ImportFiles, file_opener

CALLS = [Set("u", 1_704_067_200, {"plan": "Pro"})]
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and locks are POSIX")

pytestmark = posix

KILLED = """
import os, signal, sys
from target_kissmetrics.kissmetrics.import_files import file_opener
file = file_opener(sys.argv[1])("km-20240101T000000000Z-0123abcd.json")
print("open", flush=True)
signal.pause()
"""


def files_in(folder: Path) -> ImportFiles:
    return ImportFiles(url=str(folder), base="km", max_rows=10, completed=lambda: None)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_and_folders_are_their_owner_s_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files = files_in(tmp_path / "exports" / "km")
        files.write(CALLS)
        modes = [mode(path) for path in sorted(tmp_path.rglob("*"))]
        files.complete()
        modes += [mode(path) for path in sorted(tmp_path.rglob("*"))]
    finally:
        os.umask(before)
    assert modes == [0o700, 0o700, 0o600] * 2


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    files = files_in(tmp_path)
    files.write(CALLS)
    files.complete()
    assert mode(tmp_path) == 0o750


def test_what_a_killed_run_left_is_removed_by_the_next_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        part = tmp_path / ".km-20240101T000000000Z-0123abcd.json.part"
        files_in(tmp_path)
        assert part.exists()
        process.send_signal(signal.SIGKILL)
    files_in(tmp_path)
    assert not part.exists()


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    names = ["km-20240101T000000000Z-0123abcd.json", ".download.part", ".km.json.part", "x.json.part"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".km-20240101T000000000Z-89abcdef.json.part").symlink_to(tmp_path / "elsewhere")
    files_in(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= set(names)


def test_a_file_that_another_run_removed_before_it_was_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def remove_first(*_: object, **__: object) -> bool:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        return True

    monkeypatch.setattr(import_files, "_lock", remove_first)
    file = file_opener(str(tmp_path))("km-1.json")
    file.write(b"line\n")
    file.close()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["line\n"]
    assert removed


def test_a_file_system_without_locks_keeps_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    left = tmp_path / ".km-20240101T000000000Z-0123abcd.json.part"
    left.touch()
    files = files_in(tmp_path)
    files.write(CALLS)
    files.complete()
    assert left.exists()
    assert len(list(tmp_path.glob("km-*.json"))) == 1
