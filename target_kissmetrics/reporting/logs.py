"""What leaves through the log: lines without secrets, whoever writes them, and one for whatever ends a command."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from singer_sdk import metrics
from singer_sdk.exceptions import SingerSDKError
from singer_sdk.singerlib.exceptions import SingerError

from target_kissmetrics.errors import TargetError
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.redaction import each_text, set_secrets

QUIET = (
    "adlfs", "aiobotocore", "aiohttp", "azure", "boto3", "botocore", "fsspec", "gcsfs", "google", "psycopg", "requests",
    "s3fs", "s3transfer", "sqlalchemy", "urllib3",
)  # fmt: skip
"""Libraries whose lines below WARNING hold URLs, signatures and statements, with the secrets and data in them."""


@contextmanager
def ending_in_one_line(logger: logging.Logger) -> Iterator[None]:
    """Turn whatever ends a command into one line on standard error, if it has a reader, and exit code 1."""
    if sys.stderr is None:  # closed: a file that is opened later must not become descriptor 2
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody, and its frames may tell too much
        logger.error(in_one_line(error))  # noqa: TRY400
        frames = traceback.extract_tb(error.__traceback__)
        logger.debug("where it happened: %s", ", ".join(f"{one.filename}:{one.lineno} {one.name}" for one in frames))
        raise SystemExit(1) from None
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except OSError:  # what nobody reads is dropped, else Python would fail with it at exit (code 120)
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def in_one_line(error: BaseException) -> str:
    """Write an error. Of one that is neither this target's nor the SDK's only the type is shown: it may hold data."""
    text = display.line(" ".join(str(error).split()), 3000)
    if text and isinstance(error, (TargetError, SingerSDKError, SingerError)):
        return text
    return f"a bug in target-kissmetrics, please report it: {type(error).__name__}"


def guard(config: Mapping[str, Any], run_id: str | None = None) -> None:
    """Keep a config's secrets out of all that leaves from now on, and libraries' details; tag metrics with the run."""
    set_secrets(config)
    logging.setLogRecordFactory(functools.partial(_record, run_id))
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.addFilter(_is_warning)  # some set their level again, from a variable


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _record(run_id: str | None, *arguments: Any, **named: Any) -> logging.LogRecord:
    """Make a record whose texts no handler has to look at: in one line, without secrets."""
    record = logging.LogRecord(*arguments, **named)
    record.name = display.whole(str(record.name))
    point = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(point, metrics.Point):  # the SDK's formatter needs it as it is
        own = {} if run_id is None else {"run_id": run_id}
        tags = each_text({**point.tags, **own}, display.whole)
        record.args = (metrics.Point(point.metric_type, point.metric, point.value, tags),)
        return record
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a line that cannot be written is no reason to end a run
        text = str(record.msg)
    if record.exc_info and record.exc_info[1] is not None:
        text += " | " + "".join(traceback.format_exception(record.exc_info[1]))
    record.msg, record.args, record.exc_info = display.whole(text), (), None
    return record
