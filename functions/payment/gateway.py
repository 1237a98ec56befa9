"""The payment provider: its interface, and the simulated one.

How two real providers would answer, and how long they remember, is in docs/payment-gateway.md.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Protocol

import msgspec

from eventflow import clock
from eventflow.contracts import OrderId
from eventflow.transition import Change, Rows, transition


@dataclass(frozen=True)
class Money:
    """An amount in the currency's minor units."""

    amount: int
    currency: str


class Approved(msgspec.Struct, frozen=True, tag=True, rename="camel"):
    payment_id: str


class Declined(msgspec.Struct, frozen=True, tag=True):
    reason: str


class CalledOff(msgspec.Struct, frozen=True, tag=True):
    """Refused, because the key was called off before."""


Answer = Approved | Declined | CalledOff

KEY_KEPT_MS = 24 * 60 * 60 * 1000
"""How long a charge may be asked for again with the same idempotency key: a provider that has forgotten the key would
charge once more. Milliseconds. Stripe: "at least 24 hours" (https://docs.stripe.com/api/idempotent_requests).
"""


class Gateway(Protocol):
    """A payment provider. Each call may be repeated with one idempotency key, and acts and answers as the first did;
    a charge within KEY_KEPT_MS of the first one, the others at any time.

    They raise when the provider cannot be reached; the event that led to the call then comes again.
    """

    def charge(self, order_id: OrderId, total: Money | None, *, idempotency_key: str) -> Answer:
        """Take `total`. It is None for an order whose event has no prices: a real provider's adapter declines that one,
        for Approved confirms the order with nothing paid.
        """

    def call_off(self, idempotency_key: str) -> Approved | None:
        """The payment that was made under this key; or None, which is the promise that none will be made.

        The promise is final: a charge that is still on its way, or that comes later, is answered CalledOff (or
        Declined, if it was before).
        """

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None: ...


def declines(order_id: OrderId, failure_rate: int) -> bool:
    """Whether the simulated provider declines this order, at `failure_rate` percent of all orders.

    A hash and not a die, so that a replay of an order's events agrees with what happened.
    """
    return int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:8], "big") % 100 < failure_rate


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the simulated provider answered under a key, the first time."""

    idempotency_key: str
    answer: Answer
    expires_at: int
    """Seconds since 1970, for DynamoDB's time to live."""


KEPT_SECONDS = 90 * 24 * 60 * 60
"""Longer than an event may still come: it is replayed for 29 days at most, and may then be in a queue for 14."""


class SimulatedGateway:
    """A provider without a provider. A real one remembers its payments; this one keeps its answers in `rows`."""

    def __init__(self, rows: Rows[Kept], failure_rate: int) -> None:
        self._rows = rows
        self._failure_rate = failure_rate

    def charge(self, order_id: OrderId, total: Money | None, *, idempotency_key: str) -> Answer:
        if declines(order_id, self._failure_rate):
            return self._first(idempotency_key, Declined("payment declined"))
        return self._first(idempotency_key, Approved(str(uuid.uuid5(uuid.NAMESPACE_OID, idempotency_key))))

    def call_off(self, idempotency_key: str) -> Approved | None:
        answer = self._first(idempotency_key, CalledOff())
        return answer if isinstance(answer, Approved) else None

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None:
        pass

    def _first(self, key: str, answer: Answer) -> Answer:
        """Keep `answer` unless there is one; the one that is kept. One conditional write, so the first one wins."""
        kept = Kept(idempotency_key=key, answer=answer, expires_at=clock.now() // 1000 + KEPT_SECONDS)
        first = transition(self._rows, key, lambda seen: None if seen else Change(kept), probably_new=True)
        return first.answer if first else answer
