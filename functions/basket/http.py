"""The way into the basket service for shoppers: HTTP."""

from __future__ import annotations

import os
import uuid

from basket import baskets
from basket.baskets import (
    Basket,
    BasketFull,
    CheckedOut,
    CheckoutRequest,
    CurrentTotal,
    NothingToCheckOut,
    QuantityRequest,
    ShownBasket,
    TotalChanged,
)
from eventflow import clock, telemetry
from eventflow.api import Accepted, Answer, Api, Problem
from eventflow.contracts import ProductId
from eventflow.events import Pieces
from eventflow.keys import AlreadyUsed, KeyReused, Use
from eventflow.once import Keys, Once
from eventflow.prices import MixedCurrencies, Price, UnknownProduct, quote
from eventflow.store import Table
from eventflow.transition import Change, transition

BASKETS = Table(os.environ["BASKETS_TABLE"], "userId", Basket)
PRICES = Table(os.environ["PRICES_TABLE"], "productId", Price)

KEYS = Keys(os.environ["IDEMPOTENCY_TABLE"])

api = Api(
    domain_problems={
        UnknownProduct: 422,
        MixedCurrencies: 422,
        BasketFull: 422,
        NothingToCheckOut: 409,
        KeyReused: 422,
    }
)


@api.router.get("/basket")
def show() -> Answer[ShownBasket]:
    """Show the basket, at today's prices."""
    stored = BASKETS.read(api.caller.user_id)
    return _answer(stored.state if stored else None)


@api.router.put("/basket/items/<product_id>")
def put(product_id: str) -> Answer[ShownBasket]:
    """Have so many of a product in the basket."""
    user_id = api.caller.user_id
    wanted = Pieces(
        product_id=api.checked("productId", product_id, ProductId), quantity=api.body(QuantityRequest).quantity
    )
    quote([wanted], PRICES.read_many([wanted.product_id]))
    return _answer(transition(BASKETS, user_id, lambda basket: baskets.put(basket, user_id, wanted)))


@api.router.delete("/basket/items/<product_id>")
def take_out(product_id: str) -> Answer[ShownBasket]:
    """Have none of a product in the basket."""
    key = api.checked("productId", product_id, ProductId)
    return _answer(transition(BASKETS, api.caller.user_id, lambda basket: baskets.take_out(basket, key)))


@api.router.delete("/basket")
def empty() -> Answer[ShownBasket]:
    """Empty the basket."""
    return _answer(transition(BASKETS, api.caller.user_id, baskets.empty))


@api.router.post("/basket/checkout")
def check_out() -> Accepted[CheckedOut]:
    """Order what is in the basket. The order is made a moment later, through a queue."""
    user_id, request, key = api.caller.user_id, api.body(CheckoutRequest), api.idempotency_key()
    order_id = str(uuid.uuid4())
    telemetry.follow(order_id)
    # a request without a key gets one, by which the SDK's repetition of a lost answer is known
    use = Use.of("checkout", user_id, key or order_id, request, answer=order_id, now=clock.now())

    def decide(basket: Basket | None) -> Change[Basket]:
        try:
            return baskets.check_out(basket, order_id, request, _prices_of(basket))
        except baskets.REFUSALS:
            KEYS.check(use)  # asked for again: the basket is empty since, or holds what is for the next order
            raise

    try:
        transition(Once(BASKETS, KEYS, use), user_id, decide)
    except AlreadyUsed as earlier:
        order_id = earlier.answer
        telemetry.follow(order_id)
    except TotalChanged as changed:
        raise Problem(
            409, "Total changed", str(changed), "expectedTotal", more=CurrentTotal.of(changed.quote)
        ) from None
    return api.accepted(CheckedOut(order_id=order_id), f"/orders/{order_id}")


def _prices_of(basket: Basket | None) -> dict[str, Price]:
    return PRICES.read_many(each.product_id for each in basket.items) if basket and basket.items else {}


def _answer(basket: Basket | None) -> Answer[ShownBasket]:
    """The basket at today's prices."""
    return api.answer(baskets.shown(basket, _prices_of(basket)))


handler = api.handler
