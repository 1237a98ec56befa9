"""What goes over the bus, and how EventBridge hands it to a target once relay has published it."""

import json
from typing import Any

from eventflow import events
from eventflow.contracts import Fact
from eventflow.outbox import Announcement

PUBLISHED: list[type[Fact]] = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Fact) and hasattr(kind, "SOURCE")
]


def delivered(announcement: Announcement, delivery: str = "id-of-eventbridge") -> dict[str, Any]:
    return {
        "version": "0",
        "id": delivery,
        "source": announcement.source,
        "detail-type": announcement.detail_type,
        "time": "2026-01-31T12:00:00Z",
        "detail": json.loads(announcement.detail),
    }
