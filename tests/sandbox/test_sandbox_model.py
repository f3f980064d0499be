from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_kissmetrics.sandbox import answers, rules
from target_kissmetrics.sandbox.model import NOT_KEPT_LISTED, Duplicates, Model
from target_kissmetrics.sandbox.rules import Call, CallPath

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = rules.product_of("abcdef0123456789")
OTHER_KEY = rules.product_of("fedcba9876543210")
NOW = 1_700_000_000
ADA = "ada@example.com"


def event(person: str = ADA, name: str = "Signed Up", second: int | str = NOW, **more: str) -> Call:
    return Call(KEY, "/e", {"_p": person, "_n": name, "_t": str(second), "_d": "1", **more}, NOW)


def props(person: str = ADA, second: int | str = NOW, properties: dict[str, str] | None = None, **more: str) -> Call:
    return Call(KEY, "/s", {"_p": person, "_t": str(second), "_d": "1", **(properties or {}), **more}, NOW)


def alias(one: str, other: str) -> Call:
    return Call(KEY, "/a", {"_p": one, "_n": other}, NOW)


def reasons(model: Model, call: Call) -> list[str]:
    return [loss.reason for loss in model.take(call)]


def taken(*calls: Call, revenue_property: str = "Billing Amount", duplicates: Duplicates = "current") -> Model:
    model = Model(revenue_property, duplicates)
    for call in calls:
        model.take(call)
    return model


def shown(model: Model, identity: str = ADA) -> answers.Json:
    person = answers.person(model, identity)
    assert person is not None
    return person


def kept(model: Model) -> dict[str, Any]:
    """All that is kept, without the counts of calls and of what was not kept."""
    summary = {name: value for name, value in answers.summary(model).items() if name not in {"calls", "not_kept"}}
    people = answers.people(model, limit=1000)["people"]
    return {
        "summary": summary,
        "events": answers.events(model),
        "people": [answers.person(model, person["identities"][0]) for person in people],
    }


class TestEvents:
    def test_is_kept_with_its_properties(self) -> None:
        model = Model()
        assert model.take(event(Plan="Gold", Seats="3")) == []
        assert shown(model) == {
            "identities": [ADA],
            "events": [{"name": "Signed Up", "timestamp": NOW}],
            "properties": {
                "Plan": [{"value": "Gold", "timestamp": NOW}],
                "Seats": [{"value": 3, "timestamp": NOW}],
            },
        }

    @pytest.mark.parametrize("name", ["", "  ", ",:"])
    def test_needs_a_name(self, name: str) -> None:
        assert reasons(Model(), event(name=name)) == ["no-event-name"]
        assert reasons(Model(), Call(KEY, "/e", {"_p": ADA}, NOW)) == ["no-event-name"]

    def test_names_have_255_characters_at_most(self) -> None:
        assert reasons(Model(), event(name="n" * 255 + "  ")) == []
        assert reasons(Model(), event(name="n" * 256)) == ["too-long"]

    def test_events_of_all_people_are_counted_by_name(self) -> None:
        model = taken(event(), event(second=NOW + 1), event(person="bob"), event(name="Left"), event(name="LEFT"))
        assert answers.events(model) == [
            {"name": "Signed Up", "count": 3, "people": 2},
            {"name": "Left", "count": 1, "people": 1},
        ]


class TestProperties:
    def test_values_are_shown_oldest_first(self) -> None:
        model = taken(*(props(second=NOW + at, Plan=str(at)) for at in (2, 0, 1)))
        assert [one["value"] for one in shown(model)["properties"]["Plan"]] == [0, 1, 2]

    def test_names_are_shown_as_first_written(self) -> None:
        model = taken(props(properties={"Plan, Type": "a"}), props(person="bob", properties={"PLAN  TYPE": "b"}))
        assert list(shown(model)["properties"]) == ["Plan  Type"]
        assert list(shown(model, "bob")["properties"]) == ["Plan  Type"]

    @pytest.mark.parametrize("name", ["_ip", "_ua", "_c", "_u", "_other", " _p", ":_n", "", ",", " "])
    def test_reserved_and_empty_names_are_left_out_without_a_word(self, name: str) -> None:
        model = taken(event())
        assert reasons(model, props(properties={name: "x"})) == []
        assert shown(model)["properties"] == {}

    def test_empty_values_are_dropped(self) -> None:
        model = taken(event(Plan=""))
        assert shown(model)["properties"] == {}

    def test_too_long_loses_the_property_alone(self) -> None:
        model = Model()
        losses = model.take(event(Plan="Gold", Bio="x" * 513, **{"n" * 256: "v"}))
        assert [loss.reason for loss in losses] == ["too-long", "too-long"]
        assert losses[0].parameters == {
            "_p": ADA,
            "_n": "Signed Up",
            "_t": str(NOW),
            "_d": "1",
            "Bio": "x" * 255 + "…",
        }
        assert list(shown(model)["properties"]) == ["Plan"]
        assert answers.summary(model)["events"] == 1

    def test_limits_are_kept_to_the_letter(self) -> None:
        assert reasons(Model(), props(properties={"n" * 255: "😀" * 512})) == []


