"""Files that `--config` names."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from forked import command as command_of

from target_kissmetrics.config.definitions import check_texts
from target_kissmetrics.config.files import read_config_file
from target_kissmetrics.errors import ConfigError

SECRET = "k3y-that-must-not-show"
COMMANDS = ("target_kissmetrics", "target_kissmetrics.commands.replay", "target_kissmetrics.preview.cli")


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"api_key": "k", "shard": {"index": 0}}'),
        ("a.json", '\ufeff{"api_key": "k", "shard": {"index": 0}}'),
        ("a.yml", "api_key: k\nshard: {index: 0}\n"),
        ("A.YAML", "api_key: k\nshard:\n  index: 0\n"),
    ],
)
def test_json_and_yaml_are_read(tmp_path: Path, name: str, text: str) -> None:
    assert read_config_file(write(tmp_path, name, text)) == {"api_key": "k", "shard": {"index": 0}}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", f'{{"api_key": "{SECRET}"\n "streams": []}}', "is not JSON at line 2, column 2; fix it there"),
        ("a.json", f"api_key: {SECRET}", "is not JSON at line 1, column 1; fix it there"),
        ("a.yml", f"api_key: {SECRET}\n  streams: []\n", "is not YAML at line 2, column 10; fix it there"),
        ("a.yml", "api_key: 2024-02-31\n", "is not YAML; fix it there"),
        ("a.yml", f"api_key: !!python/name:{SECRET} x\n", "is not YAML at line 1, column 10; fix it there"),
        ("a.yml", f"- {SECRET}\n", "must be an object of settings"),
        ("a.yml", f"1: {SECRET}\n", "has the key 1 at line 1, which is not a string; put it in quotes"),
        ("a.yml", "", "must be an object of settings"),
        ("a.yml", f"api_key: !!int '{SECRET}'\n", "is not YAML; fix it there"),
        ("a.yml", f"api_key: !!timestamp {SECRET}\n", "is not YAML; fix it there"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place_and_without_its_values(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ConfigError) as problem:
        read_config_file(path)
    assert str(problem.value) == f"--config: {path} {told}"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.yml",
            "streams: []\nrevenue_key: x\nstreams: []\n",
            "duplicate key streams at line 3; write it once",
        ),
        ("a.yml", "stream_maps: {o: {a: x, b: y, a: z}}\n", "duplicate key a at line 1; write it once"),
        (
            "a.yml",
            "x: &x {a: 1}\nstream_maps:\n  o: {<<: *x, b: 1}\n  o: {b: 2}\n",
            "duplicate key o at line 4",
        ),
        ("a.json", '{"streams": [], "streams": []}', "duplicate key streams; write it once"),
    ],
)
def test_a_duplicate_key_is_a_mistake(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ConfigError) as problem:
        read_config_file(path)
    assert str(problem.value).startswith(f"--config: {path} has the {told}")


def test_yaml_may_merge_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yml", "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_config_file(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize("name", ["2024", "2024-01-31", "no", "~"])
def test_a_key_in_yaml_that_is_no_string_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "a.yml", f"stream_maps:\n  {name}: {{x: y}}\n")
    with pytest.raises(ConfigError, match=rf"has the key {name} at line 2, which is not a string; put it in quotes"):
        read_config_file(path)
    assert read_config_file(write(tmp_path, "b.yml", f"stream_maps:\n  '{name}': {{x: y}}\n"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested 100,001 deep, where 100"),
        ("a.json", '{\n"b": 1,\n"a": ' + "[" * 600 + "]" * 600 + "}", "is nested 601 deep from line 3 on, where 100"),
        ("a.yml", "b: 1\na: " + "[" * 600 + "]" * 600, "is nested too deeply at line 2"),
        ("a.yml", "b: 1\na: " + "1" * 5000, "has a number of more than 4,300 digits in line 2"),
        ("a.yml", "a: &a [*a]", "is nested too deeply"),
        ("a.json", '{"a": ' + "1" * 5000 + "}", "has a number of more than 4,300 digits in line 1"),
    ],
)
def test_a_file_that_python_cannot_read_is_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ConfigError) as problem:
        check_texts(read_config_file(path))  # what the reader's stack allows is refused by the check of all settings
    assert told.removeprefix("is ").removesuffix(" too deeply") in str(problem.value)


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.json: No such file or directory; check its path"):
        read_config_file(str(tmp_path / "gone.json"))
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_config_file(str(tmp_path / "a.json"))


def run(module: str, folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    command = [*command_of(module), *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=folder, env=env, timeout=60
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_reads_yaml_and_the_files_in_their_order(tmp_path: Path, module: str) -> None:
    (tmp_path / "rejects.jsonl").touch()
    right = write(tmp_path, "a.yml", f"api_key: {SECRET}\nstreams:\n- {{stream: a, kind: ignore}}\n")
    wrong = write(tmp_path, "b.json", json.dumps({"streams": [{"stream": "a", "kind": "evnt"}]}))
    file = ["rejects.jsonl"] if module != "target_kissmetrics" else []
    code, _, told = run(module, tmp_path, *file, "--config", wrong, "--config", right)
    assert code == 0, told
    code, _, told = run(module, tmp_path, *file, "--config", right, "--config", wrong)
    assert code == 1
    assert "streams[0].kind: must be one of" in told


@pytest.mark.parametrize("module", COMMANDS)
def test_a_broken_config_ends_every_command_in_one_line(tmp_path: Path, module: str) -> None:
    (tmp_path / "rejects.jsonl").touch()
    broken = write(tmp_path, "c.json", f'{{"api_key": "{SECRET}",}}')
    file = ["rejects.jsonl"] if module != "target_kissmetrics" else []
    code, out, told = run(module, tmp_path, *file, "--config", broken)
    assert (code, out) == (1, "")
    assert told.count("\n") == 1
    assert f"--config: {broken} is not JSON at line 1, column" in told
    assert SECRET not in told
