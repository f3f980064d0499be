"""What `meltano config test target-kissmetrics` finds, in a process of its own; nothing is sent, made or changed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import running
from target_kissmetrics.store.sql import SqlStore

KEY = "0123456789abcdef0123456789abcdef01234567"
STREAM = "meltano_test_stream"
# As Meltano's `config test` writes them.
MESSAGES = [
    {
        "type": "SCHEMA",
        "stream": STREAM,
        "schema": {"properties": {"id": {"type": "string"}}},
        "key_properties": ["id"],
    },
    {"type": "RECORD", "stream": STREAM, "record": {"id": "1"}},
    {"type": "STATE", "value": {"at": 1}},
]
not_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has such files")


def check(folder: Path, **config: Any) -> tuple[int, str]:
    """Run the check, as Meltano does and by its own command; give its exit code and its log."""
    path = folder.parent / f"{folder.name}-config.json"
    path.write_text(json.dumps({"api_key": KEY, **config}), encoding="utf-8")
    before = sorted(folder.rglob("*"))
    ends = []
    for module in ("target_kissmetrics.commands.check", "target_kissmetrics"):
        done = subprocess.run(
            [*command_of(module), "--config", str(path)],
            input="".join(json.dumps(message) + "\n" for message in MESSAGES),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
            env={**os.environ, "NO_PROXY": "*"},
        )
        assert KEY not in done.stderr
        assert "Traceback" not in done.stderr
        ends.append((done.returncode, done.stderr))
    own, meltanos = ends
    assert own[0] == meltanos[0]
    assert own[1].splitlines()[-1].rpartition(" | ")[2] in meltanos[1], "both say the same"
    assert sorted(folder.rglob("*")) == before, "the check made something"
    return done.returncode, done.stderr


def problem(folder: Path, **config: Any) -> str:
    """Give what the check finds, without the log's own words in front of it."""
    code, log = check(folder, **config)
    assert code == 1, log
    told = re.split(r"\| target-kissmetrics +\| ", log.splitlines()[-1])[-1]
    assert "; " in told or "must be" in told, f"it does not say what to do: {told}"
    return told