class TestCurrentRuleForDuplicates:
    @pytest.mark.parametrize(
        ("first", "repeated", "reason"),
        [
            (event(Plan="Gold", Amount="1.0"), event(Amount="1", Plan="Gold"), "duplicate-event"),
            (event(), event(name="signed up"), "duplicate-event"),
            (props(Plan="Gold"), props(plan=" Gold"[1:]), "duplicate-property"),
        ],
    )
    def test_a_call_that_is_the_same_is_reported_once(self, first: Call, repeated: Call, reason: str) -> None:
        model = taken(first)
        before = kept(model)
        assert reasons(model, repeated) == [reason]
        assert kept(model) == before

    @pytest.mark.parametrize(
        "other",
        [
            event(second=NOW + 1, Plan="Gold"),
            event(name="Left", Plan="Gold"),
            event(person="bob", Plan="Gold"),
            event(Plan="gold"),
            event(Plan="Gold", City="Oslo"),
            event(Plann="Gold"),
            event(),
        ],
    )
    def test_an_event_that_differs_in_anything_counts_twice(self, other: Call) -> None:
        model = taken(event(Plan="Gold"))
        assert reasons(model, other) == []
        assert answers.summary(model)["events"] == 2

    def test_each_setting_of_the_revenue_counts(self) -> None:
        model = taken(event(**{"Billing Amount": "5"}), event(Plan="Gold", **{"Billing Amount": "5"}))
        assert answers.summary(model)["revenue"] == "10"

    def test_of_two_values_in_one_second_both_are_kept_in_order_of_arrival(self) -> None:
        model = taken(props(Plan="Gold"))
        assert reasons(model, props(plan="Silver")) == []
        assert [one["value"] for one in shown(model)["properties"]["Plan"]] == ["Gold", "Silver"]

    def test_the_identity_counts_as_it_was_sent(self) -> None:
        model = taken(alias("a", "b"), event("a"))
        assert reasons(model, event("b")) == []
        assert reasons(model, event("a")) == ["duplicate-event"]
        assert answers.people(model)["people"] == [{"identities": ["a", "b"], "events": 2}]


