"""Runs each code block of README.md and docs/, or checks it as far as possible.

The blocks of a page run in order, in a folder of the page's own. A block with a title (`title="config.json"`) is a file
of that name. A console block runs in a shell with this project's real commands, and its output must match the output
shown, where `...` matches anything. A comment before a block announces a failure: `<!-- exit code 1 -->`. Some names
stand for servers of the tests: http://127.0.0.1:8765 for a sandbox of the page's own, db.internal for a PostgreSQL
server, and s3:// for a bucket.

Blocks that cannot run here are checked otherwise:

- `pip install`: the extras exist.
- `meltano ...`: Meltano's own parsers accept the command; the plugin's settings and commands exist.
- a pipe from `tap-...`: the arguments of this side of the pipe are parsed.
- `kubectl apply`: the page shows the file, and its variables are settings.
- `make ...`: the target exists, and so does the example that it names.
- Python that imports Airflow or Dagster: it compiles.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_blocks import PAGES, ROOT, Block, blocks_of
from docs_checks import (
    MELTANO,
    check_command,
    check_environment,
    check_manifests,
    check_meltano_yml,
    check_settings,
    check_with_meltano,
)
from docs_shell import SANDBOX_URL, Command, Shell, check_output, commands_of, programs

from target_kissmetrics.errors import ConfigError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the pages' commands are for a POSIX shell")

BLOCKS = [block for page in PAGES for block in blocks_of(page)]

RUN = {
    *("target-kissmetrics", "target-kissmetrics-replay", "target-kissmetrics-preview", "kissmetrics-sandbox"),
    *("target-kissmetrics-check", "target-kissmetrics-verify"),
    *("cat", "cp", "curl", "echo", "grep", "gzip", "head", "ls"),
    *("mkdir", "mv", "python", "rm", "sort", "stat", "tail", "wc"),
}
"""Programs that are run. A command with any other program is checked."""

STORE_URL = "postgresql+psycopg://kissmetrics@db.internal/etl"
BUCKET = "my-bucket"

_ORCHESTRATORS = re.compile(r"^(?:from|import) (?:airflow|dagster)\b", re.MULTILINE)
_EXIT_CODE = re.compile(r"exit code (\d+)")


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    # A short name: a socket's path has at most 100 characters.
    with tempfile.TemporaryDirectory(prefix="docs-") as folder, programs(Path(folder)) as ready:
        yield ready


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    account = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **account)
    client.create_bucket(Bucket=BUCKET)
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    server.stop()


class Reader:
    """Runs the blocks of a page.

    Args:
        page: The page.
        open_shell: Opens a shell for a page's text.
    """

    def __init__(self, page: Path, open_shell: Callable[[str], Shell]) -> None:
        self._page = page
        self._page_text = page.read_text(encoding="utf-8")
        self._left = blocks_of(page)
        self._open_shell = open_shell
        self._shell: Shell | None = None

    def read(self, block: Block) -> None:
        """Run a block, after those before it that did not run yet."""
        while self._left and self._left[0].line <= block.line:
            self._run(self._left.pop(0))

    def close(self) -> None:
        """Stop what the page started."""
        if self._shell is not None:
            self._shell.close()

    @property
    def shell(self) -> Shell:
        """The page's shell."""
        if self._shell is None:
            self._shell = self._open_shell(self._page_text)
            if SANDBOX_URL in self._page_text and "$ kissmetrics-sandbox" not in self._page_text:
                self._shell.needs_sandbox()
        return self._shell

    def _run(self, block: Block) -> None:
        check = getattr(self, f"_{block.language}", None)
        assert check is not None, f"{block.name}: add a check for language {block.language!r}"
        check(block)
        if block.title:
            self.shell.put(block.title, block.text)

    def _console(self, block: Block) -> None:
        code = _EXIT_CODE.search(block.comment)
        for command in commands_of(block.text):
            if is_run(command):
                self.shell.run(command, int(code[1]) if code else 0)
            else:
                for words in command.stages:
                    check_command(words, self._page_text)

    @staticmethod
    def _yaml(block: Block) -> None:
        documents = list(yaml.safe_load_all(block.text))
        if "apiVersion" in documents[0]:
            check_manifests(documents)
        elif "plugins" in documents[0]:
            check_meltano_yml(documents[0])
        else:
            check_settings(documents[0])

    @staticmethod
    def _json(block: Block) -> None:
        lines = block.text.splitlines()
        if lines[0].startswith('{"type":'):
            assert all(json.loads(line)["type"] for line in lines)
        elif block.title.endswith(".jsonl"):
            assert all(isinstance(json.loads(line), dict) for line in lines)
        else:
            config = json.loads(block.text)
            if block.title.startswith("config"):
                check_settings(config)

    _jsonl = _json

    def _python(self, block: Block) -> None:
        compile(block.text, block.name, "exec")
        if _ORCHESTRATORS.search(block.text) or block.title:
            return
        self.shell.put("block.py", block.text)
        self.shell.run(Command("python block.py", ""))

    @staticmethod
    def _text(block: Block) -> None:
        """Accept a diagram."""

    @staticmethod
    def _ini(block: Block) -> None:
        variables = dict(line.split("=", 1) for line in block.text.splitlines() if line and not line.startswith("#"))
        assert variables
        check_environment(variables)


