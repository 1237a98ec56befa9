"""ops/smoke: what it finds wrong, what malformed events are made of, what it reports. A system test has the rest."""

import importlib
import io
import itertools
import json
import re
import sys
from collections import namedtuple
from datetime import UTC, datetime
from types import SimpleNamespace
from xml.etree import ElementTree

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from botocore.exceptions import ClientError
from rich.console import Console

from eventflow.attributes import to_attributes
from eventflow.contracts import MalformedEvent
from eventflow.events import StepFailed
from eventflow.outbox import Announcement
from ops import OpsError, smoke
from ops import __main__ as command_line
from ops import api as http
from ops.api import Api, ErrorAnswer
from ops.logs import Group, Line
from ops.patterns import example, matches
from ops.people import Person
from ops.smoke import before, orders, poison
from ops.smoke.deployed import Deployed
from ops.smoke.orders import DONE, HEARD_TWICE_BY, UNDONE, Placed, Shopping, tells
from ops.smoke.poison import Due, Listener, due, malformed
from ops.smoke.report import Outcome, Report, Result, write_junit
from ops.smoke.waiting import Patience, Skip, Wrong, until
from ops.stack import Stack, reachable
from orders.orders import UnknownOrder
from payment.gateway import declines

from ..sam_template import FUNCTIONS, TEMPLATE, TIMELINE, kept_events, resources, triggers
from .lambda_context import LambdaContext

AWS = "https://cloudformation.eu-west-1.amazonaws.com"


def deployed(endpoint: str = AWS, shop: Stack | None = None, **clients: object) -> Deployed:
    """A stack named shop, on AWS, spoken to by these stand-ins for boto3's clients."""
    shop = shop or Stack("shop", outputs={"EventBusName": "shop"})
    cloudformation = SimpleNamespace(meta=SimpleNamespace(endpoint_url=endpoint, region_name="eu-west-1"))
    names = ("lambdas", "events", "sqs", "dynamodb", "xray", "cloudwatch", "states", "logs", "cognito")
    return Deployed([shop], cloudformation, *(clients.get(name) for name in names))


def holding(kind: str, **physical: str) -> Stack:
    return Stack("shop", outputs={"EventBusName": "shop"}, resources={kind: physical})


def gone(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, operation)


# Aliases


CONFIGURATION = {
    "FunctionArn": "arn:aws:lambda:eu-west-1:1:function:pay",
    "Version": "$LATEST",
    "CodeSha256": "abc",
    "Runtime": "python3.13",
    "Handler": "payment.consumer.handler",
    "Role": "arn:aws:iam::1:role/pay",
    "Timeout": 15,
    "MemorySize": 512,
    "Architectures": ["arm64"],
    "Layers": [{"Arn": "arn:aws:lambda:eu-west-1:1:layer:d:1", "CodeSize": 3}],
    "Environment": {"Variables": {"PAYMENT_FAILURE_RATE": "10", "SECRET": "s3cr3t"}},
    "TracingConfig": {"Mode": "Active"},
    "LoggingConfig": {"LogGroup": "pay"},
}
LIVE = CONFIGURATION | {"FunctionArn": CONFIGURATION["FunctionArn"] + ":7", "Version": "7", "RevisionId": "r"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"LastModified": "2026-11-20", "LastUpdateStatus": "Successful", "CodeSize": 9}, []),
        ({"CodeSha256": "def"}, ["code"]),
        ({"Layers": [{"Arn": "arn:aws:lambda:eu-west-1:1:layer:d:2"}]}, ["layers"]),
        ({"Layers": []}, ["layers"]),
        ({"Timeout": 3, "MemorySize": 128}, ["memory", "timeout"]),
        ({"Runtime": "python3.12", "Architectures": ["x86_64"]}, ["architectures", "runtime"]),
        ({"Handler": "other.handler"}, ["handler"]),
        ({"Role": "arn:aws:iam::1:role/other"}, ["role"]),
        ({"TracingConfig": {"Mode": "PassThrough"}}, ["tracing"]),
        ({"LoggingConfig": {"LogGroup": "other"}}, ["logging"]),
        (
            {"Environment": {"Variables": {"PAYMENT_FAILURE_RATE": "20", "NEW": "1"}}},
            ["variable NEW", "variable PAYMENT_FAILURE_RATE", "variable SECRET"],
        ),
    ],
)
def test_what_an_alias_has_otherwise_is_named_and_never_a_value(changed, told):
    assert before.differences(CONFIGURATION | changed, LIVE) == told
    assert before.differences(LIVE, CONFIGURATION | changed) == told


class Lambdas:
    """One function; its alias may shift traffic. What it is asked for that is not there is gone."""

    def __init__(self, weights=None, there=("pay",)):
        self.weights, self.there = weights, there

    def get_alias(self, FunctionName, Name):
        return {"FunctionVersion": "7", "RoutingConfig": {"AdditionalVersionWeights": self.weights or {}}}

    def get_function_configuration(self, FunctionName, Qualifier=""):
        if FunctionName.split(":")[6] not in self.there:
            raise gone("GetFunctionConfiguration")
        return CONFIGURATION

    def get_event_source_mapping(self, UUID):
        if UUID == "gone":
            raise gone("GetEventSourceMapping")
        source = "arn:aws:dynamodb:eu-west-1:1:table/Orders/stream/2026"
        return {"State": "Enabled", "EventSourceArn": source, "FunctionArn": f"{CONFIGURATION['FunctionArn']}:live"}


ALIASES = holding("AWS::Lambda::Alias", PaymentFunctionAliaslive="arn:aws:lambda:eu-west-1:1:function:pay:live")


