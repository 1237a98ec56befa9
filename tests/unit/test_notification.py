"""A shopper is told nothing that is older than what was told, and the newest in any case."""

import io
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventflow import telemetry
from notification import consumer, memory

from ..sam_template import FUNCTIONS, TEMPLATE
from .lambda_context import LambdaContext
from .memory_dynamodb import MemoryDynamoDB

NOON = 1_769_860_800_000


def event(detail_type: str, at: int, order: str = "o1") -> dict[str, Any]:
    """An event that occurred this many milliseconds after noon."""
    source = "eventflow.payment" if detail_type == "PaymentRefunded" else "eventflow.orders"
    metadata = {"eventId": f"{detail_type} at {at}", "occurredAt": NOON + at}
    fields = {"productId": "mug", "quantity": 1, "reason": "out of stock", "paymentId": "p1"}
    detail = {"orderId": order, "userId": "ada", **fields, "version": "1.0", "metadata": metadata}
    return {"id": "d1", "source": source, "detail-type": detail_type, "detail": detail}


class Mail:
    """An address that cannot be reached as often as a test says."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.away = 0

    def publish(self, Subject: str, **_: str) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionError("the address is away")
        self.sent.append(Subject)


CREATED, CONFIRMED = "We have your order", "Your order is confirmed"
CANCELLED, REFUNDED = "Your order was cancelled", "Your money is on its way back"


@pytest.fixture
def mail(db, monkeypatch):
    mail = Mail()
    monkeypatch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")
    monkeypatch.setattr(consumer, "sns", mail)
    return mail


@pytest.fixture
def time_passes(monkeypatch):
    """Lambda tries again after a minute: by then no claim holds any more."""
    now = [NOON]
    monkeypatch.setattr(memory.clock, "now", lambda: now[0])

    def pass_(milliseconds: int = 60_000) -> None:
        now[0] += milliseconds

    return pass_


def deliver(*events: dict[str, Any]) -> None:
    for each in events:
        consumer.handler(each, LambdaContext())


def test_what_comes_late_is_not_told_after_what_is_newer(mail, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)

    deliver(event("OrderCreated", 0), event("OrderCancelled", 800), event("OrderConfirmed", 690))

    assert mail.sent == [CREATED, CANCELLED]
    (line,) = (line for line in map(json.loads, log.getvalue().splitlines()) if "older" in line["message"])
    assert line["message"] == "older than what was told"
    assert (line["orderId"], line["detailType"], line["userId"]) == ("o1", "OrderConfirmed", "ada")
    assert line["occurredAt"] == "2026-01-31T12:00:00.690+00:00"
    assert line["toldUpTo"] == "2026-01-31T12:00:00.800+00:00"


def test_orders_are_told_of_each_by_itself(mail):
    deliver(event("OrderCancelled", 800, order="o1"), event("OrderConfirmed", 690, order="o2"))
    assert mail.sent == [CANCELLED, CONFIRMED]


def test_what_could_not_be_told_is_told_when_it_comes_again(mail, time_passes):
    mail.away = 2
    for _ in range(2):
        with pytest.raises(ConnectionError):
            deliver(event("OrderConfirmed", 690))
        time_passes()
    deliver(event("OrderConfirmed", 690))
    assert mail.sent == [CONFIRMED]


def test_of_two_deliveries_at_once_one_tells_and_the_other_comes_again(mail, time_passes, monkeypatch):
    # given
    publish, confirmed = mail.publish, event("OrderConfirmed", 690)

    def meanwhile(**message: str) -> None:
        with pytest.raises(memory.BeingTold, match="event OrderConfirmed at 690 of order o1 is being told"):
            deliver(confirmed)
        publish(**message)

    monkeypatch.setattr(mail, "publish", meanwhile)
    # when
    deliver(confirmed)
    # then
    assert mail.sent == [CONFIRMED]


def test_what_another_one_is_telling_is_not_told_once_more_and_what_is_newer_is(mail, time_passes):
    deliver(event("OrderConfirmed", 690))
    with pytest.raises(memory.BeingTold):
        deliver(event("OrderConfirmed", 690))
    deliver(event("OrderCancelled", 800))
    assert mail.sent == [CONFIRMED, CANCELLED]


def test_a_claim_outlives_the_function_and_is_over_when_lambda_tries_again():
    assert TEMPLATE["Globals"]["Function"]["Timeout"] * 1000 < memory.CLAIMED_MS < 60_000
    assert "Timeout" not in FUNCTIONS["NotificationFunction"]


def test_a_row_of_the_release_before_holds_no_claim(mail, db):
    db.keeps(
        "NotificationsTable",
        {"orderId": {"S": "o1"}, "occurredAt": {"N": str(NOON + 690)}, "expiresAt": {"N": "1773748800"}},
    )
    deliver(event("OrderConfirmed", 690))
    assert mail.sent == [CONFIRMED]


def test_what_is_told_is_noted_before(mail, db):
    # given a table that refuses, then nothing is told which nobody would remember
    db.broken = lambda operation, key: operation == "PutItem"
    with pytest.raises(Exception, match="InternalServerError"):
        deliver(event("OrderConfirmed", 690))
    assert mail.sent == []


def test_two_that_occurred_at_the_same_time_are_both_told(mail):
    deliver(event("OrderCancelled", 800), event("PaymentRefunded", 800))
    assert mail.sent == [CANCELLED, REFUNDED]


def test_two_of_one_type_and_time_are_both_told(mail):
    # given what EventBridge itself dates, to the second
    twins = [event("OrderConfirmed", 0) for _ in range(2)]
    for number, each in enumerate(twins):
        each["detail"]["metadata"]["eventId"] = f"e{number}"
    deliver(*twins)
    assert mail.sent == [CONFIRMED, CONFIRMED]


def test_a_time_that_no_calendar_has_is_not_noted(mail, db):
    # given an event that would be newer than all that follow
    far = event("OrderConfirmed", 10**18)
    with pytest.raises((OverflowError, ValueError)):
        deliver(far)
    assert db.rows["NotificationsTable"] == {}


def test_a_message_costs_one_write_of_less_than_a_kilobyte_which_goes_when_nothing_can_come_again(mail, db):
    longest = "\U0001f4e6" * 64
    deliver(event("OrderConfirmed", 690, order=longest))
    assert db.asked == ["PutItem NotificationsTable"]
    row = db.rows["NotificationsTable"][longest]
    assert row.keys() == {"orderId", "occurredAt", "expiresAt", "eventId", "claimedUntil"}
    assert row["occurredAt"] == {"N": str(NOON + 690)}
    assert len(json.dumps(row, ensure_ascii=False).encode()) < 512
    # 29 days in the archive, 14 in a failed queue; counted from the event, so that no replay prolongs it
    assert int(row["expiresAt"]["N"]) == (NOON + 690) // 1000 + 45 * 24 * 60 * 60


TYPES = ("OrderCreated", "OrderConfirmed", "OrderCancelled", "PaymentRefunded")
EVENTS = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 5)), min_size=1, max_size=6, unique=True)


@settings(max_examples=40)
@given(data=st.data())
def test_in_any_order_of_arrival_what_is_told_is_in_order_of_time_and_the_newest_is_told(data):
    # given events that come in any order, some repeatedly, and an address that is away at times
    events = data.draw(EVENTS)
    arrivals = data.draw(st.permutations(events)) + data.draw(st.lists(st.sampled_from(events), max_size=6))
    waiting = [(each, data.draw(st.booleans())) for each in arrivals]
    told: list[tuple[str, int]] = []

    with pytest.MonkeyPatch.context() as patch:
        minutes = itertools.count()
        patch.setattr(memory.clock, "now", lambda: NOON + 60_000 * next(minutes))
        patch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")
        patch.setattr(memory, "dynamodb", MemoryDynamoDB())
        mail = Mail()
        patch.setattr(consumer, "sns", mail)

        # when each comes until it is handled
        while waiting:
            (detail_type, at), mail.away = waiting.pop(0)
            before = len(mail.sent)
            try:
                deliver(event(detail_type, at))
            except ConnectionError:
                waiting.append(((detail_type, at), False))
            told += [(detail_type, at)] * (len(mail.sent) - before)

    # then
    times = [at for _, at in told]
    assert times == sorted(times)
    newest = max(at for _, at in events)
    assert {each for each in events if each[1] == newest} <= set(told)
