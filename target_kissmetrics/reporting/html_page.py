"""What this project's pages share: one file that opens offline, without scripts, readable by eye and by screen reader,
light and dark.

All that comes from data is escaped, and a page's own policy lets nothing run or load, should one text be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from target_kissmetrics.reporting import display as shown

NOTE_CHARACTERS = 2000

STYLE = """
:root { --back: #fff; --text: #1c2024; --soft: #56606a; --line: #d3d9df; --panel: #f4f6f8; --link: #0b5cad;
  --warn: #8a4b00; --warn-back: #fff6e5; --stop: #a3230b; --stop-back: #fdeeea; --good: #14682f; --id: #7a2a8f; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e9ec; --soft: #a6b0ba; --line: #3a424a;
  --panel: #1d2125; --link: #7db8f5; --warn: #ffc46b; --warn-back: #2b2315; --stop: #ff9d85; --stop-back: #301a16;
  --good: #7fd69a; --id: #d9a6ea; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 4rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; } h3 { font-size: 1.05rem;
  margin: 1.25rem 0 .4rem; }
.soft { color: var(--soft); } a { color: var(--link); }
nav ul { padding-left: 1.2rem; } .skip { position: absolute; left: -99rem; } .skip:focus { position: static; }
section.stream { border-top: 2px solid var(--line); margin-top: 2rem; padding-top: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .25rem 0 .75rem; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  min-width: 7.5rem; }
thead th { color: var(--soft); font-size: .875rem; } tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; min-width: 4rem; }
.note { border-left: .3rem solid; padding: .5rem .8rem; margin: .5rem 0; border-radius: .2rem; }
.warn { border-color: var(--warn); background: var(--warn-back); } .stop { border-color: var(--stop);
  background: var(--stop-back); }
pre, code { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  white-space: pre-wrap; }
details > summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
  :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
"""


def document(title: str, body: Iterable[str], *, style: str) -> str:
    """Write a page.

    Args:
        title: As text.
        body: Parts of it as HTML; empty ones are left out.
        style: CSS beside what all pages share.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>"
        + "\n".join(part for part in body if part)
        + "</body></html>\n"
    )


def note(kind: str, text: str) -> str:
    """Write a note of the kind `warn` or `stop`, from text."""
    word = {"warn": "Warning", "stop": "Stop"}[kind]
    return f'<p class="note {kind}"><strong>{word}:</strong> {escape(shown.line(text, NOTE_CHARACTERS))}</p>'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Write a table; cells are HTML already, each row's first one is its head."""
    classes = ['class="number"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(f'<th scope="col" {classes[index]}>{name}</th>' for index, name in enumerate(heads))
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td {classes[index]}>{cell}</td>" for index, cell in enumerate(row) if index)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
