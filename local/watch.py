"""Shows orders on their way: a live table on a terminal, one line per change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.plans import Order

COLOURS = {
    "PENDING": "yellow",
    "PAID": "cyan",
    "RESERVED": "cyan",
    "CONFIRMED": "green",
    "PAYMENT_FAILED": "red",
    "INVENTORY_FAILED": "red",
    "CANCELLED": "magenta",
}


def watch(orders: Sequence[Order], statuses: Callable[[], Mapping[str, str]], seconds: float, console: Console) -> None:
    """Keep the orders up to date until all have ended, for `seconds` at most. `statuses` are by order id."""
    deadline = time.monotonic() + seconds
    with Live(console=console, transient=True) if console.is_terminal else nullcontext() as live:
        while not all(order.ended for order in orders) and time.monotonic() < deadline:
            now = statuses()
            for order in orders:
                if not order.ended and order.order_id in now:
                    change = _update(order, now[order.order_id])
                    if change and not live:
                        console.print(change)
            if live:
                live.update(_table(orders))
            time.sleep(0.1)
    console.print(_table(orders))


def _update(order: Order, status: str) -> str:
    """Take the new status over; returns the change in words, "" where there is none."""
    before, order.status = order.status, status
    order.seconds = time.monotonic() - order.placed_at
    return f"  order {order.number:2}  {before:8} -> {status}" if status != before else ""


def _table(orders: Sequence[Order]) -> Table:
    table = Table("order", "shopper", "product", "qty", "story", "status", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("seconds", justify="right")
    for order in orders:
        table.add_row(
            order.order_id[:8],
            order.shopper.username.partition("@")[0],
            order.plan.product,
            str(order.quantity),
            order.plan.story,
            f"[{COLOURS.get(order.status, 'white')}]{order.status or '...'}",
            f"{order.seconds:.1f}" if order.ended else "",
        )
    return table
