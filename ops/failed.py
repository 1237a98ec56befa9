"""What the failed-events queues of a stack hold: which event, who failed on it, and why. To look changes nothing."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from ops import OpsError
from ops.plain import plain
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef as Message

Event = Mapping[str, Any]

HOLD_SECONDS = 120
"""For how long at least SQS hides a message that we take: longer than any consumer works on it. We give it back before;
only a command that is killed leaves it hidden."""

LONGEST_HOLD_SECONDS = 30 * 60
"""For how long at most: a command that was killed hides nothing for hours."""

PER_MESSAGE_SECONDS = 0.05
"""What it takes to receive a message, before the own pace is known: half a second for ten."""

MANY = 1_000
"""Giving back this many takes a while."""

GIVERS_BACK = 8
"""How many calls at once give messages back; each takes ten."""

PERSONAL = "shipping"
"""The field of an event's detail that says who a shopper is and where."""

LONGEST_TEXT = 400
"""In the terminal, where the exception or the id of a stranger may fill a page."""


@dataclass(frozen=True)
class FailedQueue:
    """`feeder` is the ARN of the queue whose dead letters come here, where there is one."""

    service: str
    url: str
    feeder: str = ""


@dataclass(frozen=True)
class FailedEvent:
    """An event that somebody gave up on. Of a message that cannot be read there is no `event` and no `consumer`."""

    queue: FailedQueue
    message_id: str
    failed_at: datetime
    event: Event = field(default_factory=dict)
    consumer: str = ""
    """ARN of the function (with its alias), the state machine or the queue that it was meant for."""
    error: str = ""
    reason: str = ""
    attempt: str = ""
    """The request id or the execution that gave up."""

    @property
    def detail_type(self) -> str:
        return _text(self.event, "detail-type")

    @property
    def event_id(self) -> str:
        return _text(self.event, "detail", "metadata", "eventId") or _text(self.event, "id")

    @property
    def order(self) -> str:
        """Its id; or of an event that is about no order, nothing."""
        places = [("metadata", "correlationId"), ("orderId",), ("checkoutId",), ("body", "OrderId")]
        return next(filter(None, (_text(self.event, "detail", *place) for place in places)), "")

    @property
    def why(self) -> str:
        return f"{self.error}: {self.reason}" if self.error and self.reason else self.error or self.reason


