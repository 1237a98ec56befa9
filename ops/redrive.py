"""Sends failed events again, only to the consumer that failed on them; what works then leaves its queue.

An event is never published again: that would reach every rule. Only the fact that it is handled now is published. The
consumer is called synchronously, so its result is known. Such a call has no on-failure destination: an event that fails
again stays in its message and is not in the queue twice. A function is called by its alias `live`, not by the version
that failed, which may be the broken one. Nothing is lost if this is stopped: what was handled and not yet removed is
sent once more, and its consumer knows it. If two people redrive at once, each takes what the other does not hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from ops.failed import (
    FailedEvent,
    Hand,
    called,
    heading,
    in_a_line,
    not_given_back,
    physical_name,
    without_personal_data,
)
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

LONGEST_CALL_SECONDS = 100
"""For how long a consumer is waited for. Less than ops.failed.HOLD_SECONDS: nobody else is handed the message
meanwhile."""

LIVE = "live"
"""The alias that traffic goes to, by the template's AutoPublishAlias."""

TRACEBACK = "Traceback (most recent call last):\n"
WHOLE_BATCH_FAILED = "BatchProcessingError"
"""What Powertools raises when all of a batch have failed. Its message holds the traceback of each."""

IN_PROGRESS = ("BeingTold", "IdempotencyAlreadyInProgressError")
"""What notification raises, and what a release before raised."""
GONE = ("ResourceNotFoundException", "StateMachineDoesNotExist")


class Outcome(StrEnum):
    SENT = "sent"
    FAILING = "still failing"
    SKIPPED = "skipped"
    ELSEWHERE = "in other hands"

    @property
    def is_well(self) -> bool:
        return self in (Outcome.SENT, Outcome.ELSEWHERE)


class StillFailing(Exception):
    """The consumer did not handle it. The message says why."""


class Unreachable(Exception):
    """There is nobody to send it to. The message says why."""


class NotTold(Exception):
    """The bus did not take the news. The message says why."""


Tell = Callable[[FailedEvent, str], None]
"""Gets the event that was handled, and the ARN or the name of its consumer. Raises NotTold, and what boto3 raises."""


def nobody(failed: FailedEvent, by: str) -> None:
    """For a stack without a bus: it has no timeline, either."""


def addresses(stacks: Iterable[Stack]) -> dict[str, str]:
    """How to call each consumer of the stacks, by its physical name: a state machine by its ARN, and a function by the
    ARN of its alias `live`, or by its name where it has none. A queue cannot be called, and has its name here.
    """
    found: dict[str, str] = {}
    for stack in stacks:
        queues = [url.rpartition("/")[2] for url in stack.queues.values()]
        found |= {name: name for name in (*queues, *stack.functions.values())}
        found |= {physical_name(arn): arn for arn in stack.state_machines.values()}
        found |= {physical_name(arn): arn for arn in stack.aliases.values() if arn.endswith(f":{LIVE}")}
    return found


@dataclass
class Consumers:
    """Those of the stacks, as `addresses` gives them, and how each is made to handle one event."""

    addresses: Mapping[str, str]
    lambdas: LambdaClient
    states: SFNClient
    gave_up: set[str] = field(default_factory=set)
    """Executions started here that failed."""

    def address(self, failed: FailedEvent) -> str:
        """The ARN or the name to call: the stack's own consumer, not what the record says. Raises Unreachable."""
        if not failed.consumer:
            raise Unreachable(failed.why)
        name = physical_name(failed.consumer)
        if name not in self.addresses:
            raise Unreachable(f"{name} is not in the stack, or no longer")
        if _service(failed.consumer) != "sqs":
            return self.addresses[name]
        readers = self.lambdas.list_event_source_mappings(EventSourceArn=failed.consumer)["EventSourceMappings"]
        if not readers:
            raise Unreachable(f"no function reads {name}")
        reader = readers[0]["FunctionArn"]
        return self.addresses.get(physical_name(reader), reader)

    def send(self, failed: FailedEvent) -> str:
        """Returns when it is handled: the ARN or the name of the consumer. Raises StillFailing, Unreachable."""
        address = self.address(failed)
        try:
            if _service(failed.consumer) == "sqs":
                self._invoke_with_batch(address, failed)
            elif _service(address) == "states":
                self._execute(address, failed)
            else:
                self._invoke(address, failed.event)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                raise Unreachable(f"{address.split(':', 6)[-1]} is gone") from None
            raise StillFailing(str(error)) from None
        except BotoCoreError as error:
            raise StillFailing(str(error)) from None
        return address

    def _invoke(self, arn: str, payload: Mapping[str, Any]) -> Any:
        answer = self.lambdas.invoke(FunctionName=arn, Payload=json.dumps(payload))
        result = json.loads(answer["Payload"].read() or "null")
        if not answer.get("FunctionError"):
            return result
        told = result if isinstance(result, dict) else {}
        if told.get("errorType") in IN_PROGRESS:
            raise StillFailing("someone is handling it, or was cut off while doing so: redrive it again in a minute")
        raise StillFailing(_reason(told))

    def _invoke_with_batch(self, arn: str, failed: FailedEvent) -> None:
        """A batch of one, as Lambda makes it of a queue's message."""
        record = {
            "messageId": failed.message_id,
            "receiptHandle": "redrive",
            "body": json.dumps(failed.event),
            "attributes": {"SentTimestamp": str(round(failed.failed_at.timestamp() * 1000))},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": failed.consumer,
            "awsRegion": failed.consumer.split(":")[3],
        }
        answer = self._invoke(arn, {"Records": [record]})
        if isinstance(answer, dict) and answer.get("batchItemFailures"):
            raise StillFailing(f"{physical_name(arn)} refuses it: its log of message {failed.message_id} says why")

    def _execute(self, arn: str, failed: FailedEvent) -> None:
        execution = self.states.start_sync_execution(stateMachineArn=arn, input=json.dumps(failed.event))
        if execution["status"] != "SUCCEEDED":
            self.gave_up.add(execution["executionArn"])
            error, cause = execution.get("error", execution["status"]), execution.get("cause", "")
            raise StillFailing(f"{error}: {cause}")