def test_an_alias_between_two_versions_is_not_looked_at_as_if_it_were_deployed():
    before.aliases(deployed(shop=ALIASES, lambdas=Lambdas()))
    with pytest.raises(Wrong, match="pay:live is between two versions") as wrong:
        before.aliases(deployed(shop=ALIASES, lambdas=Lambdas(weights={"8": 0.1})))
    assert "CodeDeploy" in wrong.value.look_at


def test_an_alias_that_is_gone_is_named():
    with pytest.raises(Wrong, match="pay:live is gone") as wrong:
        before.aliases(deployed(shop=ALIASES, lambdas=Lambdas(there=())))
    assert wrong.value.look_at.startswith("sam build && sam deploy --stack-name shop (")


# Rules and mappings


PAY = "arn:aws:lambda:eu-west-1:1:function:pay:live"
QUEUE = "arn:aws:sqs:eu-west-1:1:pay-failed"
DEPLOY = "sam build && sam deploy --stack-name shop (docs/runbook.md"


class Events:
    """EventBridge with one rule, on the bus shop."""

    def __init__(self, state="ENABLED", targets=None):
        self.state = state
        self.targets = [{"Id": "1", "Arn": PAY, "DeadLetterConfig": {"Arn": QUEUE}}] if targets is None else targets

    def describe_rule(self, Name, EventBusName):
        if (Name, EventBusName) != ("orders", "shop"):
            raise gone("DescribeRule")
        return {"State": self.state, "EventPattern": '{"source": ["eventflow.orders"]}'}

    def get_paginator(self, _):
        return SimpleNamespace(paginate=lambda Rule, EventBusName: [{"Targets": self.targets}])


class Queues:
    """SQS with these queues, and this many messages in each."""

    def __init__(self, *names, messages=0):
        self.names, self.messages = names, messages

    def get_queue_url(self, QueueName, QueueOwnerAWSAccountId):
        if QueueName not in self.names:
            error = {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "no"}}
            raise ClientError(error, "GetQueueUrl")
        return {"QueueUrl": QueueName}

    def get_queue_attributes(self, QueueUrl, AttributeNames):
        told = {"ApproximateNumberOfMessagesNotVisible": str(self.messages), "QueueArn": QUEUE}
        return {"Attributes": {name: told.get(name, "0") for name in AttributeNames if name != "RedrivePolicy"}}


@pytest.mark.parametrize("physical", ["shop|orders", "orders"], ids=["as AWS names it", "as the embedded cloud does"])
def test_a_rule_that_is_as_it_should_be_is_found_by_either_id(physical):
    stack = holding("AWS::Events::Rule", PaymentOrders=physical)
    before.rules(deployed(shop=stack, events=Events(), lambdas=Lambdas(), sqs=Queues("pay-failed")))


@pytest.mark.parametrize(
    ("physical", "events", "lambdas", "queues", "why", "look_at"),
    [
        ("shop|other", Events(), Lambdas(), ["pay-failed"], "rule PaymentOrders is gone", DEPLOY),
        (
            "shop|orders",
            Events("DISABLED"),
            Lambdas(),
            ["pay-failed"],
            "rule PaymentOrders is DISABLED",
            "aws events enable-rule --name orders --event-bus-name shop",
        ),
        ("shop|orders", Events(targets=[]), Lambdas(), ["pay-failed"], "PaymentOrders has no target", DEPLOY),
        ("shop|orders", Events(), Lambdas(there=()), ["pay-failed"], f"its target {PAY} is gone", DEPLOY),
        ("shop|orders", Events(), Lambdas(), [], f"its dead-letter queue {QUEUE} is gone", DEPLOY),
    ],
)
def test_a_rule_that_leads_nowhere_is_named(physical, events, lambdas, queues, why, look_at):
    stack = holding("AWS::Events::Rule", PaymentOrders=physical)
    with pytest.raises(Wrong, match=why) as wrong:
        before.rules(deployed(shop=stack, events=events, lambdas=lambdas, sqs=Queues(*queues)))
    assert wrong.value.look_at.startswith(look_at)


def test_what_is_gone_of_a_timeline_comes_back_by_deploying_the_timeline():
    timeline = Stack("my-timeline", resources={"AWS::Events::Rule": {"KeeperAllEvents": "shop|other"}})
    at = deployed(events=Events(), lambdas=Lambdas())
    at.stacks.append(timeline)
    with pytest.raises(Wrong, match="rule KeeperAllEvents is gone") as wrong:
        before.rules(at)
    command = "sam build --config-env timeline && sam deploy --config-env timeline --stack-name my-timeline ("
    assert wrong.value.look_at.startswith(command)


@pytest.mark.parametrize(
    ("mapping", "latest", "why"),
    [
        ("m-1", "2026", None),
        ("m-1", "2027", "OrdersAnnouncements: its source .*/stream/2026 is gone"),
        ("gone", "2026", "OrdersAnnouncements is gone"),
    ],
    ids=["the table's stream", "a stream that the table had before", "no mapping"],
)
def test_a_mapping_reads_the_stream_that_its_table_has_now(mapping, latest, why):
    stream = f"arn:aws:dynamodb:eu-west-1:1:table/Orders/stream/{latest}"
    tables = SimpleNamespace(describe_table=lambda TableName: {"Table": {"LatestStreamArn": stream}})
    stack = holding("AWS::Lambda::EventSourceMapping", OrdersAnnouncements=mapping)
    at = deployed(shop=stack, lambdas=Lambdas(), dynamodb=tables)
    if why is None:
        before.mappings(at)
    else:
        with pytest.raises(Wrong, match=why):
            before.mappings(at)


# Queues and alarms


