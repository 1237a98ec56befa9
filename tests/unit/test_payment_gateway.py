"""The simulated provider: its answer is the order's, not chance's, and its rate is what it was set to."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.gateway import Approved, Declined, Money, SimulatedGateway, declines

ORDERS = [str(uuid.UUID(int=n)) for n in range(10_000)]
order_ids = st.text(min_size=1, max_size=64)
rates = st.integers(0, 100)


@given(order_ids, rates, st.tuples(st.text(), st.text()))
def test_an_order_is_answered_alike_whenever_and_by_whichever_sandbox_it_is_charged(order_id, rate, keys):
    answers = [SimulatedGateway(rate).charge(order_id, None, idempotency_key=key) for key in keys]
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
    gateway = SimulatedGateway(0)
    first, again = (gateway.charge(order_id, Money(1999, "USD"), idempotency_key=key) for _ in range(2))
    assert isinstance(first, Approved)
    assert first == again
    assert (gateway.charge(order_id, None, idempotency_key=other) == first) == (other == key)