def _reason(told: Mapping[str, Any]) -> str:
    """Of an exception as Lambda answers it; of a batch of one, which failed whole, the exception of that one."""
    error, message = told.get("errorType", "Unhandled"), str(told.get("errorMessage", ""))
    if error == WHOLE_BATCH_FAILED and TRACEBACK in message:
        lines = message.rpartition(TRACEBACK)[2].splitlines()
        return "\n".join(dropwhile(lambda line: line.startswith(" "), lines))  # without the frames
    return f"{error}: {message}"


def _service(arn: str) -> str:
    return arn.split(":")[2] if arn.count(":") > 5 or arn.startswith("arn:") else ""


def redrive(
    planned: Sequence[FailedEvent],
    consumers: Consumers,
    sqs: SQSClient,
    names: Mapping[str, str],
    console: Console,
    tell_bus: Tell = nobody,
) -> bool:
    """Send what is planned, queue by queue, and report each result. Returns whether all of it was handled.

    The bus is told of each handled event. If that fails it is reported, and does not count as left behind.
    """
    outcomes: Counter[Outcome] = Counter()
    hands: list[Hand] = []
    try:
        with console.status(f"Sending again: 0 of {len(planned):,}") as status:
            for queue in dict.fromkeys(failed.queue for failed in planned):
                due = {failed.message_id: failed for failed in planned if failed.queue == queue}
                hands.append(Hand(queue, sqs))
                with hands[-1] as hand:
                    for failed, outcome, why in _redriven(hand, due, consumers, tell_bus):
                        outcomes[outcome] += 1
                        _tell(failed, outcome, why, names, console)
                        status.update(f"Sending again: {outcomes.total():,} of {len(planned):,}")
    finally:
        summary = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        console.print(f"{summary or 'Nothing was sent'}.")
        for hand in hands:
            if hand.not_given_back:
                console.print(not_given_back(hand.queue, hand.not_given_back, hand.about), soft_wrap=True)
    return all(outcome.is_well for outcome in outcomes) and not any(hand.not_given_back for hand in hands)


def _redriven(
    hand: Hand, due: dict[str, FailedEvent], consumers: Consumers, tell_bus: Tell
) -> Iterator[tuple[FailedEvent, Outcome, str]]:
    echoes = 0
    while (due or echoes) and (taken := hand.take()):
        late = []
        for failed in taken:
            if failed.attempt in consumers.gave_up:
                # the state machine has itself put into the queue what it was just sent, and that is still there
                hand.remove(failed.message_id)
                echoes -= 1
            elif failed.message_id not in due:
                continue
            elif not hand.holds(failed.message_id, LONGEST_CALL_SECONDS):
                late.append(failed.message_id)  # those before it took their time
            else:
                del due[failed.message_id]
                before = len(consumers.gave_up)
                outcome, why = _sent(failed, hand, consumers, tell_bus)
                echoes += len(consumers.gave_up) - before
                yield failed, outcome, why
        if late:
            hand.give_back(late)
    for failed in due.values():
        if hand.in_circles:
            yield failed, Outcome.SKIPPED, "SQS hands out others again before this one: run it again"
        else:
            yield failed, Outcome.ELSEWHERE, "someone else has it at this moment, or has dealt with it"


def _sent(failed: FailedEvent, hand: Hand, consumers: Consumers, tell_bus: Tell) -> tuple[Outcome, str]:
    try:
        handled_by = consumers.send(failed)
    except StillFailing as error:
        return Outcome.FAILING, without_personal_data(str(error), failed.event)
    except Unreachable as error:
        return Outcome.SKIPPED, str(error)
    try:
        hand.remove(failed.message_id)
    except (BotoCoreError, ClientError) as error:
        return Outcome.FAILING, f"it was handled, but is not removed: {error}"
    try:
        tell_bus(failed, handled_by)
    except (BotoCoreError, ClientError, NotTold) as error:
        return Outcome.SENT, f"its timeline does not show that: EventRedriven could not be put on the bus: {error}"
    return Outcome.SENT, ""


def rehearse(planned: Sequence[FailedEvent], consumers: Consumers, names: Mapping[str, str], console: Console) -> bool:
    """Say what would be sent, and to which consumer. Returns whether all of it could be sent."""
    well = True
    for failed in planned:
        try:
            address = consumers.address(failed)
            console.print(Text(f"would go to {called(address, names)}  {heading(failed)}"), soft_wrap=True)
        except Unreachable as error:
            well = False
            _tell(failed, Outcome.SKIPPED, str(error), names, console)
    console.print(f"{len(planned)} looked at, nothing sent.")
    return well


def _tell(failed: FailedEvent, outcome: Outcome, why: str, names: Mapping[str, str], console: Console) -> None:
    to = f" to {called(failed.consumer, names)}" if outcome is Outcome.SENT else ""
    console.print(Text(f"{outcome}{to}  {heading(failed)}"), soft_wrap=True)
    if why:
        console.print(Text(f"    {in_a_line(why)}"), soft_wrap=True)
