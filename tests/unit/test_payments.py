"""A payment from event to table, with a provider that is slow, unreachable, or asked about a charge days later."""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

import payment.consumer
from eventflow import clock
from eventflow.contracts import read_event
from eventflow.events import OrderCreated
from payment import payments
from payment.consumer import PAYMENTS
from payment.gateway import KEY_KEPT_MS, Answer, Approved, CalledOff, Declined, Money
from payment.payments import ASKED_FOR_MS, Payment, Status, StrayPayment

from ..sam_template import ROOT
from .keeper import status_after
from .lambda_context import LambdaContext
from .test_write_units import weight

HOUR = 60 * 60 * 1000
NOW = 1_769_860_800_000

CREATED, CANCELLED = (
    json.loads((ROOT / "events" / "payment" / f"order-{name}.json").read_text()) for name in ("created", "cancelled")
)
ORDER_ID = CREATED["detail"]["orderId"]
USER_ID = CREATED["detail"]["userId"]
KEY = CREATED["detail"]["metadata"]["eventId"]
CREATED_AGAIN = json.loads(json.dumps(CREATED).replace(KEY, "another-event"))
"""The same order, announced under another eventId."""


class OutOfReach(Exception):
    """The provider does not answer."""


class Provider:
    """One that remembers, and that tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.while_asked: Callable[[], object] = lambda: None
        """What happens on a charge's way there."""
        self.before_answer: Callable[[], object] = lambda: None
        """What happens on its way back."""
        self.is_up = True
        self.total: Money | None = Money(3998, "USD")
        """The amount that each charge and refund must be of."""

    def charge(self, order_id: str, total: Money | None, *, idempotency_key: str) -> Answer:
        self._hear("charge")
        assert total == self.total
        self.while_asked()
        answer = self.answers.setdefault(idempotency_key, Approved("payment"))
        self.before_answer()
        return answer

    def call_off(self, idempotency_key: str) -> Approved | None:
        self._hear("call off")
        answer = self.answers.setdefault(idempotency_key, CalledOff())
        return answer if isinstance(answer, Approved) else None

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None:
        assert total == self.total
        self._hear(f"refund {payment_id} {idempotency_key.removeprefix(KEY)}")

    def _hear(self, request: str) -> None:
        if not self.is_up:
            raise OutOfReach
        self.asked.append(request)


REFUND = "refund payment :refund"


@pytest.fixture
def provider(db, monkeypatch):
    provider = Provider()
    monkeypatch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")
    monkeypatch.setattr(payment.consumer, "GATEWAY", provider)
    at(monkeypatch, NOW)
    return provider


def at(monkeypatch, milliseconds: int) -> None:
    monkeypatch.setattr(clock, "now", lambda: milliseconds)


def deliver(event: Any) -> None:
    payment.consumer.handler(event, LambdaContext())


def fails(event: Any) -> None:
    with pytest.raises(OutOfReach):
        deliver(event)


BOTH_WAYS = list(itertools.permutations([CREATED, CANCELLED]))


def status(db) -> Status:
    return db.stored(PAYMENTS, ORDER_ID).state.status


def facts(db) -> list[tuple[str, dict[str, Any]]]:
    """All that was announced, whole, but for what is another each time."""
    told = []
    for announcement in db.announcements:
        fact = json.loads(announcement.detail)
        fact["causationId"] = fact.pop("metadata")["causationId"]
        del fact["timestamp"]
        told.append((announcement.detail_type, fact))
    return told


def fact(cause: Any, version: str = "1.0", **fields: Any) -> dict[str, Any]:
    cause_id = cause["detail"]["metadata"]["eventId"]
    return {"orderId": ORDER_ID, "userId": USER_ID, "version": version, "causationId": cause_id, **fields}


MONEY = {"paymentId": "payment", "amount": 3998, "currency": "USD"}


