"""The command `target-kissmetrics-preview`: what a run would send, and why it would not send something.

Standard output has the preview, or with `--suggest` only the YAML, so that it can go into a file. An input that cannot
be read ends the command with one line on standard error and exit code 1, after what was read until then. So does what
differs from `--expect`, with the lines that differ.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from singer_sdk import Target
from singer_sdk.exceptions import SingerSDKError
from singer_sdk.helpers.capabilities import BATCH_CONFIG
from singer_sdk.singerlib.exceptions import SingerError

from target_kissmetrics.config.environment import read_environment
from target_kissmetrics.config.files import FROM_ENVIRONMENT, read_config_file
from target_kissmetrics.config.paths import check_distinct
from target_kissmetrics.config.settings import SCHEMA, read_settings
from target_kissmetrics.errors import ExpressionError, InputError
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.wire import as_import_line
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import Plan
from target_kissmetrics.preview.suggest.entry import as_yaml
from target_kissmetrics.preview.text import as_page, print_preview
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.logs import guard, in_one_line
from target_kissmetrics.reporting.report_writer import write_whole, written_whole

MAX_SHOWN = 20  # lines that differ, of each kind, that are listed
_NAME = "target-kissmetrics-preview"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code: 0, or 1 when something could not be read or written, or differs."""
    options = make_parser().parse_args(argv)
    if sys.stdout is None:
        return _fail("standard output is closed; write it to a file (> preview.txt)")
    # A name may have characters that the terminal's encoding lacks.
    cast("Any", sys.stdout).reconfigure(errors="backslashreplace")
    try:
        return _run(options)
    except BrokenPipeError:
        # The reader (a pager) has seen enough; what is left in the buffer must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}; check the path")
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody, and its frames may tell too much
        return _fail(in_one_line(error))


def make_parser() -> argparse.ArgumentParser:
    """Give the command's parser; the documentation lists its arguments."""
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Show what target-kissmetrics would send for Singer messages. Sends and stores nothing.",
        epilog=f"Example: tap-postgres --config tap.json | {_NAME} --config target.json --html preview.html",
        allow_abbrev=False,
    )
    given = "a file of Singer messages; standard input by default, or for -"
    parser.add_argument("input", nargs="?", default="-", help=given)
    config = (
        "the target's config in JSON or YAML, without api_key if you like; ENV reads TARGET_KISSMETRICS_... "
        "variables; may be repeated"
    )
    parser.add_argument("--config", action="append", default=[], metavar="FILE", help=config)
    parser.add_argument("--rows", type=_rows, default=3, help="rows of each stream to show (%(default)s)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the preview as one HTML page")
    calls = "write all calls, as lines of Kissmetrics' JSON import format"
    parser.add_argument("--calls", type=Path, metavar="FILE", help=calls)
    expect = "compare all calls with such a file, in any order; list the difference and exit with 1 if there is one"
    parser.add_argument("--expect", type=Path, metavar="FILE", help=expect)
    suggest = "write the `streams` to use, as YAML, and nothing else"
    parser.add_argument("--suggest", action="store_true", help=suggest)
    return parser


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1000, not {text!r}")
    return int(text)


def _builtin_settings() -> dict[str, Any]:
    """Give the schemas of the settings that the SDK gives the target, which offers its BATCH, and no flattening."""
    builtin: dict[str, Any] = {"properties": dict(BATCH_CONFIG["properties"])}
    Target.append_builtin_config(builtin)
    return {name: schema for name, schema in builtin["properties"].items() if not name.startswith("flattening_")}


