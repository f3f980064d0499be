"""Files of BATCH messages: where they are, what is read of them, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import tracemalloc
import zlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.singer import reader
from target_kissmetrics.singer.batch_files import Storage, batch_rows, local_path, read_storage

ROWS = [{"id": 1, "total": "é"}, {"id": 2}]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def read(*manifest: Any, encoding: object = None, storage: Storage | None = None) -> list[dict[str, Any]]:
    message = {"stream": "s", "encoding": encoding or {"format": "jsonl"}, "manifest": list(manifest)}
    return list(batch_rows(message, storage or Storage()))


def written(folder: Path, data: bytes, name: str = "a.jsonl") -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path.as_uri()


def packed(data: bytes) -> bytes:
    """Compress without the current time, so that every pytest-xdist worker collects the same test IDs."""
    return gzip.compress(data, mtime=0)


GZIP = {"format": "jsonl", "compression": "gzip"}


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (LINES, {"format": "jsonl"}),
        (LINES, {"format": "JSONL", "compression": None}),
        (LINES.rstrip(), {"format": "jsonl", "compression": "none"}),
        (LINES.replace(b"\n", b"\r\n\r\n"), {"format": "jsonl"}),
        (b"\xef\xbb\xbf" + LINES, {"format": "jsonl"}),
        (packed(LINES), GZIP),
        (packed(LINES[:15]) + packed(LINES[15:]), GZIP),
        # As the SDK's taps write it, whatever they say of it.
        (packed(LINES), {"format": "jsonl", "compression": "none"}),
    ],
)
def test_json_lines_are_read(tmp_path: Path, data: bytes, encoding: dict[str, Any]) -> None:
    assert read(written(tmp_path, data), encoding=encoding) == ROWS


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path, b'{"a": 19.99, "b": 1.10, "c": 12345678901234567890.5}'))
    assert row == {"a": Decimal("19.99"), "b": Decimal("1.10"), "c": Decimal("12345678901234567890.5")}
    assert str(row["b"]) == "1.10"


def test_files_are_read_in_their_order_and_none_before_its_turn(tmp_path: Path) -> None:
    one, other = written(tmp_path, b'{"n": 1}\n', "1"), written(tmp_path, b'{"n": 2}\n{"n": 3}\n', "2")
    message = {"stream": "s", "encoding": {"format": "jsonl"}, "manifest": [one, other, "file:///none"]}
    rows = batch_rows(message, Storage())
    assert [next(rows)["n"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(InputError, match="BATCH file /none: not found"):
        next(rows)


def test_files_stay_as_they_are(tmp_path: Path) -> None:
    read(written(tmp_path, LINES))
    assert (tmp_path / "a.jsonl").read_bytes() == LINES


def test_no_files_and_empty_files_have_no_rows(tmp_path: Path) -> None:
    assert read() == []
    assert read(written(tmp_path, b"")) == []
    assert read(written(tmp_path, packed(b"")), encoding=GZIP) == []


@pytest.mark.parametrize(
    ("data", "encoding", "problem"),
    [
        (LINES[:-4], None, "line 2 is not valid JSON in UTF-8 (truncated)"),
        (LINES + b"nothing\n", None, "line 3 is not valid JSON in UTF-8;"),
        (LINES + b"[1]\n", None, "line 3 is not an object"),
        (LINES + b"5\n", None, "line 3 is not an object"),
        (LINES + '{"a": "é"}'.encode("latin-1"), None, "line 3 is not valid JSON in UTF-8"),
        (LINES + b"\x01" * 9, None, "line 3 is not valid JSON in UTF-8 (truncated"),
        (json.dumps(ROWS[0], indent=1).encode(), None, "line 1 is not valid JSON"),
        (LINES + b"[" * 100_000 + b"\n", None, "line 3 is not valid JSON"),
        (packed(LINES)[:-9], GZIP, "its gzip is truncated or corrupt"),
        (packed(LINES)[:-9], None, "its gzip is truncated or corrupt"),
        (packed(LINES)[:-8] + b"12345678", GZIP, "its gzip is truncated or corrupt"),
        (packed(LINES)[:10] + b"\xff" * 30, GZIP, "its gzip is truncated or corrupt"),
        (packed(LINES) + b"rest", GZIP, "its gzip is truncated or corrupt"),
        (LINES, GZIP, "it is not gzip, as its message says"),
        (b"", GZIP, "it is not gzip, as its message says"),
        (zlib.compress(LINES), GZIP, "it is not gzip, as its message says"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_named_with_the_reason(
    tmp_path: Path, data: bytes, encoding: Any, problem: str
) -> None:
    with pytest.raises(InputError) as raised:
        read(written(tmp_path, data), encoding=encoding)
    assert str(raised.value).startswith(f"stream 's': BATCH file {tmp_path / 'a.jsonl'}: {problem}")


def test_the_rows_before_the_damage_are_read(tmp_path: Path) -> None:
    message = {
        "stream": "s",
        "encoding": GZIP,
        "manifest": [written(tmp_path, gzip.compress(LINES * 20_000, mtime=0)[:-4])],
    }
    rows = batch_rows(message, Storage())
    assert [next(rows) for _ in range(9_000)] == ROWS * 4_500
    with pytest.raises(InputError, match="truncated"):
        list(rows)


def test_a_line_has_a_longest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_LINE_BYTES", 1 << 20)
    longest = b'{"a": "' + b"x" * ((1 << 20) - 10) + b'"}\n'
    assert len(read(written(tmp_path, longest))) == 1
    for longer in (b" " + longest, longest[:-1] + b" " * 99 + longest):
        for data in (b"{}\n" + longer, packed(b"{}\n" + longer)):
            with pytest.raises(InputError, match=r"line 2 is longer than 1 MiB; fix the tap"):
                read(written(tmp_path, data))


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    line = json.dumps({"id": 1, "text": "x" * 900}).encode() + b"\n"
    place = written(tmp_path, gzip.compress(line * 40_000))
    tracemalloc.start()
    try:
        assert sum(1 for _ in batch_rows({"stream": "s", "encoding": GZIP, "manifest": [place]}, Storage())) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a pipe", "no right"])
def test_what_is_not_a_regular_file_is_an_error_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes with names here")
        os.mkfifo(path)
    elif kind == "no right":
        path.write_bytes(LINES)
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read everything")
    with pytest.raises(InputError, match=r"not found|not a regular file|permission denied|cannot be read"):
        read(path.as_uri())


# What a message says


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"encoding": {}}, "it needs encoding.format"),
        ({"encoding": "jsonl"}, "it needs encoding.format"),
        ({"encoding": {"format": 5}}, "it needs encoding.format"),
        ({"encoding": {"format": "csv"}}, "'csv, none' is not supported"),
        ({"encoding": {"format": "jsonl", "compression": "zstd"}}, "'jsonl, zstd' is not supported"),
        ({"encoding": {"format": "jsonl", "compression": ["gzip"]}}, "is not supported"),
        ({"manifest": "file:///a"}, "it needs encoding.format and a manifest that lists files"),
        ({"manifest": [1]}, "it needs encoding.format and a manifest that lists files"),
        ({"manifest": None}, "it needs encoding.format and a manifest that lists files"),
    ],
)
def test_an_invalid_message_names_the_stream(message: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=f"stream 's': BATCH message: .*{re.escape(problem)}"):
        list(batch_rows({"stream": "s", "encoding": {"format": "jsonl"}, "manifest": [], **message}, Storage()))


# Where files are


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/srv/a.jsonl", "/srv/a.jsonl"),
        ("a.jsonl", "a.jsonl"),
        ("file:///srv/a.jsonl", "/srv/a.jsonl"),
        ("FILE:///srv/a.jsonl", "/srv/a.jsonl"),
        ("file:/srv/a.jsonl", "/srv/a.jsonl"),
        ("file://localhost/srv/a.jsonl", "/srv/a.jsonl"),
        ("file://a.jsonl", "a.jsonl"),
        ("s3://bucket/a.jsonl", None),
        ("https://u:p@host/a.jsonl?sig=1", None),
    ],
)
def test_paths_of_this_machine_are_told_from_others(location: str, path: str | None) -> None:
    assert local_path(location, windows=False) == path


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (r"C:\srv\a.jsonl", r"C:\srv\a.jsonl"),
        ("C:/srv/a.jsonl", "C:/srv/a.jsonl"),
        ("file:///C:/srv/a.jsonl", "C:/srv/a.jsonl"),
        (r"file:///C:\srv\a.jsonl", r"C:\srv\a.jsonl"),
        ("file://C:/srv/a.jsonl", "C:/srv/a.jsonl"),
        ("file:/C:/srv/a.jsonl", "C:/srv/a.jsonl"),
        ("file://localhost/C:/srv/a.jsonl", "C:/srv/a.jsonl"),
        ("file://server/share/a.jsonl", "//server/share/a.jsonl"),
        (r"\\server\share\a.jsonl", r"\\server\share\a.jsonl"),
    ],
)
def test_paths_of_windows(location: str, path: str) -> None:
    assert local_path(location, windows=True) == path


@pytest.mark.parametrize("name", ["a b.jsonl", "a%20b.jsonl", "é#?.jsonl", "100%.jsonl"])
def test_a_url_may_be_escaped_or_not(tmp_path: Path, name: str) -> None:
    place = written(tmp_path, LINES, name)
    assert read(place) == ROWS
    assert read(f"file://{tmp_path}/{name}") == ROWS
    assert read(str(tmp_path / name)) == ROWS


@pytest.mark.parametrize("root", [None, "nowhere://user:secret@host"])
def test_a_file_elsewhere_is_named_without_credentials_and_query(root: str | None) -> None:
    with pytest.raises(InputError) as raised:
        read("nowhere://user:secret@host/a.jsonl?token=secret#secret", storage=Storage(root))
    assert str(raised.value).startswith("stream 's': BATCH file nowhere://host/a.jsonl: ")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "entry",
    [
        "https://host/a.jsonl",
        "ftp://host/a.jsonl",
        "data://text",
        "memory://a.jsonl",
        "local:///etc/a::b",
        "simplecache::s3://bucket/a.jsonl",
        "s3://bucket/a.jsonl::file:///etc/passwd",
        "zip://a.jsonl::/srv/a.zip",
        "gs://a::https://host/b",
        "github://org:repo@main/a",
        "S3://bucket/a",
    ],
)
def test_without_a_root_a_message_names_local_files_and_buckets_alone(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"only local, s3://, gs:// and abfs:// files are read|not found"):
        read(entry)


@pytest.mark.parametrize("entry", ["s3://bucket/a.jsonl", "gs://bucket/a.jsonl", "abfs://container/a.jsonl"])
def test_buckets_need_no_root_and_get_no_options_of_another_storage(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def url_to_fs(*given: Any, **options: Any) -> Any:
        asked.append((given, options))
        raise FileNotFoundError

    monkeypatch.setattr("fsspec.core.url_to_fs", url_to_fs)
    for root, params in ((None, {}), ("s3://root", {"secret": "x"})):
        with pytest.raises(InputError, match="not found"):
            read(entry, storage=Storage(root, params={"secret": "x"}))
        assert asked.pop() == ((entry if root is None else "s3://root/a.jsonl",), params)


OUTSIDE = "it is outside batch_config.storage.root"


@pytest.mark.parametrize("root", ["{}/root", "file://{}/root", "local://{}/root", "memory://root"])
@pytest.mark.parametrize("prefix", ["", "../", "a/", "/a/b/c/"])
@pytest.mark.parametrize(
    "entry",
    [
        "../secret.jsonl",
        "/srv/../secret.jsonl",
        "file:///srv/%2e%2e/secret.jsonl",
        "file:///srv/..%2fsecret.jsonl",
        r"C:\srv\..\secret.jsonl",
        "s3://bucket/..",
        "s3://bucket/../../../secret.jsonl",
    ],
)
def test_nothing_above_the_root_is_read(tmp_path: Path, root: str, prefix: str, entry: str) -> None:
    for folder in ("root", "root/a", "root/srv"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret.jsonl").write_bytes(b'{"secret": 1}\n')
    (tmp_path / "root" / "secret.jsonl").write_bytes(LINES)  # the name alone counts, without a prefix
    with MemoryFileSystem().open("memory://root/secret.jsonl", "wb") as file:
        file.write(LINES)
    if prefix and ".." in entry.rpartition("/")[0]:
        with pytest.raises(InputError, match=OUTSIDE):
            read(entry, storage=Storage(root.format(tmp_path.as_posix()), prefix))
    elif entry.endswith("secret.jsonl") and "%2f" not in entry and not prefix:
        assert read(entry, storage=Storage(root.format(tmp_path.as_posix()), prefix)) == ROWS
    else:
        with pytest.raises(InputError, match=rf"{OUTSIDE}|not found"):
            read(entry, storage=Storage(root.format(tmp_path.as_posix()), prefix))


@pytest.mark.parametrize("entry", ["link.jsonl", "folder/a.jsonl", "loop.jsonl", "", "/", "s3://bucket"])
def test_no_link_out_of_the_root_is_followed(tmp_path: Path, entry: str) -> None:
    written(tmp_path, LINES, "outside/a.jsonl")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link.jsonl").symlink_to(tmp_path / "outside" / "a.jsonl")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "loop.jsonl").symlink_to("loop.jsonl")
    with pytest.raises(InputError, match=rf"{OUTSIDE}|not a regular file"):
        read(entry, storage=Storage(str(tmp_path / "root"), "folder/"))


def test_links_within_the_root_and_a_root_that_is_a_link_are_followed(tmp_path: Path) -> None:
    written(tmp_path, LINES, "root/a.jsonl")
    (tmp_path / "root" / "link.jsonl").symlink_to("a.jsonl")
    (tmp_path / "shared").symlink_to("root")
    assert read("/tap/link.jsonl", storage=Storage(str(tmp_path / "shared"))) == ROWS


def test_a_url_is_not_chained_below_the_root() -> None:
    with pytest.raises(InputError, match=OUTSIDE):
        read("s3://b/a::file:", storage=Storage("memory://root"))


@pytest.mark.parametrize(
    ("storage", "entry", "place"),
    [
        ({"root": "{}"}, "file:///elsewhere/a.jsonl", "a.jsonl"),
        ({"root": "{}/"}, r"C:\elsewhere\a.jsonl", "a.jsonl"),
        ({"root": "file://{}"}, "s3://bucket/elsewhere/a.jsonl", "a.jsonl"),
        ({"root": "{}", "prefix": "day/batch-"}, "s3://bucket/day/batch-1.jsonl", "day/batch-1.jsonl"),
        ({"root": "{}", "prefix": "batch-"}, "file:///b/batch-1.jsonl", "batch-1.jsonl"),
        ({"root": None}, "{}/a.jsonl", "a.jsonl"),
    ],
)
def test_the_root_of_the_storage_says_where_files_are_seen_from_here(
    tmp_path: Path, storage: dict[str, Any], entry: str, place: str
) -> None:
    written(tmp_path, LINES, place)
    given = {key: value and value.format(tmp_path.as_posix()) for key, value in storage.items()}
    found = read_storage({"batch_config": {"storage": given}})
    assert read(entry.format(tmp_path.as_posix()), storage=found) == ROWS


def test_options_of_the_storage_go_to_fsspec(tmp_path: Path) -> None:
    written(tmp_path, LINES)
    given = {"root": f"simplecache://{tmp_path}", "params": {"target_protocol": "file"}}
    storage = read_storage({"batch_config": {"storage": given}})
    assert "target_protocol" not in repr(storage)  # options may hold credentials
    assert read("a.jsonl", storage=storage) == ROWS


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ({"rot": "x"}, "storage.rot: must be root or prefix"),
        ({"root": 5}, "storage.root: must"),
        ({"params": "x"}, "params: must"),
        ({"params": {"key": "x"}}, "params: are options for the root; set root"),
    ],
)
def test_a_mistake_in_the_storage_names_the_key(storage: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_storage({"batch_config": {"storage": storage}})


def test_no_storage_is_none() -> None:
    for config in ({}, {"batch_config": None}, {"batch_config": {"storage": None}}):
        assert read_storage(config) == Storage()
