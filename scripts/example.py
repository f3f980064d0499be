"""An example of `examples/`, for real: the commands of its README, with Meltano and its tap, against a sandbox.

    scripts/example.py NAME            run it, print what Kissmetrics then holds, and compare it with expected.json
    scripts/example.py NAME --json     print it as expected.json would have it
    scripts/example.py NAME --write    write expected.json

Exit 1 when a command fails, or when what Kissmetrics holds is not what expected.json says. A copy of the folder is run,
so that nothing is left behind in it; taps are installed once, into `.cache/meltano`, and the target is this checkout's.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import yaml

from target_kissmetrics.preview.cli import plan_of
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.sandbox.running import running

ROOT = Path(__file__).resolve().parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
MELTANO = ROOT / ".venv-meltano" / BIN / "meltano"
SHARED = ROOT / ".cache" / "meltano"
"""Where plugins are installed, for all examples and all runs."""

SECONDS = 300
LOADER = "target-kissmetrics"
DATABASE = "TAP_POSTGRES_SQLALCHEMY_URL"

LINES = "TARGET_KISSMETRICS_LINES_READ"
_TARGET = f"""#!/bin/sh
tee -a "${{{{{LINES}:-/dev/null}}}}" | {{}} "$@"
"""
"""Stands where Meltano looks for the target: keeps what it reads, for the preview."""

Answer = dict[str, Any]


class FailedError(Exception):
    """A command of an example failed; the text has its last lines."""


class Command(NamedTuple):
    """A command of a README: `NAME=value program argument ...`."""

    environment: Mapping[str, str]
    words: Sequence[str]


def commands(readme: str) -> list[Command]:
    """Give the commands of a README's console blocks, in order."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                names = [word for word in words if re.match(r"[A-Z_]+=", word)]
                environment = dict(name.split("=", 1) for name in names)
                found.append(Command(environment, words[len(names) :]))
    return found