def read_config(sources: Sequence[str], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Put a config together: files, and `ENV`, the environment; a later one wins. Raises ConfigError."""
    config: dict[str, Any] = {}
    for source in sources:
        if source == FROM_ENVIRONMENT:
            config |= read_environment(environment, {**_builtin_settings(), **SCHEMA["properties"]})
        else:
            config |= read_config_file(source)
    return config


def plan_of(config: Mapping[str, Any], rows_shown: int, now: int) -> Plan:
    """Read a config as the target does. Raises ConfigError with the first mistake."""
    with_key = {**config, "api_key": config.get("api_key") or "preview-needs-no-key"}
    settings = read_settings(with_key, _builtin_settings())
    return Plan(settings, settings.streams, tuple(config.get("streams") or ()), rows_shown, now)


def _run(options: argparse.Namespace) -> int:
    config = read_config(options.config)
    guard(config)
    _check_paths(options, config)
    expected = read_expected(options.expect) if options.expect else Counter[str]()
    plan = plan_of(config, options.rows, int(time.time()))
    with written_whole(options.calls) if options.calls else nullcontext() as calls:
        lines = CallLines(calls, expected)
        preview = Preview(replace(plan, on_calls=lines.add))
        problem = _read(options.input, preview, config)
        preview.finish()
        if options.html:
            write_whole(options.html, as_page(preview, in_one_line(problem) if problem else None))
        if options.suggest:
            sys.stdout.write(as_yaml(preview.suggestions()))
        else:
            print_preview(preview, sys.stdout)
        sys.stdout.flush()
        if problem:
            raise problem
    stops = [
        f"stream '{name}': a run would stop: {one.problem}" for name, one in preview.streams.items() if one.problem
    ]
    difference = [*map(display.whole, stops), *lines.difference()]
    if not (options.expect and difference):
        return 0
    _fail(f"the calls are not those of {options.expect}; if they are right, write it again with --calls")
    sys.stderr.write("\n".join([*difference, ""]))
    return 1


def _check_paths(options: argparse.Namespace, config: Mapping[str, Any]) -> None:
    rejects = config.get("rejects_path") or SCHEMA["properties"]["rejects_path"]["default"]
    read = [*(("--config", name) for name in options.config), ("the input", options.input)]
    if options.expect not in {None, options.calls}:
        read.append(("--expect", options.expect))
    written = [(name, path) for name, path in (("--html", options.html), ("--calls", options.calls)) if path]
    check_distinct([*read, ("rejects_path", str(rejects))], written)


def _read(name: str, preview: Preview, config: Mapping[str, Any]) -> Exception | None:
    """Read the input; give what ended it early."""
    if name == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise InputError(f"nothing is piped in; try: tap-... | {_NAME} --config config.json, or name a file")
    with Path(name).open("rb") if name != "-" else nullcontext(sys.stdin.buffer) as lines:
        try:
            preview.read(cast("IO[str]", lines), config)
        except (InputError, ExpressionError, SingerSDKError, SingerError) as problem:
            return problem
        except KeyboardInterrupt:
            return InputError("stopped before the end of the input; run it again to see all")
    return None


def _fail(text: str) -> int:
    if sys.stderr is not None:  # else it is closed
        sys.stderr.write(f"{_NAME}: {display.whole(' '.join(text.split()))}\n")
    return 1


class CallLines:
    """Writes calls as lines to a file, if there is one, and looks for them among the expected lines."""

    def __init__(self, file: IO[str] | None, expected: Counter[str]) -> None:
        self._file = file
        self._missing = expected
        self._surplus: list[str] = []
        self._surplus_count = 0

    def add(self, calls: Iterable[Call]) -> None:
        """Add the calls of a row."""
        for line in (_as_text(as_import_line(call)) for call in calls):
            if self._file is not None:
                self._file.write(f"{line}\n")
            if self._missing[line] > 0:
                self._missing[line] -= 1
                continue
            self._surplus_count += 1
            if self._surplus_count <= MAX_SHOWN:
                self._surplus.append(line)

    def difference(self) -> list[str]:
        """Give a readable difference from the expected lines; nothing if there is none."""
        missing = [*self._missing.elements()]
        return [
            *_listed("missing", "-", missing[:MAX_SHOWN], len(missing)),
            *_listed("not expected", "+", self._surplus, self._surplus_count),
        ]


def read_expected(path: Path) -> Counter[str]:
    """Read a file of lines; a property may be a number, or its digits as text. Raises InputError or OSError."""
    lines: Counter[str] = Counter()
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            fields = json.loads(line.strip() or b"null", parse_int=str, parse_float=str)
            lines.update([] if fields is None else [_as_text({**fields, "_p": fields["_p"], "_t": int(fields["_t"])})])
        except (ValueError, TypeError, KeyError, RecursionError):
            what = "is not a JSON object with _p and _t; write the file with --calls"
            raise InputError(f"{path}, line {number}: {what}") from None
    return lines


def _as_text(fields: Mapping[str, Any]) -> str:
    """Write a line, its reserved names first: the same text for the same call, whatever its order of names."""
    ordered = sorted(fields.items(), key=lambda item: (not item[0].startswith("_"), item[0]))
    return json.dumps(dict(ordered), ensure_ascii=False)


def _listed(what: str, sign: str, lines: list[str], count: int) -> list[str]:
    head = [f"{display.plural(count, 'call')} {what}:"] if count else []
    more = [f"... and {count - len(lines):,} more"] if count > len(lines) else []
    return [*head, *(f"{sign} {display.whole(line)}" for line in lines), *more]


if __name__ == "__main__":
    sys.exit(main())
