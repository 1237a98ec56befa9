"""The simulated provider: its answer depends on the order, not on chance, and a key keeps its answer."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow import clock
from eventflow.store import Table
from payment.gateway import (
    KEPT_SECONDS,
    KEY_KEPT_MS,
    Approved,
    CalledOff,
    Declined,
    Kept,
    Money,
    SimulatedGateway,
    declines,
)

from .memory_dynamodb import MemoryDynamoDB
from .saga_world import Choices, MemoryRows, World
from .test_write_units import weight

ORDERS = [str(uuid.UUID(int=n)) for n in range(10_000)]
order_ids = st.text(min_size=1, max_size=64)
rates = st.integers(0, 100)


def simulated(failure_rate: int) -> SimulatedGateway:
    """A provider that remembers nothing yet."""
    world = World({}, Choices([]), set(), set(), set())
    return SimulatedGateway(MemoryRows(world, world.announcements.append), failure_rate)


@given(order_ids, rates, st.tuples(st.text(), st.text()))
def test_an_order_is_answered_alike_at_any_time_and_by_any_sandbox(order_id, rate, keys):
    answers = [simulated(rate).charge(order_id, None, idempotency_key=key) for key in keys]
    assert type(answers[0]) is type(answers[1]) is (Declined if declines(order_id, rate) else Approved)


def test_the_answer_is_that_of_every_release():
    """A replay of last year's orders must decline the same ones, so the hash may never change."""
    assert [order_id for order_id in ORDERS[:100] if declines(order_id, 10)] == [ORDERS[n] for n in (23, 87, 94)]


def test_the_rate_is_a_percentage_of_orders():
    declined = {rate: sum(declines(order_id, rate) for order_id in ORDERS) for rate in (0, 10, 50, 100)}
    assert declined[0] == 0
    assert declined[100] == len(ORDERS)
    assert declined[10] == pytest.approx(1_000, abs=120)  # four standard deviations
    assert declined[50] == pytest.approx(5_000, abs=200)


@given(order_ids, rates)
def test_raising_the_rate_declines_more_and_approves_none_that_it_declined(order_id, rate):
    assert not declines(order_id, rate) or declines(order_id, min(rate + 1, 100))


@given(order_ids, st.text(), st.text())
def test_one_key_is_one_payment(order_id, key, other):
    gateway = simulated(0)
    first, again = (gateway.charge(order_id, Money(1999, "USD"), idempotency_key=key) for _ in range(2))
    assert isinstance(first, Approved)
    assert first == again
    assert (gateway.charge(order_id, None, idempotency_key=other) == first) == (other == key)


# What it remembers


@pytest.fixture
def gateway(db: MemoryDynamoDB) -> SimulatedGateway:
    return SimulatedGateway(Table("SimulatedGatewayTable", "idempotencyKey", Kept), 0)


def charge(gateway: SimulatedGateway) -> object:
    return gateway.charge("o-1", None, idempotency_key="key")


def test_a_charge_is_found_by_the_one_who_calls_it_off(gateway):
    payment = charge(gateway)
    assert isinstance(payment, Approved)
    assert [gateway.call_off("key") for _ in range(2)] == [payment, payment]
    assert charge(gateway) == payment


def test_what_was_called_off_is_never_charged(gateway):
    assert gateway.call_off("key") is None
    assert [charge(gateway) for _ in range(2)] == [CalledOff(), CalledOff()]
    assert gateway.call_off("key") is None
    assert isinstance(gateway.charge("o-1", None, idempotency_key="other"), Approved)


def test_a_declined_charge_stays_declined_when_it_is_called_off(db):
    gateway = SimulatedGateway(Table("SimulatedGatewayTable", "idempotencyKey", Kept), 100)
    assert charge(gateway) == Declined("payment declined")
    assert gateway.call_off("key") is None
    assert charge(gateway) == Declined("payment declined")
    # even if the rate is another by then
    assert charge(SimulatedGateway(Table("SimulatedGatewayTable", "idempotencyKey", Kept), 0)) == Declined(
        "payment declined"
    )


def test_what_was_called_off_is_not_declined_either(db):
    gateway = SimulatedGateway(Table("SimulatedGatewayTable", "idempotencyKey", Kept), 100)
    assert gateway.call_off("key") is None
    assert charge(gateway) == CalledOff()


def test_of_a_charge_and_a_call_off_at_once_the_first_one_wins(gateway, db):
    # a charge that is on its way while the key is called off
    db.meanwhile.append(lambda: gateway.call_off("key"))
    assert charge(gateway) == CalledOff()

    # and the other way round
    db.meanwhile.append(lambda: gateway.charge("o-2", None, idempotency_key="k2"))
    found = gateway.call_off("k2")
    assert isinstance(found, Approved)
    assert gateway.charge("o-2", None, idempotency_key="k2") == found


def test_each_call_is_one_small_write_and_no_read(gateway, db):
    charge(gateway)
    gateway.call_off("key")
    gateway.refund("payment", None, idempotency_key="key:refund")
    assert db.asked == ["PutItem SimulatedGatewayTable"] * 2
    assert not db.told


def test_what_it_remembers_is_small_and_outlives_every_event_that_may_still_come(gateway, db, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: 1_760_000_000_000)
    gateway.charge(ORDERS[0], Money(1999, "USD"), idempotency_key=ORDERS[1])
    (row,) = db.rows["SimulatedGatewayTable"].values()
    assert weight(row) < 300, "the 1,024 bytes of a write unit are far"
    assert row["expiresAt"] == {"N": str(1_760_000_000 + 90 * 24 * 60 * 60)}
    # an archive of 29 days at most, and then a queue of 14
    assert KEPT_SECONDS > (29 + 14) * 24 * 60 * 60 > KEY_KEPT_MS // 1000
