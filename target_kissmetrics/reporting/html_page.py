"""What this project's pages share: one file that opens offline, without scripts, readable by eye and by screen reader,
light and dark.

All text from data is escaped. The page's own policy lets nothing run or load, in case one text is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from target_kissmetrics.reporting import display as shown

NOTE_CHARACTERS = 3000

_NOTES = {"warn": "Warning", "stop": "Stop"}


def document(title: str, body: Iterable[str], *, style: str = "") -> str:
    """Write a page.

    Args:
        title: As text.
        body: Parts of it as HTML; empty ones are skipped.
        style: CSS besides what all pages share.
    """
    page = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(title=escape(title), style=style, body="\n".join(filter(None, body)))


def note(kind: str, text: str, word: str = "") -> str:
    """Write a note of the kind `good`, `warn` or `stop`, from text, after a word of its own."""
    written = escape(shown.line(text, NOTE_CHARACTERS))
    return f'<p class="note {kind}"><strong>{word or _NOTES[kind]}:</strong> {written}</p>'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Write a table. Cells are HTML; each row's first one is its head.

    Args:
        caption: As text.
        heads: Of the columns.
        rows: The cells.
        numbers: Columns that hold numbers, from 0.
    """
    classes = [' class="number"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for kind, name in zip(classes, heads, strict=True))
    lines = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes[1:], rest, strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
