"""Places the demo's orders through the API and shows every saga on its way to its end."""

import time
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from local.api import Api
from local.cloud import CloudError
from local.people import People
from local.plans import PLANS, STOCK, Order, orders_of
from local.stack import Stack
from local.watch import watch

PLACED_AT_ONCE = 4
SAGA_SECONDS = 60  # a saga takes about one; with cold Lambdas on a busy machine, many


def run(stack: Stack, people: People, console: Console) -> None:
    """Raises CloudError if an order does not end as planned."""
    operator = Api(stack.api_url, people.operator.token)
    for product, quantity in STOCK.items():
        operator.call("PUT", f"/inventory/{product}", {"availableQty": quantity})

    orders = orders_of([people.shopper, people.other_shopper], int(stack.parameters["PaymentFailureRate"]))
    with ThreadPoolExecutor(PLACED_AT_ONCE) as tills:
        placing = [tills.submit(_place, stack.api_url, order) for order in orders]
        watch(orders, lambda: _statuses(stack.api_url, people), SAGA_SECONDS, console)
        for order_placed in placing:
            order_placed.result()
    _require_ends(orders)


def _place(api_url: str, order: Order) -> None:
    api = Api(api_url, order.shopper.token)
    body = {"productId": order.plan.product, "quantity": order.quantity}
    order.placed_at = time.monotonic()
    answer = api.call("POST", "/orders", body, Idempotency_Key=order.key)
    order.status = answer["status"]
    if order.plan.cancelled:
        api.call("POST", f"/orders/{order.order_id}/cancel")


def _statuses(api_url: str, people: People) -> dict[str, str]:
    """The status of each shopper's newest orders, by order id."""
    tokens = people.shopper.token, people.other_shopper.token
    newest = [Api(api_url, token).call("GET", f"/orders?limit={len(PLANS)}")["items"] for token in tokens]
    return {order["orderId"]: order["status"] for items in newest for order in items}


def _require_ends(orders: list[Order]) -> None:
    stuck = [order for order in orders if not order.ended]
    if stuck:
        first, others = stuck[0], f" (and {len(stuck) - 1} more)" if len(stuck) > 1 else ""
        raise CloudError(
            f"order {first.order_id}{others} is {first.status or 'not placed'} after {SAGA_SECONDS} s, "
            f"not {' or '.join(sorted(first.plan.ends))}; the functions' logs: .local/emulator.log"
        )