def test_a_failed_event_that_somebody_has_in_hand_is_there_too():
    stack = holding("AWS::SQS::Queue", PaymentFailedEvents="https://sqs/1/pay-failed")
    before.queues(deployed(shop=stack, sqs=Queues("pay-failed")))
    with pytest.raises(Wrong, match="payment 2") as wrong:
        before.queues(deployed(shop=stack, sqs=Queues("pay-failed", messages=2)))
    assert wrong.value.look_at == "make failed STACK_NAME=shop"


def test_two_timelines_queues_are_counted_together():
    # given two timelines, of which the first has a failed event; and both call their queue timeline
    at = deployed(sqs=SimpleNamespace(get_queue_attributes=lambda **_: {"Attributes": {"QueueArn": QUEUE}}))
    at.stacks += [
        Stack(name, resources={"AWS::SQS::Queue": {"TimelineFailedEvents": f"https://sqs/1/{name}"}})
        for name in ("first", "second")
    ]
    at.waiting_in = lambda queue: int(queue.url.endswith("first"))
    # then
    with pytest.raises(Wrong, match=r"^failed events wait in the queues: timeline 1$"):
        before.queues(at)


def test_of_alarms_those_of_the_stack_are_looked_at_and_of_no_other_whose_name_begins_alike():
    # given more alarms than one call takes, one of them on, which a page of 50 lacks; and another stack's, on as well
    ours = {f"Alarm{n}": f"shop-Alarm{n:03}-1A" for n in range(130)}
    on = {"shop-prod-Alarm1-2B", "shop-Alarm099-1A"}

    def describe_alarms(AlarmNames, MaxRecords=50):
        assert len(AlarmNames) <= 100
        states = {name: "ALARM" if name in on else "OK" for name in AlarmNames[:MaxRecords]}
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in states.items()]}

    at = deployed(
        shop=holding("AWS::CloudWatch::Alarm", **ours), cloudwatch=SimpleNamespace(describe_alarms=describe_alarms)
    )

    # then
    with pytest.raises(Wrong, match=r"^Alarm99 is on: CloudWatch gives no reason$") as wrong:
        before.alarms(at)
    assert wrong.value.look_at == "docs/runbook.md, the entry of Alarm99"
    on.remove("shop-Alarm099-1A")
    before.alarms(at)


def test_a_gateway_that_declines_everything_is_reported_before_any_order():
    before.gateway(deployed(shop=Stack("shop", parameters={"PaymentFailureRate": "99"})))
    with pytest.raises(Wrong, match="PaymentFailureRate is 100") as wrong:
        before.gateway(deployed(shop=Stack("shop", parameters={"PaymentFailureRate": "100"})))
    assert "sam deploy --stack-name shop --parameter-overrides PaymentFailureRate=10" in wrong.value.look_at


# Malformed events


LISTENERS = [
    *(
        Listener(f"{function}{name}", rule["Pattern"], (function,))
        for function in FUNCTIONS
        for name, rule in triggers(function, "EventBridgeRule").items()
    ),
    *(
        Listener(name, rule["EventPattern"], tuple(target["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]))
        for name, rule in resources("AWS::Events::Rule").items()
        if rule["EventPattern"]["source"] != poison.FROM_LAMBDA
    ),
    Listener("KeeperAllEvents", kept_events(), ("Keeper",)),
]
MARK = "smoke-0a1b2c3d"
EVENTS = malformed(LISTENERS, MARK, 1_760_000_000_000)


def failed_queue_of(consumer: str) -> str:
    """Where what this consumer gives up goes, by the template."""
    if consumer == "Keeper":
        return "TimelineFailedEvents"
    if consumer in FUNCTIONS:
        (failed,) = {
            str(target["Arn"]): target["Arn"]
            for rule in resources("AWS::Events::Rule").values()
            if f"${{{consumer}.Arn}}:" in str(rule["EventPattern"])
            for target in rule["Targets"]
        }.values()
    else:
        failed = resources("AWS::SQS::Queue")[consumer]["RedrivePolicy"]["deadLetterTargetArn"]
    return str(failed["Fn::GetAtt"][0])


def test_every_rule_of_the_templates_lets_a_malformed_event_through():
    assert len(LISTENERS) > 9
    for listener in LISTENERS:
        assert any(matches(listener.pattern, event) for event in EVENTS), listener


def test_every_failed_queue_of_the_templates_gets_one():
    reached = {failed_queue_of(each.consumer) for each in due(LISTENERS, EVENTS)}
    queues = {*resources("AWS::SQS::Queue"), *resources("AWS::SQS::Queue", TIMELINE)}
    assert reached == {queue for queue in queues if "Failed" in queue}


def is_veto(event):
    return StepFailed.is_announced_by(event["source"], event["detail-type"])


@pytest.mark.parametrize(
    ("consumer", "event"),
    [
        pytest.param(consumer, event, id=f"{consumer} {event['detail-type']}")
        for listener in LISTENERS
        for consumer in listener.consumers
        for event in EVENTS
        if consumer in FUNCTIONS and matches(listener.pattern, event) and not is_veto(event)
    ],
)
def test_every_function_refuses_it_before_it_does_anything(consumer, event):
    # anything it did would go to the network, which refuses
    module, _, name = FUNCTIONS[consumer]["Handler"].rpartition(".")
    with pytest.raises(MalformedEvent):
        getattr(importlib.import_module(module), name)({"id": "1", **event}, LambdaContext())


def test_a_veto_is_heard_in_any_version_and_fails_for_its_order_is_not_there(db, monkeypatch):
    from orders import consumer

    monkeypatch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")
    (event,) = (event for event in EVENTS if is_veto(event))
    with pytest.raises(UnknownOrder, match=MARK):
        consumer.handler({"id": "1", **event}, LambdaContext())
    assert db.asked == ["GetItem OrdersTable"]


def test_the_consumer_of_checkouts_refuses_it_too(db):
    from orders import checkouts

    (event,) = (event for event in EVENTS if event["detail-type"] == "BasketCheckedOut")
    record = {"messageId": "m-1", "body": json.dumps({"id": "1", **event}), "attributes": {}, "eventSource": "aws:sqs"}
    with pytest.raises(BatchProcessingError, match=r"major version of '0\.0' is unknown here"):
        checkouts.handler({"Records": [record]}, LambdaContext())


def test_the_timeline_cannot_keep_it_and_it_is_of_no_order_but_its_own():
    for event in EVENTS:
        metadata = event["detail"]["metadata"]
        assert len(metadata["eventId"].encode()) > 1024  # of a sort key: DynamoDB Developer Guide, "Quotas"
        assert event["detail"]["orderId"] == metadata["correlationId"] == MARK


def test_a_rule_of_which_no_event_can_be_made_is_named():
    for pattern in ({"detail": {"orderId": ["o-1"]}}, {"detail": {"total": [{"numeric": [">", 1]}]}}):
        with pytest.raises(NotImplementedError, match="no event can be made of the pattern of NewRule"):
            malformed([Listener("NewRule", pattern, ("New",))], MARK, 0)


def test_an_event_is_awaited_of_everyone_whom_a_rule_leads_it_to():
    rules = [
        Listener("A", {"source": ["s"]}, ("One", "Two")),
        Listener("B", {"detail-type": [{"prefix": "x"}]}, ("Three",)),
    ]
    events = malformed(rules, MARK, 0)
    assert due(rules, events) == {Due("One", "Smoke"), Due("Two", "Smoke"), Due("Three", "xsmoke")}


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["a", "b"], "detail-type": [{"suffix": "Failed"}], "detail": {"orderId": [{"exists": True}]}},
        {"source": [{"prefix": "shop."}], "detail": {"inner": {"kind": [{"anything-but": "other"}]}}},
        {"source": [{"anything-but": ["microservice_x", "acme"]}]},
    ],
)
def test_an_example_of_a_pattern_matches_it(pattern):
    assert matches(pattern, example(pattern, "smoke"))


