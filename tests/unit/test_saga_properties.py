"""A saga ends right in any order of arrival, after any number of deliveries, and after any crash or lost answer.

The simulator (docs/reliability.md) runs the handlers themselves. Only here an event is sent once more under another
eventId, a provider forgets its keys, and many small orders share three products: some hundred sagas a second.
"""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

import orders.orders as order
from eventflow.events import Line
from inventory.stock import Status as Stock
from payment.gateway import Money
from payment.payments import Status as Payment

from .saga_world import AGAIN, Choices, World

PRODUCTS = ("mug", "lamp", "poster")

lines = st.lists(
    st.builds(Line, product_id=st.sampled_from(PRODUCTS), quantity=st.integers(1, 4)),
    min_size=1,
    max_size=3,
    unique_by=lambda line: line.product_id,
).map(tuple)
stock_levels = st.fixed_dictionaries({product: st.integers(0, 8) for product in PRODUCTS})
order_ids = st.sets(st.sampled_from("ABCD"))
choices = st.binary(min_size=100, max_size=200)


@settings(max_examples=300)
@given(stock_levels, st.lists(lines, min_size=1, max_size=4), order_ids, order_ids, order_ids, choices)
def test_every_order_ends_and_nothing_is_lost_or_done_twice(levels, placed, declined, cancelled, vetoed, numbers):
    # given orders on a shared stock, some of which the gateway declines, the shopper cancels, another service vetoes
    world = World(dict(levels), Choices(numbers), declined, cancelled, vetoed)
    orders = dict(zip("ABCD", placed, strict=False))
    for order_id, wanted in orders.items():
        world.place(order_id, wanted)

    # when everything is delivered, at least once, in whatever order, with crashes
    world.run()

    # then each order ended, as its vetoes demand, and payment and stock agree with its end
    ends = {order_id: world.orders.kept[order_id].state.status for order_id in orders}
    assert all(ends[order_id].is_off for order_id in orders.keys() & (declined | cancelled | vetoed))
    for order_id, end in ends.items():
        paid = world.payments.kept[order_id].state.status
        reserved = world.reservations.kept[order_id].state.status
        if end is order.Status.CONFIRMED:
            assert (paid, reserved) == (Payment.SUCCEEDED, Stock.RESERVED)
        else:
            assert end.is_off, f"order {order_id} did not end: {end}"
            assert paid in (Payment.FAILED, Payment.CANCELLED, Payment.REFUNDED)
            assert reserved in (Stock.REFUSED, Stock.CANCELLED, Stock.RELEASED)

    # and money was taken once for what stands, and given back once for what does not
    gateway = world.gateway
    charges, refunds = Counter(gateway.payments.values()), Counter(gateway.refunded.values())
    assert max(charges.values(), default=0) <= 1
    assert max(refunds.values(), default=0) <= 1
    confirmed = {order_id for order_id, end in ends.items() if end is order.Status.CONFIRMED}
    assert {order_id for payment, order_id in gateway.payments.items() if not refunds[payment]} == confirmed

    # and what was called off was not charged, under whatever key
    called_off = {
        order_id for order_id in orders if world.payments.kept[order_id].state.idempotency_key in gateway.promised
    }
    assert not called_off & charges.keys()

    # and no piece of stock came or went
    for product in PRODUCTS:
        sold = sum(line.quantity for order_id in confirmed for line in orders[order_id] if line.product_id == product)
        assert world.stock[product] + sold == levels[product]

    # and each fact was announced once, and no money came back that was not told to be taken before
    facts = [(a.detail_type, msgspec.json.decode(a.detail)) for a in world.announcements]
    told = [(kind, fact["orderId"]) for kind, fact in facts]
    assert len(set(told)) == len(told), told
    taken, given_back = ({it for it in told if it[0] == kind} for kind in ("PaymentSucceeded", "PaymentRefunded"))
    assert {order_id for _, order_id in taken} == charges.keys()
    assert {order_id for _, order_id in given_back} == charges.keys() - confirmed
    for refunded, order_id in given_back:
        assert told.index(("PaymentSucceeded", order_id)) < told.index((refunded, order_id))

    # and each names its order and its cause
    ids = {a.id: (a.detail_type, fact["orderId"]) for a, (_, fact) in zip(world.announcements, facts, strict=True)}
    for kind, fact in facts:
        if kind.startswith("Order"):
            continue
        order_id = fact["orderId"]
        cause = ids[fact["metadata"]["causationId"].removesuffix(AGAIN)]
        assert cause in {("OrderCreated", order_id), ("OrderCancelled", order_id)}, (kind, cause)
        if kind in ("PaymentSucceeded", "PaymentRefunded"):
            assert Money(fact["amount"], fact["currency"]) == world.total(order_id)
            assert gateway.payments[fact["paymentId"]] == order_id
        if kind in ("InventoryReserved", "InventoryReleased"):
            assert msgspec.convert(fact["items"], tuple[Line, ...]) == orders[order_id]
