"""Checks blocks of the documentation that cannot run: settings, plugins, other commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import click
import yaml

from target_kissmetrics.commands import check, replay, verify
from target_kissmetrics.config.settings import SCHEMA, read_settings
from target_kissmetrics.preview import cli as preview_cli
from target_kissmetrics.sandbox import cli as sandbox_cli
from target_kissmetrics.target import TargetKissmetrics

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "TARGET_KISSMETRICS_"
BUILTIN = frozenset(
    {"stream_maps", "stream_map_config", "faker_config"}
    | {"batch_size_rows", "validate_records", "default_target_schema", "batch_config"}
)
PLUGIN: dict[str, Any] = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))

MELTANO = ROOT / ".venv-meltano" / ("Scripts" if os.name == "nt" else "bin") / "python"

_ENDS_WELL = (0, None)


# Settings


def check_settings(config: Mapping[str, Any]) -> None:
    """Read a config, or part of one, as the target does."""
    read_settings({"api_key": "k", **config}, {name: {} for name in BUILTIN})


def check_environment(variables: Mapping[str, str]) -> None:
    """Check variables that hold settings."""
    for name, text in variables.items():
        if name.startswith(PREFIX):
            check_setting(name.removeprefix(PREFIX).lower(), text)


def check_setting(name: str, text: str) -> None:
    """Check one setting, as text."""
    schema = SCHEMA["properties"].get(name)
    assert schema is not None or name in BUILTIN, f"there is no setting {name}"
    if schema is None or "$" in text or not text:
        return
    is_text = schema["type"][0] == "string"
    check_settings({name: text if is_text else yaml.safe_load(text)})


def check_meltano_yml(document: Mapping[str, Any]) -> None:
    """Check this target's config in a meltano.yml, or part of one."""
    loaders = document.get("plugins", {}).get("loaders", [])
    ours = [plugin for plugin in loaders if "kissmetrics" in plugin["name"]]
    assert ours, "a meltano.yml here is about target-kissmetrics"
    for plugin in ours:
        check_settings(plugin.get("config", {}))
    for environment in document.get("environments", []):
        for plugin in environment.get("config", {}).get("plugins", {}).get("loaders", []):
            check_settings(plugin.get("config", {}))


def check_manifests(documents: Sequence[Mapping[str, Any]]) -> None:
    """Check the variables and commands of Kubernetes manifests."""
    for document in documents:
        assert {"apiVersion", "kind", "metadata"} <= document.keys()
        pod = document["spec"]
        pod = pod.get("jobTemplate", {}).get("spec", pod)["template"]["spec"]
        assert pod["restartPolicy"] in {"Never", "OnFailure"}
        for container in pod["containers"]:
            check_environment({entry["name"]: entry.get("value", "") for entry in container.get("env", [])})
            shell = container["args"][-1]
            for line in filter(None, (line.strip() for line in shell.replace("\\\n", " ").splitlines())):
                words = [word for word in shlex.split(line) if word.startswith(PREFIX)]
                check_environment(dict(word.split("=", 1) for word in words))


# Commands


def check_command(words: Sequence[str], page: str) -> None:
    """Check a command's name and arguments.

    Args:
        words: The command.
        page: The page's text.

    Raises:
        AssertionError: The command is wrong, or cannot be checked.
    """
    program, arguments = words[0], list(words[1:])
    own = _OWN.get(program)
    if own is not None:
        own(arguments)
    elif program == "pip":
        _check_pip(arguments)
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        asked = {argument for argument in arguments if "=" not in argument}
        assert asked <= set(targets), f"the Makefile has no {arguments}"
        for example in (argument.partition("=")[2] for argument in arguments if argument.startswith("NAME=")):
            assert (ROOT / "examples" / example / "meltano.yml").exists(), f"there is no example {example}"
    elif program == "kubectl":
        assert f'title="{arguments[-1]}"' in page, f"the page shows no {arguments[-1]}"
    elif program == "meltano":
        _check_meltano(arguments)
    else:
        assert program.startswith("tap-"), f"add a check for the program {program!r}"


def _click(command: click.Command, arguments: list[str]) -> None:
    # Parse only: the options' own checks would look for the reader's files.
    try:
        given, _, _ = command.make_parser(click.Context(command)).parse_args(list(arguments))
    except click.UsageError as error:
        raise AssertionError(error.format_message()) from None
    for param in command.params:
        assert not param.required or isinstance(given.get(param.name), str) or "--help" in arguments, param.name


def _check_target(arguments: list[str]) -> None:
    _click(TargetKissmetrics.get_singer_command(), arguments)


def _check_replay(arguments: list[str]) -> None:
    _click(replay.command(TargetKissmetrics.get_singer_command()), arguments)


def _check_check(arguments: list[str]) -> None:
    _click(check.command(TargetKissmetrics.get_singer_command()), arguments)


def _check_verify(arguments: list[str]) -> None:
    _click(verify.command(TargetKissmetrics.get_singer_command()), arguments)


def _check_preview(arguments: list[str]) -> None:
    try:
        preview_cli.make_parser().parse_args(arguments)
    except SystemExit as end:
        assert end.code in _ENDS_WELL, arguments  # noqa: PT017 - argparse printed the error


def _check_sandbox(arguments: list[str]) -> None:
    try:
        sandbox_cli.make_parser().parse_args(arguments)
    except SystemExit as end:
        assert end.code in _ENDS_WELL, arguments  # noqa: PT017 - likewise


_OWN = {
    "target-kissmetrics": _check_target,
    "target-kissmetrics-check": _check_check,
    "target-kissmetrics-replay": _check_replay,
    "target-kissmetrics-verify": _check_verify,
    "target-kissmetrics-preview": _check_preview,
    "kissmetrics-sandbox": _check_sandbox,
}


def _check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    extras = set(distribution(PLUGIN["name"]).metadata.get_all("Provides-Extra") or ())
    for requirement in arguments[1:]:
        if requirement.startswith("target-kissmetrics["):
            for extra in requirement.partition("[")[2].partition("]")[0].split(","):
                assert extra in extras, f"there is no extra {extra}"


def _check_meltano(arguments: list[str]) -> None:
    if arguments[:2] == ["config", "set"]:
        _, _, plugin, setting, value = arguments
        if plugin == PLUGIN["name"]:
            check_setting(setting, value)
    if arguments[0] == "invoke":
        plugin, _, command = arguments[1].partition(":")
        assert not command or plugin != PLUGIN["name"] or command in PLUGIN["commands"], command
        if command:
            _OWN[PLUGIN["commands"][command]["executable"]](arguments[2:])


_WALK = """
import json, sys
import click
from meltano.cli import cli
for arguments in json.load(sys.stdin):
    command, context = cli, click.Context(cli, info_name="meltano")
    while True:
        try:
            _, arguments, _ = command.make_parser(context).parse_args(list(arguments))
            if not isinstance(command, click.Group):
                break
            name, command, arguments = command.resolve_command(context, list(arguments))
            context = click.Context(command, info_name=name, parent=context, **command.context_settings)
        except click.UsageError as error:
            sys.exit(f"meltano {arguments}: {error.format_message()}")
"""


def check_with_meltano(commands: Sequence[Sequence[str]]) -> None:
    """Parse commands with Meltano's own parsers, all at once, since it starts slowly."""
    given = json.dumps([list(words[1:]) for words in commands])
    environment = {**os.environ, "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0"}
    done = subprocess.run(
        [MELTANO, "-c", _WALK], input=given, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