class Waiting:
    """Failed-events queues, of the consumers pay and stock, that messages arrive in one at a time."""

    def __init__(self, *arriving):
        self.arriving, self.there = list(arriving), {}

    def next(self):
        if self.arriving:
            url, message = self.arriving.pop(0)
            self.there.setdefault(url, []).append(message)


Message = namedtuple("Message", "id order consumer detail_type why")


@pytest.fixture
def poisoned(monkeypatch):
    """A stack with two queues, and what is done to them."""
    queues = [poison.FailedQueue("payment", "pay"), poison.FailedQueue("inventory", "stock")]
    box = SimpleNamespace(waiting=Waiting(), removed=[])

    class Hand:
        def __init__(self, queue, _):
            self.queue, self.taken = queue, False

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def take(self):
            found, self.taken = ([] if self.taken else box.waiting.there.get(self.queue.url, [])), True
            return [SimpleNamespace(queue=self.queue, message_id=it.id, **it._asdict()) for it in found]

        def remove(self, message_id):
            box.removed.append(message_id)
            there = box.waiting.there[self.queue.url]
            box.waiting.there[self.queue.url] = [it for it in there if it.id != message_id]

    put = SimpleNamespace(put_events=lambda Entries: {"FailedEntryCount": 0})
    at = deployed("http://127.0.0.1:4566", events=put)
    at.__dict__["queues"] = queues
    at.waiting_in = lambda queue: box.waiting.next() or len(box.waiting.there.get(queue.url, []))
    rules = [Listener("A", {"source": ["s"]}, ("pay",)), Listener("B", {"source": ["s"]}, ("stock",))]
    monkeypatch.setattr(poison, "listeners", lambda _: rules)
    monkeypatch.setattr(poison, "Hand", Hand)
    monkeypatch.setattr(Deployed, "patience", Patience(0, 0, 0, 0, poison=0.2, poll=0, poll_logs=0))
    box.told = []
    box.poison = poison.Poison(at, MARK, box.told.append)
    return box


def arm(consumer):
    return f"arn:aws:lambda:eu-west-1:1:function:{consumer}:live"


def test_poison_is_taken_out_where_it_arrives_and_nobody_elses_is(poisoned):
    poisoned.waiting = Waiting(
        ("pay", Message("m-1", "someone's", arm("pay"), "Smoke", "their reason")),
        ("pay", Message("m-2", MARK, arm("pay"), "Smoke", "MalformedEvent")),
        ("stock", Message("m-3", MARK, arm("stock"), "Smoke", "MalformedEvent")),
    )
    poisoned.poison.try_out()
    assert sorted(poisoned.removed) == ["m-2", "m-3"]
    assert [it.id for it in poisoned.waiting.there["pay"]] == ["m-1"]


def test_who_lost_it_is_named(poisoned):
    poisoned.waiting = Waiting(("pay", Message("m-2", MARK, arm("pay"), "Smoke", "MalformedEvent")))
    with pytest.raises(Wrong, match=r"not in a failed queue: Smoke of stock$") as wrong:
        poisoned.poison.try_out()
    assert wrong.value.look_at == f"make logs ORDER={MARK} STACK_NAME=shop"
    assert poisoned.removed == ["m-2"]


def test_what_is_still_missing_is_a_number_and_the_last_three_are_named(poisoned, monkeypatch):
    # given six consumers
    rules = [Listener(name, {"source": ["s"]}, (name,)) for name in ("pay", "stock", "u", "x", "y", "z")]
    monkeypatch.setattr(poison, "listeners", lambda _: rules)
    poisoned.waiting = Waiting(*(("pay", Message(name, MARK, arm(name), "Smoke", "why")) for name in ("u", "x", "z")))
    # when
    with pytest.raises(Wrong):
        poisoned.poison.try_out()
    # then
    *earlier, last = dict.fromkeys(poisoned.told)
    assert earlier
    assert set(earlier) <= {"6 still missing", "5 still missing", "4 still missing"}
    assert last == "3 still missing: Smoke of pay, Smoke of stock, Smoke of y"