def test_a_payment_says_of_what_it_is_and_what_led_to_it(provider, db):
    deliver(CREATED)
    deliver(CANCELLED)

    assert facts(db) == [
        ("PaymentSucceeded", fact(CREATED, **MONEY)),
        ("PaymentRefunded", fact(CANCELLED, **MONEY)),
    ]
    assert db.stored(PAYMENTS, ORDER_ID).state == Payment(
        order_id=ORDER_ID,
        user_id=USER_ID,
        status=Status.REFUNDED,
        idempotency_key=KEY,
        payment_id="payment",
        amount=3998,
        currency="USD",
    )


def test_a_payment_that_the_provider_declines_says_its_reason(provider, db):
    provider.answers[KEY] = Declined("insufficient funds")

    deliver(CREATED)

    reason = "insufficient funds"
    assert facts(db) == [("PaymentFailed", fact(CREATED, productId="espresso", quantity=2, reason=reason))]


def test_an_order_that_is_announced_again_is_charged_under_the_first_key(provider, db):
    # given a charge whose answer was lost
    def lose():
        raise OutOfReach

    provider.before_answer = lose
    fails(CREATED)
    provider.before_answer = lambda: None

    # when the producer sends the order once more, as another event
    deliver(CREATED_AGAIN)

    # then it is one charge
    assert (status(db), provider.answers) == (Status.SUCCEEDED, {KEY: Approved("payment")})


@pytest.mark.parametrize("length", [64, 65, 200_000])
def test_an_event_with_an_id_of_any_length_is_charged_under_a_key_that_providers_take(provider, db, length):
    created = json.loads(json.dumps(CREATED).replace(KEY, "k" * length))

    for event in (created, created, CANCELLED):
        deliver(event)

    ((key, answer),) = provider.answers.items()
    assert (len(key) <= 64, answer) == (True, Approved("payment"))
    assert status(db) == Status.REFUNDED


# Cancelled while the gateway is asked


def test_a_charge_that_was_made_is_announced_before_it_is_refunded(provider, db):
    # given a charge whose answer is late: the order is cancelled before it is here
    provider.before_answer = lambda: deliver(CANCELLED)

    deliver(CREATED)

    assert status(db) is Status.REFUNDED
    assert facts(db) == [
        ("PaymentSucceeded", fact(CANCELLED, **MONEY)),
        ("PaymentRefunded", fact(CANCELLED, **MONEY)),
    ]
    assert provider.asked == ["charge", "call off", REFUND]


def test_a_charge_that_is_on_its_way_while_it_is_called_off_is_refused(provider, db):
    provider.while_asked = lambda: deliver(CANCELLED)

    deliver(CREATED)

    assert (status(db), db.told) == (Status.CANCELLED, [])
    assert provider.asked == ["charge", "call off"]
    assert provider.answers == {KEY: CalledOff()}


def test_its_timeline_is_done_only_when_the_money_is_back(provider, db):
    provider.before_answer = lambda: deliver(CANCELLED)
    deliver(CREATED)

    so_far = ["OrderCreated", "InventoryFailed", "OrderCancelled"]
    assert status_after(*so_far) == "done", "of a payment nothing is known"
    assert [status_after(*so_far, *db.told[:told]) for told in (1, 2)] == ["open", "done"]


# The gateway cannot be reached, and the events are redriven


@pytest.mark.parametrize("redriven", [*BOTH_WAYS, (CREATED,), (CANCELLED,)])
def test_an_order_that_is_cancelled_while_the_gateway_is_down_is_never_charged(provider, db, monkeypatch, redriven):
    # given
    provider.is_up = False
    fails(CREATED)
    with suppress(OutOfReach):
        deliver(CANCELLED)
    assert (status(db), db.told) == (Status.CANCELLING, [])

    # when what failed is sent again, days later
    provider.is_up = True
    at(monkeypatch, NOW + 9 * 24 * HOUR)
    for event in redriven:
        deliver(event)

    # then
    assert (status(db), db.told) == (Status.CANCELLED, [])
    assert provider.asked == ["call off"]