class TestLegacyRuleForDuplicates:
    @pytest.mark.parametrize(
        ("first", "second", "lost"),
        [
            (event(), event(name="signed up"), ["duplicate-event"]),
            (event(), event(second=NOW + 1), []),
            (event(), event(name="Left"), []),
            (event(), event(person="bob"), []),
            (event(Plan="Gold", Amount="1.0"), event(Plan="Gold", Amount="1"), ["duplicate-event"]),
            (event(Plan="Gold"), event(Plan="gold"), ["duplicate-event", "duplicate-property"]),
            (event(), event(Plan="Gold"), ["duplicate-event"]),
            (props(Plan="Gold"), props(plan="Silver"), ["duplicate-property"]),
            (props(Plan="Gold"), props(Plan="Gold"), ["duplicate-property"]),
            (event(Plan="Gold"), props(Plan="Silver"), ["duplicate-property"]),
            (event(Plan="Gold"), event(name="Left", Plan="Silver"), ["duplicate-property"]),
            (event(), props(Plan="Gold", plan="Silver"), ["duplicate-property"]),
        ],
    )
    def test_an_event_and_a_property_are_kept_once_in_a_second(
        self, first: Call, second: Call, lost: list[str]
    ) -> None:
        model = taken(first, duplicates="legacy")
        assert reasons(model, second) == lost
        assert answers.summary(model)["events"] <= 2 - ("duplicate-event" in lost)
        assert all(len(values) == 1 for values in shown(model)["properties"].values())

    def test_the_first_value_stays_and_what_is_lost_is_listed(self) -> None:
        model = taken(event(Plan="Gold"), duplicates="legacy")
        losses = model.take(event(Plan="gold"))
        assert losses[1].parameters == {"_p": ADA, "_n": "Signed Up", "_t": str(NOW), "_d": "1", "Plan": "gold"}
        assert shown(model)["properties"] == {"Plan": [{"value": "Gold", "timestamp": NOW}]}

    def test_holds_for_all_identities_of_a_person(self) -> None:
        model = taken(alias("a", "b"), event("a"), duplicates="legacy")
        assert reasons(model, event("b")) == ["duplicate-event"]
        assert answers.people(model)["people"] == [{"identities": ["a", "b"], "events": 1}]

    def test_what_two_people_had_stays_when_they_are_joined(self) -> None:
        model = taken(event("a", Plan="x"), event("b", Plan="y"), alias("a", "b"), duplicates="legacy")
        assert answers.summary(model)["events"] == 2
        assert answers.events(model) == [{"name": "Signed Up", "count": 2, "people": 1}]
        assert reasons(model, event("b", Plan="y")) == ["duplicate-event"]
        assert reasons(model, event("a", Plan="z")) == ["duplicate-event", "duplicate-property"]


class TestPeople:
    @pytest.mark.parametrize("person", ["", " ", ",", "::"])
    def test_every_call_needs_one(self, person: str) -> None:
        for call in (event(person=person), props(person=person), alias(person, "bob"), alias("bob", person)):
            assert reasons(Model(), call) == ["no-person"]
        assert reasons(Model(), Call(KEY, "/s", {}, NOW)) == ["no-person"]

    def test_identities_have_255_characters_at_most(self) -> None:
        assert reasons(Model(), event(person="i" * 255)) == []
        assert reasons(Model(), event(person="i" * 256)) == ["too-long"]
        assert reasons(Model(), alias("a", "i" * 256)) == ["too-long"]

    def test_identities_are_cleaned(self) -> None:
        model = taken(event(person=" a:b,c "), event(person="a b c", name="Left"))
        assert answers.people(model)["people"] == [{"identities": ["a b c"], "events": 2}]
        assert len(shown(model, "a:b,c")["events"]) == 2

    def test_identities_have_case(self) -> None:
        assert answers.summary(taken(event(person="ada"), event(person="Ada")))["people"] == 2

    def test_nobody_comes_to_be_by_what_is_not_kept(self) -> None:
        model = taken(event(second=0), props(), props(Bio="x" * 9000), props(second="soon", Plan="Gold"))
        assert answers.summary(model)["people"] == 0
        assert answers.summary(model)["calls"] == 4
        assert answers.person(model, ADA) is None

    def test_products_are_apart(self) -> None:
        model = taken(event(Plan="a"), Call(OTHER_KEY, "/e", dict(event().parameters, plan="b", Own="c"), NOW))
        assert answers.summary(model) == {
            "people": 2,
            "events": 2,
            "event_names": 1,
            "property_names": 2,
            "aliases": 0,
            "revenue": "0",
            "calls": 2,
            "not_kept": 0,
            "duplicates": "current",
        }
        assert answers.summary(model, "abcdef01")["people"] == 1
        assert answers.summary(model, "nothing!")["people"] == 0
        assert answers.events(model) == [{"name": "Signed Up", "count": 2, "people": 2}]
        assert [one["value"] for one in shown(model)["properties"]["Plan"]] == ["a", "b"]
        only = answers.person(model, ADA, "fedcba98")
        assert only is not None
        assert list(only["properties"]) == ["plan", "Own"]
        assert [len(answers.people(model, label)["people"]) for label in ("", "fedcba98", "nothing!")] == [2, 1, 0]

    def test_pages_hold_everyone_once_in_a_stable_order(self) -> None:
        model = taken(*(event(person=f"p{number}") for number in range(25)), alias("p3", "p7"))
        seen: list[str] = []
        after: int | None = -1
        while after is not None:
            page = answers.people(model, limit=10, after=after)
            seen += [person["identities"][0] for person in page["people"]]
            after = page["next"]
        assert seen == [f"p{number}" for number in range(25) if number != 7]


