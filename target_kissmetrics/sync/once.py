"""Plans events that are recorded once per person."""

from __future__ import annotations

from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store import digests
from target_kissmetrics.store.intents import Intent, LastSent, NewValue
from target_kissmetrics.store.protocol import StoreUpdate
from target_kissmetrics.sync.view import StoreView


def plan_once(call: Record, counts: StreamCounts, view: StoreView, update: StoreUpdate) -> Record | None:
    """Give an event if it was never recorded, with the second of a pending intent if there is one; and note it."""
    new = NewValue(view.digests.person(call.person), digests.once_key(call.event), digests.NO_VALUE, call.time)
    values = view.values(new.person)
    if new.key in values:
        view.pending.repeated(Intent(new, values[new.key].time))
        counts.unchanged += 1
        return None
    intended = view.pending.of(new.person, new.key).once_time
    time = call.time if intended is None else intended
    values[new.key] = LastSent(new.value, time, call.time)
    update.add(new.person, new.key, values[new.key])
    view.pending.repeated(Intent(new, time))
    view.intents.append(Intent(new, time))
    return call if time == call.time else replace(call, time=time)
