"""The filter knows every secret of a config and of the environment, however a text spells it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.redaction import each_text, redact, set_secrets
from target_kissmetrics.reporting.rejects import as_line

KEY = "0123456789abcdef0123456789abcdef01234567"
ODD_KEY = "k3y/that+must=not&'show\"é"
PASSWORD = "hunter-22"


@pytest.mark.parametrize(
    ("config", "secret"),
    [
        ({"query_api_user": PASSWORD}, PASSWORD),
        ({"query_api_password": PASSWORD}, PASSWORD),
        ({"attribute_store_url": f"postgresql://etl:{PASSWORD}@db/etl"}, PASSWORD),
        ({"attribute_store_url": f"postgresql+psycopg://etl:{PASSWORD}@db:5432/etl?application_name=a@b"}, PASSWORD),
        ({"attribute_store_url": "postgresql://etl:pa55@w0rd@db/etl"}, "pa55@w0rd"),
        ({"attribute_store_url": "postgresql://etl:pa55@w0rd@db/etl"}, "host w0rd"),
        ({"attribute_store_url": "postgresql://etl:pa55/w0rd#x@db/etl"}, "pa55/w0rd#x"),
        ({"attribute_store_url": "postgresql://etl:pa55%40w0rd@db/etl"}, "pa55%40w0rd"),
        ({"attribute_store_url": "postgresql://etl:pa55%40w0rd@db/etl"}, "pa55@w0rd"),
        ({"attribute_store_url": f"postgresql:///etl?host=db&password={PASSWORD}"}, PASSWORD),
        ({"attribute_store_url": f"host=db user=etl password={PASSWORD}"}, PASSWORD),
        ({"attribute_store_url": "host=db password='hunter 22'"}, "hunter 22"),
        ({"attribute_store_url": "postgresql://etl:pw@db/etl"}, "//etl:pw@db"),
        ({"attribute_store_url": {"url": f"postgresql://etl:{PASSWORD}@db"}}, PASSWORD),
        ({"files_url": f"ftp://ada:{PASSWORD}@host/in"}, PASSWORD),
        ({"tracking_url": f"https://ada:{PASSWORD}@host"}, PASSWORD),
        ({"batch_config": {"storage": {"params": {"anything": {"nested": [PASSWORD]}}}}}, PASSWORD),
        ({"batch_config": {"storage": {"params": {"pin": 1234567890}}}}, "1234567890"),
        ({"batch_config": {"storage": {"params": {"c": f"AccountName=x;AccountKey={PASSWORD};"}}}}, f"Key={PASSWORD}"),
        ({"batch_config": {"storage": {"root": f"s3://{PASSWORD}:{PASSWORD}@bucket"}}}, f":{PASSWORD}"),
        ({"batch_config": {"storage": {"secret": PASSWORD}}}, PASSWORD),
        ({"batch_config": f"{{'params': '{PASSWORD}'}}"}, f"{{'params': '{PASSWORD}'}}"),
        ({"stream_map_config": {"hash_seed": PASSWORD}}, PASSWORD),
        ({"api_key": f"\n{KEY} "}, KEY),
        ({"api_key": KEY}, KEY.upper()),
    ],
)
def test_a_secret_of_a_config_is_hidden(config: dict[str, Any], secret: str) -> None:
    assert secret in f"this is {secret}."
    set_secrets(config)
    hidden = redact(f"this is {secret}.")
    assert secret not in hidden
    assert hidden.startswith("this is ")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("https_proxy", f"http://ada:{PASSWORD}@proxy:3128", PASSWORD),
        ("HTTP_PROXY", f"ada:{PASSWORD}@proxy:3128", PASSWORD),
        ("ALL_PROXY", "http://ada:pa55%2Fw0rd@proxy", "pa55/w0rd"),
        ("HTTPS_PROXY", "http://ada:pa55%2Fw0rd@proxy", base64.b64encode(b"ada:pa55/w0rd").decode()),
        ("PGPASSWORD", PASSWORD, PASSWORD),
        ("AWS_SECRET_ACCESS_KEY", PASSWORD, PASSWORD),
        ("AWS_SESSION_TOKEN", PASSWORD, PASSWORD),
        ("TARGET_KISSMETRICS_API_KEY", PASSWORD, PASSWORD),
    ],
)
def test_a_secret_of_the_environment_is_hidden(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, secret: str
) -> None:
    for other in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.upper(), raising=False)
    monkeypatch.setenv(name, value)
    set_secrets({})
    assert secret not in redact(f"this is {secret}.")


@pytest.mark.parametrize(
    "spelled",
    [ODD_KEY, quote(ODD_KEY), quote(ODD_KEY, safe=""), quote(ODD_KEY, safe="").lower(), json.dumps({"a": ODD_KEY}),
     repr([ODD_KEY])],
)  # fmt: skip
def test_the_key_is_hidden_however_it_is_spelled(spelled: str) -> None:
    set_secrets({"api_key": ODD_KEY})
    assert "(the API key)" in redact(spelled)
    assert "show" not in redact(spelled)


@pytest.mark.parametrize("length", [12, 13, 30, 39])
def test_a_key_that_a_message_cuts_is_hidden(length: int) -> None:
    set_secrets({"api_key": KEY})
    assert redact(f"the name '_{KEY[:length]}' is reserved") == "the name '_(the API key)' is reserved"
    assert display.line(f"{'x' * 20} {KEY}", 40) == f"{'x' * 20} (the API key)"


def test_other_texts_stay_as_they_are() -> None:
    set_secrets(
        {"api_key": "k", "attribute_store_url": "sqlite:///x.db", "streams": [{"stream": "a@b", "event_name": "c=d"}]}
    )
    text = "stream 'a@b': 12 rows; event c=d; sqlite:///x.db; k"
    assert redact(text) == text


def test_the_secrets_of_an_earlier_config_are_forgotten() -> None:
    set_secrets({"api_key": KEY})
    set_secrets({"api_key": ODD_KEY})
    assert redact(KEY) == KEY


def test_every_text_of_a_value_is_changed_and_no_name() -> None:
    set_secrets({"attribute_store_url": "postgresql://etl:rows@db"})
    changed = each_text({"rows": ["rows", (1, None, True)]}, redact)
    assert changed == {"rows": ["(not shown)", [1, None, True]]}


def test_a_stream_that_is_named_as_a_password_is_known_again_in_the_rejects() -> None:
    set_secrets({"api_key": KEY, "attribute_store_url": "postgresql://etl:orders@db"})
    line = json.loads(
        as_line(stream="orders", code="no-key", reason="of orders", field=KEY, time="now", record={"orders": KEY})
    )
    assert (line["stream"], line["reason"], line["field"]) == ("orders", "of (not shown)", "(the API key)")
    assert line["record"] == {"orders": KEY}


@given(st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=4, max_size=30).filter(str.isprintable))
def test_any_password_in_a_url_is_hidden(password: str) -> None:
    text = f"[{password}]"
    set_secrets({"attribute_store_url": f"postgresql://etl:{password}@db/etl"})
    assert password not in redact(text) or password.isdecimal() or password in "[(not shown)]"
