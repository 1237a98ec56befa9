"""A client's Idempotency-Key: one request, and its result."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

REMEMBERED_SECONDS = 30 * 24 * 60 * 60
"""Longer than the bus's archive keeps events that may be replayed, so that a replay meets its records."""


class KeyReused(Exception):
    """An Idempotency-Key was used again for another request."""


class AlreadyUsed(Exception):
    """The same request was done before, under this key. `answer` is what came of it."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


class Use(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request under a key. Both may hold personal data, so only digests are kept."""

    id: str
    asked: str
    """The request, under this key. It is only compared with another one."""
    answer: str
    """What comes of it: an id."""
    expiration: int
    """Seconds since 1970. DynamoDB deletes the row some time after."""

    @classmethod
    def of(cls, what: str, scope: str, key: str, request: Any, *, answer: str, now: int) -> Use:
        """One key stands for one request within `scope`: of a shopper, say. `now` is in milliseconds since 1970.

        The digests outlive the code that made them: another order of fields in `request` would refuse repetitions.
        """
        return cls(
            id=f"{what}#{_digest([scope, key])}",
            asked=_digest([scope, key, request]),
            answer=answer,
            expiration=now // 1000 + REMEMBERED_SECONDS,
        )

    def refuse_after(self, earlier: Use) -> None:
        """Raises AlreadyUsed; KeyReused where another request came first."""
        if earlier.asked != self.asked:
            raise KeyReused("this Idempotency-Key was used for another request")
        raise AlreadyUsed(earlier.answer)


def _digest(of: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(of)).hexdigest()
