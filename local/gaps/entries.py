"""What PutEvents makes of an entry."""

import json
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from ministack.services import eventbridge

from local.gaps.context import holding
from local.gaps.traces import cause

Json = dict[str, Any]


def honour_time_and_trace_of_entries() -> None:
    """PutEvents stamps an event with its entry's Time, and carries its TraceHeader to the targets
    (EventBridge API Reference, "PutEventsRequestEntry"). The emulator drops both.
    """
    put_all, dispatch = eventbridge._put_events, eventbridge._dispatch_event
    current: ContextVar[Json | None] = ContextVar("current", default=None)

    def put_events(data: Json, allow_aws_source: bool = False) -> Any:
        entries = data.get("Entries", [])
        if not 1 <= len(entries) <= 10:
            return put_all(data, allow_aws_source)  # refuses them
        answers = []
        for entry in entries:
            with holding(current, entry), holding(cause, entry.get("TraceHeader") or cause.get()):
                status, headers, body = put_all({**data, "Entries": [entry]}, allow_aws_source)
                answers.append(json.loads(body))
        together = {
            "FailedEntryCount": sum(answer["FailedEntryCount"] for answer in answers),
            "Entries": [result for answer in answers for result in answer["Entries"]],
        }
        return status, headers, json.dumps(together).encode()

    def dispatch_event(event: Json, view: Any = None) -> None:
        entry = current.get() or {}
        if "Time" in entry:
            event["Time"], view = _epoch_seconds(entry["Time"]), None
        dispatch(event, view)

    eventbridge._put_events = put_events
    eventbridge._dispatch_event = dispatch_event


def _epoch_seconds(time: str | float) -> int:
    """An instant as the SDKs send it: a number of seconds, or ISO 8601."""
    return int(datetime.fromisoformat(time).timestamp() if isinstance(time, str) else time)
