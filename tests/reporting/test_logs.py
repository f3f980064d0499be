"""Log records, whoever writes them: one line each, without secrets; libraries' details are not logged."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk import metrics
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter

from target_kissmetrics.reporting.logs import QUIET, ending_in_one_line, guard, in_one_line

KEY = "0123456789abcdef0123456789abcdef01234567"
EVIL = f"x\x1b[2J\nFORGED\u202e\u2028 {KEY}"


@pytest.fixture(params=[ConsoleFormatter, StructuredFormatter])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    guard({"api_key": KEY})
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(log: io.StringIO) -> list[str]:
    return log.getvalue().removesuffix("\n").split("\n")


class Odd:
    def __str__(self) -> str:
        return EVIL


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError(KEY)


@pytest.mark.parametrize(
    "arguments",
    [("%s",), ("%s %d", EVIL, 1), ("%s", Odd()), (f"{EVIL} %s",), ("%(a)s", {"a": EVIL}), (Odd(),), (EVIL,)],
)
def test_a_record_is_one_line_without_secrets(log: io.StringIO, arguments: tuple[Any, ...]) -> None:
    logging.getLogger("some.library").warning(*arguments)
    (line,) = lines(log)
    assert KEY not in line
    assert line.isprintable()


def test_a_record_with_the_wrong_number_of_arguments_shows_no_secret(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("some.library").warning("%s and %s", KEY)  # noqa: PLE1206
    assert len(lines(log)) == 1
    assert KEY not in log.getvalue() + capsys.readouterr().err


def test_a_text_that_cannot_be_made_ends_nothing(log: io.StringIO) -> None:
    logging.getLogger("some.library").warning("%s", Unwritable())
    assert len(lines(log)) == 1


def test_a_traceback_of_a_library_is_one_line_without_secrets(log: io.StringIO) -> None:
    try:
        try:
            raise ValueError(EVIL)  # noqa: TRY301
        except ValueError as error:
            raise RuntimeError(f"after {EVIL}") from error
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")
    (line,) = lines(log)
    assert "failed" in line
    assert "RuntimeError: after x" in line
    assert KEY not in line
    assert line.isprintable()


def test_a_loggers_name_is_one_line_without_secrets(log: io.StringIO) -> None:
    logging.getLogger("target-kissmetrics").getChild(EVIL).info("a row")
    (line,) = lines(log)
    assert KEY not in line
    assert line.isprintable()


def test_a_metric_keeps_its_form_and_shows_no_secret(log: io.StringIO) -> None:
    point = metrics.Point("counter", metrics.Metric.RECORD_COUNT, 3, {"stream": EVIL, "pid": 1})
    metrics.log(metrics.get_metrics_logger(), point)
    (line,) = lines(log)
    assert KEY not in line
    if "metric_info" in line:
        info = json.loads(line)["metric_info"]
        assert (info["value"], info["tags"]["pid"]) == (3, 1)
        assert info["tags"]["stream"].isprintable()
    assert point.tags["stream"] == EVIL


@pytest.mark.parametrize("name", [*QUIET, "botocore.auth", "urllib3.connectionpool", "sqlalchemy.engine.Engine"])
def test_a_librarys_details_are_not_logged(log: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("GET https://host/?signature=x")
    assert log.getvalue() == ""
    logging.getLogger(name).warning("connection lost")
    assert "connection lost" in log.getvalue()


def test_a_library_that_sets_its_own_level_logs_no_details(log: io.StringIO) -> None:
    logger = logging.getLogger("s3fs")
    try:
        logger.setLevel(logging.DEBUG)  # as s3fs does for S3FS_LOGGING_LEVEL
        logger.debug("call(secret)")
    finally:
        logger.setLevel(logging.WARNING)
    assert log.getvalue() == ""


def test_what_ends_a_command_shows_neither_secrets_nor_data(log: io.StringIO) -> None:
    with pytest.raises(SystemExit), ending_in_one_line(logging.getLogger("target-kissmetrics")):
        raise ValueError(EVIL)
    assert KEY not in log.getvalue()
    assert "FORGED" not in log.getvalue()
    assert all(line.isprintable() for line in lines(log))
    assert in_one_line(ValueError(EVIL)).endswith("please report it: ValueError")


def test_a_record_from_another_process_can_be_made(log: io.StringIO) -> None:
    record = logging.makeLogRecord({"name": "other", "msg": "received", "levelno": logging.WARNING})
    logging.getLogger().handle(record)
    assert "received" in log.getvalue()
