"""`make smoke` passes on a stack that is right, leaves nothing behind but orders, and fails on stacks that are not.

On a stack of its own, beside the one of the other tests: they set off its alarms, and leave failed events.
"""

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from local.cloud import ROOT, Cloud
from local.stack import Stack, attached_to
from ops.api import Api

from .copies import deployed_again
from .timelines import Timelines
from .waiting import eventually

RUN_SECONDS = 120
"""A run takes 20; more on a busy machine."""


@dataclass(frozen=True)
class Said:
    """How a run ended, and what it said."""

    code: int
    text: str
    junit: Path

    @property
    def run(self) -> str:
        found = re.search(r"run (smoke-\w+)", self.text)
        assert found, self.text
        return found[1]

    @property
    def look_at(self) -> str:
        (line,) = re.findall(r"^look at next: (.*)$", self.text, re.MULTILINE)
        return str(line)

    def steps(self, kind: str) -> list[str]:
        """The names of those that JUnit's report has as this: failure, skipped; or of all, for *."""
        return [
            case.attrib["name"]
            for case in ElementTree.parse(self.junit).iter("testcase")
            if case.find(kind) is not None
        ]


@dataclass
class Smoked:
    """A deployed stack with its timeline, and how it is broken."""

    cloud: Cloud
    name: str
    folder: Path

    def start(self, *options: str) -> "tuple[subprocess.Popen[str], Path]":
        junit = self.folder / f"{uuid.uuid4()}.xml"
        command = [sys.executable, "-m", "ops", "smoke", "--stack-name", self.name, "--junit", str(junit), *options]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.cloud.environment() | {"PYTHONPATH": "functions"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return process, junit

    def smoke(self, *options: str) -> Said:
        process, junit = self.start(*options)
        try:
            out, _ = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"not done after {RUN_SECONDS} s: {process.communicate()[0]}")
        return Said(process.returncode, out, junit)

    @cached_property
    def resources(self) -> dict[str, str]:
        """Physical by logical id, of both stacks."""
        pages = self.cloud.client("cloudformation").get_paginator("list_stack_resources")
        return {
            it["LogicalResourceId"]: it["PhysicalResourceId"]
            for name in (self.name, f"{self.name}-timeline")
            for page in pages.paginate(StackName=name)
            for it in page["StackResourceSummaries"]
        }

    @cached_property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}

    def users(self) -> list[str]:
        found = self.cloud.client("cognito-idp").list_users(UserPoolId=self.outputs["UserPoolId"])["Users"]
        return [
            attribute["Value"] for user in found for attribute in user["Attributes"] if attribute["Name"] == "email"
        ]

    def products(self) -> list[str]:
        api_id = self.outputs["ApiUrl"].partition("//")[2].partition(".")[0]
        api = Api(f"{self.cloud.endpoint}/_aws/execute-api/{api_id}/v1", "")
        return [product["productId"] for product in api.call("GET", "/products?limit=100")["items"]]

    def orders(self, product: str) -> list[str]:
        """The status of each order of this product."""
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self.resources["OrdersTable"])
        rows = [row for page in pages for row in page["Items"] if product in json.dumps(row["items"])]
        return sorted(row["status"]["S"] for row in rows)

    def waiting(self) -> dict[str, int]:
        """How many messages each queue holds, if any."""
        sqs, found = self.cloud.client("sqs"), {}
        for logical, url in self.resources.items():
            if "/" in url and ("Failed" in logical or logical == "Checkouts") and url.startswith("http"):
                names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
                attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
                found[logical] = sum(int(attributes[name]) for name in names)
        assert len(found) > 7
        return {logical: number for logical, number in found.items() if number}


@pytest.fixture(scope="module")
def smoked(
    cloud: Cloud, stack: Stack, timeline: Timelines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Smoked]:
    name = f"smoke-{uuid.uuid4().hex[:8]}"
    with (
        deployed_again(cloud, stack, name, {}) as shop,
        deployed_again(cloud, timeline.stack, f"{name}-timeline", attached_to(shop)),
    ):
        yield Smoked(cloud, name, tmp_path_factory.mktemp("junit"))


