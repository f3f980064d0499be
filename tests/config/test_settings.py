from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_kissmetrics.config.settings import SCHEMA, read_settings
from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.mapping.registry import KINDS
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.reporting.logs import in_one_line
from target_kissmetrics.reporting.redaction import set_secrets

KEY = "0123456789abcdef0123456789abcdef01234567"


def mistake(config: dict[str, Any]) -> str:
    """Give the one line that a config stops the run with."""
    with pytest.raises(ConfigError) as problem:
        read_settings({"api_key": KEY, **config})
    text = str(problem.value)
    assert text.startswith(f"{problem.value.setting}: ")
    assert "\n" not in text
    assert KEY not in text
    return text


# As in the manual: setting, type, default.
TABLE: list[tuple[str, str, Any]] = [
    ("api_key", "string", None),
    ("use_customer_id", "boolean", False),
    ("identity_fallback", "boolean", True),
    ("include_all_user_attributes", "boolean", False),
    ("revenue_key", "string", "Billing Amount"),
    ("revenue_fields", "array", ["revenue"]),
    ("streams", "array", []),
    ("alias_identities", "boolean", False),
    ("max_aliases_per_identity", "integer", 10),
    (
        "blocked_identities",
        "array",
        [
            "anonymous", "guest", "null", "none", "nil", "undefined", "nan", "unknown", "n/a", "(not set)",
            "[object object]", "-1", "true", "false", "anon", "not_authenticated", "not set", "no_user", "[]", "{}",
            '""',
        ],
    ),
    ("lowercase_identities", "boolean", False),
    ("max_value_length", "integer", 512),
    ("max_future_seconds", "number", 86400),
    ("campaign_properties", "boolean", True),
    ("send_ip_and_user_agent", "boolean", True),
    ("prefix_properties", "boolean", False),
    ("datetime_format", "string", "unix"),
    ("delivery", "string", "api"),
    ("tracking_url", "string", "https://trk.kissmetrics.io"),
    ("http_method", "string", "auto"),
    ("http_client", "string", "auto"),
    ("max_connections", "integer", 64),
    ("max_requests_per_second", "number", None),
    ("request_timeout_seconds", "number", 30),
    ("connect_timeout_seconds", "number", 10),
    ("retry_timeout_seconds", "number", 300),
    ("files_url", "string", "kissmetrics-import"),
    ("files_base_name", "string", "kissmetrics"),
    ("files_max_rows", "integer", 500000),
    ("attribute_store_url", "string", "sqlite:///target-kissmetrics.db"),
    ("on_invalid_record", "string", "reject"),
    ("rejects_path", "string", "target-kissmetrics-rejects.jsonl"),
    ("max_rejects", "integer", None),
    ("max_reject_ratio", "number", None),
    ("max_event_names", "integer", 1000),
    ("max_property_names", "integer", 5000),
    ("report_path", "string", None),
    ("report_names", "boolean", False),
    ("allowed_events", "array", None),
    ("allowed_properties", "array", None),
    ("max_calls", "integer", None),
    ("remember_only", "boolean", False),
    ("shard", "object", None),
    ("query_api_user", "string", None),
    ("query_api_password", "string", None),
    ("product_id", "string", None),
    ("query_url", "string", "https://query.kissmetrics.io/v3"),
    ("dry_run", "boolean", False),
]  # fmt: skip
NAMES = [name for name, _, _ in TABLE]
BOOLEANS = [name for name, kind, _ in TABLE if kind == "boolean"]
NUMBERS = [name for name, kind, _ in TABLE if kind in {"integer", "number"}]
CHOICES = {
    "datetime_format": ["unix", "iso8601"],
    "delivery": ["api", "files"],
    "http_method": ["auto", "get", "post"],
    "http_client": ["auto", "requests", "curl"],
    "on_invalid_record": ["reject", "fail"],
}
STRINGS = [name for name, kind, _ in TABLE if kind == "string" and name != "api_key" and name not in CHOICES]
LISTS = [name for name, kind, _ in TABLE if kind == "array"]


@pytest.mark.parametrize(("name", "kind", "default"), TABLE, ids=NAMES)
def test_each_setting_is_in_the_schema_with_its_type_default_and_meaning(name: str, kind: str, default: Any) -> None:
    schema = SCHEMA["properties"][name]
    assert schema["type"][0] == kind
    assert schema.get("default") == default
    assert schema["description"]


