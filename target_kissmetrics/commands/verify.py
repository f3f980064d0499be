"""`target-kissmetrics-verify`: whether Kissmetrics counts the events that runs had acknowledged. Experimental.

`--snapshot FILE` stores the total of each event before some runs, as the Query API gives it. `--since FILE` reads the
totals again, and compares their growth with the events that the table of runs has since then. Exit code 1 where less
arrived than was acknowledged.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from target_kissmetrics.config.paths import check_distinct
from target_kissmetrics.config.settings import Settings
from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.kissmetrics.http.query_api import QueryApi
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.logs import ending_in_one_line
from target_kissmetrics.reporting.report_writer import write_whole
from target_kissmetrics.store.protocol import StoredRun
from target_kissmetrics.store.sql import open_read_only
from target_kissmetrics.target import TargetKissmetrics

UNKNOWN = """\
What this cannot know:
- Events show up 1 to 3 hours after they were sent; with delivery: files, after their import. Missing ones may be late.
- Other senders' events count too: they hide what is missing. So do late events from before the snapshot.
- An event that a run repeated after a failure was acknowledged twice and counts once.\
"""


class Acknowledged(NamedTuple):
    """Events of one name that runs had acknowledged, with the earliest and the latest time of one."""

    number: int
    first: int
    last: int


def acknowledged(runs: Iterable[StoredRun]) -> dict[str, Acknowledged]:
    """Add up the events of runs, by name; names that differ by case only are one."""
    events: dict[str, Acknowledged] = {}
    spelled: dict[str, str] = {}
    for run in runs:
        for given, event in json.loads(run.events).items():
            name = spelled.setdefault(folded(given), given)
            count, first, last = events.get(name, Acknowledged(0, event["first"], event["last"]))
            events[name] = Acknowledged(count + event["count"], min(first, event["first"]), max(last, event["last"]))
    return events


def take_snapshot(path: Path, settings: Settings) -> int:
    """Store the total of each event; give how many events there are."""
    now, totals = int(time.time()), _totals(settings)
    write_whole(path, json.dumps({"taken_at": now, "product_id": settings.product_id, "events": totals}, indent=1))
    return len(totals)


def print_growth(path: Path, settings: Settings) -> bool:
    """Print what was acknowledged since a snapshot, and what arrived; tell whether all of it did.

    Raises:
        InputError: The file is no snapshot of this product, or no run has ended since.
    """
    taken_at, before = _read_snapshot(path, settings.product_id)
    store = open_read_only(settings.attribute_store_url, settings.api_key)
    with closing(store) if store is not None else nullcontext():
        runs = store.runs_since(taken_at) if store is not None else []
    ended = [run for run in runs if run.ended_at is not None]
    if not ended:
        raise InputError(
            f"no run has ended since the snapshot of {display.moment(taken_at)}; check that attribute_store_url is "
            "that of the runs"
        )
    grown = _by_folded(_totals(settings))
    grown.subtract(_by_folded(before))
    table = Table("event")
    for heading in ("acknowledged", "grew by", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("first sent", "last sent"):
        table.add_column(heading, no_wrap=True)
    is_missing = False
    for name, (count, first, last) in sorted(acknowledged(ended).items()):
        growth = grown[folded(name)]
        is_missing = is_missing or growth < count
        figures = f"{count:,}", f"{growth:,}", f"{growth - count:+,}"
        table.add_row(display.line(name), *figures, display.moment(first), display.moment(last))
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    console.print(f"{display.plural(len(ended), 'run')} since {display.moment(taken_at)}", table, UNKNOWN, sep="\n")
    if len(ended) < len(runs):
        console.print(
            f"- {display.plural(len(runs) - len(ended), 'run')} did not end; its events are not counted here."
        )
    return not is_missing


def _totals(settings: Settings) -> dict[str, int]:
    if settings.query_api_user is None:
        raise ConfigError("query_api_user", "is required; use an account's e-mail address, or the API key")
    api = QueryApi(settings.query_url, settings.query_api_user, settings.query_api_password or "")
    if settings.product_id is None:
        products = ", ".join(f"{key} ({name})" for key, name in api.products().items())
        raise ConfigError("product_id", f"is required; the account has {display.line(products, 1000) or 'no products'}")
    return api.event_totals(settings.product_id)


def _by_folded(totals: Mapping[str, int]) -> Counter[str]:
    summed: Counter[str] = Counter()
    for name, total in totals.items():
        summed[folded(name)] += total
    return summed


def _read_snapshot(path: Path, product_id: str | None) -> tuple[int, dict[str, int]]:
    try:
        found = json.loads(path.read_bytes())
        taken_at, events = int(found["taken_at"]), {name: int(total) for name, total in found["events"].items()}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; write it with --snapshot") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{path} is not a snapshot; name another file, or write it with --snapshot") from None
    if found.get("product_id") != product_id:
        raise InputError(f"{path} is a snapshot of product {found.get('product_id')!r}, not of {product_id!r}")
    return taken_at, events


def command(own: click.Command) -> click.Command:
    """Give the command: the target's own, with a snapshot in the place of its input."""
    own.name, own.callback = "target-kissmetrics-verify", _run
    own.help = "Compares the growth of each event's total in Kissmetrics with the events acknowledged. Experimental."
    own.params = [param for param in own.params if param.name in {"version", "config"}]
    for name, text in (
        ("--snapshot", "Store each event's total in this file, while no run is in progress."),
        ("--since", "Compare with the totals in this file; exit with 1 if something is missing."),
    ):
        own.params.append(click.Option([name], type=click.Path(path_type=Path), metavar="FILE", help=text))
    return own


def _run(*, config: Any, snapshot: Path | None, since: Path | None) -> None:
    if (snapshot is None) == (since is None):
        raise click.UsageError("give either --snapshot FILE or --since FILE")
    logger = TargetKissmetrics.logger
    with ending_in_one_line(logger):
        settings = TargetKissmetrics(config=config.config, parse_env_config=config.parse_env).settings
        if snapshot is not None:
            rejects = ("rejects_path", settings.rejects_path)
            check_distinct([*config.config.files, rejects], [("--snapshot", snapshot)])
            logger.info("%s has the totals of %d events", snapshot, take_snapshot(snapshot, settings))
        elif since is not None and not print_growth(since, settings):
            logger.error("fewer events arrived than were acknowledged; the table has them")
            sys.exit(1)


def main() -> None:
    """Run the command `target-kissmetrics-verify`."""
    command(TargetKissmetrics.cli)()


if __name__ == "__main__":
    main()
