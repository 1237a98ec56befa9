"""The deployed stack that smoke checks, and the clients by which it does: AWS's public APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import boto3
from botocore.config import Config

from eventflow.attributes import from_attributes
from ops.failed import FailedQueue, failed_queues
from ops.logs import Group, groups_of
from ops.smoke import waiting
from ops.stack import Stack, reachable, runs_here

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_xray import XRayClient

R = TypeVar("R")
F = TypeVar("F")

AT_ONCE = 8


@dataclass(frozen=True)
class Resource:
    """One of a stack, by the stack's name, and by its logical and its physical id."""

    stack: str
    logical: str
    physical: str


@dataclass
class Deployed:
    """`stacks` are the shop's, then those of the timelines that listen to its bus."""

    stacks: list[Stack]
    cloudformation: CloudFormationClient
    lambdas: LambdaClient
    events: EventBridgeClient
    sqs: SQSClient
    dynamodb: DynamoDBClient
    xray: XRayClient
    cloudwatch: Any
    states: Any
    logs: Any
    cognito: Any

    @classmethod
    def named(cls, name: str) -> Self:
        """Raises OpsError if there is no such stack, or it is not EventFlow's."""
        config = Config(max_pool_connections=AT_ONCE, retries={"mode": "standard", "total_max_attempts": 5})

        def client(service: str) -> Any:
            return boto3.client(service, config=config)  # type: ignore[call-overload]

        cloudformation = client("cloudformation")
        services = ("lambda", "events", "sqs", "dynamodb", "xray", "cloudwatch", "stepfunctions", "logs", "cognito-idp")
        stacks = Stack.with_timelines(name, cloudformation)
        stacks[0].output("EventBusName")
        return cls(stacks, cloudformation, *map(client, services))

    @property
    def shop(self) -> Stack:
        return self.stacks[0]

    @property
    def name(self) -> str:
        return self.shop.name

    @property
    def here(self) -> bool:
        """Whether it is on the embedded cloud."""
        return runs_here(self.cloudformation)

    @property
    def patience(self) -> waiting.Patience:
        return waiting.HERE if self.here else waiting.AWS

    @property
    def bus(self) -> str:
        return self.shop.output("EventBusName")

    @property
    def timelines(self) -> list[Stack]:
        return self.stacks[1:]

    def url(self, stack: Stack, output: str) -> str:
        """Raises OpsError if the stack has no such output."""
        return reachable(stack.output(output), self.cloudformation.meta.endpoint_url)

    def resources(self, kind: str) -> list[Resource]:
        """Those of a type, of all stacks, as CloudFormation lists them."""
        return [Resource(stack.name, *ids) for stack in self.stacks for ids in stack.of_type(kind).items()]

    @cached_property
    def queues(self) -> list[FailedQueue]:
        return failed_queues(self.stacks, self.sqs)

    @cached_property
    def log_groups(self) -> list[Group]:
        return groups_of(self.stacks, self.lambdas)

    def waiting_in(self, queue: FailedQueue) -> int:
        """About how many messages a queue holds, with those that somebody is reading. It hides none."""
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        answer: Any = self.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)  # type: ignore[arg-type]
        return sum(int(answer["Attributes"].get(name, "0")) for name in names)

    def row(self, table: str, **key: str) -> dict[str, Any] | None:
        """A row as plain values, by a consistent read. `table` is its name in the template."""
        found = self.dynamodb.get_item(
            TableName=self.shop.table(table), Key={name: {"S": it} for name, it in key.items()}, ConsistentRead=True
        )
        return from_attributes(found["Item"], dict[str, Any]) if "Item" in found else None

    def put(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Put events on the shop's bus: entries of PutEvents, but for the bus. Raises Wrong if it refuses one."""
        for each in entries:  # one by one: PutEvents takes ten at most
            entry: Any = {**each, "EventBusName": self.bus}
            if self.events.put_events(Entries=[entry])["FailedEntryCount"]:
                raise waiting.Wrong(
                    f"the bus {self.bus} does not take {each['DetailType']}",
                    f"aws events describe-event-bus --name {self.bus}",
                )

    @staticmethod
    def each(things: Iterable[F], look: Callable[[F], Iterable[R]]) -> Iterator[R]:
        """All that `look` yields for each thing; it looks at several at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for found in pool.map(lambda thing: list(look(thing)), things):
                yield from found

    def named_in_template(self) -> Mapping[str, str]:
        """Logical by physical id, of all resources."""
        return {
            physical: logical
            for stack in self.stacks
            for kind in stack.resources.values()
            for logical, physical in kind.items()
        }
