"""Plans aliases: each pair once, and only so many partners per identity."""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.intents import alias_intent
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.view import StoreView


def plan_alias(
    call: Alias, counts: StreamCounts, view: StoreView, update: StoreUpdate, *, max_partners: int
) -> Alias | None:
    """Give an alias if it is to be sent, and note it.

    Raises:
        Rejected: One of the identities has `max_partners` already.
    """
    one, other = view.digests.person(call.person), view.digests.person(call.other)
    partners, pending = view.partners, view.pending
    if other in partners[one]:
        pending.repeated(alias_intent(one, other))
        counts.unchanged += 1
        return None
    # An alias that a killed run or another process is about to send adds no partner.
    if other not in pending.partners_of(one):
        for identity, person in ((call.person, one), (call.other, other)):
            count = len(partners[person] | pending.partners_of(person))
            if count >= max_partners:
                problem = (
                    f"{identity!r} has {count} aliases already (max_aliases_per_identity); an alias of a shared "
                    "identity would merge all its people permanently"
                )
                raise Rejected("alias-limit", problem)
    pending.repeated(alias_intent(one, other))
    view.intents.append(alias_intent(one, other))
    partners[one].add(other)
    partners[other].add(one)
    update.aliases.add((one, other))
    return call