def test_poison_without_a_reason_is_wrong_though_it_is_taken_out(poisoned):
    poisoned.waiting = Waiting(("pay", Message("m-2", MARK, arm("pay"), "Smoke", "")))
    with pytest.raises(Wrong, match="payment gave up Smoke without a reason"):
        poisoned.poison.try_out()
    assert poisoned.removed == ["m-2"]


@pytest.mark.parametrize(
    ("asked", "here", "stage", "poisons"),
    [
        (None, True, "prod", True),
        (None, False, "dev", True),
        (None, False, "staging", False),
        (None, False, "prod", False),
        (True, False, "prod", True),
        (False, True, "dev", False),
    ],
)
def test_poison_is_for_where_it_pages_nobody_unless_it_is_asked_for(asked, here, stage, poisons):
    assert smoke.poisons(asked, here, Stack("shop", parameters={"Stage": stage})) is poisons


# What is told of an order


CANCELLED = Placed("o-1", frozenset((*DONE, *UNDONE)))
SOLD_OUT = Placed(
    "o-2", frozenset({"OrderCreated", "InventoryFailed", "OrderCancelled"}), frozenset({"PaymentSucceeded"})
)


def timeline(*types: str, status: str = "done", outcome: str = "OrderCancelled"):
    return {"status": status, "outcome": outcome, "events": [{"type": it} for it in types]}


@pytest.mark.parametrize(
    ("told", "placed", "same"),
    [
        (timeline(*DONE, *UNDONE), CANCELLED, True),
        (timeline(*DONE, *UNDONE, "OrderCancelled"), CANCELLED, False),
        (timeline(*DONE, *UNDONE[:2]), CANCELLED, False),
        (timeline(*DONE, *UNDONE, status="open"), CANCELLED, False),
        (timeline(*DONE, *UNDONE, outcome="OrderConfirmed"), CANCELLED, False),
        (timeline(*SOLD_OUT.events), SOLD_OUT, True),
        (timeline(*SOLD_OUT.events, "PaymentSucceeded"), SOLD_OUT, True),
        (timeline(*SOLD_OUT.events, "OrderConfirmed"), SOLD_OUT, False),
        ({}, SOLD_OUT, False),
    ],
)
def test_a_timeline_tells_the_same_if_it_has_each_event_once_and_the_end(told, placed, same):
    assert tells(told, placed) is same


# Steps, each on a shop that is right, and on one that is not


HERE = "http://127.0.0.1:4566"
RUN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CANCELLATION = Announcement(
    id="e-1", source="eventflow.orders", detail_type="OrderCancelled", occurred_at=1_760_000_000_000, detail="{}"
)
STATUS = {"OrdersTable": "CANCELLED", "PaymentsTable": "REFUNDED", "ReservationsTable": "RELEASED"}


class Shop:
    """The whole shop, as the steps see it: its API, its bus, its tables, logs and traces. o-1 is the confirmed order of
    this run, o-2 the cancelled one. A test changes what is to go wrong.
    """

    def __init__(self) -> None:
        self.put: list[dict[str, str]] = []
        self.stock = 14
        self.category = [{"productId": MARK}]
        self.statuses: dict[str, str] = {}
        self.checked_out = ""
        """The id that the next checkout's order will have."""
        self.keys: dict[str, tuple[object, str]] = {"key-1": ({"productId": MARK, "quantity": 1}, "o-1")}
        self.compares_bodies = True
        self.owner_only = True
        self.partners_orders = True
        self.logged = dict.fromkeys(HEARD_TWICE_BY, 1)
        """How many deliveries of the cancellation each function's log has. It gets one line from look to look."""
        self.repeats_undo_again = False
        self.segments = ["orders", "relay", "payment", "inventory", "notification"]
        self.timelines = {"o-1": timeline(*DONE, outcome="OrderConfirmed"), "o-2": timeline(*DONE, *UNDONE)}

    # The API

    def call(self, api, method, path, body=None, **headers):
        match method, path:
            case "GET", "/products?category=smoke-0a1b2c3d":
                return {"items": self.category}
            case "POST", "/orders":
                known, order = self.keys.setdefault(headers["Idempotency_Key"], (body, f"o-{len(self.keys) + 2}"))
                if known != body and self.compares_bodies:
                    raise ErrorAnswer("the key was used for another order", 422)
                return {"orderId": order}
            case "GET", "/orders/o-1" if not self.owner_only or api.token == "shopper":
                return {"orderId": "o-1"}
            case "PUT", "/basket/items/smoke-0a1b2c3d":
                return {}
            case "POST", "/basket/checkout":
                declined = declines(self.checked_out, 10)
                self.stock -= 0 if declined else 3
                self.statuses = {self.checked_out: "PAYMENT_FAILED" if declined else "CONFIRMED"}
                return {"orderId": self.checked_out}
            case "GET", _ if (order := path.removeprefix("/orders/")) in self.statuses:
                return {"orderId": order, "status": self.statuses[order]}
            case "GET", "/inventory/smoke-0a1b2c3d" if api.token == "operator":
                return {"availableQty": self.stock}
            case "GET", "/partner-orders/smoke-0a1b2c3d-partner" if self.partners_orders and self.put:
                return {"amount": json.loads(self.put[0]["Detail"])["body"]["Amount"]}
            case "GET", "/timelines/o-1" | "/timelines/o-2" if api.token == "operator":
                return self.timelines[path.removeprefix("/timelines/")]
        raise ErrorAnswer(f"{method} {path} was answered 404", 404)

    # The bus, the tables, the logs, the traces

    def put_events(self, Entries):
        self.put += Entries
        return {"FailedEntryCount": 0}

    def get_item(self, TableName, Key, ConsistentRead):
        row = to_attributes({"orderId": Key["orderId"]["S"], "status": STATUS[TableName]})
        return {"Item": row | {"event": {"M": to_attributes(CANCELLATION)}}}

    def lines_about(self, order, groups, logs, since):
        (group,) = groups
        lines = self.logged[group.function]
        self.logged[group.function] = min(lines + 1, 1 + len(self.put))
        if lines == 3 and self.repeats_undo_again:
            self.stock += 2
        return [Line(RUN_AT, "", "INFO", "received", about={"eventId": "e-1"})] * lines

    def documents(self, *_):
        return [json.dumps({"name": name}) for name in self.segments]


