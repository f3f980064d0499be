"""Sends only user attributes that changed.

Kissmetrics keeps one value of a property per person and second, the first that arrives. So another value in the second
of the last sent one is sent one second later. A value equal to the last sent one is not sent, so that the time of an
unchanged attribute does not move. An older value is sent with its own time and does not replace the last sent one.

A value keeps the second of its pending intent, and no other value is sent with that second: so a run that was killed
repeats itself, wherever its batches begin and end. The exception are values of one second: if the killed run sent only
the last of them, and the repeat, cut elsewhere, sends each, they move on to later seconds, so that the last one is the
latest.

Kissmetrics deletes nothing. An attribute that was deleted at its source is forgotten here, so that it is sent again
when it comes back. Its seconds are not forgotten: a value that comes back in the second of the last one still moves on,
and a value older than the deletion is still an older one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Properties, Set
from target_kissmetrics.mapping.result import Deletion
from target_kissmetrics.store import digests
from target_kissmetrics.store.intents import Intent, LastSent, NewValue, PropertyIntents, pack_new
from target_kissmetrics.store.packed import LastCall, new_person, units
from target_kissmetrics.sync.batch import Batch, BatchRow, outgoing
from target_kissmetrics.sync.store_view import StoreView


class Sent(NamedTuple):
    """A decision to send a value with the second `time`; it becomes the last sent value unless it is an older one."""

    time: int
    is_last: bool


def property_change(
    last: LastSent | None, new: NewValue, pending: PropertyIntents, *, always: bool = False, after: int = -1
) -> Sent | None:
    """Decide whether to send a property, and with which second.

    Args:
        last: Its last sent value, if any.
        new: Its value in a row.
        pending: Its pending intents.
        always: Send an unchanged value too (`include_all_user_attributes`).
        after: The latest second at which Kissmetrics may have a value that this one replaced within its own second.

    Returns:
        What to send; None if nothing changed.
    """
    if last is None:
        return Sent(pending.second(new, max(new.row_time, after + 1)), is_last=True)
    changed = new.value != last.value
    # A value that a killed run may have sent after the last sent one is a change to revert.
    if not changed and not always and max(pending.surpassed(new), after) <= last.time:
        return None
    if new.row_time < last.row_time:
        intended = pending.intended(new)
        if intended is None and pending.was_unchanged(new):
            return None
        return Sent(intended if intended is not None and intended < last.time else new.row_time, is_last=False)
    # In the second of the last sent value, or where that one moved to: another value moves on, the same one stays.
    return Sent(pending.second(new, max(new.row_time, last.time + changed, after + 1)), is_last=True)


def forgotten(last: LastSent | None, time: int) -> LastSent | None:
    """Give what replaces the last sent value of an attribute that was deleted at its source, in the second `time`.

    None if it was set after the deletion, or is forgotten already.
    """
    if last is None:
        return LastSent(digests.FORGOTTEN, 0, time)
    if last.row_time > time or (last.value == digests.FORGOTTEN and last.row_time == time):
        return None
    return LastSent(digests.FORGOTTEN, last.time, time)


class MergedSet(msgspec.Struct):
    """Calls that set attributes of one person and second, to be sent as one call with the last values."""

    batch: Batch
    rows: list[BatchRow]
    calls: list[Set]
    person: bytes

    def properties(self, own: digests.Digests) -> tuple[dict[bytes, tuple[str, str]], dict[bytes, list[str]]]:
        """Give name and value by property key; and likewise the values that another one of these calls replaced."""
        last: dict[bytes, tuple[str, str]] = {}
        replaced: dict[bytes, list[str]] = {}
        for call in self.calls:
            for item in call.properties.items():
                key = own.property_key(item[0])
                before = last.get(key, item)
                if before[1] != item[1]:
                    replaced.setdefault(key, []).append(before[1])
                last[key] = item
        return last, replaced


class Forgetting(msgspec.Struct):
    """An attribute to be forgotten, in its turn among the sets."""

    batch: Batch
    deletion: Deletion
    person: bytes


Step = MergedSet | Forgetting


def steps_of(batches: Sequence[Batch], product: digests.Digests) -> list[Step]:
    """Give the user attributes to set and to forget, in their order; those of one person and second are merged."""
    steps: list[Step] = []
    merged: dict[tuple[str, int, int], MergedSet] = {}
    deletions: Counter[str] = Counter()
    for batch in batches:
        for row in batch.rows:
            for deletion in row.mapped.deletions:
                deletions[deletion.person] += 1
                steps.append(Forgetting(batch, deletion, product.person(deletion.person)))
            for call in row.mapped.calls:
                if not isinstance(call, Set) or not call.distinct:
                    continue
                # What is set after a deletion is not merged with what was set before it.
                key = (call.person, call.time, deletions[call.person] if deletions else 0)
                entry = merged.get(key)
                if entry is None:
                    merged[key] = entry = MergedSet(batch, [], [], product.person(call.person))
                    steps.append(entry)
                entry.rows.append(row)
                entry.calls.append(call)
    return steps


def plan_changes(steps: Sequence[Step], view: StoreView, *, include_all: bool) -> None:
    """Give each batch the calls for attributes that changed, with their updates and intents.

    Args:
        steps: From `steps_of`.
        view: Holds everybody in the steps.
        include_all: Send unchanged attributes too.
    """
    noted: set[tuple[bytes, bytes]] = set()
    for step in steps:
        if isinstance(step, Forgetting):
            _forget(step, view)
        elif include_all or not _plan_alone(step, view, noted):
            _plan_set(step, view, noted, include_all)


def _plan_alone(step: MergedSet, view: StoreView, noted: set[tuple[bytes, bytes]]) -> bool:
    """Plan the only call for somebody in a second without pending intents, as `_plan_set` would, with less work.

    Most are of people of whom nothing changed, or nothing is known.
    """
    last, call, own = view.people[step.person], step.calls[0], view.digests
    if len(step.calls) > 1 or step.person in view.pending:
        return False
    properties, whole = call.properties, own.whole(call.properties)
    if last.was_set_by(whole):
        step.rows[0].counts.unchanged += len(properties)
        return True
    keys, value_of = list(map(own.property_key, properties)), own.value
    if len(set(keys)) < len(keys):
        return False
    pairs = [key + value_of(text) for key, text in zip(keys, properties.values(), strict=True)]
    if not last:
        _plan_new(step, view, units(pairs, call.time), whole)
        return True
    missing = last.missing(pairs)
    changed = {name: text for pair, (name, text) in zip(pairs, properties.items(), strict=True) if pair in missing}
    step.rows[0].counts.unchanged += len(properties) - len(changed)
    reduced = MergedSet(step.batch, step.rows, [replace(call, properties=changed)], step.person)
    if changed and _plan_set(reduced, view, noted, include_all=False):
        step.batch.update.last_calls[step.person] = LastCall(whole, pairs)
    return True


def _plan_new(step: MergedSet, view: StoreView, values: Sequence[bytes], whole: bytes) -> None:
    """Plan everything that a call sets of a person of whom nothing is known."""
    person = new_person(values, whole)
    view.people[step.person] = step.batch.update.people[step.person] = person
    view.intents.append(pack_new(step.person, values))
    step.batch.calls.append(outgoing(step.rows, step.calls[0]))


def _plan_set(step: MergedSet, view: StoreView, noted: set[tuple[bytes, bytes]], include_all: bool) -> bool:
    """Plan each property alone; tell whether any is sent."""
    person, call, update = step.person, step.calls[0], step.batch.update
    is_pending = person in view.pending
    properties, replaced = step.properties(view.digests)
    by_time: dict[int, Properties] = {}
    pairs: list[bytes] = []
    for key, (name, text) in properties.items():
        new = NewValue(person, key, view.digests.value(text), call.time)
        pairs.append(key + new.value)
        last, pending = view.people[person].get(key), view.pending.of(person, key)
        others = [view.digests.value(text) for text in replaced.get(key, ())]
        after = _latest_replaced(new, others, pending)
        sent = property_change(last, new, pending, always=include_all, after=after)
        if sent is None:
            step.rows[0].counts.unchanged += 1
        else:
            by_time.setdefault(sent.time, {})[name] = text
            if sent.is_last:
                _replace_last(last, new, noted, view)
                view.change(person, key, LastSent(new.value, sent.time, new.row_time), update)
            view.intend(Intent(new, sent.time))
        if is_pending:
            view.pending.repeated(Intent(new, view.people[person][key].time))
    # Of merged calls, none sets everything that this one sets: the store would recognize none of them.
    if by_time and len(step.calls) == 1:
        update.last_calls[person] = LastCall(view.digests.whole(call.properties), pairs)
    for time, changed in by_time.items():
        step.batch.calls.append(outgoing(step.rows, replace(call, time=time, properties=changed)))
    return bool(by_time)


def _replace_last(last: LastSent | None, new: NewValue, noted: set[tuple[bytes, bytes]], view: StoreView) -> None:
    """Note the value before as an intent too, once per plan: for rows that are read again after a kill."""
    if last is not None and last.value != digests.FORGOTTEN and (new.person, new.key) not in noted:
        noted.add((new.person, new.key))
        view.intend(Intent(new._replace(value=last.value, row_time=last.row_time), last.time))


def _latest_replaced(new: NewValue, replaced: Sequence[bytes], pending: PropertyIntents) -> int:
    """Give the latest second at which a killed run may have sent one of the values that this one replaced; or -1."""
    seconds = [pending.intended(new._replace(value=value)) for value in replaced]
    return max((second for second in seconds if second is not None), default=-1)


def _forget(step: Forgetting, view: StoreView) -> None:
    key = view.digests.property_key(step.deletion.name)
    after = forgotten(view.people[step.person].get(key), step.deletion.time)
    if after is not None:
        view.change(step.person, key, after, step.batch.update)