def _text(value: Any, *path: str) -> str:
    """What stands there, if it is text or a whole number: an event that failed may have any shape."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value) if type(value) in (str, int) else ""


# Which queues


def failed_queues(stacks: Iterable[Stack], sqs: SQSClient, service: str = "") -> list[FailedQueue]:
    """Those of every service, or of one. Raises OpsError if there is no such service."""
    queues = [queue for stack in stacks for queue in _failed_queues_of(stack, sqs)]
    chosen = [queue for queue in queues if service in ("", queue.service)]
    if not chosen:
        known = ", ".join(sorted({queue.service for queue in queues}))
        raise OpsError(f"there is no failed-events queue of {service or 'any service'}; there is: {known or 'none'}")
    return chosen


def _failed_queues_of(stack: Stack, sqs: SQSClient) -> Iterator[FailedQueue]:
    """Those named so, and those that another queue of the stack leaves to what was received too often."""
    feeders = {}
    for url in stack.queues.values():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "RedrivePolicy"])["Attributes"]
        if "RedrivePolicy" in attributes:
            dead_letters = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
            feeders[dead_letters.rpartition(":")[2]] = attributes["QueueArn"]
    for logical, url in sorted(stack.queues.items()):
        feeder = feeders.get(url.rpartition("/")[2], "")
        if feeder or logical.endswith("FailedEvents"):
            yield FailedQueue(_service(logical), url, feeder)


def _service(queue: str) -> str:
    """`payment` of PaymentFailedEvents, `checkouts` of FailedCheckouts."""
    name = queue.removesuffix("FailedEvents").removeprefix("Failed")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


# What a message says


def read(message: Message, queue: FailedQueue) -> FailedEvent:
    """A message of one of three kinds: Lambda's or a state machine's record of what it failed on, EventBridge's
    letter that it could not deliver, or a copy of what a queue's consumer was handed too often.
    """
    failed_at = datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC)
    attributes = {name: it.get("StringValue", "") for name, it in message.get("MessageAttributes", {}).items()}
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    told: dict[str, Any]
    match body:
        case dict() if "TARGET_ARN" in attributes:
            told = {
                "event": body,
                "consumer": attributes["TARGET_ARN"],
                "error": attributes.get("ERROR_CODE", ""),
                "reason": attributes.get("ERROR_MESSAGE", ""),
            }
        case {"requestContext": {"functionArn": str(consumer)} as context, "requestPayload": dict(event), **rest}:
            response = rest.get("responsePayload")
            told = {
                "event": event,
                "consumer": consumer,
                "error": _text(response, "errorType") or _text(context, "condition"),
                "reason": _text(response, "errorMessage"),
                "attempt": _text(context, "requestId"),
            }
        case dict() if queue.feeder:
            told = {"event": body, "consumer": queue.feeder, "reason": "handed out too often; its log says why"}
        case _:
            told = {"error": "Unreadable", "reason": "it is neither an event nor the record of one"}
    told["reason"] = without_personal_data(told["reason"], told.get("event", {}))
    return FailedEvent(queue, message["MessageId"], failed_at, **told)


def without_personal_data(reason: str, event: Event) -> str:
    """An exception may cite what it could not read."""
    detail = event.get("detail")
    for value in _leaves(detail.get(PERSONAL) if isinstance(detail, Mapping) else None):
        reason = reason.replace(value, "…")
    return reason


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str() if value:
            yield value
        case dict() | list():
            for part in value.values() if isinstance(value, dict) else value:
                yield from _leaves(part)


# Looking


def hold_seconds(messages: int, pace: float = PER_MESSAGE_SECONDS) -> int:
    """How many seconds to hide each of `messages`, if receiving one takes `pace` seconds: until all of them can have
    been received. Otherwise the first ones would come back before the last are seen.
    """
    return min(HOLD_SECONDS + math.ceil(messages * pace), LONGEST_HOLD_SECONDS)


def hidden_until(messages: int) -> str:
    """When the messages that somebody holds are back, in a queue of this length."""
    return f"{datetime.now(UTC) + timedelta(seconds=hold_seconds(messages)):%H:%M} UTC"


def not_given_back(queue: FailedQueue, number: int, messages: int) -> str:
    """What to say if a command could not give back `number` messages of a queue of this length."""
    return (
        f"{number} of {queue.service} could not be given back: nobody sees them until about {hidden_until(messages)}."
    )


class Hand:
    """Messages that SQS hides from everybody else: until they are removed or given back, or their time is over. What is
    left is given back when the `with` block ends.
    """

    def __init__(self, queue: FailedQueue, sqs: SQSClient) -> None:
        self.queue = queue
        self.about = messages_in(queue, sqs)
        """How many messages the queue held when this began; SQS counts roughly."""
        self.not_given_back = 0
        """How many messages it failed to give back. They come back by themselves when their time is over."""
        self.in_circles = False
        """SQS handed out the same messages again and again, so there may be more that it did not hand out."""
        self._sqs = sqs
        self._held: dict[str, tuple[str, float]] = {}  # the receipt, and until when SQS hides it
        self._seen: set[str] = set()
        self._again: set[str] = set()  # what came again, since something new came
        self._receiving, self._received = 0.0, 0
        self._cut_off = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.give_back(list(self._held))

    def give_back(self, message_ids: Iterable[str]) -> None:
        """Let everybody see these messages again. When this hand takes one of them again, it is new to it."""
        given = {message_id: self._held.pop(message_id) for message_id in message_ids}
        self._seen -= given.keys()
        receipts = [receipt for receipt, until in given.values() if until > monotonic()]  # the others are visible
        tens = [receipts[start : start + 10] for start in range(0, len(receipts), 10)]
        self._cut_off = False
        with ThreadPoolExecutor(GIVERS_BACK) as pool:
            self.not_given_back += sum(pool.map(self._refused, tens))

    def _refused(self, receipts: list[str]) -> int:
        """How many of these could not be given back."""
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
            for number, receipt in enumerate(receipts)
        ]
        if self._cut_off:
            return len(receipts)
        try:
            answer = self._sqs.change_message_visibility_batch(QueueUrl=self.queue.url, Entries=entries)  # type: ignore[arg-type]
        except (BotoCoreError, ClientError) as error:
            self._cut_off |= isinstance(error, BotoCoreError)  # to try the others, too, would take minutes
            return len(receipts)
        # a fault of the sender: that message is gone, or visible already
        return sum(not refused["SenderFault"] for refused in answer.get("Failed", []))

    def take(self) -> list[FailedEvent]:
        """Up to ten. None: the queue is empty, SQS hides no more of it, or it goes `in_circles`.

        It waits a second for them, because only then SQS asks all of its servers. A message may come that this hand
        has taken before: its time was over, or SQS delivered it twice.
        """
        pace = max(PER_MESSAGE_SECONDS, self._receiving / self._received if self._received else 0)
        hold = hold_seconds(self.about, pace)
        began = monotonic()
        answer = self._sqs.receive_message(
            QueueUrl=self.queue.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hold,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        now, messages = monotonic(), answer.get("Messages", [])
        self._receiving += now - began
        self._received += len(messages)
        self._held |= {message["MessageId"]: (message["ReceiptHandle"], now + hold) for message in messages}
        taken = {message["MessageId"] for message in messages}
        is_new = not taken <= self._seen
        self.in_circles = bool(taken) and not is_new and taken <= self._again
        self._again = set() if is_new else self._again | taken
        self._seen |= taken
        return [] if self.in_circles else [read(message, self.queue) for message in messages]

    def holds(self, message_id: str, seconds: float) -> bool:
        """Whether nobody else is handed this message for so long."""
        _, until = self._held[message_id]
        return until - monotonic() >= seconds

    def remove(self, message_id: str) -> None:
        """Delete it. Raises what boto3 raises, and then it is still held."""
        receipt, _ = self._held[message_id]
        self._sqs.delete_message(QueueUrl=self.queue.url, ReceiptHandle=receipt)
        del self._held[message_id]


@dataclass
class Sight:
    """How far a look has come, by queue. Several threads report it to `tell`, in words."""

    tell: Callable[[str], object] = lambda text: None
    seen: Counter[FailedQueue] = field(default_factory=Counter)
    about: Counter[FailedQueue] = field(default_factory=Counter)
    missed: Counter[FailedQueue] = field(default_factory=Counter)
    """About how many messages of a queue it did not see, because SQS did not hand them out."""
    not_given_back: Counter[FailedQueue] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    """If set, the rest is not looked at."""

    def show(self) -> None:
        seen = self.seen.total()
        self.tell(f"Looking into the queues: {seen:,} of about {max(seen, self.about.total()):,} messages")


def look(
    queues: Sequence[FailedQueue], sqs: SQSClient, order: str = "", sight: Sight | None = None
) -> list[FailedEvent]:
    """All that the queues hold, or what is about one order, oldest first. What was not seen is in `sight.missed`."""
    watched = sight or Sight()
    with ThreadPoolExecutor(len(queues)) as pool:
        try:
            found = [failed for each in pool.map(lambda queue: _look(queue, sqs, watched), queues) for failed in each]
        finally:
            watched.stop.set()  # the pool waits for its threads, also when someone presses Ctrl-C
    return sorted((it for it in found if order in ("", it.order)), key=lambda it: (it.failed_at, it.message_id))


def messages_in(queue: FailedQueue, sqs: SQSClient) -> int:
    """About how many, those included that somebody holds."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
    return sum(int(answer["Attributes"].get(name, "0")) for name in names)


