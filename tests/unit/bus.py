"""What goes over the bus, and how EventBridge hands it to a target once relay has published it."""

import json
import re
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


def failure_record(function: str, qualifier: str) -> dict[str, Any]:
    """What Lambda puts on the bus; a function's ARN is its logical id here."""
    return {
        "source": "lambda",
        "detail-type": "Lambda Function Invocation Result - Failure",
        "detail": {"requestContext": {"functionArn": f"<{function}>:{qualifier}"}, "requestPayload": {}},
    }


def with_names(pattern: Any) -> Any:
    """A pattern in which the ARN of each function is <its logical id>."""
    match pattern:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(\w+)\.Arn\}", r"<\1>", text)
        case dict():
            return {name: with_names(it) for name, it in pattern.items()}
        case list():
            return [with_names(it) for it in pattern]
    return pattern