@contextmanager
def host(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Answer everything with the same; give the URL and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as sandbox:
        yield sandbox.url
        assert sandbox.summary()["calls"] == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


def test_what_is_in_order_passes(folder: Path, url: str) -> None:
    code, log = check(folder, tracking_url=url)
    assert code == 0
    assert "are fine; no call was sent, nothing was stored" in log


# The file of rejects


def test_rejects_in_a_folder_that_is_not_there(folder: Path, url: str) -> None:
    told = problem(folder, tracking_url=url, rejects_path="nowhere/rejects.jsonl")
    where = Path("nowhere/rejects.jsonl")
    assert told == (
        f"rejects_path: {where} cannot be created: there is no folder nowhere, or it is not writable; "
        "name a file in a writable folder"
    )


def test_rejects_in_the_place_of_a_folder(folder: Path, url: str) -> None:
    (folder / "taken").mkdir()
    assert problem(folder, tracking_url=url, rejects_path="taken").startswith(
        "rejects_path: taken is not a regular file; name"
    )
    (folder / "rejects.jsonl.schemas").mkdir()
    told = problem(folder, tracking_url=url, rejects_path="rejects.jsonl")
    assert told.startswith("rejects_path: rejects.jsonl.schemas is not a regular file; name")


@posix
def test_rejects_in_the_place_of_a_file_of_another_kind(folder: Path, url: str) -> None:
    os.mkfifo(folder / "pipe")
    assert problem(folder, tracking_url=url, rejects_path="pipe").startswith(
        "rejects_path: pipe is not a regular file; name"
    )
    (folder / "link").symlink_to("elsewhere")
    assert "link is a symbolic link; name the file itself" in problem(folder, tracking_url=url, rejects_path="link")
    assert check(folder, tracking_url=url, rejects_path="/dev/null")[0] == 0


@not_root
@posix
def test_rejects_that_nobody_may_write(folder: Path, url: str) -> None:
    (folder / "rejects.jsonl").write_text("", encoding="utf-8")
    (folder / "rejects.jsonl").chmod(0o400)
    told = problem(folder, tracking_url=url, rejects_path="rejects.jsonl")
    assert told.startswith("rejects_path: rejects.jsonl is not writable; name")


def test_a_run_finds_it_too_before_it_reads(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({"api_key": KEY, "rejects_path": "nowhere/r.jsonl", "dry_run": True}), encoding="utf-8")
    done = subprocess.run(
        [*command_of(), "--config", str(path)],
        input="what is no message\n",
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 1
    assert "rejects_path: " in done.stderr.splitlines()[-1]


# The store


def test_a_store_in_a_folder_that_is_not_there(folder: Path, url: str) -> None:
    told = problem(folder, tracking_url=url, attribute_store_url="sqlite:///nowhere/store.db")
    assert told.startswith("attribute_store_url: no file can be created in ")
    assert told.endswith("; use another folder, or make it writable")


def test_a_store_that_is_none(folder: Path, url: str) -> None:
    (folder / "store.db").write_text("no database, and long enough to be looked at as one" * 50, encoding="utf-8")
    told = problem(folder, tracking_url=url, attribute_store_url="sqlite:///store.db")
    assert told == (
        "attribute_store_url: the store cannot be used: file is not a database; check the URL, and that the "
        "database exists and is writable"
    )


def test_a_store_of_a_later_version(folder: Path, url: str) -> None:
    file = folder / "store.db"
    store = SqlStore(f"sqlite:///{file.as_posix()}", "p" * 16)
    with store._engine.connect() as connection:
        connection.exec_driver_sql("UPDATE target_kissmetrics_layout SET version = 99")
    store.close()
    told = problem(folder, tracking_url=url, attribute_store_url=f"sqlite:///{file.as_posix()}")
    assert "written by a later version of target-kissmetrics; upgrade yours" in told


def test_a_store_whose_server_is_not_there(folder: Path, url: str) -> None:
    told = problem(folder, tracking_url=url, attribute_store_url="postgresql://ann:s3cret@127.0.0.1:1/db")
    assert told.startswith("attribute_store_url: the store cannot be used: ")
    assert "s3cret" not in told


def test_a_postgresql_store_that_its_user_may_not_write(folder: Path, url: str, postgres: str) -> None:
    sa = pytest.importorskip("sqlalchemy")
    engine = sa.create_engine(sa.make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (
            "CREATE ROLE reader LOGIN PASSWORD 'reads'",
            "CREATE SCHEMA locked",
            "GRANT USAGE ON SCHEMA locked TO reader",
            "ALTER ROLE reader SET search_path = locked",
        ):
            connection.exec_driver_sql(statement)
    reader = sa.make_url(postgres).set(drivername="postgresql+psycopg", username="reader", password="reads")
    try:
        told = problem(folder, tracking_url=url, attribute_store_url=reader.render_as_string(hide_password=False))
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP SCHEMA locked")
            connection.exec_driver_sql("DROP ROLE reader")
        engine.dispose()
    assert told == (
        "attribute_store_url: the store cannot be used: permission denied for schema locked; grant the database user "
        "the privilege, or use another user"
    )
    assert check(folder, tracking_url=url, attribute_store_url=postgres)[0] == 0


# Where it is sent to


def test_nobody_listens(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = problem(folder, tracking_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "cannot be reached: connection failed (" in told
    assert told.endswith("; check its address, and whether it wants https://, the network, and any proxy in between "
                         "(HTTPS_PROXY, NO_PROXY)")  # fmt: skip


def test_https_where_http_is_spoken(folder: Path, url: str) -> None:
    told = problem(folder, tracking_url=url.replace("http://", "https://"))
    assert "cannot be reached: it does not speak TLS; is its address one of http://?; check its address" in told


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {"Content-Type": "text/html"}, b"<html>Log in", "answers 200 with an HTML page, so it is a web site"),
        (302, {"Location": "https://login.example.com/"}, b"", "answers 302, a redirect, which is not followed; check"),
        (503, {"Content-Type": "text/plain"}, b"none", "answers 503: its backend does not answer; check"),
        (407, {}, b"", "answers 407: it, or a proxy in between, wants a login; log in there"),
        (400, {"Content-Type": "text/html"}, b"<html>", "write its address with https:// if it wants TLS"),
    ],
)
def test_a_host_that_would_end_a_run(
    folder: Path, status: int, headers: dict[str, str], body: bytes, expected: str
) -> None:
    with host(status, headers, body) as (there, asked):
        told = problem(folder, tracking_url=there)
    assert told.startswith(f"tracking_url: {there} ")
    assert expected in told
    assert [path for path in asked if path.partition("?")[0] in {"/e", "/s", "/a"}] == []
    assert KEY not in "".join(asked)


def test_a_host_that_does_not_know_the_path_that_is_asked_for(folder: Path) -> None:
    with host(404, {"Content-Type": "text/html"}, b"<html>not here") as (there, _):
        assert check(folder, tracking_url=there)[0] == 0


def test_import_files_in_the_place_of_a_file(folder: Path) -> None:
    (folder / "taken").write_text("", encoding="utf-8")
    told = problem(folder, delivery="files", files_url="taken")
    assert told.startswith("files_url: cannot write to taken: ")
    assert "check that it exists and is writable" in told


def test_import_files_where_no_library_leads(folder: Path) -> None:
    told = problem(folder, delivery="files", files_url="nosuch://bucket")
    assert told.startswith("files_url: nosuch://bucket cannot be used: ")
    assert told.endswith("; install what it needs, or name another")


# Settings that make no sense


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"batch_size_rows": 0}, "batch_size_rows: must be at least 1, not 0"),
        (
            {"load_method": "overwrite"},
            "load_method: must not be 'overwrite': Kissmetrics deletes nothing; remove it",
        ),
        ({"nonsense": 1}, "nonsense: no such setting; remove it (target-kissmetrics --about lists all settings)"),
        ({"api_key": None}, "api_key: is required; copy it from Kissmetrics' settings, and set "),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(folder: Path, config: dict[str, Any], told: str) -> None:
    assert problem(folder, **config).startswith(told)