def _look(queue: FailedQueue, sqs: SQSClient, sight: Sight) -> list[FailedEvent]:
    found: dict[str, FailedEvent] = {}
    with Hand(queue, sqs) as hand:
        sight.about[queue] = hand.about
        while not sight.stop.is_set() and (taken := hand.take()):
            found |= {failed.message_id: failed for failed in taken}
            sight.seen[queue] = len(found)
            sight.show()
        if not sight.stop.is_set() and (missed := max(messages_in(queue, sqs) - len(found), int(hand.in_circles))) > 0:
            sight.missed[queue] = missed
        if len(found) > MANY:
            sight.tell(f"Giving back {len(found):,} messages of {queue.service}")
    sight.not_given_back[queue] = hand.not_given_back
    return list(found.values())


# Showing


def heading(failed: FailedEvent) -> str:
    about = f", order {failed.order}" if failed.order else ""
    return in_a_line(f"{failed.queue.service}: {failed.detail_type or 'a message'}{about}")


def in_a_line(text: str) -> str:
    line = plain(" ".join(text.split()))
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def show(found: Sequence[FailedEvent], names: Mapping[str, str], console: Console, missed: int = 0) -> None:
    """`names` are consumers' logical ids by physical name; `missed` is how many messages were not seen."""
    for failed in found:
        console.print(Text(f"{failed.failed_at:%Y-%m-%d %H:%M:%S} UTC  {heading(failed)}"), soft_wrap=True)
        consumer = called(failed.consumer, names)
        console.print(Text(f"    {consumer}: {in_a_line(failed.why)}"), soft_wrap=True)
        named = f"event {in_a_line(failed.event_id)}, " if failed.event_id else ""
        console.print(Text(f"    {named}message {failed.message_id}"), soft_wrap=True)
    services = Counter(failed.queue.service for failed in found)
    counted = ", ".join(f"{service} {number}" for service, number in sorted(services.items()))
    told = [f"{len(found)} failed: {counted}"] * bool(found) + [f"about {missed} cannot be seen now"] * bool(missed)
    console.print("; ".join(told) or "Nothing has failed.", soft_wrap=True)


def as_json(found: Sequence[FailedEvent], names: Mapping[str, str]) -> str:
    return json.dumps(
        [
            {
                "failedAt": failed.failed_at.isoformat(timespec="milliseconds"),
                "service": failed.queue.service,
                "consumer": called(failed.consumer, names),
                "consumerArn": failed.consumer,
                "detailType": failed.detail_type,
                "orderId": failed.order or None,
                "eventId": failed.event_id,
                "error": failed.error,
                "reason": failed.reason,
                "messageId": failed.message_id,
            }
            for failed in found
        ],
        indent=2,
    )


def called(consumer: str, names: Mapping[str, str]) -> str:
    """A consumer's name in its template; of one that is in none, what its ARN says."""
    physical = physical_name(consumer)
    return plain(names.get(physical, physical) or "nobody")


def physical_name(arn: str) -> str:
    """Of a function, without its alias; of a queue; of a state machine."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else parts[-1]


def names_of(stacks: Iterable[Stack]) -> dict[str, str]:
    """Logical id by physical name of whatever may consume an event."""
    names: dict[str, str] = {}
    for stack in stacks:
        names |= {physical: logical for logical, physical in stack.functions.items()}
        names |= {physical_name(arn): logical for logical, arn in stack.state_machines.items()}
        names |= {url.rpartition("/")[2]: logical for logical, url in stack.queues.items()}
    return names
