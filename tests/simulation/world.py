"""One simulated AWS, in one thread: what runs next, and how each call ends, is a choice.

A function runs in a greenlet until it asks AWS for something. There the world may let others go first, and decides
whether the call is made, refused, made with its answer lost, or is the last thing that this invocation does.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import json
import os
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from eventflow.trace import VARIABLE

from . import wire
from .choices import Choices
from .clock import STARTED, Clock
from .cloud import Cloud, Function
from .deliveries import Deliveries
from .dynamodb import DynamoDB, Written
from .fates import ALL_LOST, LAGGING, LATE, LOST, REFUSING, fates_of, in_part
from .sandboxes import Sandbox
from .wire import Json, Refused, Request

CALL_SECONDS = 0.005
"""What a call of AWS takes."""

DAY = 86_400
"""DynamoDB takes out what has expired within a few days, and promises nothing."""

MOST_ALTERNATIVES = 6
"""How many of those that wait may go first."""

MOST_STEPS = 20_000
"""More than any scenario takes: a world that goes on for longer never comes to rest."""


class NeverAtRest(Exception):
    """Something is tried again and again."""


@dataclass
class Task:
    """What can happen next. It is due at a time, and may be late."""

    due: float
    number: int
    label: str
    act: Callable[[], None]
    of: object = None
    """The invocation or person that it lets go on."""
    pause: bool = False
    """Whether it waits on purpose, so that others go first."""


@dataclass(eq=False)
class Invocation:
    number: int
    cause: str
    """What it is, whatever else ran before it: what chance brings it, and its ids, are drawn from that."""
    sandbox: Sandbox
    event: Any
    ended: Callable[[str, Any], None]
    """Told how: "done" with what the handler returned, "failed" with its exception, or "killed"."""
    deadline: float
    trace: str | None
    begun: int
    """When in the order of things."""
    run: Any = None
    turns: int = 0
    dead: bool = False
    deaf: bool = False
    """Its answers are lost until the SDK gives up."""
    refusing: bool = False
    """EventBridge refuses one of its entries each time."""

    @property
    def name(self) -> str:
        return f"{self.sandbox.function.name} {self.number}"


class Context:
    """What Lambda hands to a handler with the event."""

    memory_limit_in_mb = 512

    def __init__(self, invocation: Invocation, clock: Clock) -> None:
        self.function_name = invocation.sandbox.function.name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}:live"
        self.aws_request_id = f"request-{invocation.number}"
        self._invocation, self._clock = invocation, clock

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._invocation.deadline - self._clock.now) * 1000))


@dataclass(frozen=True, slots=True)
class Step:
    """A call, as far as its place among others matters: whose, what became of it, and which rows it was on."""

    cause: str
    what: str
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """A message to a shopper."""

    order: str
    occurred_at: int
    begun: int
    """When the invocation began that sent it, in the order of things."""
    at: float
    """When it was sent, in seconds."""
    text: str


class Sandboxes:
    """Those that were made, for all worlds of this process: a world begins with none of them used."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self.ask: Callable[[str, Request], Any] = lambda function, request: None
        self._made: dict[str, list[Sandbox]] = defaultdict(list)
        self.adapt: Callable[[Sandbox], None] = lambda sandbox: None

    def made(self, function: str) -> list[Sandbox]:
        return self._made[function]

    def another(self, function: Function) -> Sandbox:
        sandbox = Sandbox(function, lambda function, request: self.ask(function, request), self._source)
        self._made[function.name].append(sandbox)
        return sandbox

    def reset(self) -> None:
        for each in self._made.values():
            for sandbox in each:
                sandbox.reset()


