"""Writes the tables of docs/: settings, keys, reject codes, metrics, the report, commands, examples.

    python scripts/reference_tables.py          rewrite the pages

A table stands between two comments, `<!-- NAME: ... -->` and `<!-- end of NAME -->`. The pages keep the tables, so that
they can be read in the repository and changes show in a diff. A test compares them with the code.
"""

from __future__ import annotations

import argparse
import copy
import re
from collections import abc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import click

from target_kissmetrics.commands import check, replay, verify
from target_kissmetrics.config.about import shown_default, shown_type
from target_kissmetrics.config.settings import SCHEMA
from target_kissmetrics.mapping.kinds import event, people
from target_kissmetrics.mapping.registry import BY_NAME
from target_kissmetrics.mapping.reject_codes import REASONS
from target_kissmetrics.mapping.rules import clock, identity
from target_kissmetrics.preview import cli as preview_cli
from target_kissmetrics.reporting.counts import FIGURES
from target_kissmetrics.reporting.monitor import RUN_FIGURES
from target_kissmetrics.reporting.report import Latency, Moment, Names, RunReport, SlowCall, StreamReport
from target_kissmetrics.sandbox import cli as sandbox_cli
from target_kissmetrics.target import TargetKissmetrics

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))

_NAME = re.compile(r"\b(?:__[a-z]+__|[a-z]+(?:_[a-z]+)+)\b")
"""What a reader types, in a text for people."""

FOUND: Mapping[str, tuple[str, ...]] = {
    "customer_id": identity.CUSTOMER_ID_CANDIDATES,
    "device_id": identity.DEVICE_ID_CANDIDATES,
    "timestamp (events, aliases)": clock.EVENT_TIME_CANDIDATES,
    "timestamp (user attributes, experiments)": clock.ATTRIBUTE_TIME_CANDIDATES,
    "event_name": event.EVENT_NAME_CANDIDATES,
    "line_items": event.LINE_ITEM_CANDIDATES,
    "user_attributes": event.USER_ATTRIBUTE_CANDIDATES,
    "previous_id": people.PREVIOUS_ID_CANDIDATES,
    "experiment": people.EXPERIMENT_CANDIDATES,
    "variant": people.VARIANT_CANDIDATES,
}
"""Fields that are tried where an entry names none."""

REPORTED: Mapping[str, type] = {
    "The run": RunReport,
    "A stream": StreamReport,
    "Names": Names,
    "Latency": Latency,
    "A moment": Moment,
    "A slow call": SlowCall,
}
"""Each kind of object in a report's JSON."""


class Option(NamedTuple):
    """An argument of a command, however its parser was written."""

    names: str
    default: str
    meaning: str


def with_tables(text: str) -> str:
    """Put the tables between their marks."""
    for mark, table in TABLES.items():
        pattern = rf"(<!-- {mark}: [^\n]*-->\n).*?(<!-- end of {mark} -->)"
        text = re.sub(pattern, lambda m, table=table: f"{m[1]}{table()}\n{m[2]}", text, flags=re.DOTALL)
    return text


def settings_in_full() -> str:
    """Give a section for each setting, so that it can be linked to."""
    sections = []
    for name, schema in _own().items():
        limits = [f"{words} `{schema[key]}`" for key, words in _LIMITS.items() if key in schema]
        facts = [f"Type: {_type(schema)}", f"default: {_default(name, schema)}", *limits]
        variable = f"variable: `TARGET_KISSMETRICS_{name.upper()}`"
        sections.append(f"### `{name}`\n\n{_text(schema)}\n\n{'; '.join([*facts, variable])}.\n")
    return "\n" + "\n".join(sections)


def sdk_settings_table() -> str:
    """Give the table of the settings that the Meltano SDK adds."""
    schema = copy.deepcopy(SCHEMA)
    TargetKissmetrics.append_builtin_config(schema)
    others = {name: one for name, one in schema["properties"].items() if name not in _own()}
    return _table(
        ("setting", "type", "meaning"),
        [(f"`{name}`", _type(one), _text(one)) for name, one in sorted(others.items())],
    )


def stream_keys_table() -> str:
    """Give the table of the keys of an entry of `streams`."""
    return _table(
        ("key", "type", "meaning"),
        [(f"`{name}`", _type(schema), _text(schema)) for name, schema in _keys().items()],
    )


def stream_kinds_table() -> str:
    """Give the table of the kinds for which each key has a meaning."""
    rows = []
    for name in _keys():
        kinds = ", ".join(f"`{kind}`" for kind, one in BY_NAME.items() if name in one.keys and kind != "ignore")
        rows.append((f"`{name}`", kinds or "all"))
    return _table(("key", "kinds"), rows)


def found_table() -> str:
    """Give the table of the fields that are tried where an entry names none."""
    rows = []
    for key, candidates in FOUND.items():
        name, _, of = key.partition(" ")
        rows.append((f"`{name}` {of}".strip(), ", ".join(f"`{candidate}`" for candidate in candidates)))
    return _table(("key", "fields, in this order"), rows)


def reasons_in_full() -> str:
    """Return the table of reject codes."""
    rows = [
        (f"`{code}`", f"the {reason.lost}", _marked(reason.meaning), _marked(reason.to_do))
        for code, reason in REASONS.items()
    ]
    return _table(("code", "not sent", "what happened", "what to do"), rows)


def metrics_table() -> str:
    """Give the table of the figures of a stream."""
    return _meanings("metric", {name: figure.meaning for name, figure in FIGURES.items()})


