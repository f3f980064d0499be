"""Each code block of README.md and docs/ is run, or checked as far as it can be.

A page's blocks are taken in order, in a folder of the page's own. A block with a title (`title="config.json"`) is a
file of that name; a console block is run there by a shell, with this project's real commands, and its output is held
against the one shown, in which `...` stands for anything. A command that is meant to fail says so in a comment in front
of its block: `<!-- exit code 1 -->`. The address http://127.0.0.1:8765 is a sandbox of the page's own, db.internal a
PostgreSQL server of the tests', and s3:// a bucket of theirs. README.md names files that are its reader's; `give_files`
puts them there, so that its commands are run as those of the pages are.

What cannot be run here is checked otherwise, and all such things are in this list:

- `pip install`: the extras exist. This project is not installed from PyPI by its own tests.
- `meltano ...`: Meltano's own parsers read the command, the settings and commands of the plugin exist; the tests in
  tests/e2e run Meltano.
- a pipe from `tap-...`: our side of the pipe is parsed; there is no source to tap.
- `kubectl apply`: the file is on the page; its variables are settings.
- `make ...`: the target exists, and the example that it names; CI runs them.
- Python that imports Airflow or Dagster: it is compiled.
- README's example of the preview, which tests/preview/test_preview_readme.py runs.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from docs_blocks import PAGES, Block, blocks_of
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
    "target-kissmetrics-check",
    *("cat", "cp", "curl", "echo", "grep", "gzip", "head", "ls"),
    *("mkdir", "mv", "python", "rm", "sort", "stat", "tail", "wc"),
}
"""Programs that are run; a command with any other is checked."""

README = PAGES[0]
PREVIEWED = "preview example: input"
"""What stands in front of the rows that README.md shows."""

STORE_URL = "postgresql+psycopg://kissmetrics@db.internal/etl"
BUCKET = "my-bucket"

_ORCHESTRATORS = re.compile(r"^(?:from|import) (?:airflow|dagster)\b", re.MULTILINE)
_EXIT_CODE = re.compile(r"exit code (\d+)")


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    # Short: the name of a socket in there has 100 characters at most.
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
    """Works through a page.

    Args:
        page: The page.
        open_shell: Gives the shell to do it in.
    """

    def __init__(self, page: Path, open_shell: Callable[[str], Shell]) -> None:
        self._page = page
        self._text = page.read_text(encoding="utf-8")
        self._left = blocks_of(page)
        self._open_shell = open_shell
        self._shell: Shell | None = None

    def read(self, block: Block) -> None:
        """Take a block, after those before it that nobody took yet."""
        while self._left and self._left[0].line <= block.line:
            self._take(self._left.pop(0))

    def close(self) -> None:
        """End what the page started."""
        if self._shell is not None:
            self._shell.close()

    @property
    def shell(self) -> Shell:
        """The page's shell."""
        if self._shell is None:
            is_readme = self._page == README
            # The servers that it names are for its settings alone.
            self._shell = self._open_shell("" if is_readme else self._text)
            if is_readme:
                give_files(self._shell)
            elif SANDBOX_URL in self._text and "$ kissmetrics-sandbox" not in self._text:
                self._shell.needs_sandbox()
        return self._shell

    def _take(self, block: Block) -> None:
        if block.comment.startswith("preview example"):
            return
        check = getattr(self, f"_{block.language}", None)
        assert check is not None, f"no block of language {block.language!r} can be checked: {block.name}"
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
                    check_command(words, self._text)

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
    def _ini(block: Block) -> None:
        variables = dict(line.split("=", 1) for line in block.text.splitlines() if line and not line.startswith("#"))
        assert variables
        check_environment(variables)


def give_files(shell: Shell) -> None:
    """Give what README.md says that its reader has: rows, a config, a host, and what a run rejected before."""
    rows = next(block.text for block in blocks_of(README) if block.comment.startswith(PREVIEWED))
    shell.needs_sandbox()
    shell.put("rows.jsonl", rows)
    for customer in ("note", "buyer_email"):
        entry = {"stream": "public-orders", "kind": "event", "customer_id": customer, "event_name": "Purchased"}
        config = {"api_key": "k", "tracking_url": SANDBOX_URL, "use_customer_id": True, "streams": [entry]}
        shell.put("config.json", json.dumps(config))
        if customer == "note":
            shell.run(Command("target-kissmetrics --config config.json --input rows.jsonl", "...1 no-identity...\n"))


def is_run(command: Command) -> bool:
    """Tell whether a command can be run here."""
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


@pytest.mark.parametrize("block", BLOCKS, ids=[block.name for block in BLOCKS])
def test_a_block_does_what_it_shows(block: Block, reader: Callable[[Path], Reader]) -> None:
    reader(block.page).read(block)


def test_meltano_knows_the_commands() -> None:
    if not MELTANO.exists() and "CI" not in os.environ:
        pytest.skip("Meltano is not installed (make .venv-meltano/.ready)")
    stages = [words for block in BLOCKS if block.language == "console" for words in _stages(block)]
    check_with_meltano([words for words in stages if words[0] == "meltano"])


def _stages(block: Block) -> Iterator[list[str]]:
    for command in commands_of(block.text):
        yield from command.stages


def test_the_readme_s_own_commands_are_run() -> None:
    blocks = [block for block in blocks_of(README) if block.language == "console"]
    run = {command.stages[0][0] for block in blocks for command in commands_of(block.text) if is_run(command)}
    assert run == {"target-kissmetrics-preview", "target-kissmetrics-replay", "kissmetrics-sandbox"}


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
