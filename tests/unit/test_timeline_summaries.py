"""What the state machine sums up of a saga, its expressions really evaluated: ending, reason, path, give-ups."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.timeline_cost import size as item_size
from eventflow.attributes import from_attributes
from timeline import sagas
from timeline.sagas import Ending, PathStep, Role, Summary, Timeline, Vocabulary

from .keeper import DEFAULTS, MOST_BYTES, bucket_of, kept, row_of, size, summed_up

Row = dict[str, Any]

START = 1_795_176_000_000
VOCABULARY = Vocabulary.of(*(DEFAULTS[name] for name in ("GoodOutcomes", "BadOutcomes", "Compensations")))


def event(detail_type: str, at: int = 0, event_id: str = "", cause: str | None = None, **detail: Any) -> Row:
    """An event of EventFlow, `at` milliseconds after the start; it is known by its type unless it has an id."""
    metadata = {"eventId": event_id or detail_type, "occurredAt": START + at, "correlationId": "order-1"}
    return {
        "id": f"bus-{detail_type}",
        "source": f"eventflow.{'payment' if 'Payment' in detail_type else 'orders'}",
        "detail-type": detail_type,
        "time": "2026-11-20T12:00:00Z",
        "detail": {**detail, "metadata": metadata | ({"causationId": cause} if cause else {})},
    }


def gave_up_on(failed: Row, function: str = "shop-PaymentFunction-Ab12Cd34", at: int = 5_000, **more: Any) -> Row:
    """What Lambda tells the bus of a consumer that gave up."""
    arn = f"arn:aws:lambda:eu-west-1:111122223333:function:{function}:live"
    return {
        "id": "bus-failure",
        "source": "lambda",
        "detail-type": "Lambda Function Invocation Result - Failure",
        "time": "2026-11-20T12:00:05Z",
        "detail": {
            "timestamp": f"2026-11-20T12:00:{at // 1000:02}.{at % 1000:03}Z",
            "requestContext": {
                "requestId": f"request-{function}",
                "functionArn": arn,
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": failed,
            "responsePayload": {"errorType": "ValidationError", "errorMessage": "no items - at `$.items`"},
            **more,
        },
    }


def rows(*events: Row, **parameters: str) -> list[Row]:
    """Their rows, as a query of DynamoDB reads them. They arrive one second after another."""
    made = [
        row_of(kept(it, f"2026-11-20T12:{n // 60:02}:{n % 60:02}Z", **parameters)[1]) for n, it in enumerate(events)
    ]
    return sorted(made, key=lambda row: row["position"]["S"])


def summary(*events: Row, **parameters: str) -> Summary:
    return from_attributes(summed_up(rows(*events, **parameters), **parameters)["Item"], Summary)


def timeline(*events: Row, operator: bool = True) -> Timeline:
    there = rows(*events)
    saga = sagas.read(from_attributes(row, dict[str, Any]) for row in [*there, summed_up(there)["Item"]])
    assert saga
    return sagas.told(saga, VOCABULARY, START + 60_000, 900_000, operator=operator)


CREATED = event("OrderCreated")
PAID = event("PaymentSucceeded", 40, cause="OrderCreated")
RESERVED = event("InventoryReserved", 30, cause="OrderCreated")
CONFIRMED = event("OrderConfirmed", 60, cause="PaymentSucceeded")
DECLINED = event("PaymentFailed", 40, cause="OrderCreated", reason="card declined")
CALLED_OFF = event("OrderCancelled", 90, cause="asked", reason="customer asked")
CANCELLED = event("OrderCancelled", 90, cause="PaymentFailed", reason="payment failed")


# How it ends, and why


@pytest.mark.parametrize(
    ("events", "ending", "failed_step", "reason"),
    [
        ([CREATED], None, None, None),
        ([CREATED, PAID, RESERVED, CONFIRMED], Ending.SUCCEEDED, None, None),
        # of what failed the first says why, however it ended
        ([CREATED, DECLINED, CANCELLED], Ending.FAILED, "PaymentFailed", "card declined"),
        ([CREATED, DECLINED], None, "PaymentFailed", "card declined"),
        # nothing had failed: the shopper called it off, and the outcome says why
        ([CREATED, CALLED_OFF], Ending.CALLED_OFF, None, "customer asked"),
        # a failure after the end did not bring it about
        ([CREATED, CALLED_OFF, event("PaymentFailed", 95, reason="late")], Ending.CALLED_OFF, "PaymentFailed", "late"),
        # what was done is not undone yet
        ([CREATED, PAID, CALLED_OFF], None, None, "customer asked"),
        ([CREATED, event("PartnerOrderReceived", 1)], Ending.SUCCEEDED, None, None),
    ],
)
def test_a_saga_says_how_it_ended_and_why(events, ending, failed_step, reason):
    told = summary(*events)
    assert (told.ending, told.failed_step, told.reason) == (ending, failed_step, reason)


@pytest.mark.parametrize(("text", "kept_characters"), [("x" * 250, 200), ("ü" * 150, 100), ("ü" * 60 + "x" * 90, 150)])
def test_a_reason_is_cut(text, kept_characters):
    assert summary(CREATED, event("PaymentFailed", 1, reason=text)).reason == text[:kept_characters]


def test_what_is_no_text_is_no_reason():
    assert summary(CREATED, event("PaymentFailed", 1, reason={"code": 7})).reason is None


# What led to what


def test_a_path_tells_each_step_and_what_led_to_it():
    told = sagas.path_of(summary(CREATED, PAID, RESERVED, CONFIRMED), VOCABULARY)
    assert told == [
        PathStep("orders", "OrderCreated", 0, (), "OrderC"),
        PathStep("orders", "InventoryReserved", 30, (0,), "Invent"),
        PathStep("payment", "PaymentSucceeded", 40, (0,), "Paymen"),
        # it names the payment, and follows the reservation, too
        PathStep("orders", "OrderConfirmed", 60, (1, 2), "OrderC"),
    ]


def test_a_bad_outcome_follows_only_what_it_names():
    steps = sagas.path_of(summary(CREATED, RESERVED, DECLINED, CANCELLED), VOCABULARY)
    assert [step.causes for step in steps] == [(), (0,), (0,), (2,)]


def test_where_no_event_says_what_led_to_it_each_follows_the_one_before():
    steps = sagas.path_of(summary(event("A"), event("B", 1), event("C", 2)), VOCABULARY)
    assert [step.causes for step in steps] == [(), (0,), (1,)]
    assert [step.inferred for step in timeline(event("A"), event("B", 1)).events] == [False, True]


def test_a_cause_that_was_not_kept_is_said_to_be_missing():
    first, second = timeline(event("OrderCreated", cause="checkout-7"), event("B", 1, cause="OrderCreated")).events
    assert (first.causation_id, first.cause_missing, first.causes) == ("checkout-7", True, [])
    assert (second.cause_missing, second.causes) == (False, ["OrderCreated"])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("abcdefgh"), st.sampled_from(["", *"abcdefgh"])),
        min_size=1,
        max_size=8,
        unique_by=lambda it: it[1],
    ),
    st.randoms(use_true_random=False),
)
def test_events_of_one_instant_stand_in_one_order_for_the_table_and_for_the_api(events, chance):
    """By what led to what, then by arrival; the state machine and the API say the same."""
    happened = [
        event(f"{name}{name}", at, f"{name}-0000", f"{cause}-0000" if cause else None) for at, name, cause in events
    ]
    chance.shuffle(happened)
    there = rows(*happened)
    path = [step.type for step in sagas.path_of(from_attributes(summed_up(there)["Item"], Summary), VOCABULARY)]
    told = [step.type for step in timeline(*happened).events]
    assert path == told
    # an effect never stands before its cause of the same instant, unless they go in circles
    place = {name: told.index(name * 2) for _, name, _ in events}
    at = {name: when for when, name, _ in events}
    led = {name: cause for _, name, cause in events if cause in at and at[cause] == at[name] and cause != name}
    for name, cause in led.items():
        above = [cause]
        while above[-1] in led and len(above) < 9:
            above.append(led[above[-1]])
        assert name in above or above[-1] in led or place[cause] < place[name]


def test_of_one_instant_what_came_first_stands_first_also_when_it_comes_again():
    later, earlier = event("Zebra"), event("Antelope")
    assert [step.type for step in timeline(later, earlier).events] == ["Zebra", "Antelope"]
    # a duplicate overwrites all but the moment of its arrival
    update = kept(later, "2026-12-24T00:00:00Z")[1]["UpdateExpression"]
    assert update.startswith("SET arrivedAt = if_not_exists(arrivedAt, :arrivedAt), ")


def test_what_an_event_no_longer_says_goes_with_it():
    names = kept(CREATED)[1]["UpdateExpression"].partition(" REMOVE ")[2].split(", ")
    assert set(names) == {"#causationId", "#shortCause", "#traceId", "#userId", "#reason", "#gaveUp"}


# What a consumer gave up on


def test_what_a_consumer_gave_up_on_stands_on_its_services_lane_under_the_event():
    # given an order whose payment service could not read it
    told = timeline(CREATED, gave_up_on(CREATED))

    # then
    _, gave_up = told.events
    assert (gave_up.role, gave_up.lane, gave_up.type) == (Role.GIVE_UP, "payment", "OrderCreated")
    assert gave_up.causes == ["OrderCreated"]
    assert gave_up.failure
    assert gave_up.failure.exception == "ValidationError: no items - at `$.items`"
    assert (gave_up.failure.function, gave_up.failure.attempts) == ("shop-PaymentFunction-Ab12Cd34", 3)
    assert (told.give_ups, told.event_count) == (1, 1)


def test_what_a_consumer_gave_up_on_is_no_step_and_moves_no_end():
    finished = CREATED, PAID, RESERVED, CONFIRMED
    before, after = summary(*finished), summary(*finished, gave_up_on(CONFIRMED))
    changed = {name for name in Summary.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {"events", "gave_up", "give_ups"}


def test_the_event_that_was_given_up_is_not_kept_again():
    failed = event("OrderCreated", shipping={"name": "Ada"}, userId="ada")
    (row,) = rows(gave_up_on(failed))
    assert "Ada" not in json.dumps(row)
    assert "userId" not in row


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"responsePayload": {"errorMessage": "Task timed out"}}, "Task timed out"),
        ({"responsePayload": None}, "RetriesExhausted"),
        ({"requestPayload": {"Records": []}}, "ValidationError: no items - at `$.items`"),
        ({"requestPayload": "text"}, "ValidationError: no items - at `$.items`"),
        ({"timestamp": None}, "ValidationError: no items - at `$.items`"),
    ],
)
def test_whatever_lambda_leaves_out_the_record_is_kept(more, why):
    record = gave_up_on(CREATED)
    record["detail"] = {name: it for name, it in (record["detail"] | more).items() if it is not None}
    (row,) = rows(record)
    assert row["reason"] == {"S": why}
    assert row["sagaId"]["S"].startswith("unplaced#" if "requestPayload" in more else "saga#order-1")


@pytest.mark.parametrize(
    ("function", "lane"),
    [
        ("shop-OrdersSagaFunction-Ab12", "orders"),
        ("my-shop-NotificationFunction-Ab12", "notification"),
        ("charge-card", "charge-card"),
        ("my-charge-card", "my-charge-card"),
    ],
)
def test_whose_failure_it_is_the_functions_name_says(function, lane):
    (row,) = rows(gave_up_on(CREATED, function))
    assert row["lane"] == {"S": lane}


def test_a_redrive_says_what_came_of_it():
    # given two services that gave up, one of which handles the event when it is sent again
    redriven = event("EventRedriven", 9_000, cause="OrderCreated", service="payment", outcome="handled")
    records = gave_up_on(CREATED), gave_up_on(CREATED, "shop-InventorySagaFunction-Xy", 6_000)

    # when
    told = timeline(CREATED, *records, redriven)

    # then
    assert told.give_ups == 1
    payment, inventory = (step.failure for step in told.events if step.failure)
    assert (payment.redriven_at, payment.outcome) == ("2026-11-20T12:00:09.000+00:00", "handled")
    assert (inventory.redriven_at, inventory.outcome) == (None, None)


def test_a_shopper_is_told_neither_what_failed_nor_what_was_done_about_it():
    redriven = event("EventRedriven", 9_000, cause="OrderCreated", service="payment", outcome="handled")
    told = timeline(CREATED, gave_up_on(CREATED), redriven, operator=False)
    assert [step.type for step in told.events] == ["OrderCreated"]
    assert (told.give_ups, told.event_count, told.truncated) == (0, 1, False)


# Buses of others


def test_the_parameters_say_where_a_foreign_event_has_what_counts():
    foreign = {
        "id": "bus-1",
        "source": "com.acme.depot",
        "detail-type": "ParcelLost",
        "time": "2026-11-20T12:00:00Z",
        "detail": {"ref": 7, "no": 12, "at": "2026-11-20T11:59:58.250Z", "because": {"of": 11}, "why": "fell off"},
    }
    (row,) = rows(
        foreign,
        CorrelationId="detail.ref",
        EventId="detail.no",
        OccurredAt="detail.at",
        CausationId="detail.because.of",
        Reason="detail.why",
        Lane="$split(source, '.')[1]",
    )
    assert row["position"] == {"S": "1795175998250#12#com.acme.depot#ParcelLost"}
    assert (row["sagaId"]["S"], row["eventId"]["S"], row["causationId"]["S"]) == ("saga#7", "12", "11")
    assert (row["lane"]["S"], row["reason"]["S"]) == ("acme", "fell off")


def test_an_event_that_says_none_of_it_has_what_eventbridge_says():
    bare = {"id": "bus-1", "source": "depot", "detail-type": "T", "time": "2026-11-20T12:00:00Z", "detail": {}}
    (row,) = rows(bare)
    assert row["position"] == {"S": f"{START}#bus-1#depot#T"}
    assert row["lane"] == {"S": "depot"}
    assert not row.keys() & {"causationId", "reason", "userId", "gaveUp"}


@pytest.mark.parametrize("when", ["yesterday", "", None, [], {"at": 1}, True, -1, 1e13])
def test_a_time_that_is_none_is_eventbridges(when):
    (row,) = rows({**CREATED, "detail": {"metadata": {"occurredAt": when, "correlationId": "o"}}})
    assert row["occurredAt"] == {"N": str(START)}


def test_what_belongs_to_no_saga_is_spread():
    ids = [f"e-{letter}" for letter in "0123456789abcdef"]
    days = {rows({**CREATED, "id": it, "detail": {}})[0]["sagaId"]["S"] for it in ids}
    assert days == {f"unplaced#2026-11-20#{it[-1]}" for it in ids}


@pytest.mark.parametrize("buckets", [1, 8, 100])
def test_sagas_are_spread_over_the_buckets_of_their_index(buckets):
    found = Counter(bucket_of(f"{n * 7919:08x}", buckets) for n in range(10 * buckets))
    assert found.keys() <= {str(bucket) for bucket in range(buckets)}
    assert max(found.values()) <= 4 * 10, "one takes four times its share"


def test_a_saga_keeps_its_bucket_whatever_its_id():
    assert [bucket_of(saga, 8) for saga in ("a", "ü", "😀", "#", "0" * 256)] == ["2", "4", "4", "4", "0"]
    assert summed_up(rows({**CREATED, "detail": {"orderId": "a"}}))["Item"]["bucket"] == {"S": "open#2"}


# How much it takes


def test_the_summary_of_a_saga_of_eight_events_fits_one_write_unit():
    # given the longest names that EventFlow has, real ids, and as long a reason as is kept
    uuid = "0191e2c4-7b1a-7c3e-9f10-5a6b7c8d9e0f"
    traced = {"traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"}
    types = ["OrderCreated", "PaymentSucceeded", "InventoryReserved", "InventoryFailed", "OrderCancelled"]
    types += ["PaymentRefunded", "InventoryReleased", "FraudCheckFailed"]
    happened = []
    for n, detail_type in enumerate(types):
        it = event(detail_type, n * 1234, f"{n}{uuid[1:]}", f"{n - 1}{uuid[1:]}" if n else None)
        it["source"] = "eventflow.inventory"
        it["detail"] |= {"userId": uuid, "reason": "x" * 200}
        it["detail"]["metadata"] |= {"correlationId": uuid} | ({} if n else traced)
        happened.append(it)

    item = summed_up(rows(*happened, gave_up_on(happened[0])))["Item"]

    assert {"traceId", "userId", "reason", "failedStep", "outcome", "gaveUp", "ending"} <= item.keys()
    assert item_size(item) <= 1024


def test_of_a_saga_longer_than_one_read_the_summary_tells_its_beginning_and_its_newest_events():
    # given a saga of which one read takes as many as it does
    there = rows(*(event(f"T{n}", n, f"e-{n:03}", f"e-{n - 1:03}" if n else None) for n in range(sagas.MOST_SUMMED)))
    newest = rows(event("PaymentFailed", 900, reason="why"), event("OrderCancelled", 901))

    # when
    item = summed_up(there, cut=newest)["Item"]

    # then its number of events stays, and it moves with the newest
    assert item["events"] == {"N": str(sagas.MOST_SUMMED + 1)}
    assert (item["listing"]["S"], item["lastType"]["S"]) == (f"{START}#order-1", "OrderCancelled")
    assert (item["ending"]["S"], item["reason"]["S"]) == ("failed", "why")
    told = from_attributes(item, Summary)
    assert sagas.listed(told, START, 900_000).cut
    assert len(sagas.path_of(told, VOCABULARY)) == 24


@pytest.mark.parametrize("character", ["x", "ü", "😀", "\x01", '"'])
def test_however_large_its_events_are_no_state_is_larger_than_step_functions_takes(character):
    # given as many as one read takes, each with as much of everything as is kept
    (row,) = rows(
        {
            **event("T", 0, character * 300, character * 300, reason=character * 300, userId=character * 128),
            "source": f"eventflow.{character * 200}",
            "detail-type": character * 128,
        }
    )
    projected = {
        name: it for name, it in row.items() if name not in ("sagaId", "position", "detail", "eventId", "causationId")
    }
    read = [projected | {"shortId": {"S": f"{n:06}12345678"}} for n in range(sagas.MOST_SUMMED)]
    assert size({"Items": read}) <= MOST_BYTES

    # then each state holds what it makes of them (the evaluation itself looks at every assignment's size)
    there = [{"sagaId": row["sagaId"], "position": row["position"], **it} for it in read]
    summed_up(there, cut=there[:25])