@pytest.fixture
def the_shop():
    return Shop()


@pytest.fixture
def shopping(the_shop, monkeypatch):
    """A run on that shop which has placed its orders, and waits for nothing."""
    monkeypatch.setattr(Api, "call", lambda api, *asked, **headers: the_shop.call(api, *asked, **headers))
    monkeypatch.setattr(orders, "lines_about", the_shop.lines_about)
    monkeypatch.setattr(orders, "documents", the_shop.documents)
    monkeypatch.setattr(Deployed, "patience", Patience(-1, -1, logs=1, traces=-1, poison=-1, poll=0, poll_logs=0))
    outputs = {"EventBusName": "shop", "ApiUrl": "https://api"}
    stack = Stack("shop", outputs, resources={"AWS::DynamoDB::Table": {name: name for name in STATUS}})
    at = deployed(HERE, stack, events=the_shop, dynamodb=the_shop)
    at.stacks.append(Stack("shop-timeline", {"TimelineApiUrl": "https://timeline"}))
    at.__dict__["log_groups"] = [Group(name, name) for name in HEARD_TWICE_BY]
    return Shopping(
        at,
        MARK,
        lambda _: None,
        people={name: Person(name, "", name, token=name) for name in ("shopper", "stranger", "operator")},
        placed=[Placed("o-1", frozenset(DONE)), Placed("o-2", frozenset((*DONE, *UNDONE)))],
        stock=14,
        root="1-68f0-abc",
        request=("key-1", {"productId": MARK, "quantity": 1}),
    )


@pytest.mark.parametrize(
    "step", ["browse", "repeat", "pry", "take_a_partners_order", "repeat_an_event", "trace", "timelines"]
)
def test_a_shop_that_is_right_passes_each_step(shopping, step):
    getattr(shopping, step)()


@pytest.mark.parametrize("declined", [False, True])
def test_a_basket_is_an_order_whose_end_the_gateway_decides_by_an_id_that_nobody_chose(shopping, the_shop, declined):
    # given
    shopping.at.shop.parameters["PaymentFailureRate"] = "10"
    ids = (f"order-{n}" for n in itertools.count())
    the_shop.checked_out = next(order for order in ids if declines(order, 10) == declined)

    # when
    shopping.check_out()

    # then it is expected on its timeline as it ended, with the stock that it left
    placed = shopping.placed[-1]
    assert placed.outcome == ("OrderCancelled" if declined else "OrderConfirmed")
    assert ("PaymentFailed" in placed.events) == declined
    assert shopping.stock == the_shop.stock == (14 if declined else 11)


@pytest.mark.parametrize(
    ("step", "fault", "why"),
    [
        ("browse", {"category": []}, r"category .* lists \[\], not smoke-0a1b2c3d"),
        ("repeat", {"keys": {}}, "one Idempotency-Key is two orders, o-1 and o-2"),
        ("repeat", {"compares_bodies": False}, "used for another order is not refused with 422"),
        ("repeat", {"stock": 13}, "there are 13 pieces of smoke-0a1b2c3d, not 14"),
        ("pry", {"owner_only": False}, "a stranger is not refused with 404: it gets .*o-1"),
        ("take_a_partners_order", {"partners_orders": False}, "the partner's order .* is not there"),
        ("repeat_an_event", {"repeats_undo_again": True}, "an event put twice more changed .*14.* into .*18"),
        ("trace", {"segments": ["orders", "payment", "inventory", "notification"]}, "has nothing of relay"),
        (
            "timelines",
            {"timelines": {"o-1": timeline(*DONE)}},
            "shop-timeline .* by OrderCancelled .* by OrderConfirmed",
        ),
    ],
)
def test_each_step_names_what_is_wrong(shopping, the_shop, step, fault, why):
    vars(the_shop).update(fault)
    with pytest.raises(Wrong, match=why):
        getattr(shopping, step)()


def test_a_late_log_line_of_the_first_delivery_is_not_taken_for_a_repeat(shopping, the_shop):
    # given a shop that goes wrong at the last repeat
    the_shop.logged, the_shop.repeats_undo_again = dict.fromkeys(HEARD_TWICE_BY, 0), True
    # then that is seen
    with pytest.raises(Wrong, match="an event put twice more changed"):
        shopping.repeat_an_event()


def test_a_repeated_event_that_nobody_receives_is_not_taken_for_harmless(shopping, the_shop, monkeypatch):
    monkeypatch.setattr(Deployed, "patience", Patience(-1, -1, logs=-1, traces=-1, poison=-1, poll=0, poll_logs=0))
    with pytest.raises(Wrong, match=r"was received 1 times by .*, not 3 times by"):
        shopping.repeat_an_event()


