"""Small inputs with the right outcome: each file of `cases` is a test of the rules that it names.

A case is a configuration and runs that follow each other in one folder, so with one store and one rejects file. A run's
`expect` leaves out what does not matter: see `Expected`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pytest
from forked import command

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"

Json = dict[str, Any]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    with RecordingHost() as host:
        for run in case["runs"]:
            assert_as_expected(run_case(case, run, tmp_path, host), run["expect"])


@dataclass(frozen=True)
class Ended:
    """What a run did: its exit code, the host's calls, the reject lines that it added, its output."""

    exit: int
    calls: list[Json]
    rejects: list[Json]
    state: Any
    stderr: str


class RecordingHost:
    """A loopback host that answers as Kissmetrics does, and keeps the parameters of each call."""

    def __enter__(self) -> Self:
        self.calls: list[Json] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._take(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._take(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _take(self, query: str) -> None:
                parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
                calls.append({"path": urlsplit(self.path).path, **parameters})
                self.send_response(200)
                self.send_header("Content-Type", "image/gif")
                self.send_header("Content-Length", str(len(GIF)))
                self.end_headers()
                self.wfile.write(GIF)

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def run_case(case: Json, run: Json, folder: Path, host: RecordingHost) -> Ended:
    config = {"api_key": "k" * 40, "tracking_url": host.url, **case["config"]}
    config.setdefault("attribute_store_url", f"sqlite:///{(folder / 'store.db').as_posix()}")
    config.setdefault("rejects_path", str(folder / "rejects.jsonl"))
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = [line if isinstance(line, str) else json.dumps(line) for line in run["input"]]
    environment = case.get("env", {})
    words = [*_command(run), "--config", "config.json", *(["--config", "ENV"] if environment else [])]
    if closed := run.get("closed"):
        words = ["sh", "-c", f"{shlex.join(words)} {'>&-' if closed == 'stdout' else '<&-'}"]
    rejects = Path(config["rejects_path"])
    rejects_before = _rejects(rejects)
    host.calls.clear()
    ended = subprocess.run(
        words,
        input="".join(f"{line}\n" for line in lines),
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    states = ended.stdout.splitlines()
    return Ended(
        exit=ended.returncode,
        calls=[_call(call) for call in host.calls],
        rejects=_rejects(rejects)[len(rejects_before) :],
        state=json.loads(states[-1]) if states else None,
        stderr=ended.stderr,
    )


def _command(run: Json) -> list[str]:
    return [sys.executable, "-m", "target_kissmetrics"] if "closed" in run else command()


def _rejects(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _call(parameters: Json) -> Json:
    return {
        "path": parameters["path"],
        "person": parameters["_p"],
        ("other" if parameters["path"] == "/a" else "event"): parameters.get("_n"),
        "time": int(parameters["_t"]) if "_t" in parameters else None,
        "properties": {
            name: value
            for name, value in parameters.items()
            if name != "path" and (not name.startswith("_") or name in ("_ip", "_ua"))
        },
    }


def assert_as_expected(ended: Ended, expected: Json) -> None:
    """Compare all that an `expect` names: `exit`, `calls` (all), `calls_include`, `calls_exclude`, `rejects` (all), ...

    A call, and a reject, matches what has at least its keys with its values.
    """
    seen = f"{ended.stderr}\ncalls: {ended.calls}\nrejects: {ended.rejects}"
    assert ended.exit == expected.get("exit", ended.exit), seen
    if "calls" in expected:
        assert _pairs(expected["calls"], ended.calls, _is_call), seen
        assert len(ended.calls) == len(expected["calls"]), seen
    assert _pairs(expected.get("calls_include", []), ended.calls, _is_call), seen
    for call in expected.get("calls_exclude", []):
        assert not any(_is_call(call, other) for other in ended.calls), seen
    if "rejects" in expected:
        assert _pairs(expected["rejects"], ended.rejects, _is_reject), seen
        assert len(ended.rejects) == len(expected["rejects"]), seen
    for pattern in expected.get("stderr_matches", []):
        assert re.search(pattern, ended.stderr, re.IGNORECASE), f"{pattern} not in:\n{seen}"
    for pattern in expected.get("stderr_excludes", []):
        assert not re.search(pattern, ended.stderr, re.IGNORECASE), f"{pattern} in:\n{seen}"
    if "state" in expected:
        assert ended.state == expected["state"], seen


def _pairs(expected: Sequence[Json], seen: Sequence[Json], matches: Callable[[Json, Json], bool]) -> bool:
    """Whether each expected object has a seen one of its own, tried in every order."""
    if not expected:
        return True
    first, *others = expected
    return any(
        matches(first, one) and _pairs(others, [*seen[:index], *seen[index + 1 :]], matches)
        for index, one in enumerate(seen)
    )


def _is_call(expected: Json, call: Json) -> bool:
    if "other" in expected and {expected["person"], expected["other"]} != {call["person"], call.get("other")}:
        return False
    keys = ["path", "event", "time", *(["person"] if "other" not in expected else [])]
    if any(key in expected and expected[key] != call.get(key) for key in keys):
        return False
    properties = call["properties"]
    wanted = expected.get("properties")
    if wanted is not None:
        without = {name: value for name, value in properties.items() if not name.startswith("_") or name in wanted}
        if without != wanted:
            return False
    included = expected.get("properties_include", {})
    return all(properties.get(name) == value for name, value in included.items())


def _is_reject(expected: Json, reject: Json) -> bool:
    return (
        ("code" not in expected or re.fullmatch(expected["code"], reject["code"]) is not None)
        and ("field" not in expected or expected["field"] == reject["field"])
        and re.search(expected.get("reason_matches", ""), reject["reason"], re.IGNORECASE) is not None
    )
