"""A model of one product that many want at once: how long a reservation takes, by how its stock is kept.

`one row` and `N rows` are the code of today (`transition`, `Patience`): a transaction that meets another one on its row
is refused at once, waits for a random time, and tries again, for eight seconds. With N rows each order draws one of
them. `batches` is a queue before reservations, from which one function at a time takes up to 99 orders and reserves
for all of them in one transaction.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from eventflow.transition import LONGEST_PAUSE, PATIENCE, SHORTEST_PAUSE

TRANSACTION_SECONDS = 0.010
"""How long a transaction has a row in hand. An assumption: DynamoDB answers one in about that time."""

BATCH_SECONDS = 0.030
"""The same of a transaction of up to 99 reservations."""

MOST_IN_A_BATCH = 99
"""A transaction takes 100 items: the stock and these."""

SECONDS = 20.0
"""How long orders come in the model."""


@dataclass(frozen=True)
class Result:
    """Of all orders: seconds to reserve at the median and at the 99th percentile, and the share that gave up (they come
    again in a minute, by Lambda's retry).
    """

    median: float
    p99: float
    gave_up: float


def retried(rate: float, rows: int, seed: int = 1) -> Result:
    """Orders of one product at `rate` a second, its stock in so many rows."""
    random_ = random.Random(seed)
    free_at = [0.0] * rows
    took: list[float] = []
    gave_up = 0
    # (when, a number that breaks ties, when it came, waits so far, row)
    attempts: list[tuple[float, int, float, int, int]] = []
    at, number = 0.0, 0
    while (at := at + random_.expovariate(rate)) < SECONDS:
        number += 1
        attempts.append((at, number, at, 0, random_.randrange(rows)))
    heapq.heapify(attempts)
    orders = number
    while attempts:
        now, _, came, waits, row = heapq.heappop(attempts)
        if free_at[row] <= now:
            free_at[row] = now + TRANSACTION_SECONDS
            took.append(now + TRANSACTION_SECONDS - came)
            continue
        pause = random_.uniform(0, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**waits))
        if now + pause > came + PATIENCE:
            gave_up += 1
            continue
        number += 1
        heapq.heappush(attempts, (now + pause, number, came, waits + 1, row))
    return _result(took, gave_up, orders)


def batches(rate: float, seed: int = 1) -> Result:
    """The same through a queue: nobody is refused, so nobody gives up; what comes too fast waits."""
    random_ = random.Random(seed)
    came: list[float] = []
    at = 0.0
    while (at := at + random_.expovariate(rate)) < SECONDS:
        came.append(at)
    took: list[float] = []
    now, next_ = 0.0, 0
    while next_ < len(came):
        now = max(now, came[next_])
        end = next_
        while end < len(came) and came[end] <= now and end - next_ < MOST_IN_A_BATCH:
            end += 1
        now += BATCH_SECONDS
        took += [now - each for each in came[next_:end]]
        next_ = end
    return _result(took, 0, len(came))


def _result(took: Sequence[float], gave_up: int, orders: int) -> Result:
    ascending = sorted(took) or [float("inf")]
    return Result(
        ascending[len(ascending) // 2], ascending[min(len(ascending) - 1, len(ascending) * 99 // 100)], gave_up / orders
    )