class World:
    def __init__(self, cloud: Cloud, sandboxes: Sandboxes, choices: Choices, clock: Clock, seed: str = "") -> None:
        self.cloud, self.choices, self.clock = cloud, choices, clock
        self.dynamodb = DynamoDB(cloud.tables, written=self._written)
        self.deliveries = Deliveries(self)
        self.told: list[Told] = []
        self.noted: list[tuple[int, str, int]] = []
        """What notification noted as told: when in the order of things, the order, and when it occurred."""
        self.requests: list[Json] = []
        """Those of people, with the trace that each is in."""
        self.broken: list[str] = []
        """Rules that were broken on the way."""
        self.watch: Callable[[Written], Iterable[str]] = lambda written: ()
        self.refunds: dict[str, str] = {}
        """Payment by idempotency key."""
        self.calls: Counter[tuple[str, str, str]] = Counter()
        """(function, request, fate), of all that were made or not."""
        self.used: set[tuple[str, str, str]] = set()
        """(function, action, resource) that was asked for."""
        self.story: list[str] = []
        self.digest = hashlib.sha256()
        self.errors: list[str] = []
        """What no fault explains: an answer of 5xx, say."""
        self.faults = 0
        self._tasks: list[Task] = []
        """By when they are due."""
        self.count = 0
        self._invocations = 0
        self._sandboxes = sandboxes
        self._idle: dict[str, list[Sandbox]] = defaultdict(list)
        self._fresh: dict[str, list[Sandbox]] = {name: list(sandboxes.made(name)) for name in cloud.functions}
        self._running: Invocation | None = None
        self._last: object = None
        self.hub = getcurrent()
        self._skews = {name: (zlib.crc32(name.encode()) % 81 - 40) / 1000 for name in cloud.functions}
        clock.now, clock.skew, clock.sleep = STARTED, 0.0, self._sleep
        sandboxes.reset()
        sandboxes.ask = self._ask
        self._seed = seed
        self._causes: Counter[str] = Counter()
        self.steps: list[Step] = []

    # What happens next

    def later(
        self, seconds: float, label: str, act: Callable[[], None], of: object = None, pause: bool = False
    ) -> None:
        self.count += 1
        task = Task(self.clock.now + seconds, self.count, label, act, of, pause)
        bisect.insort(self._tasks, task, key=lambda it: (it.due, it.number))

    def run(self) -> None:
        """Until nothing is left to happen. Raises NeverAtRest."""
        for _ in range(MOST_STEPS):
            if not self._tasks:
                return
            self._step()
        raise NeverAtRest(f"{len(self._tasks)} things are still to happen: {self._tasks[0].label}")

    def _step(self) -> None:
        waiting = self._tasks
        first = next((it for it in waiting if it.of is self._last and self._goes_on(it)), waiting[0])
        horizon = self._running_deadline(waiting)
        others = [task for task in waiting if task is not first and task.due < horizon][:MOST_ALTERNATIVES]
        options = [first, *others]
        task = options[self.choices.take([f"next: {task.label}" for task in options])]
        self._tasks.remove(task)
        if task.due - self.clock.now > DAY and not self.choices.take(["what has expired goes", "it is still there"]):
            self.dynamodb.expire(task.due)
        self.clock.now = max(self.clock.now, task.due)
        self._last = task.of
        task.act()

    @staticmethod
    def _goes_on(task: Task) -> bool:
        """A function that runs goes on until it pauses: what is due meanwhile waits."""
        return isinstance(task.of, Invocation) and not task.pause

    def _running_deadline(self, waiting: list[Task]) -> float:
        """What is due later than the next one ends cannot go before it."""
        ends = [task.of.deadline for task in waiting if isinstance(task.of, Invocation)]
        return min(ends, default=waiting[0].due + 10)

    def tell(self, line: str) -> None:
        said = f"{self.clock.now - STARTED:10.3f}  {line}"
        self.story.append(said)
        self.digest.update(said.encode())

    # Invocations

    def invoke(
        self, function: str, cause: str, event: Any, ended: Callable[[str, Any], None], trace: str | None = None
    ) -> None:
        """Because of `cause`, which says what it is about. Without a trace it is in one of its own."""
        self._invocations += 1
        cause = self.nth(f"{function} {cause}")
        it = self.cloud.functions[function]
        sandbox = self._sandbox(it)
        self.count += 1
        deadline = self.clock.now + it.timeout
        invocation = Invocation(
            self._invocations, cause, sandbox, event, ended, deadline, trace or trace_of(cause), begun=self.count
        )
        invocation.run = greenlet(lambda _: self._handle(invocation), self.hub)
        self.steps.append(Step(cause, "in a sandbox that was used" if sandbox.used else "in a new sandbox", ()))
        sandbox.used = True
        self.tell(f"{invocation.name} begins")
        self._switch(invocation, None)

    def nth(self, name: str) -> str:
        """A name that is there once: the second of its kind is another one."""
        self._causes[name] += 1
        return f"{name} {self._causes[name]}"

    def _sandbox(self, function: Function) -> Sandbox:
        idle, fresh = self._idle[function.name], self._fresh[function.name]
        if idle and not self.choices.take(["a warm sandbox", "a new sandbox"]):
            return idle.pop()
        sandbox = fresh.pop() if fresh else self._sandboxes.another(function)
        if not sandbox.used:
            self._sandboxes.adapt(sandbox)
        return sandbox

    def _handle(self, invocation: Invocation) -> Any:
        return invocation.sandbox.handler(invocation.event, Context(invocation, self.clock))

    def _switch(self, invocation: Invocation, value: Any) -> None:
        """Let it run until it asks for something, or ends."""
        self._running = invocation
        invocation.turns += 1
        random.seed(_number(f"{self._seed} {invocation.cause} {invocation.turns}"))
        self.clock.skew = self._skews[invocation.sandbox.function.name]
        os.environ.pop(VARIABLE, None)
        if invocation.trace:
            os.environ[VARIABLE] = invocation.trace
        try:
            asked = invocation.run.switch(value)
        except Exception as error:
            self._end(invocation, "failed", error)
            return
        finally:
            invocation.trace = os.environ.get(VARIABLE)
            self._running, self.clock.skew = None, 0.0
        if invocation.run.dead:
            self._end(invocation, "done", asked)
            return
        seconds, label, resume = asked
        self.later(
            seconds,
            f"{invocation.name}: {label}",
            lambda: self._resume(invocation, resume),
            invocation,
            pause=resume is _nothing,
        )

    def _resume(self, invocation: Invocation, resume: Callable[[], Any]) -> None:
        if invocation.dead:
            return
        if self.clock.now >= invocation.deadline:
            self.faults += 1
            self._kill(invocation, "it ran out of time")
            return
        value = resume()
        if not invocation.dead:
            self._switch(invocation, value)

    def _end(self, invocation: Invocation, how: str, value: Any) -> None:
        invocation.dead = True
        said = f": {type(value).__name__}: {value}" if how == "failed" else ""
        self.tell(f"{invocation.name} {how}{said}"[:300])
        if how == "done":
            self._idle[invocation.sandbox.function.name].append(invocation.sandbox)
        invocation.ended(how, value)

    def _kill(self, invocation: Invocation, why: str) -> None:
        invocation.dead = True
        self._running = invocation
        try:
            invocation.run.throw(GreenletExit)
        except Exception:
            pass
        finally:
            self._running = None
        self.tell(f"{invocation.name} is killed: {why}")
        invocation.ended("killed", why)

    # What a function asks for

    def _sleep(self, seconds: float) -> None:
        if self._running is None or self._running.dead:
            return
        self.hub.switch((seconds, f"waits {seconds:.3f} s", _nothing))

    def _ask(self, function: str, request: Request) -> Any:
        """In the function's greenlet: hand the request to the world, and wait for what becomes of it."""
        invocation = self._running
        if invocation is None:
            raise RuntimeError(f"{function} asks for {request.name} outside of an invocation")
        if invocation.dead:
            raise GreenletExit
        outcome = self.hub.switch((CALL_SECONDS, request.name, lambda: self._decide(invocation, request)))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _decide(self, invocation: Invocation, request: Request) -> Any:
        fates = fates_of(request.operation, request.rows)
        rows = self._rows(request)
        function = invocation.sandbox.function.name
        if invocation.deaf:
            fate, invocation.deaf = ALL_LOST, False
        elif invocation.refusing and request.operation == "PutEvents":
            fate = REFUSING
        else:
            fate = fates[self.choices.take(_named(f"{function}: {request.name}", fates))]
            invocation.deaf = fate == ALL_LOST
            invocation.refusing = fate == REFUSING
        self.calls[function, request.name, fate] += 1
        self._note_use(function, request)
        if fate != "done":
            self.faults += 1
        self.steps.append(Step(invocation.cause, f"{request.name} {fate}", rows))
        about = self._about(request, rows)
        self.tell(f"{invocation.name}: {request.name} {about}{'' if fate == 'done' else f' - {fate}'}")
        match fate:
            case "throttled":
                return wire.refused(request, Refused("ThrottlingException"))
            case "refused":
                return wire.refused(request, Refused("AccessDeniedException"))
            case "killed before it":
                self._kill(invocation, fate)
                return None
            case "in conflict":
                some = [{"Code": "None"}] * (len(request.about["TransactItems"]) - 1)
                reasons = [*some, {"Code": "TransactionConflict"}]
                return wire.refused(request, Refused("TransactionCanceledException", CancellationReasons=reasons))
        try:
            answer = wire.answered(request, self._do(invocation, request, fate))
        except Refused as error:
            self.tell(f"{invocation.name}: ... is refused: {error.code}")
            answer = wire.refused(request, error)
        match fate:
            case fate if fate in (LOST, ALL_LOST):
                return wire.no_answer(request)
            case "killed after it":
                self._kill(invocation, fate)
                return None
            case fate if fate == LATE:
                self.clock.now = max(self.clock.now, invocation.deadline)
                self._kill(invocation, fate)
                return None
        return answer

    def _rows(self, request: Request) -> tuple[str, ...]:
        """Those that it reads or writes. A query is on all rows of its table, and so is in nobody's place."""
        if request.service != "dynamodb":
            return ()
        about = request.about
        found = []
        for write in [it for each in about.get("TransactItems", []) for it in each.values()] or [about]:
            if "TableName" in write:
                name = self.cloud.tables[write["TableName"]].key
                row = write.get("Key") or write.get("Item")
                found.append(f"{write['TableName']} {row[name]['S'] if row else '*'}")
        for table, wanted in about.get("RequestItems", {}).items():
            found += [f"{table} {next(iter(key.values()))['S']}" for key in wanted["Keys"]]
        return tuple(found)

    @staticmethod
    def _about(request: Request, rows: Sequence[str]) -> str:
        """Which row, entry or message: enough to tell two calls of one kind apart, and part of the digest."""
        if request.service == "dynamodb":
            said = zlib.crc32(json.dumps(request.about, sort_keys=True).encode())
            return f"{' '.join(row.partition(' ')[2][-40:] for row in rows)} ({said:08x})"
        if request.service == "events":
            return ", ".join(entry["DetailType"] for entry in request.about["Entries"])
        return ""

    def _do(self, invocation: Invocation, request: Request, fate: str) -> Json:
        match request.service:
            case "dynamodb":
                answer = self.dynamodb.call(request.operation, request.about)
                if fate == LAGGING:
                    answer["Items"] = answer["Items"][:-1]
                return in_part(request, answer) if fate == "done in part" else answer
            case "events":
                return self.deliveries.put_events(
                    request.about["Entries"], refusing=fate.startswith("one entry refused")
                )
            case "sns":
                detail = invocation.event["detail"]
                occurred_at = detail["metadata"]["occurredAt"]
                text = request.about["Message"]
                self.told.append(Told(detail["orderId"], occurred_at, invocation.begun, self.clock.now, text))
                return {}
            case "provider":
                self.refunds[request.about["key"]] = request.about["payment"]
                return {}
        raise LookupError(request.service)

    def _note_use(self, function: str, request: Request) -> None:
        match request.service:
            case "dynamodb" if request.operation == "TransactWriteItems":
                for each in request.about["TransactItems"]:
                    for kind, it in each.items():
                        self.used.add((function, f"dynamodb:{kind}Item", it["TableName"]))
            case "dynamodb":
                index = f"/index/{request.about['IndexName']}" if "IndexName" in request.about else ""
                for table in request.tables:
                    self.used.add((function, f"dynamodb:{request.operation}", table + index))
            case "events":
                for entry in request.about["Entries"]:
                    self.used.add((function, "events:PutEvents", entry["EventBusName"]))
            case "sns":
                self.used.add((function, "sns:Publish", request.about["TopicArn"]))

    def _written(self, written: Written) -> None:
        self.broken += self.watch(written)
        if written.table == "NotificationsTable":
            self.count += 1
            self.noted.append((self.count, written.key, int(written.new["occurredAt"]["N"])))
        if self.cloud.tables[written.table].stream:
            self.deliveries.stream(written)


def trace_of(cause: str) -> str:
    """The header of a trace of its own."""
    number = _number(cause)
    return f"Root=1-{int(STARTED):08x}-{number % 16**24:024x};Parent={number % 16**16:016x};Sampled=1"


@functools.cache
def _named(call: str, fates: tuple[str, ...]) -> tuple[str, ...]:
    """The options of what becomes of a call."""
    return tuple(f"{call}: {fate}" for fate in fates)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


def _nothing() -> None:
    """What a pause asks for."""
