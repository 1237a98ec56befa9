"""One order's log: the lines of all functions that are about it, in the order of time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ops.plain import plain
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LogEvent = Mapping[str, Any]
"""As FilterLogEvents returns it: logStreamName, timestamp (ms), message."""

POLL_SECONDS = 2.0

CALLS_PER_SECOND = 3.0
"""Of FilterLogEvents, while following. AWS allows 5 a second per account and region in most regions (CloudWatch Logs
quotas), and that cannot be raised. The rest is for others."""

CALLS_AT_ONCE = 5
"""In one look at all logs, which is short. Refused calls are repeated."""

LATE = timedelta(minutes=2)
"""By how much CloudWatch may be late with a line."""

AROUND_MS = 60_000
"""How far from an invocation's known lines its others may be: no function runs longer."""

PLATFORM = re.compile(r"(START|END|REPORT) RequestId: |INIT_START |XRAY TraceId: ")
"""Lambda's own lines where a function's log format is text. In JSON they have a `type`, and a `record`."""
SHOWN = ("detailType", "eventId", "causationId", "messageId")
COLOURS = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow"}


@dataclass(frozen=True)
class Group:
    """A log group, and the function that writes it, by its name in the template."""

    name: str
    function: str


@dataclass(frozen=True)
class Line:
    at: datetime
    service: str
    level: str
    message: str
    below: str = ""
    """An exception, in lines of its own."""
    about: Mapping[str, str] = field(default_factory=dict, hash=False)


def groups_of(stacks: Iterable[Stack], lambdas: LambdaClient) -> list[Group]:
    """Where each function of the stacks writes its log."""
    functions = {physical: logical for stack in stacks for logical, physical in stack.functions.items()}

    def group(function: str) -> Group:
        configuration = lambdas.get_function_configuration(FunctionName=function)
        name = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
        return Group(name, functions[function])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(group, sorted(functions)))


@dataclass
class Pace:
    """Keeps calls apart, so that there are at most `per_second` of them."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _next: float = 0.0

    def wait(self) -> None:
        """Returns when the next call may be made."""
        now = self.clock()
        if now < self._next:
            self.pause(self._next - now)
        self._next = max(now, self._next) + 1 / self.per_second


def lines_about(order: str, groups: Iterable[Group], logs: Any, since: datetime) -> list[Line]:
    """All that was logged about an order since then, oldest first; `logs` is a CloudWatchLogs client."""
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        found = pool.map(lambda group: list(_lines(order, group, logs, since)), groups)
    return sorted((line for lines in found for line in lines), key=lambda line: line.at)


def _lines(
    order: str, group: Group, logs: Any, since: datetime, wait: Callable[[], None] = lambda: None
) -> Iterator[Line]:
    """Lines that name the order, and the other lines of the same invocations: Python's of an exception and Lambda's of
    a timeout name nothing. `wait` is called before each call.
    """
    # a term, in quotes, finds lines that are no JSON too, and is what the emulator understands
    request = {"startTime": int(since.timestamp() * 1000), "filterPattern": json.dumps(order)}
    whole = re.compile(rf"(?<![\w-]){re.escape(order)}(?![\w-])")
    naming = [event for event in _events(logs, group, request, wait) if whole.search(event["message"])]
    without_order: list[LogEvent] = []
    for (stream, request_id), times in _invocations(naming).items():
        span = {"startTime": min(times) - AROUND_MS, "endTime": max(times) + AROUND_MS}
        events = _events(logs, group, {"logStreamNames": [stream], **span}, wait)
        without_order += [event for event in _of_invocation(request_id, events) if _belongs(event["message"], order)]
    others = [event for event in naming if event not in without_order]
    return _read([*without_order, *others], group.function)


def _events(logs: Any, group: Group, request: Mapping[str, Any], wait: Callable[[], None]) -> Iterator[LogEvent]:
    token: dict[str, str] = {}
    try:
        while True:
            wait()
            page = logs.filter_log_events(logGroupName=group.name, **request, **token)
            yield from page["events"]
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}
    except logs.exceptions.ResourceNotFoundException:
        return  # the function has never run


def _invocations(events: Iterable[LogEvent]) -> dict[tuple[str, str], list[int]]:
    """When each said something, by log stream and request id."""
    times: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if request_id := _request_id(_fields(event["message"])):
            times.setdefault((event["logStreamName"], request_id), []).append(event["timestamp"])
    return times


def _of_invocation(request_id: str, stream: Iterable[LogEvent]) -> Iterator[LogEvent]:
    """The lines that name it, and those that name none and follow one that does: a stream is of one sandbox, which does
    one thing at a time. Where Lambda writes START and END, what lies between them.
    """
    inside = False
    for event in stream:
        if PLATFORM.match(event["message"]):
            inside = event["message"].startswith("START") and request_id in event["message"]
            continue
        if named := _request_id(_fields(event["message"])):
            inside = named == request_id
        if inside:
            yield event


def _request_id(fields: Mapping[str, Any]) -> str:
    """As our lines name it, those of Lambda's runtime (an exception that nothing caught), or Lambda's own."""
    record = fields.get("record")
    inner = record.get("requestId") if isinstance(record, dict) else None
    return str(fields.get("function_request_id") or fields.get("requestId") or inner or "")


def _belongs(message: str, order: str) -> bool:
    """A batch logs of several orders, and of none in particular."""
    fields = _fields(message)
    if fields.get("type", "platform.report") != "platform.report" or _is_success(fields):
        return False
    return bool(message.strip()) and "_aws" not in fields and fields.get("orderId", order) == order


def _is_success(fields: Mapping[str, Any]) -> bool:
    """Whether that is Lambda's report of an invocation of which there is nothing to report."""
    record = fields.get("record")
    return fields.get("type") == "platform.report" and isinstance(record, dict) and record.get("status") == "success"