def run_metrics_table() -> str:
    """Give the table of the figures of a run in progress."""
    return _meanings("metric", RUN_FIGURES)


def report_in_full() -> str:
    """Give a section for each kind of object in the JSON of a run's report."""
    sections = []
    for title, kind in REPORTED.items():
        rows = []
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if get_origin(hint) is Annotated:
                given, meaning = get_args(hint)
                rows.append((f"`{name}`", _json_type(given), _cell(meaning)))
            elif kind is StreamReport:
                figures = ", ".join(f"`{figure}`" for figure in FIGURES)
                rows.append((figures, "integer", "As [the metrics](metrics.md#of-a-stream) of these names."))
        sections.append(f"### {title}\n\n{_table(('field', 'type', 'meaning'), rows)}\n")
    return "\n" + "\n".join(sections)


def examples_table() -> str:
    """Give the table of the examples' own page, without its links, which lead out of the documentation."""
    rows = re.findall(r"^\| \[([\w-]+)\]\(\1\) \| (.*) \| (.*) \|$", EXAMPLES.read_text(encoding="utf-8"), re.MULTILINE)
    return _table(("folder", "source", "shows"), [(f"`{name}`", source, shows) for name, source, shows in rows])


def commands_in_full() -> str:
    """Give a section for each command."""
    commands = {
        "target-kissmetrics": list(_of_click(TargetKissmetrics.get_singer_command())),
        "target-kissmetrics-preview": list(_of_argparse(preview_cli.make_parser())),
        "target-kissmetrics-check": list(_of_click(check.command(TargetKissmetrics.get_singer_command()))),
        "target-kissmetrics-replay": list(_of_click(replay.command(TargetKissmetrics.get_singer_command()))),
        "target-kissmetrics-verify": list(_of_click(verify.command(TargetKissmetrics.get_singer_command()))),
        "kissmetrics-sandbox": list(_of_argparse(sandbox_cli.make_parser())),
    }
    return "\n" + "\n".join(
        f"### {name}\n\n{_table(('argument', 'default', 'meaning'), options)}\n" for name, options in commands.items()
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "settings in full": settings_in_full,
    "sdk settings": sdk_settings_table,
    "stream keys": stream_keys_table,
    "stream kinds": stream_kinds_table,
    "found fields": found_table,
    "reasons in full": reasons_in_full,
    "metrics": metrics_table,
    "run metrics": run_metrics_table,
    "report": report_in_full,
    "commands": commands_in_full,
    "examples": examples_table,
}

_JSON_TYPES: Mapping[object, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null",
    StreamReport: "[stream](#a-stream)", Names: "[names](#names)", Latency: "[latency](#latency)",
    Moment: "[moment](#a-moment)", SlowCall: "[slow call](#a-slow-call)",
}  # fmt: skip

_LIMITS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}


def _of_click(command: click.Command) -> Iterator[Option]:
    context = click.Context(command)
    for param in command.get_params(context):
        if isinstance(param, click.Option):
            kind = param.make_metavar(context)
            takes = "" if param.is_flag or not kind else f" {kind}"
            yield Option(f"`{', '.join(param.opts)}{takes}`".replace("|", "\\|"), "", _cell(param.help or ""))
        else:
            yield Option(f"`{(param.name or '').upper()}`", "required", "The file of rejects, or `store`.")


def _of_argparse(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way
        names = ", ".join(action.option_strings) or str(action.dest).upper()
        takes = f" {action.metavar or action.dest.upper()}" if action.option_strings and action.nargs != 0 else ""
        takes += " ..." if action.nargs == "+" else ""
        default = action.default
        is_shown = isinstance(default, (str, int)) and default not in {argparse.SUPPRESS, "-", False}
        shown = f"`{default}`" if is_shown else ""
        meaning = re.sub(r" \(%\(default\)s\)", "", action.help or "")
        yield Option(f"`{names}{takes}`", shown, _cell(meaning[:1].upper() + meaning[1:] + "."))


def _own() -> Mapping[str, Mapping[str, Any]]:
    properties: Mapping[str, Mapping[str, Any]] = SCHEMA["properties"]
    return properties


def _keys() -> Mapping[str, Mapping[str, Any]]:
    properties: Mapping[str, Mapping[str, Any]] = _own()["streams"]["items"]["properties"]
    return properties


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"|{'|'.join(line)}|" if line is lines[1] else f"| {' | '.join(line)} |".replace("|  |", "| |")
        for line in lines
    )


def _meanings(head: str, meanings: Mapping[str, str]) -> str:
    return _table((head, "meaning"), [(f"`{name}`", _cell(meaning)) for name, meaning in meanings.items()])


def _json_type(hint: object) -> str:
    """Write what JSON makes of a value with such a type hint."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return " or ".join(_json_type(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is abc.Mapping:
        return f"object of {_json_type(inner[1])}"
    if origin is abc.Sequence:
        return f"array of {_json_type(inner[0])}"
    return _JSON_TYPES[hint]


def _type(schema: Mapping[str, Any]) -> str:
    return shown_type(schema, mark="`")


def _default(name: str, schema: Mapping[str, Any]) -> str:
    default = shown_default(schema)
    return "required" if name in SCHEMA["required"] else f"`{default}`" if default is not None else "none"


def _text(schema: Mapping[str, Any]) -> str:
    return _cell(str(schema.get("description", "")))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _marked(text: str) -> str:
    return _NAME.sub(r"`\g<0>`", _cell(text))


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
