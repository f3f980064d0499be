"""The command `target-kissmetrics-preview`: what a run would send, and why it would not send something.

Standard output has the preview, or with `--suggest` only the YAML, so that it can go into a file. An input that cannot
be read ends the command with one line on standard error and exit code 1, after what was read until then. So does what
differs from `--expect`, with the lines that differ.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from singer_sdk.exceptions import SingerSDKError
from singer_sdk.singerlib.exceptions import SingerError

from target_kissmetrics.config.paths import check_distinct
from target_kissmetrics.config.settings import SCHEMA
from target_kissmetrics.errors import ExpressionError, InputError
from target_kissmetrics.preview.configuration import plan_of, read_config
from target_kissmetrics.preview.expected_calls import CallLines, read_expected
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.suggest.entry import as_yaml
from target_kissmetrics.preview.text import as_page, print_preview
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.logs import guard, in_one_line
from target_kissmetrics.reporting.report_writer import write_whole

_NAME = "target-kissmetrics-preview"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code: 0, or 1 when something could not be read or written."""
    options = make_parser().parse_args(argv)
    # A name may have characters that the terminal's encoding lacks.
    if sys.stdout is None:
        return _fail("standard output is closed; write it to a file (> preview.txt)")
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
    parser.add_argument(
        "input", nargs="?", default="-", help="a file of Singer messages; standard input by default, or for -"
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="the target's config in JSON or YAML, without api_key if you like; ENV reads TARGET_KISSMETRICS_... "
        "variables; may be repeated",
    )
    parser.add_argument("--rows", type=_rows, default=3, help="rows of each stream to show (%(default)s)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the preview as one HTML page")
    parser.add_argument(
        "--calls", type=Path, metavar="FILE", help="write all calls, as lines of Kissmetrics' JSON import format"
    )
    expect = "compare all calls with such a file, in any order; list the difference and exit with 1 if there is one"
    parser.add_argument("--expect", type=Path, metavar="FILE", help=expect)
    parser.add_argument(
        "--suggest",
        action="store_true",
        help="write the `streams` to use, as YAML, and nothing else",
    )
    return parser


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1000, not {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    config = read_config(options.config)
    guard(config)
    written = [
        (name, path) for name, path in (("--html", options.html), ("--calls", options.calls)) if path is not None
    ]
    files = [*(("--config", name) for name in options.config), ("the input", options.input)]
    files += [("--expect", options.expect)] if options.expect not in {None, options.calls} else []
    rejects = str(config.get("rejects_path") or SCHEMA["properties"]["rejects_path"]["default"])
    check_distinct([*files, ("rejects_path", rejects)], written)
    expected = read_expected(options.expect) if options.expect is not None else None
    plan = plan_of(config, options.rows, int(time.time()))
    is_needed = options.calls is not None or expected is not None
    with closing(CallLines()) as lines:
        preview = Preview(replace(plan, on_calls=lines.add) if is_needed else plan)
        return _show(options, preview, _read(options.input, preview, config), lines, expected)


def _show(
    options: argparse.Namespace, preview: Preview, problem: str | None, lines: CallLines, expected: Counter[str] | None
) -> int:
    preview.finish()
    if options.html is not None:
        write_whole(options.html, as_page(preview, problem))
    if options.suggest:
        sys.stdout.write(as_yaml(preview.suggestions()))
    else:
        print_preview(preview, sys.stdout)
    sys.stdout.flush()
    if problem is not None:
        return _fail(problem)
    if options.calls is not None:
        lines.write(options.calls)
    stops = [
        f"stream '{name}': a run would stop: {one.problem}" for name, one in preview.streams.items() if one.problem
    ]
    difference = [*map(display.whole, stops), *lines.difference(expected)] if expected is not None else []
    if not difference:
        return 0
    _fail(f"the calls are not those of {options.expect}; if they are right, write it again with --calls")
    sys.stderr.write("\n".join([*difference, ""]))
    return 1


def _read(name: str, preview: Preview, config: dict[str, Any]) -> str | None:
    """Read the input; give what ended it early."""
    if name == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise InputError(f"nothing is piped in; try: tap-... | {_NAME} --config config.json, or name a file")
    with Path(name).open("rb") if name != "-" else nullcontext(sys.stdin.buffer) as lines:
        try:
            preview.read(cast("IO[str]", lines), config)
        except (InputError, ExpressionError, SingerSDKError, SingerError) as problem:
            return in_one_line(problem)
        except KeyboardInterrupt:
            return "stopped before the end of the input"
    return None


def _fail(text: str) -> int:
    if sys.stderr is not None:  # else it is closed
        sys.stderr.write(f"{_NAME}: {display.whole(' '.join(text.split()))}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
