"""The way into the basket service for shoppers: HTTP."""

from __future__ import annotations

import os
import uuid

from basket import baskets
from basket.baskets import (
    Basket,
    BasketFull,
    CheckoutRequest,
    NothingToCheckOut,
    QuantityRequest,
)
from eventflow import telemetry
from eventflow.api import Api, Response
from eventflow.contracts import ProductId
from eventflow.events import Pieces
from eventflow.prices import MixedCurrencies, Price, UnknownProduct, quote
from eventflow.store import Table
from eventflow.transition import Change, transition

BASKETS = Table(os.environ["BASKETS_TABLE"], "userId", Basket)
PRICES = Table(os.environ["PRICES_TABLE"], "productId", Price)

api = Api(domain_problems={UnknownProduct: 422, MixedCurrencies: 422, BasketFull: 422, NothingToCheckOut: 409})


@api.router.get("/basket")
def show() -> Response[str]:
    stored = BASKETS.read(api.caller.user_id)
    return _answer(stored.state if stored else None)


@api.router.put("/basket/items/<product_id>")
def put(product_id: str) -> Response[str]:
    user_id = api.caller.user_id
    wanted = Pieces(
        product_id=api.checked("productId", product_id, ProductId), quantity=api.body(QuantityRequest).quantity
    )
    quote([wanted], PRICES.read_many([wanted.product_id]))
    return _answer(transition(BASKETS, user_id, lambda basket: baskets.put(basket, user_id, wanted)))


@api.router.delete("/basket/items/<product_id>")
def take_out(product_id: str) -> Response[str]:
    key = api.checked("productId", product_id, ProductId)
    return _answer(transition(BASKETS, api.caller.user_id, lambda basket: baskets.take_out(basket, key)))


@api.router.delete("/basket")
def empty() -> Response[str]:
    return _answer(transition(BASKETS, api.caller.user_id, baskets.empty))


@api.router.post("/basket/checkout")
def check_out() -> Response[str]:
    user_id, shipping = api.caller.user_id, api.body(CheckoutRequest).shipping()
    key = api.idempotency_key()
    checkout_id = baskets.checkout_id_for(user_id, key) if key else str(uuid.uuid4())
    telemetry.follow(checkout_id)

    def decide(seen: Basket | None) -> Change[Basket] | None:
        basket = baskets.to_check_out(seen, checkout_id)
        if basket is None:
            return None
        priced = quote(basket.items, PRICES.read_many(each.product_id for each in basket.items))
        return baskets.check_out(basket, checkout_id, priced, shipping)

    transition(BASKETS, user_id, decide)
    return api.answer({"orderId": checkout_id}, status=202, headers=api.location(f"/orders/{checkout_id}"))


def _answer(basket: Basket | None) -> Response[str]:
    """The basket at today's prices."""
    products = [each.product_id for each in basket.items] if basket else []
    return api.answer(baskets.shown(basket, PRICES.read_many(products) if products else {}))


handler = api.handler