class TestTimes:
    def test_nothing_from_before_2009(self) -> None:
        assert reasons(Model(), event(second=1_230_767_999)) == ["too-old"]
        assert reasons(Model(), props(second=-1, Plan="Gold")) == ["too-old"]
        assert reasons(Model(), event(second=1_230_768_000)) == []

    @pytest.mark.parametrize("second", ["", "soon", "1700000000.5", "1700000000000"])
    def test_a_time_that_is_none(self, second: str) -> None:
        assert reasons(Model(), event(second=second)) == ["bad-timestamp"]
        assert reasons(Model(), props(second=second, Plan="Gold")) == ["bad-timestamp"]

    @pytest.mark.parametrize("flag", [{}, {"_d": "0"}, {"_d": ""}, {"_d": "true"}])
    def test_without_the_flag_the_arrival_counts(self, flag: dict[str, str]) -> None:
        model = taken(Call(KEY, "/e", {"_p": ADA, "_n": "Left", "_t": "5", **flag}, NOW))
        assert shown(model)["events"] == [{"name": "Left", "timestamp": NOW}]

    def test_an_alias_has_none(self) -> None:
        assert reasons(Model(), Call(KEY, "/a", {"_p": "a", "_n": "b", "_t": "soon", "_d": "1"}, NOW)) == []

    @pytest.mark.parametrize(("second", "reason"), [("", "bad-timestamp"), ("5", "too-old")])
    def test_an_imported_alias_needs_one(self, second: str, reason: str) -> None:
        call = Call(KEY, "/a", {"_p": "a", "_n": "b", "_t": second}, NOW, imported=True)
        assert reasons(Model(), call) == [reason]

    def test_imported_calls_go_by_their_own(self) -> None:
        model = taken(Call(KEY, "/e", {"_p": ADA, "_n": "Left", "_t": "1600000000"}, NOW, imported=True))
        assert shown(model)["events"] == [{"name": "Left", "timestamp": 1_600_000_000}]


class TestAliases:
    def test_join_people_with_all_they_have(self) -> None:
        model = taken(event("device", Plan="Free"), event("ada", "Paid", NOW + 1, plan="Gold"), alias("ada", "device"))
        for identity in ("ada", "device"):
            person = shown(model, identity)
            assert sorted(person["identities"]) == ["ada", "device"]
            assert [one["name"] for one in person["events"]] == ["Signed Up", "Paid"]
            assert [one["value"] for one in person["properties"]["Plan"]] == ["Free", "Gold"]
        assert answers.summary(model)["people"] == 1
        assert answers.summary(model)["aliases"] == 1

    def test_repeated_or_turned_round_do_no_harm(self) -> None:
        model = taken(alias("a", "b"), alias("b", "a"), alias("a", "b"))
        assert answers.summary(model)["aliases"] == 1
        assert answers.summary(model)["not_kept"] == 0

    def test_with_oneself_changes_nothing(self) -> None:
        assert answers.summary(taken(alias("a", " a ")))["people"] == 0

    def test_chains_make_one_person(self) -> None:
        model = taken(*(event(f"i{at}", second=NOW + at) for at in range(50)))
        for at in range(49):
            model.take(alias(f"i{at}", f"i{at + 1}"))
        assert answers.people(model)["people"][0]["events"] == 50
        assert answers.summary(model)["people"] == 1
        assert answers.summary(model)["aliases"] == 49

    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20), st.randoms(use_true_random=False))
    def test_are_symmetric_and_permanent(self, pairs: list[tuple[int, int]], order: random.Random) -> None:
        seed = [event(f"i{at}") for at in range(8)]
        forwards = taken(*seed, *(alias(f"i{one}", f"i{other}") for one, other in pairs), duplicates="legacy")
        turned = [alias(f"i{other}", f"i{one}") for one, other in pairs]
        order.shuffle(turned)
        backwards = taken(*turned, *seed, *turned)
        assert groups(forwards) == groups(backwards) == connected(pairs)
        for one, other in pairs:
            assert reasons(forwards, event(f"i{one}", "Later")) in ([], ["duplicate-event"])
            assert reasons(forwards, event(f"i{other}", "Later")) == ["duplicate-event"] or one == other