def test_an_event_that_the_bus_refuses_is_named():
    refuses = SimpleNamespace(put_events=lambda Entries: {"FailedEntryCount": 1})
    with pytest.raises(Wrong, match="the bus shop does not take OrderCreated") as wrong:
        deployed(events=refuses).put([{"Source": "s", "DetailType": "OrderCreated", "Detail": "{}"}])
    assert wrong.value.look_at == "aws events describe-event-bus --name shop"


# The report


def report_of(width: int = 120) -> Report:
    return Report(Console(file=io.StringIO(), width=width), lambda error: f"advice on {type(error).__name__}")


def said(report: Report) -> str:
    return report.console.file.getvalue()


def raises(error: BaseException):
    def run():
        raise error

    return run


def test_steps_run_if_what_they_need_passed_and_the_first_that_failed_is_what_to_look_at():
    report, ran = report_of(), []
    one = report.step("One", lambda: ran.append("one"))
    two = report.step("Two", raises(Wrong("the rule is off", "aws events enable-rule")), [one])
    three = report.step("Three", lambda: ran.append("three"), [one, two])
    report.step("Four", lambda: ran.append("four"), [three])
    report.step("Five", raises(Skip("there is no timeline")), [one])
    report.step("Six", raises(Wrong("and that, too", "something else")))

    assert ran == ["one"]
    outcomes = [result.outcome for result in report.results]
    assert outcomes == ["passed", "failed", "not run", "not run", "skipped", "failed"]
    assert report.look_at == "aws events enable-rule"
    assert not report.well
    assert report.summed_up() == "1 passed, 2 failed, 1 skipped, 2 not run"
    assert [line.strip()[:5] for line in said(report).splitlines() if "Three" in line] == ["Three"]
    assert "the rule is off" in said(report)


def test_all_is_well_with_a_step_that_makes_no_sense_here():
    report = report_of()
    report.step("One", lambda: None)
    report.step("Two", raises(Skip("no partner is allowed")))
    assert report.well
    assert "no partner is allowed" in said(report)
    assert report.look_at == ""


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ErrorAnswer("GET /orders was answered 500: {}", 500), "GET /orders was answered 500: {}"),
        (KeyError("orderId"), "KeyError: 'orderId'"),
        (ValueError(), "ValueError: "),
        (OpsError("two\nlines \x1b[31m"), "two lines \ufffd[31m"),
    ],
)
def test_any_exception_of_a_step_is_a_line_and_the_next_steps_run(error, why):
    report = report_of()
    result = report.step("One", raises(error))
    assert (result.outcome, result.why) == (Outcome.FAILED, why.strip())
    assert result.look_at == f"advice on {type(error).__name__}"
    assert report.step("Two", lambda: None).passed


def test_junit_has_each_step_with_its_time_and_how_it_failed(tmp_path):
    results = [
        Result("One", Outcome.PASSED, 1.25),
        Result("Two", Outcome.FAILED, 2.5, 'answered "<500>" & \x00 \ud800', "make failed"),
        Result("Three", Outcome.NOT_RUN, why="it needs: Two"),
        Result("Four", Outcome.SKIPPED, 0.1, "no timeline"),
    ]
    write_junit(results, "shop", datetime(2026, 11, 20, 12, tzinfo=UTC), tmp_path / "reports" / "smoke.xml")

    (suite,) = ElementTree.parse(tmp_path / "reports" / "smoke.xml").getroot()
    assert suite.attrib == {
        "name": "smoke shop",
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
        "time": "3.850",
        "timestamp": "2026-11-20T12:00:00",
    }
    assert (suite[0].attrib["name"], suite[0].attrib["time"]) == ("One", "1.250")
    two, three, four = [case[0] for case in suite if len(case)]
    assert two.attrib["message"] == 'answered "<500>" & \ufffd \ufffd'
    assert two.text == "look at next: make failed"
    assert (three.tag, three.attrib["message"]) == ("skipped", "not run: it needs: Two")
    assert (four.tag, four.attrib["message"]) == ("skipped", "skipped: no timeline")


# The whole run


@pytest.fixture
def whole(monkeypatch, tmp_path):
    """A run on AWS in which every step passes; what it did, in order."""
    did: list[str] = []
    steps = [name for name in vars(Shopping) if not name.startswith("_")]
    for name in steps:
        if callable(vars(Shopping)[name]) and name not in ("email", "api"):
            monkeypatch.setattr(Shopping, name, lambda _, name=name: did.append(name))
    monkeypatch.setattr(poison.Poison, "try_out", lambda _: did.append("poison"))
    monkeypatch.setattr(smoke, "BEFORE", {"A check": lambda _: did.append("check")})

    def run(with_poison: bool = False):
        console = Console(file=io.StringIO(), width=200)
        well = smoke.smoke(deployed(), with_poison, tmp_path / "smoke.xml", console)
        return well, console.file.getvalue()

    return SimpleNamespace(run=run, did=did, junit=tmp_path / "smoke.xml", monkeypatch=monkeypatch)


def test_users_and_product_are_taken_away_last(whole):
    well, told = whole.run(with_poison=True)
    assert well
    assert whole.did[0] == "check"
    assert whole.did[-2:] == ["poison", "take_away"]
    assert told.endswith("shop is right.\n")


def test_a_report_that_cannot_be_written_is_said_before_anything_is_done(whole, tmp_path):
    whole.junit.mkdir()
    with pytest.raises(OpsError, match=r"cannot be written to .*smoke.xml: Is a directory"):
        whole.run()
    assert whole.did == []


def test_without_poison_there_is_none(whole):
    whole.run()
    assert "poison" not in whole.did


def test_of_a_stack_that_is_set_up_wrong_all_is_looked_at_and_nothing_is_touched(whole):
    checks = {"A check": raises_at(Wrong("the rule is off", "enable it")), "Another": lambda _: whole.did.append("2")}
    whole.monkeypatch.setattr(smoke, "BEFORE", checks)
    well, told = whole.run(with_poison=True)
    assert not well
    assert whole.did == ["2"]
    assert told.splitlines()[-1] == "look at next: enable it"
    assert told.count("look at next") == 1
    assert "not run: it needs: A check" in whole.junit.read_text()