def test_the_schema_has_no_other_settings_and_only_the_key_is_required() -> None:
    assert set(SCHEMA["properties"]) == set(NAMES)
    assert SCHEMA["required"] == ["api_key"]
    secrets = [name for name, schema in SCHEMA["properties"].items() if schema.get("secret")]
    assert secrets == ["api_key", "attribute_store_url", "query_api_user", "query_api_password"]


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["nothing", "", 5, True, [], {}])
def test_a_setting_with_choices_accepts_no_others(name: str, value: Any) -> None:
    assert SCHEMA["properties"][name]["enum"] == CHOICES[name]
    assert mistake({name: value}).startswith(f"{name}: must be one of {', '.join(CHOICES[name])}, not {value!r}")


def test_an_entrys_keys_and_kinds_are_those_of_the_code() -> None:
    schema = SCHEMA["properties"]["streams"]["items"]
    assert set(schema["properties"]) == {key.name for key in fields(StreamSettings)} - {"place", "given"}
    assert schema["properties"]["kind"]["enum"] == list(KINDS)
    assert schema["required"] == ["stream"]


def test_a_key_alone_is_a_config_and_the_rest_is_the_default() -> None:
    settings = read_settings({"api_key": KEY})
    assert settings.api_key == KEY
    assert settings.streams == ()
    assert settings.blocked_identities == frozenset({name: default for name, _, default in TABLE}["blocked_identities"])
    assert settings.revenue_fields == ("revenue",)
    for name, kind, default in TABLE:
        if kind != "array" and name != "api_key":
            assert getattr(settings, name) == default, name


def test_null_is_a_setting_left_out() -> None:
    assert read_settings({**dict.fromkeys(NAMES), "api_key": KEY}) == read_settings({"api_key": KEY})


@pytest.mark.parametrize("config", [{}, {"api_key": None}])
def test_the_key_is_required(config: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^api_key: is required; copy it from Kissmetrics' settings, and set TARGET_KISSMETRICS_API_KEY",
    ):
        read_settings(config)


@pytest.mark.parametrize("odd", ["a\0b", "\0", "a\ud83d", "\udc80"])
@pytest.mark.parametrize(
    ("config", "place"),
    [
        (lambda odd: {"tracking_url": f"https://trk.kissmetrics.io/{odd}"}, "tracking_url"),
        (lambda odd: {"api_key": odd}, "api_key"),
        (lambda odd: {"rejects_path": odd}, "rejects_path"),
        (lambda odd: {"blocked_identities": ["a", odd]}, "blocked_identities[1]"),
        (lambda odd: {"streams": [{"stream": "s", "rename": {"a": odd}}]}, "streams[0].rename.a"),
        (lambda odd: {"stream_maps": {"s": {"x": odd}}}, "stream_maps.s.x"),
        (lambda odd: {"batch_config": {"storage": {"root": odd}}}, "batch_config.storage.root"),
    ],
)
def test_a_nul_or_half_a_surrogate_pair_is_named_wherever_it_is(config: Any, place: str, odd: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(place)}: contains a NUL or an unpaired UTF-16 surrogate"):
        read_settings({"api_key": KEY, **config(odd)})


def test_a_config_that_is_nested_too_deeply_names_the_setting() -> None:
    nested: Any = "x"
    for _ in range(100):
        nested = {"a": [nested]}
    with pytest.raises(ConfigError, match=r"^stream_map_config: is nested more than 50 deep"):
        read_settings({"api_key": KEY, "stream_map_config": nested})


@pytest.mark.parametrize("value", ["", " ", 5, True, ["a"], {"a": 1}])
def test_a_key_that_is_no_text_is_a_mistake(value: Any) -> None:
    with pytest.raises(ConfigError) as problem:
        read_settings({"api_key": value})
    assert str(problem.value) == "api_key: must be a non-empty string"


@pytest.mark.parametrize("value", [f"{KEY} ", f"\n{KEY}", "ab cd", "ab\x07cd", "ab\u200bcd", "ab\u00a0cd"])
def test_a_key_with_space_in_it_is_a_mistake_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^api_key: contains a space or an invisible character") as problem:
        read_settings({"api_key": value})
    assert value.strip() not in str(problem.value)


