"""The settings in a report: enough to help, nothing to hide."""

from __future__ import annotations

import pytest

from target_kissmetrics.config.about import redacted_settings
from target_kissmetrics.config.settings import SCHEMA

KEY = 'k3y/that"must=not&show'


def redacted(**config: object) -> dict[str, str]:
    return redacted_settings({"api_key": KEY, **config}, SCHEMA["properties"])


def test_every_setting_is_shown_with_its_default_and_the_key_never() -> None:
    settings = redacted(max_connections=7)
    assert settings.keys() == SCHEMA["properties"].keys()
    assert settings["api_key"] == "(not shown)"
    assert (settings["max_connections"], settings["use_customer_id"], settings["shard"]) == ("7", "false", "(none)")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("attribute_store_url", "postgresql+psycopg://u:p@ss/w@db/etl?password=x", "postgresql+psycopg (not shown)"),
        ("attribute_store_url", "sqlite:////home/ada/km.db", "sqlite (not shown)"),
        ("attribute_store_url", "host=db password=p", "(not shown)"),
        ("files_url", "s3://bucket/prefix", "s3://bucket/prefix"),
        ("files_url", "ftp://ada:p@ss/w@host/in?token=x#y", "ftp://host/in"),
        ("files_url", "file:///home/ada/in", "in"),
        ("files_url", "/home/ada/in/", "in"),
        ("rejects_path", r"C:\Users\ada\rejects.jsonl", "rejects.jsonl"),
        ("report_path", "/home/ada/report.html", "report.html"),
        ("blocked_identities", ["ada@example.com", "x"], "2 identities"),
        ("streams", [{"stream": "e", "event_name": "Bought"}], '[{"stream": "e", "event_name": "Bought"}]'),
    ],
)
def test_a_setting_loses_what_must_not_be_shown(name: str, given: object, expected: str) -> None:
    assert redacted(**{name: given})[name] == expected


def test_of_the_sdks_settings_only_the_name_is_shown() -> None:
    assert redacted(stream_map_config={"hash_seed": "s"})["stream_map_config"] == "(not shown)"
