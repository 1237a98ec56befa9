"""Runs every outcome of the saga on an embedded cloud of its own, and tallies what each led to."""

from __future__ import annotations

import json
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cost.tally import Call, Tally, tallied
from cost.weight import weight
from local import demo
from local.cloud import Cloud
from local.people import People, sign_in_everyone
from local.plans import ESPRESSO, MATCHA, SHIPPING
from local.stack import TIMELINE_NAME, TIMELINE_TEMPLATE, Stack, attached_to, build, deploy
from ops import OpsError
from ops.api import Api
from orders.orders import order_id_for
from payment.gateway import declines

QUIET_SECONDS = 1.5
"""No call for so long, and all that an order leads to has been. Retries wait for a second."""

MOST_SECONDS = 60.0

ITEM_OVERHEAD = 100
"""Bytes of storage that DynamoDB bills for each item, and each index entry, beside its own."""


BILLED = {
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Lambda::Function",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
}
"""The types of the resources that calls are recorded of. (A dashboard has the name of the bus.)"""


class NotAsPlanned(OpsError):
    """An order did not end as it should: what was recorded is not what it costs."""


@contextmanager
def recording_cloud(tell: Callable[[str], None]) -> Iterator[tuple[Cloud, Stack, Stack]]:
    """A cloud that records, with EventFlow and its timeline; it goes again. Raises CloudError."""
    with tempfile.TemporaryDirectory(prefix="eventflow-cost-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        cloud = Cloud(Path(folder), port)
        tell("Start an embedded cloud that records its calls")
        cloud.start()
        try:
            tell("Deploy EventFlow and its timeline there")
            with ThreadPoolExecutor() as meanwhile:
                timeline_built = meanwhile.submit(build, cloud, TIMELINE_TEMPLATE, TIMELINE_NAME)
                stack = deploy(cloud, build(cloud))
                timeline = deploy(cloud, timeline_built.result(), TIMELINE_NAME, attached_to(stack))
            yield cloud, stack, timeline
        finally:
            cloud.stop()


@dataclass
class Recorder:
    """Places orders of each outcome, and reads what they led to in the cloud's record."""

    cloud: Cloud
    stack: Stack
    timeline: Stack
    people: People
    """Of the stack: to sign them in once more would change their passwords."""
    tell: Callable[[str], None]
    named: dict[str, str] = field(init=False)
    """Logical by physical id, of both stacks."""
    placed: str = ""
    """The id of the newest order."""

    def __post_init__(self) -> None:
        pages = self.cloud.client("cloudformation").get_paginator("list_stack_resources")
        resources = [
            it
            for stack in (self.stack.name, self.timeline.name)
            for page in pages.paginate(StackName=stack)
            for it in page["StackResourceSummaries"]
        ]
        # a queue's id is a URL, a state machine's an ARN: the record has the name at its end
        self.named = {
            re.split("[/:]", it["PhysicalResourceId"])[-1]: it["LogicalResourceId"]
            for it in resources
            if it["ResourceType"] in BILLED
        }
        (watch,) = (it for it in resources if it["LogicalResourceId"] == "WatchEveryMinute")
        self._watch = watch["PhysicalResourceId"].rpartition("|")[2]
        self.cloud.client("events").disable_rule(Name=self._watch)  # what it costs is not an order's

    def close(self) -> None:
        """The timeline's watch goes on."""
        self.cloud.client("events").enable_rule(Name=self._watch)

    def outcomes(self, orders: int, only: Collection[str] = ()) -> dict[str, Tally]:
        """Of each outcome, or of some only, the tally of one order, from so many. Raises NotAsPlanned."""
        self.tell("Put products on sale")
        demo.sell(self.stack, self.people)
        plans: dict[str, Callable[[], str]] = {
            "confirmed": self._confirm,
            "from a basket": self._check_out,
            "payment declined": lambda: self._place("PAYMENT_FAILED", declined=True),
            "out of stock": lambda: self._place("INVENTORY_FAILED", product=MATCHA.product_id),
            "cancelled by its shopper": self._cancel,
        }
        self.cloud.calls.touch()
        try:
            self._confirm()  # the first of all is cold, and is not counted
            self._quiet()
            wanted = {outcome: place for outcome, place in plans.items() if not only or outcome in only}
            return {outcome: self._recorded(outcome, place, orders) for outcome, place in wanted.items()}
        finally:
            self.cloud.calls.unlink()

    def _recorded(self, outcome: str, place: Callable[[], str], orders: int) -> Tally:
        found: list[Call] = []
        before = self._kept()
        for number in range(1, orders + 1):
            self.tell(f"Order {number} of {orders}: {outcome}")
            found += self._calls_of(place)
        after = self._kept()
        return tallied(found, orders, self.named, {table: after[table] - before[table] for table in after})

    def _calls_of(self, place: Callable[[], str]) -> list[Call]:
        """All calls that an order led to; that it ended as planned is asked for when they are over."""
        start = self.cloud.calls.stat().st_size
        expected = place()
        self._quiet()
        with self.cloud.calls.open() as file:
            file.seek(start)
            calls = [json.loads(line) for line in file]
        seen = self._api.call("GET", f"/orders/{self.placed}")["status"]
        self._quiet()
        if seen != expected:
            raise NotAsPlanned(f"order {self.placed} is {seen}, not {expected}: run it again")
        return calls

    def _quiet(self) -> None:
        """Until no function is at work and nothing was recorded for QUIET_SECONDS. Raises NotAsPlanned."""
        deadline = time.monotonic() + MOST_SECONDS
        size, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise NotAsPlanned(f"calls go on for more than {MOST_SECONDS:.0f} s (log: {self.cloud.log})")
            record = self.cloud.calls.read_text()
            if len(record) != size:
                calls = [json.loads(line) for line in record.splitlines()]
                marks = {kind: {it["mark"] for it in calls if it["operation"] == kind} for kind in ("Begin", "End")}
            if len(record) != size or marks["Begin"] - marks["End"]:
                size, since = len(record), time.monotonic()
            time.sleep(0.1)

    def _kept(self) -> dict[str, int]:
        """Bytes that are stored in each table, and billed."""
        dynamodb, kept = self.cloud.client("dynamodb"), {}
        for physical, logical in self.named.items():
            if logical.endswith("Table"):
                pages = dynamodb.get_paginator("scan").paginate(TableName=physical)
                kept[logical] = sum(weight(item) + ITEM_OVERHEAD for page in pages for item in page["Items"])
        return kept

    # The outcomes

    @property
    def _api(self) -> Api:
        return Api(self.stack.api_url, self.people.shopper.token)

    def _confirm(self) -> str:
        return self._place("CONFIRMED")

    def _place(self, ends: str, product: str = ESPRESSO.product_id, declined: bool = False) -> str:
        while True:
            key = str(uuid.uuid4())
            order = order_id_for(self.people.shopper.sub, key)
            if declines(order, int(self.stack.parameters["PaymentFailureRate"])) == declined:
                break
        self._api.call("POST", "/orders", {"productId": product, "quantity": 2}, Idempotency_Key=key)
        self.placed = order
        return ends

    def _check_out(self) -> str:
        self._api.call("PUT", f"/basket/items/{ESPRESSO.product_id}", {"quantity": 2})
        order = self._api.call("POST", "/basket/checkout", SHIPPING, Idempotency_Key=str(uuid.uuid4()))["orderId"]
        # nobody chooses its id, by which the gateway decides
        self.placed = order
        return "PAYMENT_FAILED" if declines(order, int(self.stack.parameters["PaymentFailureRate"])) else "CONFIRMED"

    def _cancel(self) -> str:
        self._confirm()
        self._quiet()
        self._api.call("POST", f"/orders/{self.placed}/cancel")
        return "CANCELLED"


def recorded(orders: int, tell: Callable[[str], None]) -> dict[str, Tally]:
    """A tally of each outcome, from so many orders of it. Takes about a minute. Raises OpsError."""
    with recording_cloud(tell) as (cloud, stack, timeline):
        people = sign_in_everyone(cloud.client("cognito-idp"), stack.user_pool_id, stack.client_id)
        return Recorder(cloud, stack, timeline, people, tell).outcomes(orders)
