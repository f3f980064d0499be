"""Messages by hand, for the tests of the message formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mapping_streams import ISO, mapping_of, stream_of

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped

MESSAGE_FIELDS = ("type", "userId", "anonymousId", "messageId", "timestamp", "properties", "traits", "context")
BATCH_FIELDS = ("events", "user_identities", "device_info", "mpid", "user_attributes")

MS = 1706688000000
"""As ISO, in milliseconds."""


def map_segment(row: Mapping[str, Any], **about: Any) -> Mapped:
    """Map one message of a Segment stream, whose person is the customer, as in Segment's own integration."""
    about = {"use_customer_id": True, **about}
    fields = about.pop("fields", MESSAGE_FIELDS)
    return mapping_of(stream_of(fields, {"kind": "segment"}, **about)).map({"timestamp": ISO, **row})


def map_batch(row: Mapping[str, Any], **about: Any) -> Mapped:
    """Map one batch of mParticle's, of the device d1."""
    fields = about.pop("fields", BATCH_FIELDS)
    return mapping_of(stream_of(fields, {"kind": "mparticle"}, **about)).map({"mp_deviceid": "d1", **row})


def event(kind: str, ms: int = MS, **data: Any) -> dict[str, Any]:
    """Make an event of a batch."""
    return {"event_type": kind, "data": {"timestamp_unixtime_ms": ms, **data}}


def rejected(mapped: Any, *arguments: Any, **about: Any) -> tuple[str, str | None, str]:
    """Give why a row is rejected: code, field, reason."""
    with pytest.raises(Rejected) as problem:
        mapped(*arguments, **about)
    return problem.value.code, problem.value.field, problem.value.reason