@pytest.mark.parametrize(
    "config",
    [
        {"streams": {"api_key": KEY}},
        {"streams": [KEY]},
        {"streams": [{"stream": "a", "kind": KEY}]},
        {"streams": [{"stream": "a", KEY: 1}]},
        {"streams": [{"stream": "a", "rename": [{"api_key": KEY}]}]},
        {"streams": [{"stream": "a", "include": KEY}]},
        {"http_method": KEY},
        {"delivery": KEY},
        {"max_connections": KEY},
        {"dry_run": KEY},
        {"revenue_key": f"_{KEY}"},
        {"revenue_fields": KEY},
        {"tracking_url": KEY},
        {"tracking_url": f"https://trk.kissmetrics.io/e?_k={KEY}"},
        {"rejects_path": [KEY]},
        {KEY: True},
    ],
)
def test_a_key_pasted_in_the_wrong_place_is_not_shown(config: dict[str, Any]) -> None:
    set_secrets({"api_key": KEY, **config})
    with pytest.raises(ConfigError) as problem:
        read_settings({"api_key": KEY, **config})
    assert KEY[:20] not in in_one_line(problem.value)


def test_the_key_is_not_shown_with_the_settings() -> None:
    settings = read_settings({"api_key": KEY, "attribute_store_url": "postgresql://u:pass@h/db"})
    assert KEY not in repr(settings)
    assert "pass" not in repr(settings)


# Unknown settings


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("apikey", "api_key"),
        ("API_KEY", "api_key"),
        ("use_costumer_id", "use_customer_id"),
        ("stream", "streams"),
        ("datetimeformat", "datetime_format"),
        ("max_connection", "max_connections"),
        ("stream_map", "stream_maps"),
    ],
)
def test_an_unknown_setting_is_named_with_the_likely_one(typed: str, meant: str) -> None:
    with pytest.raises(ConfigError) as problem:
        read_settings({"api_key": KEY, typed: 1}, {"stream_maps": {}})
    assert str(problem.value) == f"{typed}: no such setting; did you mean {meant!r}?"


def test_an_unknown_setting_that_is_like_none_is_named() -> None:
    assert mistake({"zzz": 1}) == "zzz: no such setting; remove it (target-kissmetrics --about lists all settings)"


def test_an_unknown_setting_is_told_of_before_the_missing_key_that_it_may_be() -> None:
    with pytest.raises(ConfigError, match=r"^apikey: no such setting; did you mean 'api_key'"):
        read_settings({"apikey": KEY})


def test_settings_that_somebody_else_reads_are_known() -> None:
    read_settings({"api_key": KEY, "stream_maps": {}, "batch_size_rows": 5}, {"stream_maps": {}, "batch_size_rows": {}})


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("api_ky", "; did you mean 'api_key'?"), ("API_KEY", "; did you mean 'api_key'?"), ("zzz", ""), ("", "")],
)
def test_a_near_miss_is_guessed(typed: str, hint: str) -> None:
    assert did_you_mean(typed, ["api_key", "streams"]) == hint
    assert did_you_mean(typed, iter(["api_key", "streams"])) == hint


# Bad values


@pytest.mark.parametrize("name", BOOLEANS)
@pytest.mark.parametrize("value", ["true", 1, 0, [], {}, ""])
def test_a_switch_is_true_or_false(name: str, value: Any) -> None:
    assert mistake({name: value}) == f"{name}: must be true or false, not {value!r}"


@pytest.mark.parametrize("name", BOOLEANS)
def test_a_switch_can_be_turned(name: str) -> None:
    value = not SCHEMA["properties"][name]["default"]
    settings = read_settings({"api_key": KEY, name: value})
    assert getattr(settings, name) is value


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["many", True, [], {}, "", "1,5", float("nan"), float("inf"), "inf", 10**400, -1])
def test_a_number_is_one_and_not_negative(name: str, value: Any) -> None:
    assert mistake({name: value}).startswith(f"{name}: must be ")


@pytest.mark.parametrize(
    ("name", "lowest", "below"),
    [
        ("max_aliases_per_identity", 0, -1),
        ("max_connections", 1, 0),
        ("max_requests_per_second", 0.1, 0),
        ("request_timeout_seconds", 0.1, 0),
        ("retry_timeout_seconds", 0, -0.1),
        ("files_max_rows", 1, 0),
        ("max_event_names", 1, 0),
        ("max_property_names", 65_535, 65_536),
    ],
)
def test_a_number_has_a_lowest_value(name: str, lowest: float, below: float) -> None:
    assert mistake({name: below}).startswith(f"{name}: must be ")
    settings = read_settings({"api_key": KEY, name: lowest})
    assert getattr(settings, name, lowest) == lowest


