"""`target-kissmetrics-check`: whether a run could begin, as `meltano config test target-kissmetrics` checks it."""

from typing import Any

import click

from target_kissmetrics.commands import derived
from target_kissmetrics.reporting.logs import ending_in_one_line
from target_kissmetrics.target import TargetKissmetrics


def command(own: click.Command) -> click.Command:
    """Give the command: the target's own, without its input."""
    text = "Checks the settings, the store and the tracking host; sends and stores nothing."
    return derived(own, "target-kissmetrics-check", _run, text)


def _run(*, config: Any) -> None:
    with ending_in_one_line(TargetKissmetrics.logger):
        TargetKissmetrics(config=config.config, parse_env_config=config.parse_env).check()


def main() -> None:
    """Run the command `target-kissmetrics-check`."""
    command(TargetKissmetrics.cli)()


if __name__ == "__main__":
    main()
