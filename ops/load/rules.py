"""What must hold for all orders of a run, read from outside: the API, the services' tables, the failed queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ops.ends import PAID, SET_ASIDE
from ops.load.driver import Order
from ops.load.shop import Shop
from ops.smoke.before import failure_rate
from payment.gateway import declines

SHOWN = 3
"""Of the orders that break a rule, how many are named."""


def broken_rules(shop: Shop, orders: Sequence[Order], waiting_before: Mapping[str, int]) -> list[str]:
    """A sentence for each rule that is broken, with the first orders that break it."""
    from ops.smoke.waiting import until  # its errors are of no use here: all rules are looked at

    def look() -> list[str]:
        return list(_broken(shop, orders, waiting_before))

    class StillBroken(Exception):
        pass

    def give_up(_: list[str]) -> Exception:
        return StillBroken()

    try:
        return until(look, lambda broken: not broken, shop.at.patience.order, give_up, 2.0)  # type: ignore[arg-type]
    except StillBroken:
        return look()


def _broken(shop: Shop, orders: Sequence[Order], waiting_before: Mapping[str, int]) -> Iterator[str]:
    rate = failure_rate(shop.at)
    accepted = [order for order in orders if order.accepted]
    unended = [order for order in accepted if not order.ended]
    if unended:
        yield f"{_named(unended)} did not end: make logs ORDER={unended[0].order_id} STACK_NAME={shop.at.name}"
    ended = [order for order in orders if order.ended]
    surprising = [
        order for order in ended if order.ended != ("PAYMENT_FAILED" if declines(order.order_id, rate) else "CONFIRMED")
    ]
    if surprising:
        yield f"{_named(surprising)} did not end as the payment gateway decides: {surprising[0].ended}"

    ids = [order.order_id for order in ended]
    for table, allowed in (("PaymentsTable", PAID), ("ReservationsTable", SET_ASIDE)):
        rows = shop.rows(table, ids)
        wrong = [
            order
            for order in ended
            if rows.get(order.order_id, {}).get("status", "missing") not in allowed[order.ended]
        ]
        if wrong:
            status = rows.get(wrong[0].order_id, {}).get("status", "missing")
            yield f"{_named(wrong)} {wrong[0].ended}, but in {table} it is {status}"

    # a request that failed may have made its order, and the answer was lost: an order like any other
    sold = Counter(order.product for order in orders if order.ended == "CONFIRMED")
    for product in shop.products:
        there, wanted = shop.stock_of(product), shop.stocked - sold[product]
        if there != wanted:
            yield f"there are {there} pieces of {product}, not {wanted}: {shop.stocked} less {sold[product]} confirmed"

    for queue in shop.at.queues:
        if (now := shop.at.waiting_in(queue)) > waiting_before.get(queue.service, 0):
            more = now - waiting_before.get(queue.service, 0)
            yield f"{more} more event(s) in the failed queue of {queue.service}: make failed STACK_NAME={shop.at.name}"


def _named(orders: Sequence[Order]) -> str:
    named = ", ".join(order.order_id for order in orders[:SHOWN])
    more = f" and {len(orders) - SHOWN} more" if len(orders) > SHOWN else ""
    return f"{'order' if len(orders) == 1 else 'orders'} {named}{more}"
