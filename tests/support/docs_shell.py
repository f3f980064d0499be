"""Runs the console blocks of a page in a folder of its own, as a reader would, and compares their output."""

from __future__ import annotations

import doctest
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from target_kissmetrics.sandbox.running import running

SANDBOX_URL = "http://127.0.0.1:8765"
"""The sandbox on the pages; in the tests, another port takes its place."""

TIMEOUT_SECONDS = 120

_BASH = shutil.which("bash") or "/bin/bash"
_FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF


class Command(NamedTuple):
    """A command of a console block.

    Attributes:
        line: The text after the `$`.
        output: The output shown; empty without one.
    """

    line: str
    output: str

    @property
    def stages(self) -> list[list[str]]:
        """The words of each program of the pipeline, without variables and redirections."""
        lexer = shlex.shlex(self.line.replace("\\\n", " "), posix=True, punctuation_chars="|<>&;")
        lexer.whitespace_split = True
        stages: list[list[str]] = [[]]
        words = iter(lexer)
        for word in words:
            if set(word) <= set("|&;"):
                stages.append([])
            elif set(word) <= set("<>"):
                next(words)
            elif stages[-1] or "=" not in word:
                stages[-1].append(word)
        return [stage for stage in stages if stage]


def commands_of(text: str) -> list[Command]:
    """Parse a console block."""
    commands: list[Command] = []
    lines = text.splitlines(keepends=True)
    while lines:
        line = lines.pop(0)
        assert line.startswith("$ "), f"a console block starts a command with '$ ', not {line!r}"
        while line.endswith("\\\n"):
            line += lines.pop(0)
        output = ""
        while lines and not lines[0].startswith("$ "):
            output += lines.pop(0)
        commands.append(Command(line[2:].rstrip("\n"), output))
    return commands


class Shell:
    """A shell in a folder.

    Args:
        folder: The working folder.
        programs: The folder with the programs of `docs_commands`.
        elsewhere: Names on the page (of a sandbox, a database) and what replaces them here.
        environment: Further variables.
    """

    def __init__(
        self, folder: Path, programs: Path, elsewhere: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._elsewhere = dict(elsewhere)
        self._stack = ExitStack()
        own = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {**own, "PATH": path, "HOME": str(folder), "PYTHONUTF8": "1", **environment}

    def close(self) -> None:
        """Stop what runs in the background."""
        self._stack.close()

    def needs_sandbox(self) -> None:
        """Start a sandbox, unless there is one."""
        if SANDBOX_URL not in self._elsewhere:
            self._elsewhere[SANDBOX_URL] = self._stack.enter_context(running()).url

    def put(self, name: str, text: str) -> None:
        """Write a file."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._there(text), encoding="utf-8")

    def run(self, command: Command, exit_code: int = 0) -> None:
        """Run a command.

        Raises:
            AssertionError: Its exit code or output differs.
        """
        if command.line.startswith("kissmetrics-sandbox"):
            self._start_sandbox(command)
            return
        done = subprocess.run(
            [_BASH, "-o", "pipefail", "-c", self._there(command.line)],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS,
            encoding="utf-8",
            check=False,
        )
        written = self._here(done.stdout)
        if done.returncode != exit_code:
            logs = "".join(path.read_text(encoding="utf-8")[-3000:] for path in self._folder.glob("*.log"))
            raise AssertionError(f"$ {command.line}\nended with {done.returncode}:\n{written}{logs}")
        if command.output:
            check_output(command, written)

    def _start_sandbox(self, command: Command) -> None:
        without_comment = command.line.partition(" #")[0]
        line = f"exec {self._there(without_comment)} --port 0"
        url = self._stack.enter_context(_sandbox(line, self._folder, self._environment))
        self._elsewhere[SANDBOX_URL] = url
        if command.output:
            check_output(command, f"{SANDBOX_URL}\n")

    def _there(self, text: str) -> str:
        for name, real in self._elsewhere.items():
            text = text.replace(name, real)
        return text

    def _here(self, text: str) -> str:
        for name, real in self._elsewhere.items():
            text = text.replace(real, name)
        return text


def check_output(command: Command, written: str) -> None:
    """Compare output with the output shown, where `...` matches anything.

    Raises:
        AssertionError: They differ.
    """
    checker = doctest.OutputChecker()
    # Tables on a terminal have trailing blanks.
    wanted, got = ("".join(f"{line.rstrip()}\n" for line in text.splitlines()) for text in (command.output, written))
    if not checker.check_output(wanted, got, _FLAGS):
        difference = checker.output_difference(doctest.Example(command.line, wanted), got, _FLAGS)
        raise AssertionError(f"$ {command.line}\n{difference}")


@contextmanager
def _sandbox(line: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a sandbox in a process; yield its URL."""
    with subprocess.Popen(
        [_BASH, "-c", line], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), f"{line} did not start"
            yield url
        finally:
            process.terminate()


@contextmanager
def programs(folder: Path, server: str = "docs_commands.py", python: str = sys.executable) -> Iterator[Path]:
    """Serve this project's commands, or those of another server of this folder; yield the folder for PATH."""
    command = [python, str(Path(__file__).with_name(server)), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", "the commands could not be imported"
            yield folder
        finally:
            process.terminate()
