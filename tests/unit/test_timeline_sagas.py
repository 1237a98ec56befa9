"""What a timeline tells, whatever the events of a saga are: foreign ones may say anything."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.attributes import Attributes, from_attributes, to_attributes
from timeline import sagas
from timeline.sagas import Role, Saga, Status, Timeline, Vocabulary

VOCABULARY = Vocabulary.of("OrderConfirmed", "OrderCancelled", "OrderConfirmed=OrderCancelled,Paid=Refunded")
START = 1_900_000_000_000
HOUR = 3_600_000

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def row(event_id: str, at: int = 0, detail: Any = None, **more: Any) -> dict[str, Any]:
    """An event, `at` milliseconds after the start, as the state machine keeps it; `cause` is short for its metadata."""
    more |= {"causationId": more.pop("cause")} if "cause" in more else {}
    event = {
        "sagaId": "saga#o1",
        "eventId": event_id,
        "occurredAt": START + at,
        "source": "s",
        "type": "Happened",
        "lane": "s",
        "shortId": event_id[:6],
        "arrivedAt": START,
        "detail": json.dumps(detail or {}),
        **more,
    }
    return {**event, "position": f"{START + at:013}#{event_id}#{event['source']}#{event['type']}"}


def told(*rows: dict[str, Any], now: int = START + HOUR, stuck_after: int = HOUR) -> Timeline:
    saga = sagas.read(rows)
    assert saga
    return sagas.told(saga, VOCABULARY, now, stuck_after)


def critical(*rows: dict[str, Any]) -> list[str]:
    return [step.event_id for step in told(*rows).events if step.critical]


# Roles


@pytest.mark.parametrize(
    ("detail_type", "role"),
    [
        ("OrderCreated", Role.STEP),
        ("PaymentFailed", Role.FAILURE),
        ("Failed", Role.FAILURE),
        ("FailedAgain", Role.STEP),
        ("OrderConfirmed", Role.OUTCOME),
        ("OrderCancelled", Role.COMPENSATION),
        ("Refunded", Role.COMPENSATION),
        ("Paid", Role.STEP),
        ("", Role.STEP),
    ],
)
def test_a_type_has_the_role_that_the_vocabulary_gives_it(detail_type, role):
    assert VOCABULARY.role(detail_type) is role


def test_of_no_vocabulary_every_type_is_a_step_or_a_failure():
    assert Vocabulary.of("", "", "") == Vocabulary(frozenset(), frozenset(), frozenset())
    assert Vocabulary.of("Delivered", "", "").role("") is Role.STEP


# Times


def test_an_event_stands_as_long_after_the_start_and_after_its_cause_as_it_occurred():
    first, second, third = told(row("a"), row("b", 40, cause="a"), row("c", 100, cause="b")).events
    assert [step.offset_ms for step in (first, second, third)] == [0, 40, 100]
    assert [step.gap_ms for step in (first, second, third)] == [None, 40, 60]


def test_an_effect_may_stand_before_its_cause_for_clocks_differ():
    effect, _ = told(row("effect", 0, cause="cause"), row("cause", 5)).events
    assert effect.gap_ms == -5


def test_a_cause_that_is_not_of_the_saga_is_named_and_nothing_is_measured_from_it():
    (step,) = told(row("a", cause="elsewhere")).events
    assert (step.causation_id, step.gap_ms, step.critical) == ("elsewhere", None, False)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh")), min_size=1, unique_by=lambda it: it[1]))
def test_events_are_told_in_order_of_time_in_whatever_order_their_rows_come(events):
    steps = told(*(row(name, at) for at, name in events)).events
    assert [(step.offset_ms + min(events)[0], step.event_id) for step in steps] == sorted(events)


# The critical path


def test_the_critical_path_leads_from_what_began_it_to_the_last_event():
    rows = row("a"), row("b", 1, cause="a"), row("c", 2, cause="a"), row("d", 3, cause="c")
    assert critical(*rows) == ["a", "c", "d"]


def test_an_event_that_nothing_led_to_is_no_path():
    assert critical(row("a")) == critical(row("a"), row("b", 1)) == critical(row("a", cause="a")) == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10))
def test_the_critical_path_ends_whatever_led_to_what(causes):
    # also in circles
    rows = [row(f"e{n}", n, cause=f"e{cause}") for n, cause in enumerate(causes)]
    path = critical(*rows)
    assert len(path) != 1
    assert not path or f"e{len(causes) - 1}" in path
    assert all(f"e{causes[int(id_[1:])]}" in path or causes[int(id_[1:])] >= len(causes) for id_ in path)


def test_events_of_one_id_are_told_each_with_its_own_cause():
    # a foreign service has copied the metadata of what it reacts to
    rows = row("a"), row("b", 1, cause="a"), row("b", 1, cause="b", source="z.copyist", arrivedAt=START + 9)
    _, original, copy = told(*rows).events
    assert (original.source, original.causation_id) == ("s", "a")
    assert (copy.source, copy.causation_id) == ("z.copyist", "b")


# Anything as detail


@given(JSON.filter(lambda it: it is not None), st.sampled_from([None, "metadata", "causationId"]))
def test_whatever_an_event_holds_is_told_as_it_is(detail, under):
    match under:
        case "metadata":
            detail = {"metadata": detail}
        case "causationId":
            detail = {"metadata": {"causationId": detail, "traceparent": detail}}
    (step,) = told(row("a", detail=detail) | {"detail": json.dumps(detail)}).events
    assert json.loads(bytes(step.detail)) == detail


@pytest.mark.parametrize(
    "text", ['{"half": "\\ud800"}', '{"deep": %s}' % ("[" * 30_000 + "]" * 30_000), '{"n": Infinity}']
)
def test_an_event_that_cannot_be_read_spoils_only_its_own_detail(text):
    first, last = told(row("a"), row("b", 1) | {"detail": text}).events
    assert (first.event_id, json.loads(bytes(first.detail))) == ("a", {})
    assert (last.event_id, last.causation_id) == ("b", None)
    # what is sent is JSON that a browser reads
    json.loads(msgspec.json.encode(last))["detail"].encode()


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        ("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01", "1-5759e988-bd862e3fe1be46a994272793"),
        ("00-5759E988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01", None),
        ("5759e988bd862e3fe1be46a994272793", None),
        ("", None),
        (7, None),
    ],
)
def test_a_trace_is_named_as_xray_spells_it(traceparent, trace_id):
    (step,) = told(row("a", detail={"metadata": {"traceparent": traceparent}})).events
    assert step.trace_id == trace_id


# The whole


def summary(**more: Any) -> dict[str, Any]:
    kept = {"sagaId": "saga#o#1", "position": sagas.SUMMARY, "listing": sagas.listing_of(START, "o#1")}
    counted = {"startedAt": START, "lastAt": START + 70, "lastType": "Paid", "events": 2}
    return {**kept, "status": "open", **counted, **more}


@pytest.mark.parametrize(
    ("later", "status"), [(0, Status.OPEN), (HOUR, Status.OPEN), (HOUR + 1, Status.STUCK), (9 * HOUR, Status.STUCK)]
)
def test_a_saga_is_stuck_once_it_has_been_open_for_longer_than_it_should(later, status):
    listed = told(summary(), row("a"), now=START + later)
    assert (listed.status, listed.duration_ms, listed.ended) == (status, later, None)


def test_a_saga_that_has_ended_is_never_stuck_and_took_as_long_as_it_took():
    ended = summary(ending="succeeded", lastAt=START + 70, outcome="OrderConfirmed")
    listed = told(ended, row("a"), now=START + 9 * HOUR)
    assert (listed.id, listed.status, listed.duration_ms, listed.outcome) == ("o#1", Status.DONE, 70, "OrderConfirmed")
    assert (listed.started, listed.ended) == ("2030-03-17T17:46:40.000+00:00", "2030-03-17T17:46:40.070+00:00")


def test_there_is_no_timeline_of_nothing():
    assert sagas.read([]) is None


@given(st.lists(st.tuples(st.integers(0, 10**12), st.text(min_size=1, max_size=5)), min_size=2))
def test_a_listing_sorts_as_the_sagas_begin(sagas_):
    listings = sorted(sagas.listing_of(at, id_) for at, id_ in sagas_)
    assert [int(listing[:13]) for listing in listings] == sorted(at for at, _ in sagas_)
    assert {listing.partition("#")[2] for listing in listings} == {id_ for _, id_ in sagas_}
    assert all(sagas.listing_of(0) <= listing <= sagas.listing_of(sagas.END_OF_TIME) for listing in listings)


def test_what_is_read_back_from_the_table_is_what_was_kept():
    def as_stored(item: dict[str, Any]) -> Any:
        stored: Attributes = to_attributes(item)
        return from_attributes(stored, dict[str, Any])

    rows = [row("a", userId="ada", expiresAt=7), summary(outcome="OrderCancelled", expiresAt=7)]
    assert sagas.read([as_stored(it) for it in rows]) == sagas.read(rows)
    assert isinstance(sagas.read(rows), Saga)
