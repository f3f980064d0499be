"""What leaves through the log: one line for whatever ends a command, and no URL of a request."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from singer_sdk.exceptions import SingerSDKError
from singer_sdk.singerlib.exceptions import SingerError

from target_kissmetrics.errors import TargetError

MAX_ERROR_CHARACTERS = 3000


@contextmanager
def ending_in_one_line(logger: logging.Logger) -> Iterator[None]:
    """Turn whatever ends a command into one line on standard error, if it has a reader, and exit code 1."""
    if sys.stderr is None:  # closed: a file that is opened later must not become descriptor 2
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody, and its frames may tell too much
        logger.error(in_one_line(error))  # noqa: TRY400
        logger.debug("where it happened:\n%s", "".join(traceback.format_tb(error.__traceback__)))
        raise SystemExit(1) from None
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)


def _flush(stream: IO[str] | None) -> None:
    """Flush a stream; what nobody reads is dropped, else Python would fail with it at exit (code 120)."""
    if stream is not None:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def in_one_line(error: BaseException) -> str:
    """Write an error. Of one that is neither this target's nor the SDK's only the type is shown: it may hold data."""
    text = " ".join(str(error).split())[:MAX_ERROR_CHARACTERS]
    if text and isinstance(error, (TargetError, SingerSDKError, SingerError)):
        return text
    return f"a bug in target-kissmetrics, please report it: {type(error).__name__}"


def keep_urls_out_of_logs() -> None:
    """Keep HTTP libraries from logging each request's URL, which holds the API key, at level DEBUG."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "requests"):
        logging.getLogger(name).addFilter(_above_debug)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