def test_a_stack_that_is_right_passes_and_only_its_orders_stay(smoked):
    # when
    said = smoked.smoke("--poison")

    # then
    assert said.code == 0, said.text
    assert said.text.endswith(f"{smoked.name} is right.\n")
    assert "look at next" not in said.text
    # and the report for the pipeline tells the same
    (suite,) = ElementTree.parse(said.junit).getroot()
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "0")
    assert int(suite.attrib["tests"]) == len(suite) == said.text.count("✓") > 20
    # and it has shopped, and nothing of it is left but the orders
    assert smoked.orders(said.run) == ["CANCELLED", "CONFIRMED", "CONFIRMED", "INVENTORY_FAILED"]
    assert f"Of run {said.run} its 4 orders and their events stay." in said.text
    assert [user for user in smoked.users() if user.startswith(said.run)] == []
    assert said.run not in smoked.products()
    assert smoked.waiting() == {}


def test_whoever_interrupts_it_leaves_no_users_and_no_product(smoked):
    # given a run that is about to place its first order
    process, junit = smoked.start("--no-poison")
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "✓ Its category lists it" in line:
            break
    run = Said(0, said, junit).run
    assert run in smoked.products(), said

    # when
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=RUN_SECONDS)

    # then
    assert process.returncode == 1, rest
    assert rest.endswith("interrupted\n")
    assert [user for user in smoked.users() if user.startswith(run)] == []
    assert run not in smoked.products()
    assert 'message="interrupted"' in junit.read_text()


# Broken on purpose


@contextmanager
def rule_off(smoked: Smoked) -> Iterator[None]:
    events = smoked.cloud.client("events")
    rule = {"Name": smoked.resources["PaymentFunctionOrders"].rpartition("|")[2], "EventBusName": smoked.name}
    events.disable_rule(**rule)
    yield
    events.enable_rule(**rule)


@contextmanager
def timelines_rule_off(smoked: Smoked) -> Iterator[None]:
    events = smoked.cloud.client("events")
    rule = {"Name": f"{smoked.name}-timeline", "EventBusName": smoked.name}
    events.disable_rule(**rule)
    yield
    events.enable_rule(**rule)


@contextmanager
def mapping_off(smoked: Smoked) -> Iterator[None]:
    lambdas, uuid_ = smoked.cloud.client("lambda"), smoked.resources["OrdersAnnouncements"]
    lambdas.update_event_source_mapping(UUID=uuid_, Enabled=False)
    yield
    lambdas.update_event_source_mapping(UUID=uuid_, Enabled=True)


@contextmanager
def alias_stale(smoked: Smoked) -> Iterator[None]:
    lambdas, name = smoked.cloud.client("lambda"), smoked.resources["PaymentFunction"]
    variables = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {"Variables": variables | {"PAYMENT_FAILURE_RATE": "50"}}
    lambdas.update_function_configuration(FunctionName=name, Environment=changed)
    yield
    lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@contextmanager
def event_failed(smoked: Smoked) -> Iterator[None]:
    sqs, url = smoked.cloud.client("sqs"), smoked.resources["NotificationFailedEvents"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    yield
    (message,) = sqs.receive_message(QueueUrl=url).get("Messages", [])  # it is still there, and nobody has it in hand
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@contextmanager
def alarm_on(smoked: Smoked) -> Iterator[None]:
    cloudwatch, name = smoked.cloud.client("cloudwatch"), smoked.resources["RelayBehindAlarm"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="set by a test")
    yield
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="set by a test")


