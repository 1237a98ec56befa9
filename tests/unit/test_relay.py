"""relay publishes what a stream announces: each event once per write, in order, and never gives one up."""

from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from eventflow.attributes import to_attributes
from eventflow.outbox import Announcement
from relay import stream
from relay.publish import MAX_REQUEST_BYTES, announced, batches, entry

from .lambda_context import LambdaContext

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
CREATED = Announcement(
    id="e1",
    source="eventflow.orders",
    detail_type="OrderCreated",
    occurred_at=1_769_860_800_123,
    detail='{"orderId":"o1"}',
    trace=TRACE,
)
CONFIRMED = msgspec.structs.replace(CREATED, id="e2", detail_type="OrderConfirmed", trace=None)


def image(announcement: Announcement | None) -> dict[str, Any]:
    row: dict[str, Any] = {"orderId": {"S": "o1"}, "revision": {"N": "1"}}
    return row | ({"event": {"M": to_attributes(announcement)}} if announcement else {})


def record(**images: dict[str, Any]) -> dict[str, Any]:
    return {"dynamodb": images}


@pytest.mark.parametrize(
    ("written", "published"),
    [
        pytest.param(record(NewImage=image(CREATED)), [CREATED], id="an insert"),
        pytest.param(
            record(OldImage=image(CREATED), NewImage=image(CONFIRMED)), [CONFIRMED], id="an update that announces again"
        ),
        pytest.param(
            record(OldImage=image(None), NewImage=image(CONFIRMED)), [CONFIRMED], id="an update that announces at last"
        ),
        pytest.param(
            record(OldImage=image(CREATED), NewImage=image(CREATED)), [], id="an update that announces nothing"
        ),
        pytest.param(record(OldImage=image(CREATED), NewImage=image(None)), [], id="an update that drops its event"),
        pytest.param(record(NewImage=image(None)), [], id="a row with no event"),
        pytest.param(record(OldImage=image(CREATED)), [], id="a removal"),
    ],
)
def test_a_write_publishes_the_event_that_it_announced(written, published):
    assert list(announced([written])) == published


def test_events_are_published_in_the_order_of_their_writes():
    first = record(NewImage=image(CREATED))
    then = record(OldImage=image(CREATED), NewImage=image(CONFIRMED))
    assert list(announced([first, then])) == [CREATED, CONFIRMED]


def test_an_entry_has_its_own_time_and_trace():
    bare = {
        "EventBusName": "bus",
        "Source": "eventflow.orders",
        "Time": "2026-01-31T12:00:00.123+00:00",
        "Detail": '{"orderId":"o1"}',
    }
    assert entry(CREATED, "bus") == {**bare, "DetailType": "OrderCreated", "TraceHeader": TRACE}
    assert entry(CONFIRMED, "bus") == {**bare, "DetailType": "OrderConfirmed"}


@pytest.mark.parametrize(
    "header",
    [f"Root={'r' * 900};Parent=53995c3f42cd8ad8;Sampled=1", "r" * 501, f"{TRACE};Lineage={'l' * 500}"],
)
def test_a_row_of_before_with_a_trace_that_eventbridge_refuses_does_not_block_its_shard(monkeypatch, header):
    bridge = bus(monkeypatch)
    row = image(msgspec.structs.replace(CREATED, trace=header))
    stream.handler({"Records": [record(NewImage=row)]}, LambdaContext())
    assert bridge.published == [["OrderCreated"]]


def bytes_of(batch: list[dict[str, str]]) -> int:
    """As https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html counts them."""
    return sum(14 + len((e["Source"] + e["DetailType"] + e["Detail"]).encode()) for e in batch)


sizes = st.one_of(st.integers(1, 3_000), st.integers(20_000, 100_000))
"""In characters of two bytes: up to the 200 KB that an event may have."""


@given(st.lists(sizes, max_size=30))
def test_batches_lose_nothing_keep_the_order_and_the_limits_and_are_as_few_as_that_allows(lengths):
    entries = [
        entry(msgspec.structs.replace(CREATED, id=str(n), detail="é" * length), "bus")
        for n, length in enumerate(lengths)
    ]
    packed = list(batches(iter(entries)))

    assert [item for batch in packed for item in batch] == entries
    assert all(1 <= len(batch) <= 10 and bytes_of(batch) <= 256 * 1024 for batch in packed)
    for batch, following in pairwise(packed):
        assert len(batch) == 10 or bytes_of([*batch, following[0]]) > MAX_REQUEST_BYTES


LONGEST_TRACE = 500
PUT_EVENTS = stream.events.meta.service_model.operation_model("PutEvents").input_shape


