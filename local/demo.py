"""Sells the demo's products, places its orders through the API, and shows every saga on its way to its end."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from rich.console import Console

from local.cloud import CloudError
from local.people import People
from local.plans import CURRENCY, PLANS, PRODUCTS, SHIPPING, Order, Product, orders_of
from local.stack import Stack
from local.watch import watch
from ops.api import Api, ErrorAnswer

PLACED_AT_ONCE = 4
SAGA_SECONDS = 60  # a saga takes about one; with cold Lambdas on a busy machine, many
PRICED_SECONDS = 30  # a product is in the price lists within one or two, or as many when cold


def sell(stack: Stack, people: People) -> None:
    """Have the products in the catalog, in stock and in the price lists. What the catalog has is left as it is."""
    operator = Api(stack.api_url, people.operator.token)
    for product in PRODUCTS:
        about = {"name": product.name, "category": product.category, "unitPrice": product.unit_price}
        try:
            operator.call("POST", "/products", {"productId": product.product_id, "currency": CURRENCY, **about})
        except ErrorAnswer as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        _restock(operator, product)
    for product in PRODUCTS:
        _put(operator, product.product_id, 1)  # which waits for basket's price list, if not for that of orders
    operator.call("DELETE", "/basket")


def _restock(operator: Api, product: Product) -> None:
    """As many pieces as the demo counts on, whatever an earlier one left."""
    path = f"/inventory/{product.product_id}"
    try:
        there = operator.call("GET", path)["availableQty"]
    except ErrorAnswer as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        there = 0
    if missing := product.stock - there:
        adjustment = {"by": missing, "reason": "make up"}
        operator.call("POST", f"{path}/adjustments", adjustment, Idempotency_Key=str(uuid.uuid4()))


def run(stack: Stack, people: People, console: Console) -> list[Order]:
    """The orders, all of which have ended. Raises CloudError if one does not end as planned."""
    orders = orders_of([people.shopper, people.other_shopper], int(stack.parameters["PaymentFailureRate"]))
    with ThreadPoolExecutor(PLACED_AT_ONCE) as tills:
        placing = [tills.submit(_place, stack.api_url, order) for order in orders]
        watch(orders, lambda: _newest(stack.api_url, people), SAGA_SECONDS, console)
        for order_placed in placing:
            order_placed.result()
    _require_ends(orders)
    return orders


def _place(api_url: str, order: Order) -> None:
    api = Api(api_url, order.shopper.token)
    if order.plan.by_basket:
        _check_out(api, order)
        return

    lines = [{"productId": product_id, "quantity": quantity} for product_id, quantity in order.pieces.items()]

    def post() -> Any:
        order.placed_at = time.monotonic()
        return api.call("POST", "/orders", lines[0] if len(lines) == 1 else {"items": lines}, Idempotency_Key=order.key)

    order.status = _once_priced(post)["status"]
    if order.plan.cancelled:
        api.call("POST", f"/orders/{order.order_id}/cancel")


def _check_out(api: Api, order: Order) -> None:
    api.call("DELETE", "/basket")  # an interrupted demo, or the shopper, may have left something in it
    for product_id, quantity in order.pieces.items():
        _put(api, product_id, quantity)
    order.placed_at = time.monotonic()
    order.order_id = api.call("POST", "/basket/checkout", SHIPPING, Idempotency_Key=order.key)["orderId"]


def _put(api: Api, product_id: str, quantity: int) -> None:
    """Set the quantity in the basket."""
    _once_priced(lambda: api.call("PUT", f"/basket/items/{product_id}", {"quantity": quantity}))


def _once_priced(call: Callable[[], Any]) -> Any:
    """Its answer, once the price list knows the product: until then it is 422."""
    deadline = time.monotonic() + PRICED_SECONDS
    while True:
        try:
            return call()
        except ErrorAnswer as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _newest(api_url: str, people: People) -> dict[str, dict[str, Any]]:
    """Each shopper's newest orders, by id."""
    tokens = people.shopper.token, people.other_shopper.token
    newest = [Api(api_url, token).call("GET", f"/orders?limit={len(PLANS)}")["items"] for token in tokens]
    return {order["orderId"]: order for items in newest for order in items}


def _require_ends(orders: list[Order]) -> None:
    stuck = [order for order in orders if not order.ended]
    if stuck:
        first, others = stuck[0], f" (and {len(stuck) - 1} more)" if len(stuck) > 1 else ""
        raise CloudError(
            f"order {first.order_id}{others} is {first.status or 'not there'} after {SAGA_SECONDS} s, "
            f"not {' or '.join(sorted(first.plan.ends))}; the functions' logs: .local/emulator.log"
        )