@pytest.mark.parametrize("name", ["max_aliases_per_identity", "max_connections", "files_max_rows", "max_event_names"])
@pytest.mark.parametrize("value", [1.5, "1.5"])
def test_a_whole_number_has_no_fraction(name: str, value: Any) -> None:
    assert mistake({name: value}) == f"{name}: must be an integer, not {value!r}"


@pytest.mark.parametrize("key", ["$KISSMETRICS_KEY", "${KISSMETRICS_KEY}", "{{key}}", "<your-key>", "%KEY%"])
def test_a_variable_in_the_place_of_the_key_is_a_mistake(key: str) -> None:
    with pytest.raises(ConfigError, match=r"^api_key: is a variable that was not filled in; copy the key"):
        read_settings({"api_key": key})


@pytest.mark.parametrize("key", ["a$b", "k", "{", "<", "%41%42"])
def test_a_key_that_holds_a_sign_is_a_key(key: str) -> None:
    assert read_settings({"api_key": key}).api_key == key


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_requests_per_second", 1e-300, "must be at least 0.001, not 1e-300"),
        ("request_timeout_seconds", 1e300, "must be at most 86400, not 1e+300"),
        ("connect_timeout_seconds", 86_401, "must be at most 86400, not 86401.0"),
        ("retry_timeout_seconds", 1e300, "must be at most 2592000, not 1e+300"),
    ],
)
def test_a_time_that_no_clock_can_count_is_a_mistake(name: str, value: float, told: str) -> None:
    assert mistake({name: value}) == f"{name}: {told}"


@pytest.mark.parametrize("path", ["/e", "/s", "/a/", "/proxy/e"])
def test_the_path_of_a_call_is_no_tracking_url(path: str) -> None:
    told = mistake({"tracking_url": f"https://trk.kissmetrics.io{path}"})
    assert told == "tracking_url: must not end with the path of a call; write a URL such as https://trk.kissmetrics.io"


def test_a_tracking_url_may_have_a_path_of_its_own() -> None:
    settings = read_settings({"api_key": KEY, "tracking_url": "https://example.com/proxy/"})
    assert settings.tracking_url == "https://example.com/proxy"


def test_more_connections_than_can_be_are_a_mistake() -> None:
    assert mistake({"max_connections": 1025}) == "max_connections: must be at most 1024, not 1025"


@pytest.mark.parametrize(("value", "number"), [(8, 8), ("8", 8), (8.0, 8), (" 8 ", 8)])
def test_a_number_may_be_text_as_the_environment_has_it(value: Any, number: int) -> None:
    connections = read_settings({"api_key": KEY, "max_connections": value}).max_connections
    assert connections == number
    assert isinstance(connections, int)


@pytest.mark.parametrize("name", STRINGS)
@pytest.mark.parametrize("value", ["", "  ", 5, True, [], {}])
def test_a_text_is_one_and_not_empty(name: str, value: Any) -> None:
    shown = "" if SCHEMA["properties"][name].get("secret") else f", not {value!r}"
    assert mistake({name: value}) == f"{name}: must be a non-empty string{shown}"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", ["revenue", 5, True, {}])
def test_a_list_is_one(name: str, value: Any) -> None:
    assert mistake({name: value}) == f"{name}: must be a list, not {value!r}"


@pytest.mark.parametrize("name", ["revenue_fields", "blocked_identities", "allowed_events"])
@pytest.mark.parametrize("value", [["a", 5], ["a", " "]])
def test_a_list_of_texts_holds_nothing_else(name: str, value: list[Any]) -> None:
    assert mistake({name: value}) == f"{name}: must be a list of non-empty strings, not {value!r}"


@pytest.mark.parametrize(("typed", "meant"), [("pots", "post"), ("GET", "get")])
def test_a_choice_that_is_nearly_one_is_named_with_the_likely_one(typed: str, meant: str) -> None:
    expected = f"http_method: must be one of auto, get, post, not {typed!r}; did you mean {meant!r}?"
    assert mistake({"http_method": typed}) == expected


@pytest.mark.parametrize("value", ["_k", " _k", ",", "x" * 256, "\u200b_k", "a\ud800", ":_p"])
def test_a_revenue_key_that_is_no_propertys_name_is_a_mistake(value: str) -> None:
    assert mistake({"revenue_key": value}).startswith("revenue_key: ")


def test_a_revenue_key_is_written_as_kissmetrics_would() -> None:
    assert read_settings({"api_key": KEY, "revenue_key": " Net: Revenue "}).revenue_key == "Net  Revenue"


