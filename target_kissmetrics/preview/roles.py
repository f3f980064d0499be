"""Which field of a stream likely holds what: who, when, what, how much. From names and sampled values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from target_kissmetrics.mapping.kinds.alias import PREVIOUS_ID_CANDIDATES
from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES, LINE_ITEM_CANDIDATES
from target_kissmetrics.mapping.kinds.experiment import EXPERIMENT_CANDIDATES, VARIANT_CANDIDATES
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES
from target_kissmetrics.preview.profile import FieldProfile, Profile
from target_kissmetrics.preview.words import words

_PERSON = frozenset(
    {
        "user", "customer", "account", "member", "contact", "person", "people", "profile", "subscriber", "client",
        "buyer", "shopper", "visitor", "lead", "patient", "player", "student", "owner", "recipient", "participant",
        "learner", "donor", "author", "sender", "viewer", "consumer", "purchaser", "payer", "cust", "usr",
    }
)  # fmt: skip
_DEVICE = frozenset(
    {"device", "anonymous", "anon", "visitor", "cookie", "browser", "installation", "install", "fingerprint"}
)
_VISITORS = frozenset({("visitor",), ("anonymous",), ("anon",), ("cookie",), ("fingerprint",)})
_SOME_ROWS = 10
_FLAG_VALUES = 2
_ID = frozenset({"id", "uuid", "guid", "key", "number", "no", "nr", "ref", "identifier", "uid", "pk", "email", "code"})
_PERSON_AS_ONE = frozenset({"uid", "userid", "customerid", "memberid", "clientid", "username", "login", "userkey"})
_SOMEBODY_ELSE = frozenset({"by", "agent", "admin", "staff", "rep", "assigned", "assignee", "manager", "approved"})
_TIME_ENDS = frozenset({"at", "on", "time", "date", "datetime", "timestamp", "ts", "day", "when", "epoch", "utc", "dt"})
_NOT_WHEN_IT_HAPPENED = frozenset(
    {
        "updated", "modified", "changed", "deleted", "expires", "expired", "expiry", "due", "birth", "dob", "shipped",
        "delivered", "extracted", "loaded", "synced", "inserted", "last", "next", "valid", "archived", "until", "end",
        "ended", "cancelled", "canceled", "refunded", "returned",
    }
)  # fmt: skip
_BOUGHT = frozenset(
    {"ordered", "order", "purchased", "purchase", "placed", "paid", "bought", "completed", "sold", "transaction"}
)
_CHANGED = frozenset({"updated", "modified", "changed"})
_ACTION = frozenset(
    {"action", "activity", "event", "verb", "operation", "interaction", "what", "happened", "occurrence", "did"}
)
_MAX_CHARACTERS_OF_NAMES = 40
_FEW_NAMES = 50
_DONE_WORDS = frozenset(
    {
        "paid", "sent", "bought", "sold", "began", "begun", "left", "lost", "won", "made", "built", "met",
        "read", "seen", "shown", "taken", "given", "withdrawn", "frozen", "chosen", "held", "kept", "put",
        "quit", "reset", "shut", "set", "login", "logout", "signup", "open", "close", "start", "stop", "create",
        "cancel", "pause", "resume", "renew", "subscribe", "unsubscribe", "refund", "upgrade", "downgrade",
        "purchase", "buy", "view", "click", "join", "leave",
    }
)  # fmt: skip
_AMOUNT = {
    "revenue": 100, "subtotal": 90, "total": 85, "amount": 80, "paid": 75, "price": 70, "sum": 70, "charge": 65,
    "payment": 65, "mrr": 60, "gross": 60, "value": 50, "fee": 40,
}  # fmt: skip
_NO_AMOUNT = frozenset(
    {
        "tax", "vat", "shipping", "discount", "quantity", "qty", "count", "id", "currency", "tip", "items", "units",
        "points", "number", "score", "status", "type", "rate", "percent", "date", "at", "on",
    }
)  # fmt: skip
_EXPERIMENT = frozenset({"experiment", "test", "abtest", "flag"})
_VARIANT = frozenset({"variant", "variation", "bucket", "arm", "treatment", "cohort", "group"})
_PREVIOUS = frozenset({"previous", "prev", "old", "merged", "from", "former", "alias", "duplicate", "secondary"})
_SECRET = frozenset(
    {"password", "passwd", "secret", "token", "ssn", "iban", "cvv", "cvc", "hash", "salt", "otp", "passphrase"}
)
_SECRET_PAIRS = (("card", "number"), ("api", "key"), ("credit", "card"), ("social", "security"), ("private", "key"))
_PERSONAL = frozenset(
    {
        "phone", "telephone", "fax", "birth", "birthday", "birthdate", "dob", "street", "postcode", "zip", "zipcode",
        "postal", "latitude", "longitude", "passport", "ip",
    }
)  # fmt: skip
_PERSONAL_PAIRS = (("user", "agent"), ("address", "line"))
_NAME_OF = frozenset(
    {
        "first", "last", "middle", "given", "family", "full", "display", "customer", "contact", "buyer",
        "client", "member", "recipient", "billing", "patient", "student", "subscriber", "maiden", "preferred",
        "person", "shopper",
    }
)  # fmt: skip
_NAMES_AS_ONE = frozenset({"firstname", "lastname", "fullname", "displayname", "surname", "forename", "nickname"})
_PLACES = frozenset({"lat", "lng", "geo", "coordinates", "geolocation"})
_WITHIN_PLACES = frozenset({"lon", "long"})
_MAIL = frozenset({"email", "mail"})
_NO_ADDRESS = frozenset(
    {
        "is", "has", "opt", "opted", "optin", "opens", "opened", "clicks", "clicked", "sent", "count", "status",
        "verified", "confirmed", "type", "domain", "subscribed", "consent", "frequency", "campaign", "template",
        "subject", "id",
    }
)  # fmt: skip
_UNPAID = frozenset(
    {
        "failed", "failure", "canceled", "cancelled", "pending", "draft", "void", "voided", "declined", "refused",
        "refunded", "refund", "unpaid", "uncollectible", "expired", "abandoned", "incomplete", "rejected", "error",
    }
)  # fmt: skip
_REFUND = frozenset({"refund", "refunds", "refunded"})
_FEW_STATES = 20
_CURRENCIES_TOLD = 4
_BESIDE_NET = frozenset({"tax", "vat", "shipping"})
_NO_PERSON_WITHIN = frozenset(
    {"owner", "company", "organization", "organisation", "account", "store", "shop", "vendor"}
)
_MAX_EVENT_NAMES = 200
_KEY = 85
_WITHIN = 45
"""A field within an object counts for less than the least likely one of the row itself, but for a CRM's key."""

