"""What a stream's figures mean, for the documentation: each name of `StreamCounts.figures` has its line."""

from __future__ import annotations

from collections.abc import Mapping

FIGURES: Mapping[str, str] = {
    "rows": "Rows read, sent or not.",
    "record_calls": "Events that were taken.",
    "set_calls": "Calls that set properties and were taken.",
    "alias_calls": "Aliases that were taken.",
    "unchanged": "Attributes, aliases and events recorded once that were not sent, since they were before.",
    "rejected": "Rows, and events of batches, that were not sent; they are in the rejects file.",
    "set_aside": "Properties and aliases that were left out of rows that were sent; they are in the rejects file.",
    "left_out": "Events of batches of a type that becomes no call.",
    "deleted": "Rows that were deleted at the source (`_sdc_deleted_at`), which Kissmetrics cannot do.",
    "deleted_attributes": "Attributes that were deleted at the source, which Kissmetrics keeps.",
    "moved": "Events that moved to a second of their own (`spread_duplicates`).",
    "collisions": "Events that Kissmetrics takes for another row's: same person, name and second.",
    "item_collisions": "Line items in a second of another event's, of which Kissmetrics keeps one.",
}