def test_blocked_identities_are_compared_as_identities_are_made() -> None:
    blocked = read_settings({"api_key": KEY, "blocked_identities": [" Guest ", "A:B"]}).blocked_identities
    assert blocked == {"guest", "a b"}


@pytest.mark.parametrize(
    "value",
    [
        "trk.kissmetrics.io",
        "ftp://trk.kissmetrics.io",
        "https://",
        "https:///e",
        "https://host:port",
        "https://host:0",
        "https://host:99999",
        "https://[::1",
        "https://a b",
        "https://user:pw@host",
        "https://user@host",
        "https://host?a=b",
        "https://host/#x",
        "javascript:alert(1)",
        *(f"https://host/a{odd}b" for odd in ' \x1b\x7f\t\n\x80é\u2028"<>\\^`{|}'),
        *(f"https://ho{odd}st/" for odd in ' \x7f\tß"<>\\^`{|}'),
    ],
)
def test_a_tracking_url_is_a_plain_address(value: str) -> None:
    text = mistake({"tracking_url": value})
    assert text.startswith("tracking_url: ")
    assert "https://trk.kissmetrics.io" in text
    assert "pw" not in text


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://trk.kissmetrics.io/", "https://trk.kissmetrics.io"),
        (" https://trk.kissmetrics.com ", "https://trk.kissmetrics.com"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
        ("HTTPS://proxy.example/km/", "https://proxy.example/km"),
    ],
)
def test_a_tracking_url_may_have_a_port_and_a_path(value: str, url: str) -> None:
    assert read_settings({"api_key": KEY, "tracking_url": value}).tracking_url == url


@pytest.mark.parametrize(
    ("url", "is_in_clear"),
    [
        ("https://trk.kissmetrics.io", False),
        ("http://trk.kissmetrics.io", True),
        ("http://10.0.0.7:8080/km", True),
        ("http://[2001:db8::1]", True),
        ("http://localhost.example", True),
        ("http://127.0.0.1:8765", False),
        ("http://127.8.9.1", False),
        ("http://[::1]:8765", False),
        ("http://localhost:8765", False),
        ("http://km.localhost", False),
    ],
)
def test_the_key_is_in_clear_without_tls_beyond_this_machine(url: str, is_in_clear: bool) -> None:
    config = {"api_key": KEY, "tracking_url": url}
    assert read_settings(config).sends_in_clear is is_in_clear
    assert not read_settings({**config, "dry_run": True}).sends_in_clear
    assert not read_settings({**config, "delivery": "files"}).sends_in_clear


def test_the_first_mistake_in_streams_names_its_entry() -> None:
    streams = [{"stream": "a"}, {"stream": "b", "kind": "evnt"}]
    assert mistake({"streams": streams}).startswith("streams[1].kind: ")


def test_entries_are_read_in_their_order() -> None:
    streams = [{"stream": "b", "kind": "ignore"}, {"stream": "*", "customer_id": "email"}]
    read = read_settings({"api_key": KEY, "streams": streams}).streams
    assert [(entry.place, entry.stream) for entry in read] == [("streams[0]", "b"), ("streams[1]", "*")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@example({"": {"\0": None}})
@given(st.dictionaries(st.sampled_from(NAMES[1:]) | st.text("abyz_", max_size=5), JSON, max_size=3))
def test_any_config_is_read_or_stops_with_one_line_that_names_a_setting(config: dict[str, Any]) -> None:
    setting, told = "", ""
    try:
        assert read_settings({"api_key": KEY, **config}).api_key == KEY
    except ConfigError as problem:
        setting, told = problem.setting.partition("[")[0].partition(".")[0], str(problem)
    assert not told or setting in config
    assert KEY not in told
    assert "\n" not in told


@pytest.mark.parametrize("name", ["\n", "\x1b[31m", "a\u2028b"])
def test_a_name_that_no_line_holds_is_told_in_one_line(name: str) -> None:
    told = mistake({"streams": [{"stream": "a", name: False}]})
    assert told.isprintable()
    assert "no such key" in told


def test_a_number_may_come_as_the_decimal_that_a_config_file_is_read_with() -> None:
    assert read_settings({"api_key": KEY, "max_requests_per_second": Decimal("2.5")}).max_requests_per_second == 2.5
    assert mistake({"max_connections": Decimal("1.5")}).startswith("max_connections: must be an integer")
