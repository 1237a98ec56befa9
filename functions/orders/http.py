"""The way into the orders service for shoppers: HTTP."""

from __future__ import annotations

import os
import uuid
from typing import Annotated

import msgspec
from msgspec import UNSET

from eventflow import clock, telemetry
from eventflow.api import Answer, Api, Caller, Created, Page, forbidden, invalid, not_found
from eventflow.attributes import to_attributes
from eventflow.contracts import OrderId, UserId
from eventflow.keys import KeyReused
from eventflow.prices import MixedCurrencies, Price, UnknownProduct, quote
from eventflow.store import Table
from eventflow.transition import Change, transition
from orders import orders
from orders.measures import Watched
from orders.orders import Order, OrderRequest, ShownOrder

ORDERS = Table(os.environ["ORDERS_TABLE"], "orderId", Order)

PRICES = Table(os.environ["PRICES_TABLE"], "productId", Price)

api = Api(domain_problems={KeyReused: 422, UnknownProduct: 422, MixedCurrencies: 422})


@api.router.post("/orders")
def place() -> Created[ShownOrder]:
    """Place an order. Asked again with the same Idempotency-Key, it is the same order, as it is by now."""
    request = api.body(OrderRequest)
    caller = api.caller
    user_id = caller.user_id if request.user_id is UNSET else request.user_id
    if user_id != caller.user_id and not caller.operator:
        raise forbidden("only an operator may order for someone else", field="userId")
    key = api.idempotency_key()
    order_id = orders.order_id_for(caller.user_id, key) if key else str(uuid.uuid4())
    telemetry.follow(order_id)
    wanted, now = request.pieces, clock.now()

    def decide(existing: Order | None) -> Change[Order] | None:
        if existing is not None:
            orders.refuse_another_request(existing, user_id, wanted)
            return None
        prices = PRICES.read_many((each.product_id for each in wanted), consistent=False)  # it lags behind anyway
        return orders.accept(order_id, user_id, quote(wanted, prices), now=now)

    try:
        stored = transition(ORDERS, order_id, decide, probably_new=True)
    except (UnknownProduct, MixedCurrencies):
        if not key:
            raise
        # what is no longer sold so may have been when this was first asked for
        stored = transition(ORDERS, order_id, decide)
    assert stored
    return api.created(stored.shown(), f"/orders/{order_id}")


class Position(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The last order of a page."""

    created_at: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    order_id: OrderId


@api.router.get("/orders")
def newest_first() -> Answer[Page[ShownOrder]]:
    """List a shopper's orders, newest first. Only an operator sees those of others."""
    caller = api.caller
    user_id = api.checked("userId", api.query("userId") or caller.user_id, UserId)
    if user_id != caller.user_id and not caller.operator:
        raise not_found(f"user {user_id}")
    first, last = api.instant("from", "0001-01-01"), api.instant("to", "9999-12-31")
    if first > last:
        raise invalid("to", "earlier than `from`")
    after = api.cursor(Position)
    if after and not first <= after.created_at <= last:
        raise invalid("cursor", "not a cursor of this list: it ended outside of `from` and `to`")
    page, more = ORDERS.page(
        "byUser",
        api.limit(),
        partition=("userId", user_id),
        between=("createdAt", first, last),
        after=to_attributes(after) if after else None,
        descending=True,
        of_keys=True,
    )
    end = page[-1] if more else None
    return api.page([order.shown() for order in page], Position(end.created_at, end.order_id) if end else None)


@api.router.get("/orders/<order_id>")
def read(order_id: str) -> Answer[ShownOrder]:
    """Read an order. Another shopper's does not exist."""
    order_id = api.checked("orderId", order_id, OrderId)
    telemetry.follow(order_id)
    stored = ORDERS.read(order_id)
    return api.answer(_visible_to(api.caller, order_id, stored.state if stored else None).shown())


@api.router.post("/orders/<order_id>/cancel")
def cancel(order_id: str) -> Answer[ShownOrder]:
    """Call an order off, even a confirmed one: what was done for it is undone."""
    order_id = api.checked("orderId", order_id, OrderId)
    telemetry.follow(order_id)
    caller = api.caller

    @Watched
    def decide(order: Order | None) -> Change[Order] | None:
        return orders.cancel(_visible_to(caller, order_id, order), caller.user_id, clock.now())

    cancelled = transition(ORDERS, order_id, decide)
    decide.count_end()
    assert cancelled
    return api.answer(cancelled.shown())


def _visible_to(caller: Caller, order_id: str, order: Order | None) -> Order:
    if order is None or not (caller.operator or order.user_id == caller.user_id):
        raise not_found(f"order {order_id}")
    return order


handler = api.handler