def raises_at(error: BaseException):
    def run(_):
        raise error

    return run


@pytest.mark.parametrize("step", ["sign_in", "sell", "confirm", "timelines"])
def test_an_interrupted_run_leaves_nothing_but_a_report(whole, step):
    whole.monkeypatch.setattr(Shopping, step, raises_at(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        whole.run()
    assert whole.did[-1] == "take_away"
    assert whole.junit.read_text().count('message="interrupted"') == 1


def test_the_product_goes_before_the_users_and_they_go_though_it_does_not():
    # given an API that does not answer
    gone: list[str] = []

    class Cognito:
        exceptions = SimpleNamespace(UserNotFoundException=LookupError)

        def admin_delete_user(self, UserPoolId, Username):
            gone.append(Username)
            raise LookupError

    stack = Stack("shop", outputs={"UserPoolId": "pool", "ApiUrl": "https://nowhere.example"})
    shopping = Shopping(deployed(shop=stack, cognito=Cognito()), MARK, lambda _: None, on_sale=True)
    shopping.people["operator"] = Person("o", "", "", "")

    # when
    def no_answer(*_, **__):
        raise OpsError("DELETE /products was not answered")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Api, "call", no_answer)
        with pytest.raises(OpsError, match="not answered"):
            shopping.take_away()

    # then
    assert sorted(gone) == sorted(f"{MARK}-{name}@example.com" for name in ("shopper", "stranger", "operator"))


def test_waiting_ends_with_what_was_seen_last():
    seen = iter([1, 2, 3])
    with pytest.raises(Wrong, match="still 1"):
        until(lambda: next(seen), lambda it: it == 3, -1, lambda last: Wrong(f"still {last}", ""), 0)
    assert until(lambda: next(seen), lambda it: it == 3, 9, lambda last: Wrong("", ""), 0) == 3


@pytest.mark.parametrize(
    ("error", "look_at"),
    [
        (ErrorAnswer("no", 500), "sam logs --stack-name shop --filter ERROR"),
        (ErrorAnswer("no", 403), "docs/runbook.md"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem"), "docs/runbook.md.*rights"),
        (KeyError("x"), "docs/runbook.md"),
    ],
)
def test_there_is_something_to_look_at_for_every_error(error, look_at):
    assert re.match(look_at, smoke._advice(deployed(), error))


# The command line


@pytest.fixture
def command(monkeypatch):
    """`python -m ops smoke` with the given options, on AWS; returns whether with poison it was run."""
    ran: list[bool] = []
    shop = Stack("shop", outputs={}, parameters={"Stage": "prod", "NotificationEmail": "me@example.com"})
    monkeypatch.setattr(Deployed, "named", lambda name: deployed(shop=shop))
    monkeypatch.setattr(smoke, "smoke", lambda at, with_poison, junit, console: not ran.append(with_poison))
    monkeypatch.setattr(boto3, "client", lambda name, **_: None)

    def run(*options: str) -> list[bool]:
        monkeypatch.setattr(sys, "argv", ["ops", "smoke", *options])
        command_line.main()
        return ran

    return run


def test_on_aws_nothing_is_touched_unless_someone_agrees_to_what_it_does_and_costs(command, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(OpsError, match="nothing was done"):
        command("--poison")
    told = " ".join(capsys.readouterr().out.split())
    for what in ("In stack shop (eu-west-1)", "a cent at most", "me@example.com gets", "Alarms go off"):
        assert what in told


@pytest.mark.parametrize(
    ("options", "answer", "with_poison"),
    [(["--yes"], "never asked", False), ([], "y", False), (["--poison"], "y", True), (["--no-poison"], "y", False)],
)
def test_on_aws_it_goes_on_when_it_may(command, monkeypatch, options, answer, with_poison):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert command(*options) == [with_poison]


def test_it_ends_with_1_if_anything_is_wrong(command, monkeypatch):
    monkeypatch.setattr(smoke, "smoke", lambda *_: False)
    with pytest.raises(SystemExit, match="1"):
        command("--yes")


# The API, from here and from anywhere


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (AWS, "https://abc123.execute-api.eu-west-1.amazonaws.com/v1"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566/_aws/execute-api/abc123/v1"),
    ],
)
def test_an_api_is_reached_where_its_stack_is(endpoint, url):
    assert reachable("https://abc123.execute-api.eu-west-1.amazonaws.com/v1", endpoint) == url
    assert reachable("eventflow", endpoint) == "eventflow"


@pytest.mark.parametrize(
    ("url", "opener"),
    [("http://127.0.0.1:4566/x", "_direct"), ("https://abc123.execute-api.eu-west-1.amazonaws.com/v1", "_as_set_up")],
)
def test_a_proxy_is_for_what_is_not_on_this_machine(monkeypatch, url, opener):
    asked: list[str] = []

    def answers(name):
        def opened(request, timeout):
            asked.append(name)
            raise OSError("no network in a unit test")

        return SimpleNamespace(open=opened)

    for name in ("_direct", "_as_set_up"):
        monkeypatch.setattr(http, name, answers(name))
    with pytest.raises(OpsError, match="GET /orders was not answered"):
        Api(url, "token").call("GET", "/orders")
    assert asked == [opener]


def test_the_templates_parameters_that_smoke_goes_by_are_there():
    assert {"Stage", "PaymentFailureRate", "PartnerAccount", "NotificationEmail"} <= TEMPLATE["Parameters"].keys()
    assert "EventBusName" in TIMELINE["Parameters"]
