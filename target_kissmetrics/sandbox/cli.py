"""The command `kissmetrics-sandbox`: a local Kissmetrics.

The first line on standard output is the sandbox's URL, written once it accepts connections; log lines go to standard
error. Ctrl-C and SIGTERM end it with exit code 0, a problem at its start with one line and exit code 1.
"""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, get_args

from target_kissmetrics.sandbox.model import REVENUE_PROPERTY, Duplicates
from target_kissmetrics.sandbox.rules import SandboxError
from target_kissmetrics.sandbox.service import Sandbox, calls_of_file

_LOG: Final = logging.getLogger("kissmetrics-sandbox")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or those of the process; return its exit code."""
    options = make_parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):  # the server replaces it while it runs, and restores it at its end
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        try:
            _run(options)
        except SandboxError as error:
            sys.stderr.write(f"kissmetrics-sandbox: {error}\n")
            return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the command's parser; the documentation lists its arguments."""
    parser = argparse.ArgumentParser(
        prog="kissmetrics-sandbox",
        description="A Kissmetrics on your own machine. Point a target's tracking_url at the URL it prints.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    port = "the port to listen on; 0 takes a free one (%(default)s)"
    parser.add_argument("--port", type=_port, default=8765, help=port)
    parser.add_argument("--store", type=Path, metavar="FILE", help="keep everything in FILE; without it, in memory")
    revenue = "the property that is summed up as revenue (%(default)s)"
    parser.add_argument("--revenue-property", default=REVENUE_PROPERTY, metavar="NAME", help=revenue)
    rule = "which of Kissmetrics' two published rules for duplicates holds (%(default)s)"
    parser.add_argument("--duplicates", choices=get_args(Duplicates), default="current", help=rule)
    files = "read files in Kissmetrics' JSON import format first"
    parser.add_argument("--import", dest="imports", type=Path, action="extend", nargs="+", metavar="FILE", help=files)
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it must be a number from 0 to 65535")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    try:
        # Imported here, since the extra may not be installed.
        from target_kissmetrics.sandbox.server import bind, make_server, url_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("target_kissmetrics"):
            raise
        raise SandboxError(f"{error.name} is not installed; run: pip install 'target-kissmetrics[sandbox]'") from error
    made = Sandbox(revenue_property=options.revenue_property, duplicates=options.duplicates, store=options.store)
    with closing(made) as sandbox:
        for path in options.imports or []:
            _LOG.info("%s: %s calls", path, sandbox.take_all(calls_of_file(path, int(time.time()))))
        with bind(options.host, options.port) as sock:
            print(url_of(sock, options.host), flush=True)  # noqa: T201
            make_server(sandbox, sock, options.host).run(sockets=[sock])
