"""Moments, as people write them."""

import re
from datetime import UTC, datetime, timedelta

from ops import OpsError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(option: str, text: str, now: datetime) -> datetime:
    """`2h` is two hours ago; anything else is ISO 8601, in UTC unless it says otherwise. Raises OpsError."""
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text)
    try:
        if ago:
            when = now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        else:
            when = datetime.fromisoformat(text)
            when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = "30m, 2h or 7d (ago), or 2026-01-31T12:00:00Z"
        raise OpsError(f"{option} {text!r} is not a time: write {wanted} (make: {option[2:].upper()}=2h)") from None
    if when > now:
        raise OpsError(f"{option} {text} is in the future")
    return when
