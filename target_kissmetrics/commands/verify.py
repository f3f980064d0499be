"""`target-kissmetrics-verify`: whether Kissmetrics counts the events that runs had acknowledged. Experimental.

`--snapshot FILE` stores the total of each event before some runs, as the Query API gives it. `--since FILE` reads the
totals again, and compares their growth with the events that the table of runs has since then. Exit code 1 where less
arrived than was acknowledged.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table

from target_kissmetrics.commands import derived
from target_kissmetrics.config.paths import check_distinct
from target_kissmetrics.config.settings import Settings
from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.kissmetrics.http.query_api import QueryApi
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.logs import ending_in_one_line
from target_kissmetrics.reporting.report_writer import write_whole
from target_kissmetrics.store.sql import open_read_only
from target_kissmetrics.store.update import StoredRun
from target_kissmetrics.target import TargetKissmetrics

UNKNOWN = """\
What this cannot know:
- Events show up 1 to 3 hours after they were sent; with delivery: files, after their import. Missing ones may be late.
- Other senders' events count too: they hide what is missing. So do late events from before the snapshot.
- An event that a run repeated after a failure was acknowledged twice and counts once.
- Of runs that were killed, or have not ended, nothing is known. Here they are {killed}.\
"""


class Snapshot(msgspec.Struct):
    """The totals of a product's events, by folded name, at a moment in seconds since the Unix epoch."""

    taken_at: int
    product_id: str
    events: dict[str, int]


class Acknowledged(NamedTuple):
    """Events of one name that runs had acknowledged, with the earliest and the latest time of one."""

    name: str
    number: int
    first: int
    last: int


def acknowledged(runs: Iterable[StoredRun]) -> dict[str, Acknowledged]:
    """Add up the events of runs, by folded name."""
    events: dict[str, Acknowledged] = {}
    for given, event in (item for run in runs for item in json.loads(run.events).items()):
        name, number, first, last = events.get(folded(given), (given, 0, event["first"], event["last"]))
        total = number + event["count"]
        events[folded(given)] = Acknowledged(name, total, min(first, event["first"]), max(last, event["last"]))
    return events


def take_snapshot(settings: Settings) -> Snapshot:
    """Ask for the total of each event. ConfigError if a setting is missing or wrong; DeliveryError without answer."""
    if settings.query_api_user is None:
        raise ConfigError("query_api_user", "is required; use an account's e-mail address, or the API key")
    api, now = QueryApi(settings.query_url, settings.query_api_user, settings.query_api_password or ""), time.time()
    if settings.product_id is None:
        products = ", ".join(f"{key} ({name})" for key, name in api.products().items())
        raise ConfigError("product_id", f"is required; the account has {display.line(products, 1000) or 'no products'}")
    return Snapshot(int(now), settings.product_id, api.event_totals(settings.product_id))


def print_growth(before: Snapshot, after: Snapshot, runs: Sequence[StoredRun]) -> bool:
    """Print what was acknowledged between two snapshots, and what arrived; tell whether all of it did."""
    table = Table("event")
    for heading in ("acknowledged", "grew by", "difference", "first sent", "last sent"):
        table.add_column(heading, justify="right", no_wrap=True)
    is_missing = False
    for key, (name, number, first, last) in sorted(acknowledged(runs).items()):
        growth = after.events.get(key, 0) - before.events.get(key, 0)
        is_missing = is_missing or growth < number
        figures = f"{number:,}", f"{growth:,}", f"{growth - number:+,}"
        table.add_row(display.line(name), *figures, display.moment(first), display.moment(last))
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    killed = sum(run.ended_at is None for run in runs)
    head = f"{display.plural(len(runs), 'run')} since {display.moment(before.taken_at)}"
    console.print(head, table, UNKNOWN.format(killed=killed), sep="\n")
    return not is_missing


def _runs_since(before: Snapshot, settings: Settings) -> list[StoredRun]:
    store = open_read_only(settings.attribute_store_url, settings.api_key)
    with closing(store) if store is not None else nullcontext():
        runs = store.runs_since(before.taken_at) if store is not None else []
    if all(run.ended_at is None for run in runs):
        moment = display.moment(before.taken_at)
        raise InputError(f"no run has ended since the snapshot of {moment}; check attribute_store_url")
    return runs


def _read_snapshot(path: Path, product_id: str | None) -> Snapshot:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a snapshot ({error}); write it with --snapshot") from None
    if found.product_id != product_id:
        raise InputError(f"{path} is of product {found.product_id!r}, not of {product_id!r}; check product_id")
    return found


def command(own: click.Command) -> click.Command:
    """Give the command: the target's own, with a snapshot in the place of its input."""
    text = "Compares the growth of each event's total in Kissmetrics with the events acknowledged. Experimental."
    helps = {
        "--snapshot": "Store each event's total in this file, while no run is in progress.",
        "--since": "Compare with the totals in this file; exit with 1 if something is missing.",
    }
    file = click.Path(path_type=Path)
    options = [click.Option([name], type=file, metavar="FILE", help=told) for name, told in helps.items()]
    return derived(own, "target-kissmetrics-verify", _run, text, *options)


def _run(*, config: Any, snapshot: Path | None, since: Path | None) -> None:
    if (snapshot is None) == (since is None):
        raise click.UsageError("give either --snapshot FILE or --since FILE")
    logger = TargetKissmetrics.logger
    with ending_in_one_line(logger):
        settings = TargetKissmetrics(config=config.config, parse_env_config=config.parse_env).settings
        if snapshot is not None:
            rejects = ("rejects_path", settings.rejects_path)
            check_distinct([*config.config.files, rejects], [("--snapshot", snapshot)])
            taken = take_snapshot(settings)
            # The table of runs knows whole seconds: a run in the second of the snapshot could be an earlier one.
            taken.taken_at += 1
            time.sleep(max(0.0, taken.taken_at - time.time()))
            write_whole(snapshot, msgspec.json.format(msgspec.json.encode(taken).decode()))
            logger.info("%s has the totals of %d events", snapshot, len(taken.events))
        elif since is not None:
            before = _read_snapshot(since, settings.product_id)
            runs = _runs_since(before, settings)
            if not print_growth(before, take_snapshot(settings), runs):
                raise InputError("fewer events arrived than were acknowledged; check them in the table")


def main() -> None:
    """Run the command `target-kissmetrics-verify`."""
    command(TargetKissmetrics.cli)()


if __name__ == "__main__":
    main()