def groups(model: Model) -> set[frozenset[str]]:
    return {frozenset(person["identities"]) for person in answers.people(model)["people"]}


def connected(pairs: Sequence[tuple[int, int]]) -> set[frozenset[str]]:
    """The same by the simplest means: recolour until nothing changes."""
    colour = list(range(8))
    for one, other in pairs:
        colour = [colour[one] if of == colour[other] else of for of in colour]
    return {frozenset(f"i{at}" for at in range(8) if colour[at] == one) for one in set(colour)}


class TestTheLastThousand:
    def test_the_oldest_event_falls_out(self) -> None:
        model = taken(*(event(second=NOW + at) for at in range(1000)), event(name="Other"))
        (loss,) = model.take(event(second=NOW + 5000))
        assert (loss.reason, loss.path, dict(loss.parameters)) == (
            "over-1000",
            "/e",
            {"_p": ADA, "_n": "Signed Up", "_t": str(NOW)},
        )
        assert answers.events(model)[0] == {"name": "Signed Up", "count": 1000, "people": 1}
        assert answers.summary(model)["events"] == 1001

    def test_the_oldest_value_falls_out_and_its_revenue_with_it(self) -> None:
        calls = [props(second=NOW + at, properties={"Billing Amount": "1.5"}) for at in range(1001)]
        model = Model()
        losses = [loss for call in random.Random(1).sample(calls, len(calls)) for loss in model.take(call)]  # noqa: S311
        assert [(loss.reason, loss.path) for loss in losses] == [("over-1000", "/s")]
        assert losses[0].parameters == {"_p": ADA, "_t": str(NOW), "Billing Amount": "1.5"}
        assert answers.summary(model)["revenue"] == "1500.0"

    def test_an_older_one_than_all_is_not_kept_itself(self) -> None:
        model = taken(*(event(second=NOW + at) for at in range(1000)))
        before = kept(model)
        (loss,) = model.take(event(second=NOW - 1))
        assert (loss.reason, loss.parameters["_t"]) == ("over-1000", str(NOW - 1))
        assert kept(model) == before

    def test_holds_when_people_are_joined(self) -> None:
        calls = [event("a" if at % 2 else "b", second=NOW + at, Amount="1") for at in range(1200)]
        model = taken(*calls, revenue_property="amount")
        losses = model.take(alias("a", "b"))
        assert [loss.reason for loss in losses] == ["over-1000"] * 400
        assert sorted(int(loss.parameters["_t"]) - NOW for loss in losses if loss.path == "/e") == list(range(200))
        assert answers.summary(model)["events"] == 1000
        assert answers.summary(model)["revenue"] == "1000"
        assert answers.summary(model)["not_kept"] == 400


class TestRevenue:
    def test_is_nought_without_any(self) -> None:
        assert answers.summary(Model())["revenue"] == "0"

    def test_is_the_exact_sum_of_what_was_kept(self) -> None:
        model = taken(
            event("a", **{"Billing Amount": "0.10"}),
            event("a", "Other", NOW + 1, **{"billing amount": "0.20"}),
            event("b", **{"Billing Amount": "-0.05", "Amount": "7"}),
            event("b", "Other", **{"Billing Amount": "99"}),
            event("c", **{"Billing Amount": "a lot"}),
            duplicates="legacy",
        )
        assert answers.summary(model)["revenue"] == "0.25"

    @given(
        st.lists(
            st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**40), max_value=10**40),
            max_size=30,
        )
    )
    def test_loses_no_digit(self, amounts: list[Decimal]) -> None:
        calls = [props(f"p{at}", properties={"Paid": format(one, "f")}) for at, one in enumerate(amounts)]
        exact = sum(int(call.parameters["Paid"].replace(".", "")) for call in calls)
        revenue = answers.summary(taken(*calls, revenue_property=" paid"))["revenue"]
        assert int(revenue.replace(".", "")) == exact

    def test_goes_by_the_property_named(self) -> None:
        model = taken(event(**{"Billing Amount": "1", "Umsatz: netto": "5"}), revenue_property="umsatz, NETTO")
        assert answers.summary(model)["revenue"] == "5"