Score = Callable[[FieldProfile], int]


def best(profile: Profile, score: Score, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field with the highest score above zero; of equal ones the one with more values, then the first."""
    ranked = [
        (score(field), field.filled, -index, field.name)
        for index, field in enumerate(profile.fields.values())
        if field.name not in besides and (not profile.rows or field.filled)
    ]
    top = max(ranked, default=None)
    return top[3] if top is not None and top[0] > 0 else None


def customer_id(
    profile: Profile, key: str | None, besides: Sequence[str | None] = (), *, of_another_system: bool = False
) -> str | None:
    """Give the field that names the customer: the likeliest of `customer_ids`."""
    return next(iter(customer_ids(profile, key, besides, of_another_system=of_another_system)), None)


def customer_ids(
    profile: Profile, key: str | None, besides: Sequence[str | None] = (), *, of_another_system: bool = False
) -> list[str]:
    """Give the fields that may name the customer, the likeliest first; within objects as a last resort.

    Args:
        profile: The stream's.
        key: The stream's only key property when the stream is one of people.
        besides: Fields that hold something else.
        of_another_system: The key is a record's number in a CRM, say, by which no product knows its people: an e-mail
            address comes before it.
    """

    def score(field: FieldProfile) -> int:
        if not field.may_hold_id(profile.rows) or field.name in besides or (profile.rows and not field.filled):
            return 0
        listed = _listed(field.name, CUSTOMER_ID_CANDIDATES)
        return listed or (_KEY - 75 * of_another_system if field.name == key else _person_score(words(field.name)))

    def nested_score(field: FieldProfile) -> int:
        name = words(field.name)
        if frozenset(name) & _SOMEBODY_ELSE | frozenset(name[:-1]) & _NO_PERSON_WITHIN:
            return 0
        below = score(field) - _WITHIN
        return max(below, 0)

    scored = [(-score(one), -one.filled, place, one.name) for place, one in enumerate(profile.fields.values())]
    scored += [(-nested_score(one), -one.filled, place, one.name) for place, one in enumerate(profile.nested.values())]
    return [name for points, _, _, name in sorted(scored) if points < 0]


def _person_score(name: tuple[str, ...]) -> int:
    parts = frozenset(name)
    if parts & _SOMEBODY_ELSE or parts & {"anonymous", "anon"}:
        return 0
    if parts & _PERSON and parts & _ID:
        return 80 + 2 * len(parts & {"user", "customer"}) - len(parts)
    if parts & _PERSON_AS_ONE:
        return 75
    if parts & {"email", "mail"}:
        return 60 - len(parts)
    return 50 if len(name) == 1 and parts & _PERSON else 0


def device_id(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field that names the device."""

    def score(field: FieldProfile) -> int:
        parts = frozenset(words(field.name))
        if not field.may_hold_id(profile.rows):
            return 0
        listed = _listed(field.name, DEVICE_ID_CANDIDATES) or (70 if parts & _DEVICE and parts & _ID else 0)
        return listed or (60 if _is_a_visitor(field, profile.rows) else 0)

    return best(profile, score, besides)


def _is_a_visitor(field: FieldProfile, rows: int) -> bool:
    """Tell `visitor` and `session_cookie` from `is_anonymous` and `cookie_consent`: one value in many rows is no ID."""
    name = words(field.name)
    is_named = name[-1:] in _VISITORS and not frozenset(name) & {"is", "has", "unique", "new", "returning"}
    return is_named and not field.mostly(field.moments) and (rows < _SOME_ROWS or len(field.distinct) > _FLAG_VALUES)


def event_time(profile: Profile) -> str | None:
    """Give the field that says when something happened."""

    def score(field: FieldProfile) -> int:
        name = words(field.name)
        parts = frozenset(name)
        if not _is_time(field, profile, name):
            return 0
        if parts & _NOT_WHEN_IT_HAPPENED:
            return 5
        if parts & _BOUGHT:
            return 110
        known = 75 if parts & {"date", "created"} else 70 if _is_named_for_time(name) else 60
        return _listed(field.name, EVENT_TIME_CANDIDATES) or known

    return best(profile, score)


def attribute_time(profile: Profile) -> str | None:
    """Give the field that says when a row last changed."""

    def score(field: FieldProfile) -> int:
        name = words(field.name)
        if not _is_time(field, profile, name):
            return 0
        return _listed(field.name, ATTRIBUTE_TIME_CANDIDATES) or (70 if _CHANGED & frozenset(name) else 0)

    return best(profile, score)


def _is_time(field: FieldProfile, profile: Profile, name: tuple[str, ...]) -> bool:
    hinted = field.is_moment or _is_named_for_time(name) or _holds_iso_texts(field)
    return hinted and field.may_hold_moment(profile.rows)


def _is_named_for_time(name: tuple[str, ...]) -> bool:
    # Stripe and others say `created` and mean the second of it.
    return bool(name) and (
        name[-1] in _TIME_ENDS or bool({"date", "timestamp"} & frozenset(name)) or name[-1].endswith("ed")
    )


def _holds_iso_texts(field: FieldProfile) -> bool:
    """Tell a field of date-times by its values alone, where its schema calls it a text."""
    return field.mostly(field.texts) and not field.is_date_only and all(map(times.is_full_iso, field.distinct))


def event_name(profile: Profile, besides: Sequence[str | None] = (), *, also_type: bool = False) -> str | None:
    """Give the field that says what happened: a text of few values.

    Args:
        profile: The stream's.
        besides: Fields that hold something else.
        also_type: A field `type`, `name` or `kind` may say it.
    """

    def score(field: FieldProfile) -> int:
        name = words(field.name)
        if profile.rows and (not field.mostly(field.texts) or field.mostly(field.moments)):
            return 0
        if len(field.distinct) > _MAX_EVENT_NAMES or (profile.rows > 20 and len(field.distinct) > profile.rows / 2):
            return 0
        listed = _listed(field.name, EVENT_NAME_CANDIDATES)
        if listed or not name:
            return listed
        if _ACTION & frozenset(name) and not frozenset(name) & (_ID | _TIME_ENDS):
            return 70
        return 40 if also_type and name[-1] in {"type", "name", "kind"} else 0

    return best(profile, score, besides)


def what_happened(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field that tells different things that happened apart, where the stream's name tells one alone.

    A field `type` or `kind` does when its values say what was done.
    """

    def may(field: FieldProfile) -> bool:
        texts = field.distinct
        if not 1 < len(texts) <= _FEW_NAMES or max(map(len, texts)) > _MAX_CHARACTERS_OF_NAMES:
            return False
        return len(texts) * 2 <= field.filled or _says_what_was_done(field)

    found = event_name(profile, [*besides, *(name for name, field in profile.fields.items() if not may(field))])
    if found:
        return found
    types = [field for field in profile.fields.values() if field.name not in besides and _is_type(field)]
    return next((field.name for field in types if may(field) and _says_what_was_done(field)), None)


def type_of_rows(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give a field `type` or `kind` with few values, which may tell different things that happened apart."""
    types = [field for field in profile.fields.values() if field.name not in besides and _is_type(field)]
    return next((field.name for field in types if 1 < len(field.distinct) <= _FEW_STATES), None)


def _is_type(field: FieldProfile) -> bool:
    return words(field.name)[-1:] in {("type",), ("kind",)} and field.mostly(field.texts)


def _says_what_was_done(field: FieldProfile) -> bool:
    done = [value for value in field.distinct if any(_is_done(word) for word in words(value))]
    return len(done) * 2 > len(field.distinct)


def _is_done(word: str) -> bool:
    return word in _DONE_WORDS or (len(word) > 3 and word.endswith("ed"))


def amount(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field that holds the money, net before gross: Kissmetrics wants revenue without tax and shipping."""

    def score(field: FieldProfile) -> int:
        parts = frozenset(words(field.name))
        if parts & _NO_AMOUNT or field.is_moment or not field.may_hold_amount(profile.rows):
            return 0
        known = max((_AMOUNT.get(part, 0) for part in parts), default=0)
        if not known and "net" not in parts:
            return 0
        return known + (20 if "net" in parts else 0) - (30 if is_in_cents(field.name) else 0)

    return best(profile, score, besides)


def is_in_cents(name: str) -> bool:
    """Tell whether an amount counts cents, by its name."""
    return bool(frozenset(words(name)) & {"cents", "cent", "pence", "pennies", "minor"})


def line_items(profile: Profile) -> str | None:
    """Give the field that holds line items."""

    def score(field: FieldProfile) -> int:
        if not field.is_list_of_objects:
            return 0
        listed = _listed(field.name, LINE_ITEM_CANDIDATES)
        return listed or (
            60 if frozenset(words(field.name)) & {"item", "items", "product", "products", "lines"} else 10
        )

    return best(profile, score)


def experiment(profile: Profile) -> str | None:
    """Give the field that names an experiment."""
    return best(profile, _by_words(profile, EXPERIMENT_CANDIDATES, _EXPERIMENT))


def variant(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field that names a variant."""
    return best(profile, _by_words(profile, VARIANT_CANDIDATES, _VARIANT), besides)


def previous_id(profile: Profile, besides: Sequence[str | None] = ()) -> str | None:
    """Give the field that holds the other identity of an alias."""

    def score(field: FieldProfile) -> int:
        parts = frozenset(words(field.name))
        if not field.may_hold_id(profile.rows):
            return 0
        return _listed(field.name, PREVIOUS_ID_CANDIDATES) or (
            70 if parts & _PREVIOUS and parts & (_ID | _PERSON) else 0
        )

    return best(profile, score, besides)


def secrets(profile: Profile) -> list[str]:
    """Give the fields that should stay at home: passwords, tokens, card numbers."""
    return [
        name
        for name in profile.fields
        if (parts := frozenset(words(name))) & _SECRET or any(parts.issuperset(pair) for pair in _SECRET_PAIRS)
    ]


def personal(profile: Profile, *, of_people: bool = False) -> list[str]:
    """Give the fields that hold personal data which no report needs: names, addresses, telephones, birthdays.

    Args:
        profile: The stream's.
        of_people: Its rows are people, so that a field `name` is theirs.
    """
    every = [*profile.fields.values(), *profile.nested.values()]
    return [one.name for one in every if _is_personal(one) or (of_people and one.name.lower() == "name")]


def row_number(key: str | None, used: Sequence[str]) -> list[str]:
    """Give the key `id` of a table, which numbers its rows; nothing where it says who, or has another name."""
    return [key] if key is not None and key.lower() in {"id", "_id"} and key not in used else []


def _is_personal(field: FieldProfile) -> bool:
    name = words(field.name)
    parts = frozenset(name)
    if parts & _PERSONAL or any(parts.issuperset(pair) for pair in _PERSONAL_PAIRS):
        return True
    return bool(name) and (_is_a_name(name) or _is_an_address(field, name) or _is_a_place(field, name))


def _is_a_name(name: tuple[str, ...]) -> bool:
    if frozenset(name) & _NAMES_AS_ONE:
        return True
    return name[-1] == "name" and bool(frozenset(name[-2:-1]) & _NAME_OF)


def _is_an_address(field: FieldProfile, name: tuple[str, ...]) -> bool:
    parts = frozenset(name)
    is_named = not parts & _NO_ADDRESS if parts & _MAIL else name[-1] == "address"
    return is_named and field.mostly(field.texts)


def _is_a_place(field: FieldProfile, name: tuple[str, ...]) -> bool:
    if name[-1] in _PLACES:
        # `geo: DE` is a country.
        return name[-1] != "geo" or not field.mostly(field.texts)
    return name[-1] in _WITHIN_PLACES and bool(frozenset(name[:-1]) & {*_PLACES, "address", "location"})


def unpaid_values(field: FieldProfile, amount: FieldProfile) -> list[str]:
    """Give those of a field's values that say that no money was earned, in rows with an amount above zero.

    What is negative already, as a refund, is rightly taken off.
    """
    return sorted(
        value for value, rows in field.rows_of.items() if frozenset(words(value)) & _UNPAID and rows & amount.positive
    )


def unpaid_states(profile: Profile, amount: FieldProfile) -> dict[str, list[str]]:
    """Give the fields whose values say of some rows that no money was earned, with these values."""
    return {
        field.name: found
        for field in profile.fields.values()
        if {"status", "state"} & frozenset(words(field.name))
        and len(field.distinct) <= _FEW_STATES
        and (found := unpaid_values(field, amount))
    }


def is_refund(value: str) -> bool:
    """Tell whether a value says that money was given back."""
    return bool(frozenset(words(value)) & _REFUND)


def currencies(profile: Profile) -> dict[str, list[str]]:
    """Give the fields that name different currencies, with the first of these."""
    return {
        field.name: sorted(field.distinct)[:_CURRENCIES_TOLD]
        for field in profile.fields.values()
        if "currency" in words(field.name) and field.mostly(field.texts) and len({*map(str.upper, field.distinct)}) > 1
    }


def beside_net(profile: Profile, amount: str) -> list[str]:
    """Give the amounts of tax and shipping beside a total that may hold them, too."""
    if frozenset(words(amount)) & {"net", "subtotal", "revenue"}:
        return []
    return [
        field.name
        for field in profile.fields.values()
        if frozenset(words(field.name)) & _BESIDE_NET and field.may_hold_amount(profile.rows) and field.amounts
    ]


def _by_words(profile: Profile, candidates: Sequence[str], known: frozenset[str]) -> Score:
    def score(field: FieldProfile) -> int:
        if not field.may_hold_id(profile.rows):
            return 0
        name = words(field.name)
        listed = _listed(field.name, candidates)
        if listed or not known & frozenset(name):
            return listed
        # Of an experiment's id and its name, the name is for people.
        return 70 if name[-1] in known | {"name", "key"} else 60 if name[-1] == "id" else 20

    return score


def _listed(name: str, candidates: Sequence[str]) -> int:
    return 100 - candidates.index(name) if name in candidates else 0
