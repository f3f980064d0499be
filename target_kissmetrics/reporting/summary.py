"""The lines of the log that a run ends with."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from target_kissmetrics.reporting.counts import StreamCounts, unmatched_in_globs
from target_kissmetrics.reporting.monitor import log_totals


def log_summary(
    streams: Sequence[StreamCounts], log: logging.Logger, seconds: float, retries: int, *, is_dry_run: bool
) -> None:
    """Log the summary of each stream of a run that took so long, and its totals as metrics."""
    for counts in streams:
        log.info(
            "stream '%s': %s; %.0f calls a second; %d retries in the run",
            counts.stream,
            counts.summary(is_dry_run=is_dry_run),
            counts.calls / max(seconds, 0.001),
            retries,
        )
        for line in (*counts.warnings(), *counts.what_to_do()):
            log.warning("stream '%s': %s", counts.stream, line)
        log_totals(counts)
    for line in unmatched_in_globs(streams):
        log.warning(line)


def log_rejects(streams: Sequence[StreamCounts], log: logging.Logger, path: str) -> None:
    """Log where the rejects are, if there are any."""
    if any(counts.all_rejected or counts.all_dropped for counts in streams):
        log.info(
            "rejected rows and dropped properties are in %s, each with its reason; once the mapping is fixed: "
            "target-kissmetrics-replay %s --config ...",
            path,
            path,
        )
