"""Shows orders on their way: a live table on a terminal, one line per change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.plans import Order

Seen = Mapping[str, Mapping[str, Any]]
"""Orders as the API shows them, by id."""

COLOURS = {
    "PENDING": "yellow",
    "PAID": "cyan",
    "RESERVED": "cyan",
    "CONFIRMED": "green",
    "PAYMENT_FAILED": "red",
    "INVENTORY_FAILED": "red",
    "CANCELLED": "magenta",
}


def watch(orders: Sequence[Order], look: Callable[[], Seen], seconds: float, console: Console) -> None:
    """Keep the orders up to date until all have ended, for `seconds` at most."""
    deadline = time.monotonic() + seconds
    with Live(console=console, transient=True) if console.is_terminal else nullcontext() as live:
        while not all(order.ended for order in orders) and time.monotonic() < deadline:
            seen = look()
            for order in orders:
                if not order.ended and order.order_id in seen:
                    change = _update(order, seen[order.order_id])
                    if change and not live:
                        console.print(change)
            if live:
                live.update(_table(orders))
            time.sleep(0.1)
    console.print(_table(orders))


def _update(order: Order, seen: Mapping[str, Any]) -> str:
    """Take over the new state; returns the change in words, "" where there is none."""
    before, status = order.status, str(seen["status"])
    order.status, order.total = status, money(seen["totalPrice"], seen["currency"])
    order.seconds = time.monotonic() - order.placed_at
    return f"  order {order.number:2}  {before:8} -> {status}" if status != before else ""


def money(minor_units: int, currency: str) -> str:
    """1999 as 19.99 USD: for currencies of two decimals, as the demo's is."""
    return f"{minor_units // 100:,}.{minor_units % 100:02} {currency}"


def _table(orders: Sequence[Order]) -> Table:
    table = Table("order", "shopper", "products", "story", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("total", justify="right")
    table.add_column("status")
    table.add_column("secs", justify="right")
    for order in orders:
        table.add_row(
            order.order_id[:8],
            order.shopper.username.partition("@")[0],
            ", ".join(f"{quantity} {product_id}" for product_id, quantity in order.pieces.items()),
            order.plan.story,
            order.total,
            f"[{COLOURS.get(order.status, 'white')}]{order.status or '...'}",
            f"{order.seconds:.1f}" if order.ended else "",
        )
    return table
