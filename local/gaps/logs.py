"""What Lambda itself writes into a function's log."""

import json
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ministack.services import cloudwatch_logs, lambda_svc

from local.gaps.context import holding

Json = dict[str, Any]

PLATFORM = re.compile(r"(START|END|REPORT) RequestId: ")


def honour_the_system_log_level() -> None:
    """A function that logs in JSON says how much of Lambda's own lines it wants: with WARN, of an invocation that went
    well there are none, and of any other the report is left, with its status (Lambda Developer Guide, "Log-level
    filtering", "System log level event mapping"). The emulator writes START, END and REPORT in any case.
    """
    emit, append = lambda_svc._emit_lambda_logs, cloudwatch_logs._append_log_events
    failed: ContextVar[str | None] = ContextVar("failed", default=None)

    def emit_logs(function: Json, request_id: str, text: str, error: bool, ms: int, **named: Any) -> None:
        logging = (function.get("config") or function).get("LoggingConfig") or {}
        if logging.get("LogFormat") != "JSON" or logging.get("SystemLogLevel", "INFO") != "WARN":
            emit(function, request_id, text, error, ms, **named)
            return
        with holding(failed, request_id if error else ""):
            emit(function, request_id, text, error, ms, **named)

    def append_log_events(stream: Json, events: list[Json]) -> None:
        request_id = failed.get()
        if request_id is None:
            append(stream, events)
            return
        kept = [event for event in events if not PLATFORM.match(event["message"])]
        if request_id and events:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            record = {"requestId": request_id, "status": "error"}
            report = {"time": now, "type": "platform.report", "record": record}
            kept.append({**events[-1], "message": json.dumps(report)})
        append(stream, kept)

    lambda_svc._emit_lambda_logs = emit_logs
    cloudwatch_logs._append_log_events = append_log_events
