"""The commands beside the target itself. Each is the target's own command, with other parameters and another task."""

from collections.abc import Callable

import click


def derived(
    own: click.Command, name: str, run: Callable[..., None], text: str, *params: click.Parameter
) -> click.Command:
    """Give a command that reads its config as the target's own command does, which it changes."""
    own.name, own.callback, own.help = name, run, text
    own.params = [param for param in own.params if param.name in {"version", "config"}]
    own.params += params
    return own