# (only OrderCreated comes again if an earlier release left the row CANCELLING)
@pytest.mark.parametrize("redriven", [*BOTH_WAYS, (CREATED,), (CANCELLED,)])
def test_a_charge_whose_answer_was_lost_is_found_and_refunded_when_the_order_is_cancelled(provider, db, redriven):
    # given a gateway that charged, and then went down
    def go_down():
        provider.is_up = False
        raise OutOfReach

    provider.before_answer = go_down
    fails(CREATED)
    fails(CANCELLED)
    provider.is_up = True

    for event in redriven:
        deliver(event)

    assert status(db) is Status.REFUNDED
    assert facts(db) == [
        ("PaymentSucceeded", fact(redriven[0], **MONEY)),
        ("PaymentRefunded", fact(redriven[0], **MONEY)),
    ]
    assert provider.asked == ["charge", "call off", REFUND]


# An intent that is older than the gateway remembers its key


@pytest.mark.parametrize("age", [HOUR, ASKED_FOR_MS - 1])
def test_an_intent_that_the_gateway_still_knows_the_key_of_is_charged_when_it_is_back(provider, db, monkeypatch, age):
    provider.is_up = False
    fails(CREATED)
    provider.is_up = True
    at(monkeypatch, NOW + age)

    deliver(CREATED)

    assert (status(db), db.told) == (Status.SUCCEEDED, ["PaymentSucceeded"])


@pytest.mark.parametrize("age", [ASKED_FOR_MS, 9 * 24 * HOUR])
def test_an_older_one_is_called_off_and_the_payment_has_failed(provider, db, monkeypatch, age):
    provider.is_up = False
    fails(CREATED)
    provider.is_up = True
    at(monkeypatch, NOW + age)

    deliver(CREATED)

    assert (status(db), db.told) == (Status.FAILED, ["PaymentFailed"])
    reason = json.loads(db.announcements[0].detail)["reason"]
    assert reason == "the payment provider could not be reached in time"
    assert provider.asked == ["call off"]


def test_an_older_one_that_was_charged_counts_as_approved(provider, db, monkeypatch):
    def lose():
        raise OutOfReach

    provider.before_answer = lose
    fails(CREATED)
    at(monkeypatch, NOW + 9 * 24 * HOUR)

    deliver(CREATED)

    assert (status(db), db.told) == (Status.SUCCEEDED, ["PaymentSucceeded"])
    assert provider.asked == ["charge", "call off"]


def test_a_payment_that_was_called_off_for_its_age_fails_also_if_a_crash_came_between(provider, db):
    provider.answers[KEY] = CalledOff()

    deliver(CREATED)

    assert (status(db), db.told) == (Status.FAILED, ["PaymentFailed"])


def test_an_event_that_was_never_handled_is_charged_however_old_it_is(provider, db, monkeypatch):
    at(monkeypatch, NOW + 13 * 24 * HOUR)

    deliver(CREATED)

    assert (status(db), db.told) == (Status.SUCCEEDED, ["PaymentSucceeded"])


def test_of_an_intent_without_a_time_nobody_knows_whether_it_was_charged(provider, db):
    # given one of an earlier release
    created = read_event(CREATED, OrderCreated).fact
    intent = payments.intend_charge(None, created, KEY, NOW).state
    db.has(PAYMENTS, ORDER_ID, msgspec.structs.replace(intent, intended_at=None))

    deliver(CREATED)

    assert (status(db), provider.asked) == (Status.FAILED, ["call off"])


def test_a_charge_arrives_before_its_key_is_forgotten():
    function_timeout = 15 * 1000
    assert function_timeout < KEY_KEPT_MS - ASKED_FOR_MS


# A payment that has no place


