"""The payment provider: what EventFlow asks of one, and the simulated one that stands in for it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Protocol

from eventflow.contracts import OrderId


@dataclass(frozen=True)
class Money:
    """An amount in the currency's minor units."""

    amount: int
    currency: str


@dataclass(frozen=True)
class Approved:
    payment_id: str


@dataclass(frozen=True)
class Declined:
    reason: str


class Gateway(Protocol):
    """A payment provider. Both calls may be repeated with one idempotency key, and act and answer as the first did.

    They raise when the provider cannot be reached; the event that led to the call then comes again.
    """

    def charge(self, order_id: OrderId, total: Money | None, *, idempotency_key: str) -> Approved | Declined: ...

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None: ...


def declines(order_id: OrderId, failure_rate: int) -> bool:
    """Whether the simulated provider declines this order, at `failure_rate` percent of all orders.

    A hash and not a die, so that a replay of an order's events agrees with what happened.
    """
    return int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:8], "big") % 100 < failure_rate


class SimulatedGateway:
    """A provider without a provider: it keeps nothing, for its answer depends on the order alone."""

    def __init__(self, failure_rate: int) -> None:
        self._failure_rate = failure_rate

    def charge(self, order_id: OrderId, total: Money | None, *, idempotency_key: str) -> Approved | Declined:
        if declines(order_id, self._failure_rate):
            return Declined("payment declined")
        return Approved(str(uuid.uuid5(uuid.NAMESPACE_OID, idempotency_key)))

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None:
        pass
