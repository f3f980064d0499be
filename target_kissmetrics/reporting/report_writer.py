"""Writes the report of a run when it ends, however it ends: whole files, or none, that only their owner may read."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from target_kissmetrics.errors import ConfigError, TargetError
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.report import About, Ending, Recorder, as_json

_SETTING = "report_path"


def report_paths(path: str) -> tuple[Path | None, Path]:
    """Give the paths of the page and of the JSON: `report.html` has both, `report.json` has no page."""
    given = Path(path)
    ending = given.suffix.lower()
    if ending not in {".html", ".json"}:
        raise ConfigError(_SETTING, f"must be a path that ends in .html or .json, not {path!r}")
    return (given, given.with_suffix(".json")) if ending == ".html" else (None, given)


def check_report_path(path: str) -> None:
    """Check, before anything is read, that a report can be written there (else ConfigError); leaves nothing there."""
    page, data = report_paths(path)
    for file in filter(None, (page, data)):
        if file.is_dir() or file.is_symlink():
            raise ConfigError(_SETTING, f"{file} is a folder or a symbolic link; name a file")
    try:
        tempfile.NamedTemporaryFile(dir=data.parent).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        problem = f"cannot write a file in {data.parent}: {why}; make it writable, or name another folder"
        raise ConfigError(_SETTING, problem) from None


def write_whole(path: Path, text: str) -> None:
    """Replace a file as `written_whole` does."""
    with written_whole(path) as file:
        file.write(text)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """Give a file to write, mode 0600, which replaces the one at the path in one step; after an error it does not."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)  # mode 0600
    try:
        # A tap may write an unpaired surrogate, which is not UTF-8; its escape is valid JSON.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


@dataclass(frozen=True)
class ReportWriter:
    """Writes the report of one run."""

    path: str
    about: About
    names: bool  # whether to list names of events and properties
    log: logging.Logger
    recorder: Recorder = field(default_factory=Recorder)

    def write(self, streams: Sequence[StreamCounts], error: BaseException | None, stopped_by: str | None) -> None:
        """Write the report of a run that an error, a signal or a setting ends; a failure is only logged."""
        from target_kissmetrics.reporting.report_page import as_page  # noqa: PLC0415 - few runs need it

        ending, now = ending_of(error, stopped_by), datetime.now(tz=UTC)
        report = self.recorder.report(streams, self.about, ending, names=self.names, now=now)
        page, data = report_paths(self.path)
        try:
            write_whole(data, as_json(report))
            if page is not None:
                write_whole(page, as_page(report))
            self.log.info("the report of this run is %s", page or data)
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            self.log.warning("report_path: cannot write the report: %s; the run is not affected", why)


def ending_of(error: BaseException | None, stopped_by: str | None) -> Ending:
    """Give how a run ended, by the exception, the signal or the setting that ended it before its input did."""
    if isinstance(error, TargetError):
        return Ending("failed", " ".join(error.without_data.split()))
    if isinstance(error, Exception):
        return Ending("failed", f"{type(error).__name__}; see the log")  # its text may hold data
    if stopped_by is not None:
        return Ending("stopped", f"stopped by {stopped_by}")
    return Ending("complete") if error is None else Ending("stopped", "stopped before its end")
