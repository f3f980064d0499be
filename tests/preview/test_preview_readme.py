"""The README's example of a preview is what the command writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLE: dict[str, str] = dict(re.findall(r"<!-- preview example: (\w+).*?-->\n```\w*\n(.*?)```", README, re.DOTALL))


def preview(*arguments: str) -> str:
    command = [sys.executable, "-X", "utf8", "-m", "target_kissmetrics.preview.cli", *arguments]
    done = subprocess.run(command, input=EXAMPLE["input"].encode(), capture_output=True, check=True)
    return done.stdout.decode()


def test_the_suggestion_is_the_one_shown() -> None:
    assert preview("--suggest") == EXAMPLE["suggested"]


def test_every_line_shown_is_written() -> None:
    assert set(EXAMPLE["shown"].splitlines()) <= set(preview("--rows", "1").splitlines())
