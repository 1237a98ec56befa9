"""Time as EventFlow writes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(milliseconds: int) -> str:
    """ISO-8601 in UTC, always to the millisecond, so that text sorts as time does."""
    return iso_of(datetime.fromtimestamp(milliseconds / 1000, UTC))


def iso_of(when: datetime) -> str:
    """As `iso`. Raises OverflowError where UTC has no such time."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")
