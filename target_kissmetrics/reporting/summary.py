"""The lines of the log that a run ends with."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from target_kissmetrics.reporting.counts import StreamCounts, unmatched_in_globs
from target_kissmetrics.reporting.progress import log_totals


def log_summary(  # noqa: PLR0913 - all by name
    streams: Sequence[StreamCounts],
    logger: logging.Logger,
    *,
    seconds: float,
    retries: int,
    is_dry_run: bool,
    rejects_path: str | None,
) -> None:
    """Log the summary of each stream, and its totals as metrics.

    Args:
        streams: The counts of all streams.
        logger: The log.
        seconds: How long the run took.
        retries: Attempts made again.
        is_dry_run: Calls were logged, not sent.
        rejects_path: The file of rejects, if the run writes one.
    """
    for counts in streams:
        logger.info(
            "stream '%s': %s; %.0f calls a second; %d retries in the run",
            counts.stream,
            counts.summary(is_dry_run=is_dry_run),
            counts.calls / max(seconds, 0.001),
            retries,
        )
        for line in (*counts.warnings(), *counts.what_to_do()):
            logger.warning("stream '%s': %s", counts.stream, line)
        log_totals(counts)
    for line in unmatched_in_globs(streams):
        logger.warning(line)
    if rejects_path is not None and any(counts.all_rejected or counts.all_dropped for counts in streams):
        logger.info(
            "rejected rows and dropped properties are in %s, each with its reason; once the mapping is fixed: "
            "target-kissmetrics-replay %s --config ...",
            rejects_path,
            rejects_path,
        )