def _fields(message: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _read(events: Iterable[LogEvent], function: str) -> Iterator[Line]:
    """Lines in a row that are no JSON are one: the emulator breaks a traceback into its lines."""
    for (_, is_json), run in groupby(events, lambda event: (event["logStreamName"], bool(_fields(event["message"])))):
        if is_json:
            yield from (_logged(event, function) for event in run)
        else:
            first, *others = run
            text = "\n".join(event["message"].rstrip() for event in (first, *others))
            message, _, below = text.partition("\n")
            level = "ERROR" if re.search(r"Traceback|Error|Exception|timed out", text) else ""
            yield Line(_moment(first), function, level, message, below)


def _logged(event: LogEvent, function: str) -> Line:
    fields = _fields(event["message"])
    if fields.get("type") == "platform.report":  # a timeout, say, of which the function itself cannot tell
        return Line(_moment(event), function, "ERROR", f"the invocation ended with: {fields['record'].get('status')}")
    message = fields.get("message") or fields.get("errorMessage", "")
    return Line(
        _moment(event),
        str(fields.get("service", function)),
        str(fields.get("level") or fields.get("log_level", "")),
        message if isinstance(message, str) else json.dumps(message),
        str(fields.get("exception") or ""),
        {name: str(fields[name]) for name in SHOWN if fields.get(name)},
    )


def _moment(event: LogEvent) -> datetime:
    """The line's own, where it has one: the emulator writes a log when the invocation has ended."""
    try:
        return datetime.fromisoformat(_fields(event["message"])["timestamp"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.fromtimestamp(event["timestamp"] / 1000, UTC)


# Showing


def show(lines: Iterable[Line], console: Console) -> None:
    for line in lines:
        about = "  ".join(f"{name}={value}" for name, value in line.about.items())
        head = Text(f"{line.at:%H:%M:%S}.{line.at.microsecond // 1000:03}  {plain(line.service):12}  ")
        head.append(f"{plain(line.level):7}  ", COLOURS.get(line.level, ""))
        head.append(plain(line.message)).append(f"  {plain(about)}" if about else "", "dim")
        console.print(head, soft_wrap=True)
        for below in line.below.splitlines():
            console.print(Text(f"    {plain(below)}", "dim"), soft_wrap=True)


def follow(
    order: str,
    groups: Sequence[Group],
    logs: Any,
    since: datetime,
    console: Console,
    per_second: float = CALLS_PER_SECOND,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show each line about an order once, as they come, until interrupted.

    The groups are asked in turn, with at most `per_second` calls, and what a round finds is shown oldest first.
    """
    seen: set[Line] = set()
    pace, aside = Pace(per_second, clock, pause), Console(stderr=True)
    try:
        while True:
            asked = datetime.now(UTC)
            with aside.status("Reading the logs"):
                found = [line for group in groups for line in _lines(order, group, logs, since, pace.wait)]
            fresh = sorted((line for line in found if line not in seen), key=lambda line: line.at)
            seen.update(fresh)
            show(fresh, console)
            since = max(since, asked - LATE)
            pause(POLL_SECONDS)
    except KeyboardInterrupt:
        return