class TestWhatWasNotKept:
    def test_the_latest_comes_first_and_the_key_never(self) -> None:
        model = taken(event(second=0), event(name="", _k="secret", **{" _K": "secret"}))
        assert answers.not_kept(model) == [
            {"reason": "no-event-name", "path": "/e", "parameters": {"_p": ADA, "_n": "", "_t": str(NOW), "_d": "1"}},
            {
                "reason": "too-old",
                "path": "/e",
                "parameters": {"_p": ADA, "_n": "Signed Up", "_t": "0", "_d": "1"},
            },
        ]
        assert len(answers.not_kept(model, limit=1)) == 1
        assert answers.not_kept(model, "fedcba98") == []

    def test_the_count_is_exact_beyond_what_is_listed(self) -> None:
        model = taken(*[event(second=0)] * (NOT_KEPT_LISTED + 5))
        assert answers.summary(model)["not_kept"] == NOT_KEPT_LISTED + 5
        assert len(answers.not_kept(model, limit=10**9)) == NOT_KEPT_LISTED

    def test_the_list_never_grows_beyond_bearing(self) -> None:
        many = {f"property {at}": "x" * 100_000 for at in range(300)}
        (loss,) = Model().take(event(person="", **many))
        assert len(loss.parameters) == 100
        assert max(map(len, loss.parameters.values())) == 256


CALLS = st.builds(
    lambda path, person, name, second, value: Call(
        KEY, path, {"_p": person, "_n": name, "_t": second, "_d": "1", "Plan": value, "plan ": value}, NOW
    ),
    st.sampled_from(["/e", "/s", "/a"]),
    st.sampled_from(["a", "b", "c", "d", ""]),
    st.sampled_from(["a", "B", "b", "c", ""]),
    st.sampled_from(["0", "x", *(str(NOW + at) for at in range(3))]),
    st.sampled_from(["", "1", "1.0", "x", "X"]),
)


RULES = st.sampled_from(get_args(Duplicates))


@given(st.lists(CALLS, max_size=30), st.randoms(use_true_random=False), RULES)
def test_replaying_calls_in_any_order_twice_changes_nothing(
    calls: list[Call], order: random.Random, duplicates: Duplicates
) -> None:
    model = taken(*calls, duplicates=duplicates)
    before = kept(model)
    for _ in range(2):
        replayed = list(calls)
        order.shuffle(replayed)
        for call in replayed:
            model.take(call)
    assert kept(model) == before
    assert answers.summary(model)["calls"] == 3 * len(calls)


@given(st.lists(CALLS, max_size=40), RULES)
def test_counts_are_those_of_what_is_shown(calls: list[Call], duplicates: Duplicates) -> None:
    model = taken(*calls, revenue_property="plan", duplicates=duplicates)
    people = [shown(model, person["identities"][0]) for person in answers.people(model)["people"]]
    summary = answers.summary(model)
    values = [one["value"] for person in people for all_ in person["properties"].values() for one in all_]
    assert summary["people"] == len(people)
    assert summary["events"] == sum(len(person["events"]) for person in people)
    assert Decimal(summary["revenue"]) == sum(value for value in values if isinstance(value, int))
    for listed in answers.events(model):
        having = [one for one in people if any(of["name"] == listed["name"] for of in one["events"])]
        assert listed["people"] == len(having)
        assert listed["count"] == sum(of["name"] == listed["name"] for one in having for of in one["events"])


@given(st.lists(CALLS, max_size=30))
def test_the_same_calls_lead_to_the_same_model(calls: list[Call]) -> None:
    assert kept(taken(*calls)) == kept(taken(*calls))


@settings(max_examples=200)
@given(
    st.sampled_from(["/e", "/s", "/a"]),
    st.dictionaries(st.text() | st.sampled_from(["_p", "_n", "_t", "_d"]), st.text()),
)
def test_no_call_is_an_error(path: CallPath, parameters: dict[str, str]) -> None:
    model = Model()
    losses = model.take(Call(KEY, path, parameters, NOW))
    assert answers.summary(model)["not_kept"] == len(losses)
    assert answers.summary(model)["calls"] == 1