@pytest.mark.parametrize(
    ("broken", "step", "why", "look_at"),
    [
        pytest.param(
            rule_off,
            "Each rule is on and leads to what exists",
            "rule PaymentFunctionOrders is DISABLED",
            r"aws events enable-rule --name \S+PaymentFunctionOrders\S+ --event-bus-name smoke-\w+",
            id="a rule is off",
        ),
        pytest.param(
            timelines_rule_off,
            "Each rule is on and leads to what exists",
            "rule KeeperAllEvents is DISABLED",
            r"aws events enable-rule --name smoke-\w+-timeline --event-bus-name smoke-\w+",
            id="the timeline's rule is off",
        ),
        pytest.param(
            mapping_off,
            "Each event source mapping is on and reads what exists",
            "OrdersAnnouncements is Disabled",
            r"aws lambda update-event-source-mapping --uuid \S+ --enabled",
            id="a mapping is off",
        ),
        pytest.param(
            alias_stale,
            "Each alias leads to the configuration of $LATEST",
            "PaymentFunction:live is not what $LATEST is; they differ in: variable PAYMENT_FAILURE_RATE",
            r"sam build && sam deploy .*",
            id="an alias is stale",
        ),
        pytest.param(
            event_failed,
            "The failed queues are empty",
            "failed events wait in the queues: notification 1",
            r"make failed STACK_NAME=smoke-\w+",
            id="a failed queue is not empty",
        ),
        pytest.param(
            alarm_on,
            "No alarm is on",
            "RelayBehindAlarm is on: set by a test",
            r"docs/runbook.md, the entry of RelayBehindAlarm",
            id="an alarm is on",
        ),
    ],
)
def test_it_says_what_is_set_up_wrong_and_places_no_order(smoked, broken, step, why, look_at):
    # when
    with broken(smoked):
        said = smoked.smoke()

    # then
    assert said.code == 1, said.text
    assert said.steps("failure") == [step]
    assert why in said.text
    assert re.fullmatch(look_at, said.look_at)
    # the rest is not run: there is no product, no order, no poison
    assert "Two shoppers and an operator sign in" in said.steps("skipped")
    assert smoked.orders(said.run) == []
    assert smoked.users() == []


@contextmanager
def index_missing(smoked: Smoked) -> Iterator[None]:
    dynamodb, table = smoked.cloud.client("dynamodb"), smoked.resources["OrdersTable"]
    description = dynamodb.describe_table(TableName=table)["Table"]
    (index,) = description["GlobalSecondaryIndexes"]
    again: dict[str, Any] = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    dynamodb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": index["IndexName"]}}])
    yield
    dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=description["AttributeDefinitions"],
        GlobalSecondaryIndexUpdates=[{"Create": again}],
    )


def test_an_index_that_is_missing_breaks_the_shoppers_list(smoked):
    # when
    with index_missing(smoked):
        said = smoked.smoke("--no-poison")

    # then that is what failed, and all else was looked at
    assert said.code == 1, said.text
    assert said.steps("failure") == ["The shopper's list has all orders"]
    assert said.look_at.startswith(f"sam logs --stack-name {smoked.name} --filter ERROR")
    assert said.steps("skipped") == []
    assert said.run not in smoked.products()
    assert smoked.users() == []


@contextmanager
def permission_taken_away(smoked: Smoked) -> Iterator[None]:
    iam = smoked.cloud.client("iam")
    role = smoked.resources["PaymentFunctionRole"]
    policies = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    assert policies
    for name in policies:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    yield
    for name, document in policies.items():
        text = document if isinstance(document, str) else json.dumps(document)
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)


def test_a_permission_that_is_missing_is_told_by_the_event_that_failed_for_it(smoked):
    # when
    with permission_taken_away(smoked):
        said = smoked.smoke("--no-poison")

    # then
    assert said.code == 1, said.text
    assert said.steps("failure") == ["An order is confirmed"]
    assert re.search(r"is RESERVED, for payment gave up its OrderCreated: .*AccessDenied", said.text)
    command = re.fullmatch(rf"make failed ORDER=(\S+) STACK_NAME={smoked.name}", said.look_at)
    assert command
    # what needs no order is looked at all the same, and users and product are gone
    assert "A partner's order is taken" not in said.steps("skipped")
    assert said.run not in smoked.products()
    assert smoked.users() == []

    # and once the permission is back, a redrive of what it named brings the order to its end
    redrive = [sys.executable, "-m", "ops", "redrive", "--stack-name", smoked.name, "--order", command[1]]
    subprocess.run(redrive, cwd=ROOT, env=smoked.cloud.environment(), check=True, timeout=60, stdout=subprocess.DEVNULL)
    eventually(lambda: smoked.orders(said.run), lambda statuses: statuses == ["CONFIRMED"])
    assert smoked.waiting() == {}