def is_run(command: Command) -> bool:
    """Return whether a command can be run here."""
    return all(words[0] in RUN for words in command.stages)


@pytest.fixture(scope="module")
def reader(
    commands: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[Path], Reader]]:
    readers: dict[Path, Reader] = {}

    def open_shell(text: str) -> Shell:
        environment: dict[str, str] = request.getfixturevalue("s3") if "s3://" in text else {}
        elsewhere = {}
        if STORE_URL in text:
            url: str = request.getfixturevalue("postgres")
            elsewhere[STORE_URL] = url.replace("postgresql://", "postgresql+psycopg://")
        return Shell(tmp_path_factory.mktemp("page"), commands, elsewhere, environment)

    def give(page: Path) -> Reader:
        if page not in readers:
            readers[page] = Reader(page, open_shell)
        return readers[page]

    yield give
    for one in readers.values():
        one.close()


def _cases() -> Iterator[Any]:
    """Give each block; those of a page run in one process, since each builds on those before it."""
    for block in BLOCKS:
        page = block.page.relative_to(ROOT).as_posix()
        marks = [pytest.mark.xdist_group(page)]
        if STORE_URL in block.page.read_text(encoding="utf-8"):
            marks.append(pytest.mark.postgres)
        yield pytest.param(block, marks=marks, id=block.name)


@pytest.mark.slow
@pytest.mark.parametrize("block", list(_cases()))
def test_a_block_does_what_it_shows(block: Block, reader: Callable[[Path], Reader]) -> None:
    reader(block.page).read(block)


@pytest.mark.e2e
def test_meltano_knows_the_commands() -> None:
    if not MELTANO.exists() and "CI" not in os.environ:
        pytest.skip("Meltano is not installed (make .venv-meltano/.ready)")
    stages = [words for block in BLOCKS if block.language == "console" for words in _stages(block)]
    check_with_meltano([words for words in stages if words[0] == "meltano"])


def _stages(block: Block) -> Iterator[list[str]]:
    for command in commands_of(block.text):
        yield from command.stages


def test_links_of_pages_outside_the_site_exist() -> None:
    for page in (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{page.name}: {link}"


def test_the_readme_has_at_most_250_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


def test_every_fence_is_found() -> None:
    for page in PAGES:
        fences = re.findall(r"^\s*```", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(fences) == 2 * len(blocks_of(page)), page


@pytest.mark.parametrize(
    "line",
    [
        "target-kissmetrics --inptu rows.jsonl",
        "target-kissmetrics-preview rows.jsonl --sugest",
        "target-kissmetrics-replay",
        "kissmetrics-sandbox --prot 1",
        "tap-x | target-kissmetrics --about=json --nothing",
        "pip install 'target-kissmetrics[kafka]'",
        "meltano config set target-kissmetrics trackingurl https://trk.kissmetrics.io",
        "meltano config set target-kissmetrics max_connections many",
        "meltano invoke target-kissmetrics:send",
        "make coffee",
        "make example NAME=coffee",
        "kubectl apply -f other.yaml",
        "frobnicate",
    ],
)
def test_a_command_that_is_wrong_is_found(line: str) -> None:
    words = Command(line, "").stages[-1]
    with pytest.raises((AssertionError, ConfigError)):
        check_command(words, 'title="job.yaml"')


def test_output_that_differs_is_found() -> None:
    command = Command("target-kissmetrics --version", "target-kissmetrics v...\n")
    check_output(command, "target-kissmetrics v1.2.3\n")
    with pytest.raises(AssertionError, match="Differences"):
        check_output(command, "target-kisses v1.2.3\n")


def test_a_pipeline_is_taken_apart() -> None:
    command = Command("A=1 tap-x --config 'a b' < in.txt | \\\n target-kissmetrics > out.txt; cat out.txt", "")
    assert command.stages == [["tap-x", "--config", "a b"], ["target-kissmetrics"], ["cat", "out.txt"]]
