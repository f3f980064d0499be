"""`target-kissmetrics-check --config config.json`: whether a run could begin; sends and stores nothing.

It does what `meltano config test target-kissmetrics` makes the target do, for those who have no Meltano, or one whose
test ends in an error of its own after the target's answer (Meltano 4.4: it stops a process that has ended already).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_kissmetrics.target import TargetKissmetrics, ending_in_one_line

if TYPE_CHECKING:
    import click


class CheckTarget(TargetKissmetrics):
    """The target, without input."""

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Give the command: the target's, without its input."""
        command = super().get_singer_command()
        command.help = "Checks the settings, the store and the tracking host; sends and stores nothing."
        command.params = [param for param in command.params if param.name in {"version", "config"}]
        return command

    @classmethod
    def invoke(cls, *, config: Any) -> None:  # type: ignore[override]
        """Check. What is wrong is one line on standard error, and exit code 1."""
        with ending_in_one_line(cls.logger):
            cls(config=config.config, parse_env_config=config.parse_env).check()


def main() -> None:
    """Run the command `target-kissmetrics-check`."""
    CheckTarget.cli()


if __name__ == "__main__":
    main()
