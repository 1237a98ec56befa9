"""What a run comes to, in lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.load.driver import Order

SHOWN = (50, 90, 99, 100)


def percentile(ascending: Sequence[float], of: float) -> float:
    """The smallest value that this percentage of all values does not exceed (nearest rank)."""
    return ascending[max(0, math.ceil(len(ascending) * of / 100) - 1)]


def summed_up(orders: Sequence[Order], rate: float) -> Iterator[str]:
    answered = [order for order in orders if order.answered_at is not None]
    accepted = [order for order in orders if order.accepted]
    ended = [order for order in orders if order.ended]
    if answered:
        seconds = max(order.answered_at or 0 for order in answered)
        throughput = len(accepted) / max(seconds, 1 / rate)
        yield f"Accepted     {len(accepted)} of {len(orders)} orders, {throughput:.1f} a second"
    latencies = sorted(order.latency for order in answered if order.latency is not None)
    if latencies:
        yield f"Latency      {_percentiles(latencies, 1000, 'ms')} (of POST /orders, from when it was due)"
    sagas = sorted(order.saga_seconds for order in ended if order.saga_seconds is not None)
    if sagas:
        yield f"Saga         {_percentiles(sagas, 1, 's')} (from created to its end)"
    ends = Counter(order.ended or "still open" for order in accepted)
    yield f"Ended        {', '.join(f'{number} {name}' for name, number in ends.most_common()) or 'none'}"
    refused = Counter(f"{order.status or 'no answer'} {order.problem}" for order in orders if not order.accepted)
    yield f"Not accepted {', '.join(f'{number} {name}' for name, number in refused.most_common()) or 'none'}"


def _percentiles(ascending: Sequence[float], factor: float, unit: str) -> str:
    digits = 0 if unit == "ms" else 1
    values = (f"p{of} {percentile(ascending, of) * factor:.{digits}f}" for of in SHOWN[:-1])
    return f"{', '.join(values)}, most {ascending[-1] * factor:.{digits}f} {unit}"