class EventBridge:
    """Takes what AWS's own model of the call allows; refuses entries by detail-type, a number of times."""

    def __init__(self, refusals: dict[str, int] | None = None) -> None:
        self.refusals = refusals or {}
        self.calls: list[list[dict[str, str]]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        validate_parameters({"Entries": Entries}, PUT_EVENTS)
        if any(
            len(item.get("TraceHeader", "")) > LONGEST_TRACE for item in Entries
        ):  # the client itself checks no maximum
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "traceHeader"}}, "PutEvents")
        self.calls.append(Entries)
        results = [self._answer(item["DetailType"]) for item in Entries]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _answer(self, detail_type: str) -> dict[str, str]:
        left = self.refusals.get(detail_type, 0)
        self.refusals[detail_type] = left - 1
        if left > 0:
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        return {"EventId": "id-of-eventbridge"}

    @property
    def published(self) -> list[list[str]]:
        return [[item["DetailType"] for item in call] for call in self.calls]


@pytest.fixture
def waits(monkeypatch):
    """How long relay waited, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr(stream.time, "sleep", waited.append)
    return waited


def bus(monkeypatch, refusals=None) -> EventBridge:
    bridge = EventBridge(refusals)
    monkeypatch.setattr(stream, "events", bridge)
    return bridge


def records(*detail_types: str) -> dict[str, Any]:
    facts = [msgspec.structs.replace(CREATED, id=name, detail_type=name) for name in detail_types]
    return {"Records": [record(NewImage=image(fact)) for fact in facts]}


def test_a_stream_of_many_goes_ten_at_a_time_each_in_its_own_trace(monkeypatch, waits):
    bridge = bus(monkeypatch)
    names = [f"Event{n}" for n in range(12)]

    stream.handler(records(*names), LambdaContext())

    assert bridge.published == [names[:10], names[10:]]
    assert {(item["EventBusName"], item["TraceHeader"]) for call in bridge.calls for item in call} == {("bus", TRACE)}
    assert not waits


def test_each_entry_goes_on_under_relays_own_segment_of_it(monkeypatch, waits):
    # given
    bridge = bus(monkeypatch)
    begun, ended = [], []

    @contextmanager
    def handing_on(header, **annotations):
        begun.append((header, annotations))
        yield f"{header};under={len(begun)}"
        ended.append((header, len(bridge.calls)))

    monkeypatch.setattr(stream.telemetry, "handing_on", handing_on)

    # when
    stream.handler(records("A", "B"), LambdaContext())

    # then
    assert begun == [(TRACE, {"DetailType": "A"}), (TRACE, {"DetailType": "B"})]
    assert [item["TraceHeader"] for item in bridge.calls[0]] == [f"{TRACE};under=1", f"{TRACE};under=2"]
    assert ended == [(TRACE, 1), (TRACE, 1)], "it ends when the batch is published"


def test_the_longest_trace_header_is_what_awss_own_model_says():
    entries = PUT_EVENTS.members["Entries"].member
    assert entries.members["TraceHeader"].metadata["max"] == LONGEST_TRACE


def test_a_stream_that_announces_nothing_puts_nothing(monkeypatch, waits):
    bridge = bus(monkeypatch)
    stream.handler({"Records": [record(NewImage=image(None))]}, LambdaContext())
    assert bridge.calls == []


def test_only_what_was_refused_is_put_again(monkeypatch, waits):
    bridge = bus(monkeypatch, refusals={"B": 1, "C": 2})
    stream.handler(records("A", "B", "C", "D"), LambdaContext())
    assert bridge.published == [["A", "B", "C", "D"], ["B", "C"], ["C"]]
    assert len(waits) == 2


def test_what_is_refused_for_good_fails_the_batch_with_eventbridges_reason(monkeypatch, waits):
    monkeypatch.setattr(stream.random, "uniform", lambda _, longest: longest)
    bridge = bus(monkeypatch, refusals={"B": 99})
    with pytest.raises(stream.NotPublished, match=r"^1 event\(s\), B the first: ThrottlingException slow down$"):
        stream.handler(records("A", "B"), LambdaContext())
    assert bridge.published == [["A", "B"], *[["B"]] * (stream.ATTEMPTS - 1)]
    assert sum(waits) < 6, "a stream brings ten batches at most, and the function has 60 seconds"


def test_events_after_a_refused_batch_are_not_put_before_it(monkeypatch, waits):
    bridge = bus(monkeypatch, refusals={"Event0": 99})
    with pytest.raises(stream.NotPublished):
        stream.handler(records(*(f"Event{n}" for n in range(11))), LambdaContext())
    assert not any("Event10" in call for call in bridge.published)


def test_a_bus_that_cannot_be_reached_fails_the_batch(monkeypatch, waits):
    class Unreachable:
        def put_events(self, Entries):
            raise EndpointConnectionError(endpoint_url="events")

    monkeypatch.setattr(stream, "events", Unreachable())
    with pytest.raises(EndpointConnectionError):
        stream.handler(records("A"), LambdaContext())
