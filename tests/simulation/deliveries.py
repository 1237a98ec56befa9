"""How what is written, published and given up reaches a function: by streams, the bus and queues."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.patterns import matches

from .cloud import Rule
from .dynamodb import Written
from .wire import Json, Refused

if TYPE_CHECKING:
    from .world import World


MOST_ENTRIES = 10


@dataclass
class Message:
    """Of a queue."""

    id: str
    body: Any
    trace: str | None = None
    visible_at: float = 0.0
    receives: int = 0


class Deliveries:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.announced: list[Json] = []
        """Events that rows were written with."""
        self.published: list[Json] = []
        """Entries that EventBridge took, as events."""
        self.queues: dict[str, list[Message]] = {name: [] for name in world.cloud.queues}
        self.sent_again = False
        """Whether an operator has redriven or replayed anything: that is in a trace of its own."""
        self._streams: dict[tuple[str, int], list[Written]] = defaultdict(list)
        self._reading: set[tuple[str, int]] = set()

    # Streams

    def stream(self, written: Written) -> None:
        event = written.new.get("event", {}).get("M")
        if event and event["id"] != (written.old or {}).get("event", {}).get("M", {}).get("id"):
            self.announced.append(
                {
                    "table": written.table,
                    "key": written.key,
                    **{k: v["S"] if "S" in v else v["N"] for k, v in event.items()},
                }
            )
        source = self._world.cloud.streams.get(written.table)
        if source is None:
            raise LookupError(f"nobody reads the stream of {written.table}")
        shard = written.table, zlib.crc32(written.key.encode()) % 2
        self._streams[shard].append(written)
        if shard not in self._reading:
            self._reading.add(shard)
            self._world.later(0.1, f"the stream of {written.table}", lambda: self._read_stream(shard))

    def _read_stream(self, shard: tuple[str, int]) -> None:
        source = self._world.cloud.streams[shard[0]]
        batch = self._streams[shard][: source.batch]
        records = [it for it in map(record, batch) if source.takes(it)]

        def ended(how: str, _: Any) -> None:
            if how == "done":
                del self._streams[shard][: len(batch)]
            if self._streams[shard]:
                self._world.later(
                    0.1 if how == "done" else 1, f"the stream of {shard[0]}", lambda: self._read_stream(shard)
                )
            else:
                self._reading.remove(shard)

        if records:
            news = " ".join(f"{it.key} {it.new.get('revision', {}).get('N')}" for it in batch)
            self._world.invoke(source.function, f"{shard[0]} {news}", {"Records": records}, ended)
        else:
            ended("done", None)

    # The bus

    def put_events(self, entries: list[Json], refusing: bool) -> Json:
        """Take those entries that EventBridge takes; `refusing`, not the last. Raises Refused."""
        if not 1 <= len(entries) <= MOST_ENTRIES:
            raise Refused("ValidationException")
        results = []
        for index, entry in enumerate(entries):
            code = "InternalFailure" if refusing and index == len(entries) - 1 else _wrong_with(entry)
            results.append(
                {"ErrorCode": code, "ErrorMessage": "refused"} if code else {"EventId": self.put_event(entry)}
            )
        return {"FailedEntryCount": sum("ErrorCode" in it for it in results), "Entries": results}

    def put_event(self, entry: Json) -> str:
        """Take an entry of PutEvents; its id."""
        detail = json.loads(entry["Detail"])
        event = {
            "version": "0",
            "id": self._world.nth(f"event {detail.get('metadata', {}).get('eventId', entry['DetailType'])}"),
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "account": "123456789012",
            "region": "us-east-1",
            "time": datetime.fromtimestamp(int(entry.get("Time", self._world.clock.now)), UTC).isoformat(),
            "resources": [],
            "detail": detail,
        }
        self.published.append(event)
        self._route(event, entry.get("TraceHeader"))
        return str(event["id"])

    def _route(self, event: Json, trace: str | None) -> None:
        for rule in self._world.cloud.rules:
            if matches(rule.pattern, event):
                self._world.later(
                    0.02,
                    f"{event['detail-type']} to {rule.name}",
                    lambda rule=rule: self._deliver(rule, event, trace),
                )

    def _deliver(self, rule: Rule, event: Json, trace: str | None) -> None:
        if self._world.choices.take([f"{event['detail-type']} to {rule.name}: once", "twice"]):
            self._world.later(
                0.5, f"{event['detail-type']} to {rule.name}, again", lambda: self._deliver(rule, event, trace)
            )
        if rule.queue:
            self.send_message(rule.queue, event[rule.part] if rule.part else event, trace)
        elif rule.function:
            self.invoke_async(rule.function, event, trace)

    def invoke_async(self, function: str, event: Json, trace: str | None, attempt: int = 0) -> None:
        it = self._world.cloud.functions[function]

        def ended(how: str, value: Any) -> None:
            if how == "done":
                return
            if attempt < it.retries:
                again = lambda: self.invoke_async(function, event, trace, attempt + 1)  # noqa: E731
                self._world.later(
                    60 * (attempt + 1), f"{event['detail-type']} to {function}, attempt {attempt + 2}", again
                )
            elif it.on_failure:
                self._world.tell(f"{function} gives up {event['detail-type']}: it goes to {it.on_failure}")
                arn = {"functionArn": f"{function}:live"}
                self._give_up(
                    it.on_failure,
                    {"function": function, "requestContext": arn, "requestPayload": event, "error": str(value)},
                )

        self._world.invoke(function, f"{event['id']} {attempt}", event, ended, trace)

    def _give_up(self, to: str, record: Json) -> None:
        """As Lambda, for nothing that runs: a record is on the bus although no service put it there."""
        if to in self.queues:
            self.send_message(to, record)
        else:
            failed = "Lambda Function Invocation Result - Failure"
            self.put_event({"Source": "lambda", "DetailType": failed, "Detail": json.dumps(record)})

    # Queues

    def send_message(self, queue: str, body: Any, trace: str | None = None) -> None:
        about = body.get("requestPayload", body)["id"]
        self.queues[queue].append(Message(self._world.nth(f"message {about}"), body, trace))
        if queue in self._world.cloud.pollers:
            self._world.later(0.02, f"poll {queue}", lambda: self._poll(queue))

    def _poll(self, queue: str) -> None:
        poller, about = self._world.cloud.pollers[queue], self._world.cloud.queues[queue]
        batch = [it for it in self.queues[queue] if it.visible_at <= self._world.clock.now][: poller.batch]
        for message in batch:
            message.receives += 1
            message.visible_at = self._world.clock.now + about.visibility
            if about.dead_letters and message.receives > about.receives:
                self.queues[queue].remove(message)
                self.queues[about.dead_letters].append(Message(message.id, message.body, message.trace))
                self._world.tell(f"{message.id} was received too often: it is in {about.dead_letters}")
        batch = [it for it in batch if it in self.queues[queue]]
        if not batch:
            return

        def ended(how: str, value: Any) -> None:
            failed = (
                {it["itemIdentifier"] for it in value["batchItemFailures"]}
                if how == "done"
                else {it.id for it in batch}
            )
            for message in batch:
                if message.id not in failed and message in self.queues[queue]:
                    self.queues[queue].remove(message)
            if failed:
                self._world.later(about.visibility, f"poll {queue} again", lambda: self._poll(queue))

        self._world.invoke(
            poller.function,
            " ".join(f"{message.id} {message.receives}" for message in batch),
            {"Records": [_sqs_record(it, queue) for it in batch]},
            ended,
        )

    # Operators

    def replay(self) -> None:
        """As `make replay`: what the archive kept comes again, to every rule."""
        self.sent_again = True
        for event in list(self.published):
            if matches(self._world.cloud.archived, event):
                self._route({**event, "replay-name": "replay"}, None)

    def redrive(self) -> bool:
        """As `make redrive`: hand what lies in the failed queues to those who failed. Whether there was anything."""
        found = False
        for queue, messages in self.queues.items():
            if queue not in self._world.cloud.failed_queues:
                continue
            for message in list(messages):
                found = self.sent_again = True
                messages.remove(message)
                if "requestPayload" in message.body:
                    function, event = message.body["function"], message.body["requestPayload"]
                    self._world.later(
                        0,
                        f"redrive {event['detail-type']} to {function}",
                        lambda function=function, event=event: self.invoke_async(function, event, None),
                    )
                else:
                    (source,) = [name for name, it in self._world.cloud.queues.items() if it.dead_letters == queue]
                    self.send_message(source, message.body, message.trace)
        return found


def _wrong_with(entry: Json) -> str | None:
    """The code of the error with which EventBridge refuses an entry (API Reference, "PutEventsResultEntry")."""
    if not (entry.get("Source") and entry.get("DetailType")):
        return "InvalidArgument"
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException"
    try:
        return None if isinstance(json.loads(entry["Detail"]), dict) else "MalformedDetail"
    except (KeyError, ValueError):
        return "MalformedDetail"


def record(written: Written) -> Json:
    """Of a stream."""
    images = {"NewImage": written.new} | ({"OldImage": written.old} if written.old else {})
    return {"eventSource": "aws:dynamodb", "dynamodb": {"Keys": {}, **images}}


def _sqs_record(message: Message, queue: str) -> Json:
    trace = {"AWSTraceHeader": message.trace} if message.trace else {}
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": json.dumps(message.body),
        "attributes": {"ApproximateReceiveCount": str(message.receives), **trace},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
        "awsRegion": "us-east-1",
    }