class Project:
    """A copy of a Meltano project, whose target is this checkout's.

    Args:
        source: The folder with its `meltano.yml`.
        folder: Where the copy goes; made anew.
        url: The sandbox's.
    """

    def __init__(self, source: Path, folder: Path, url: str) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".meltano", "*.db", "*-rejects.jsonl*"))
        self._environment = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0",
            "NO_COLOR": "1",
            "TARGET_KISSMETRICS_TRACKING_URL": url,
        }
        self.definition = yaml.safe_load((folder / "meltano.yml").read_text(encoding="utf-8"))
        self._install()

    def _install(self) -> None:
        """Install the taps that are not there yet, and put a way to this checkout's target in the target's place."""
        # Of Meltano's own folder the plugins alone are shared: it keeps what a tap discovered there, too.
        (self.folder / ".meltano").mkdir()
        for kind in ("extractors", "loaders"):
            (SHARED / kind).mkdir(parents=True, exist_ok=True)
            (self.folder / ".meltano" / kind).symlink_to(SHARED / kind, target_is_directory=True)
        programs = SHARED / "loaders" / LOADER / "venv" / BIN
        programs.mkdir(parents=True, exist_ok=True)
        program = programs / LOADER
        program.write_text(_TARGET.format(shlex.quote(str(Path(sys.prefix) / BIN / LOADER))), encoding="utf-8")
        program.chmod(0o755)
        for tap in self.definition["plugins"]["extractors"]:
            name = tap.get("inherit_from", tap["name"])
            if not (SHARED / "extractors" / name / "venv" / BIN).exists():
                self._meltano("install", "extractor", name)

    def run(self, *arguments: str, environment: Mapping[str, str]) -> tuple[str, str]:
        """Run `meltano run ARGUMENTS`; give what it told, and the Singer lines that the target read.

        Raises:
            FailedError: It did not end well.
        """
        lines = self.folder / "lines.jsonl"
        lines.write_text("", encoding="utf-8")
        told = self._meltano("run", "--no-install", *arguments, environment={**environment, LINES: str(lines)})
        return told, lines.read_text(encoding="utf-8")

    def _meltano(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [str(MELTANO), *arguments],
            cwd=self.folder,
            env={**os.environ, **self._environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode:
            raise FailedError(f"meltano {' '.join(arguments)}\n{done.stdout[-4000:]}")
        return done.stdout


class Example:
    """An example while it runs.

    Args:
        name: Its folder's name.
        database: URL of an empty PostgreSQL database; None for an example that reads none.
        url: The sandbox's.
    """

    def __init__(self, name: str, database: str | None, url: str) -> None:
        self._project = Project(ROOT / "examples" / name, ROOT / ".cache" / "examples" / name, url)
        self._database = database
        self._url = url
        self._warnings: list[str] = []
        (self._config,) = [
            loader["config"] for loader in self._project.definition["plugins"]["loaders"] if loader["name"] == LOADER
        ]

    def run(self) -> Answer:
        """Run the commands of its README; give what Kissmetrics then holds.

        Raises:
            FailedError: A command failed.
        """
        folder = self._project.folder
        runs = []
        for command in commands((folder / "README.md").read_text(encoding="utf-8")):
            program, *arguments = command.words
            if program == "psql":
                self._execute(folder / arguments[arguments.index("-f") + 1])
            elif program == "meltano" and arguments[0] == "run":
                environment = {
                    **command.environment,
                    **({DATABASE: _for_tap(self._database)} if self._database else {}),
                }
                _, lines = self._project.run(*arguments[1:], environment=environment)
                self._preview(lines)
                counts = {name: value for name, value in self._ask("summary").items() if name != "duplicates"}
                runs.append({"run": " ".join([*_assigned(command), *command.words]), **counts})
            else:
                raise FailedError(f"{program} {' '.join(arguments)}: no command that an example can run")
        return {
            "runs": runs,
            "events": sorted(self._ask("events"), key=lambda event: event["name"]),
            "people": self._people(),
            "not_kept": dict(sorted(Counter(one["reason"] for one in self._ask("not-kept?limit=1000")).items())),
            "rejects": self._rejects(),
            "warnings": self._warnings,
        }

    def _execute(self, path: Path) -> None:
        if self._database is None:
            raise FailedError(f"{path.name} needs a PostgreSQL: --database URL")
        with psycopg.connect(self._database) as connection:
            connection.execute(path.read_text(encoding="utf-8").encode())

    def _preview(self, lines: str) -> None:
        """Take note of what the preview warns of, for what the target read and the example's config."""
        preview = Preview(plan_of(self._config, 0, int(time.time())))
        preview.read(io.BytesIO(lines.encode()), self._config)
        preview.finish()
        for stream in preview.streams.values():
            if stream.problem is not None:
                raise FailedError(f"target-kissmetrics-preview: {stream.problem}")
        told = [*preview.warnings, *(w for one in preview.streams.values() for w in one.warnings)]
        self._warnings += [line for line in told if line not in self._warnings]

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/{path}", timeout=10) as answer:
            return json.load(answer)

    def _people(self) -> list[Answer]:
        """Give everybody; in the order of their names, for calls arrive in no promised order."""
        listed = self._ask("people?limit=1000")["people"]
        people = [self._ask(f"people/{urllib.parse.quote(one['identities'][0], safe='')}") for one in listed]
        for person in people:
            person["identities"].sort()
            person["events"].sort(key=lambda event: (event["timestamp"], event["name"]))
            person["properties"] = dict(sorted(person["properties"].items()))
        return sorted(people, key=lambda person: person["identities"])

    def _rejects(self) -> list[Answer]:
        path = self._project.folder / self._config.get("rejects_path", "target-kissmetrics-rejects.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [{name: json.loads(line)[name] for name in ("stream", "code", "field")} for line in lines]


def _assigned(command: Command) -> list[str]:
    return [f"{name}={value}" for name, value in command.environment.items()]


def _for_tap(url: str) -> str:
    """Give a database's URL with a password: the tap's driver asks for one, the server does not."""
    return re.sub(r"//(\w+)@", r"//\1:none@", url)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make a database for the length of a context; give its URL."""
    name = f"example_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Give a PostgreSQL server: the one that was named, or one that the tests' own module starts."""
    if url is not None:
        yield url
        return
    sys.path.append(str(ROOT / "tests" / "support"))
    from postgres_server import binaries, running_postgres  # noqa: PLC0415 - needed by some examples alone

    if binaries() is None:
        raise FailedError(
            "it needs a PostgreSQL: install Debian's package postgresql, or name a server with --postgres URL"
        )
    with running_postgres() as started:
        yield started


def run(name: str, server: str | None = None) -> Answer:
    """Run an example; give what Kissmetrics then holds.

    Args:
        name: Its folder's name.
        server: URL of a PostgreSQL server for examples that need one; None starts one.

    Raises:
        FailedError: A command failed.
    """
    needs_database = "tap-postgres" in (ROOT / "examples" / name / "meltano.yml").read_text(encoding="utf-8")
    with (
        running() as sandbox,
        _server(server) if needs_database else nullcontext() as postgres,
        fresh_database(postgres) if postgres else nullcontext() as database,
    ):
        return Example(name, database, sandbox.url).run()


def as_json(value: Any, indent: str = "") -> str:
    """Write JSON with what fits on a line on one line, so that a person can read it."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(indent) + len(flat) <= 116:
        return flat
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {as_json(one, inner)}" for key, one in value.items()]
        return f"{{\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}}}"
    return f"[\n{inner}" + f",\n{inner}".join(as_json(one, inner) for one in value) + f"\n{indent}]"


def _show(held: Answer) -> None:
    """Print what Kissmetrics holds, for a person."""
    for one in held["runs"]:
        print(f"$ {one['run']}")
        print("  " + ", ".join(f"{name} {one[name]}" for name in ("calls", "people", "events", "revenue", "not_kept")))
    if any(one["not_kept"] for one in held["runs"]):
        print("  not_kept counts events and single values: Kissmetrics ignores what it holds already")
    for person in held["people"]:
        print(f"\n{' = '.join(person['identities'])}")
        told = [(event["timestamp"], event["name"]) for event in person["events"]]
        for name, values in person["properties"].items():
            told += [(value["timestamp"], f"  {name} = {value['value']}") for value in values]
        for second, text in sorted(told, key=lambda line: line[0]):
            print(f"  {datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}  {text}")
    for reject in held["rejects"]:
        print(f"\nset aside: {reject['code']}{' at ' + reject['field'] if reject['field'] else ''}")


def main() -> int:
    """Run the command; give the exit code."""
    names = sorted(path.parent.name for path in (ROOT / "examples").glob("*/meltano.yml"))
    parser = argparse.ArgumentParser(description="Run an example against a sandbox.")
    parser.add_argument("name", choices=names)
    parser.add_argument("--postgres", metavar="URL", help="a PostgreSQL server; left out: one is started")
    parser.add_argument("--json", action="store_true", help="print all that Kissmetrics holds, as JSON")
    parser.add_argument("--write", action="store_true", help="write expected.json")
    options = parser.parse_args()
    path = ROOT / "examples" / options.name / "expected.json"
    try:
        held = run(options.name, options.postgres)
    except FailedError as problem:
        print(problem, file=sys.stderr)
        return 1
    if options.write:
        path.write_text(f"{as_json(held)}\n", encoding="utf-8")
    if options.json:
        print(as_json(held))
        return 0
    _show(held)
    same = json.loads(path.read_text(encoding="utf-8")) == held
    print("\nJust as expected.json says" if same else "\nNOT what expected.json says: compare it with --json")
    print(f"What it shows: examples/{options.name}/README.md")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
