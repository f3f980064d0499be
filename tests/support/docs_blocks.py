"""Finds the code blocks of README.md and docs/ with a Markdown parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_TITLE = re.compile(r'\btitle="([^"]+)"')
_COMMENT = re.compile(r"\s*<!--\s*(.*?)\s*-->\s*", re.DOTALL)


class Block(NamedTuple):
    """A code block.

    Attributes:
        page: The file that contains it.
        line: Its first line, from 1.
        language: The language of the fence.
        title: The file that a reader saves it as; empty without one.
        comment: The HTML comment directly before it.
        text: Its content.
    """

    page: Path
    line: int
    language: str
    title: str
    comment: str
    text: str

    @property
    def name(self) -> str:
        """The test's ID: `docs/how-to/orders.md:17`."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    return list(_blocks(page, page.read_text(encoding="utf-8"), 0))


def _blocks(page: Path, text: str, offset: int) -> Iterator[Block]:
    comment = ""
    for token in MarkdownIt().parse(text):
        line = offset + (token.map[0] if token.map else 0)
        if token.type == "fence":
            title = _TITLE.search(token.info)
            language = token.info.partition(" ")[0]
            yield Block(page, line + 1, language, title[1] if title else "", comment, token.content)
        elif token.type == "code_block":
            # The indented content of an MkDocs admonition is Markdown.
            yield from _blocks(page, token.content, line)
        if token.type == "html_block":
            found = _COMMENT.fullmatch(token.content)
            comment = found[1] if found else ""
        else:
            comment = ""