def charges_meanwhile(provider: Provider, answer: Answer, then: Answer) -> None:
    """Another attempt overtakes the next charge and is answered `answer`; the charge itself is answered `then`."""

    def overtake():
        provider.while_asked = lambda: None
        provider.answers[KEY] = answer
        deliver(CREATED_AGAIN)
        provider.answers[KEY] = then

    provider.while_asked = overtake


def is_stray(event: Any, payment_id: str) -> None:
    with pytest.raises(StrayPayment, match=payment_id):
        deliver(event)


def test_a_charge_that_two_ask_for_at_once_is_one_payment(provider, db):
    charges_meanwhile(provider, Approved("payment"), then=Approved("payment"))

    deliver(CREATED)

    assert (status(db), db.told) == (Status.SUCCEEDED, ["PaymentSucceeded"])


def test_a_payment_that_is_made_after_the_provider_declined_it_ends_in_the_queue(provider, db):
    charges_meanwhile(provider, Declined("no"), then=Approved("pay_7"))

    # however often it is tried: Lambda does so three times before it gives the event up
    for _ in range(3):
        is_stray(CREATED, "pay_7")

    assert (status(db), db.told) == (Status.FAILED, ["PaymentFailed"])
    is_stray(CANCELLED, "pay_7")


def test_a_second_payment_ends_in_the_queue_and_the_first_is_still_refunded(provider, db):
    charges_meanwhile(provider, Approved("payment"), then=Approved("pay_7"))
    is_stray(CREATED, "pay_7")
    assert (status(db), db.told) == (Status.SUCCEEDED, ["PaymentSucceeded"])

    is_stray(CANCELLED, "pay_7")

    assert (status(db), db.told) == (Status.REFUNDED, ["PaymentSucceeded", "PaymentRefunded"])
    assert provider.asked.count(REFUND) == 1


def test_a_payment_that_is_found_after_the_promise_that_none_will_be_made_ends_in_the_queue(provider, db, monkeypatch):
    # given two who call off at once, and one is told that there is nothing
    provider.is_up = False
    fails(CREATED)
    provider.is_up = True

    def call_off(key: str) -> Approved:
        monkeypatch.setattr(provider, "call_off", lambda key: None)
        deliver(CANCELLED)
        return Approved("pay_7")

    monkeypatch.setattr(provider, "call_off", call_off)

    # when the other is told of a payment
    is_stray(CANCELLED, "pay_7")

    assert (status(db), db.told) == (Status.CANCELLED, [])
    is_stray(CANCELLED, "pay_7")


# What it costs


TRACED = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:24d92263:0"


def test_a_row_is_one_write_unit_at_each_status(provider, db, monkeypatch):
    # given all that a row may hold, in a trace, of an order as dear as orders are
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACED)
    rows: list[tuple[str, int]] = []
    write = db.put_item

    def weighed(**request: Any) -> Any:
        if request["TableName"] == "PaymentsTable":
            rows.append((request["Item"]["status"]["S"], weight(request["Item"])))
        return write(**request)

    monkeypatch.setattr(db, "put_item", weighed)
    provider.total = Money(99_999_999, "USD")
    dear = {**CREATED, "detail": {**CREATED["detail"], "totalPrice": 99_999_999}}
    payment_id = "pay_" + 32 * "x"

    # when it goes every way
    for before, answer, after in [
        (None, Approved(payment_id), CANCELLED),
        (None, CalledOff(), None),
        (CANCELLED, Approved(payment_id), None),
        (CANCELLED, CalledOff(), None),
    ]:
        db.rows["PaymentsTable"].clear()
        provider.answers = {KEY: answer}
        provider.before_answer = (lambda: deliver(CANCELLED)) if before else (lambda: None)
        deliver(dear)
        if after:
            deliver(after)

    # then
    heaviest = {status: max(size for it, size in rows if it == status) for status, _ in rows}
    assert heaviest.keys() == set(Status)
    assert max(heaviest.values()) < 1024, heaviest
