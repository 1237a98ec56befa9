"""Failed events: what each kind of message says, who its consumer is, and what happens when it is sent again."""

import contextlib
import heapq
import io
import json
import math
import os
import random
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from traceback import walk_stack
from types import SimpleNamespace

import boto3
import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from botocore.exceptions import ClientError, EndpointConnectionError
from jsonschema import Draft202012Validator
from rich.console import Console
from rich.text import Text

from eventflow.contracts import read_event
from eventflow.events import EventRedriven
from ops import OpsError, failed, logs
from ops import __main__ as command_line
from ops.failed import FailedQueue, Hand, Sight, as_json, called, failed_queues, look, names_of, read, show
from ops.logs import Group, Line, groups_of, lines_about
from ops.redrive import Consumers, addresses, nobody, redrive, rehearse
from ops.redriven import bus_of, telling
from ops.schemas import SCHEMAS
from ops.stack import Stack

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
SQS = "arn:aws:sqs:eu-west-1:123456789012:"
KEEPER = "arn:aws:states:eu-west-1:123456789012:stateMachine:Keeper-4D"
URL = "https://sqs/123456789012/"
STACKS = [
    Stack(
        "shop",
        resources={
            "AWS::Lambda::Function": {
                "PaymentFunction": "shop-Payment-1A",
                "OrdersCheckoutsFunction": "shop-Checkouts-2B",
            },
            "AWS::SQS::Queue": {
                "PaymentFailedEvents": URL + "shop-PaymentFailedEvents-3C",
                "Checkouts": URL + "shop-Checkouts-5E",
                "FailedCheckouts": URL + "shop-FailedCheckouts-6F",
            },
            "AWS::Lambda::Alias": {
                "PaymentFunctionAliaslive": f"{ARN}shop-Payment-1A:live",
                "OrdersCheckoutsFunctionAliaslive": f"{ARN}shop-Checkouts-2B:live",
            },
        },
    ),
    Stack(
        "shop-timeline",
        resources={
            "AWS::Lambda::Function": {"WatchFunction": "shop-timeline-Watch-7G"},
            "AWS::StepFunctions::StateMachine": {"Keeper": KEEPER},
        },
    ),
]
PAYMENT = FailedQueue("payment", URL + "shop-PaymentFailedEvents-3C")
CHECKOUTS = FailedQueue("checkouts", URL + "shop-FailedCheckouts-6F", SQS + "shop-Checkouts-5E")
NAMES = names_of(STACKS)
ADDRESSES = addresses(STACKS)
EVENT = {
    "id": "b-1",
    "source": "eventflow.orders",
    "detail-type": "OrderCreated",
    "detail": {"orderId": "o-1", "metadata": {"eventId": "e-1", "correlationId": "o-1"}},
}


def record(event=EVENT, arn=f"{ARN}shop-Payment-1A:live", **more):
    """What Lambda puts into the queue."""
    return {
        "version": "1.0",
        "requestContext": {"requestId": "r-1", "functionArn": arn, "condition": "RetriesExhausted"},
        "requestPayload": event,
        "responsePayload": {"errorType": "KeyError", "errorMessage": "'quantity'"},
        **more,
    }


def message(body, message_id="m-1", **attributes):
    return {
        "MessageId": message_id,
        "ReceiptHandle": f"receipt of {message_id}",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": "1795176000000"},
        "MessageAttributes": {name: {"DataType": "String", "StringValue": it} for name, it in attributes.items()},
    }


# What a message says


def test_a_record_of_lambda_names_the_function_with_its_alias_and_the_exception():
    failed = read(message(record()), PAYMENT)
    assert failed.failed_at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert failed.consumer == f"{ARN}shop-Payment-1A:live"
    assert failed.why == "KeyError: 'quantity'"
    assert (failed.event, failed.detail_type, failed.order, failed.event_id) == (EVENT, "OrderCreated", "o-1", "e-1")


@pytest.mark.parametrize("response", [None, {}, "cut off"])
def test_a_record_without_an_exception_says_what_lambda_says(response):
    assert read(message(record(responsePayload=response)), PAYMENT).why == "RetriesExhausted"


def test_a_letter_that_eventbridge_could_not_deliver_names_its_target_and_its_own_reason():
    letter = message(EVENT, TARGET_ARN=f"{ARN}shop-Payment-1A", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="not yours")
    failed = read(letter, PAYMENT)
    assert (failed.consumer, failed.why) == (f"{ARN}shop-Payment-1A", "NO_PERMISSIONS: not yours")
    assert failed.event == EVENT


def test_a_copy_of_what_a_queue_handed_out_too_often_is_for_that_queue():
    failed = read(message({**EVENT, "detail": {"checkoutId": "c-1"}}), CHECKOUTS)
    assert (failed.consumer, failed.order) == (SQS + "shop-Checkouts-5E", "c-1")


@pytest.mark.parametrize("body", ["garbage", "[]", "null", "{}", record(event="text"), record(arn=7), EVENT])
def test_what_is_none_of_these_is_for_nobody(body):
    failed = read(message(body), PAYMENT)
    assert (failed.consumer, failed.event, failed.error) == ("", {}, "Unreadable")


@pytest.mark.parametrize(
    ("detail", "order"),
    [
        ({"orderId": "o-1"}, "o-1"),
        ({"orderId": "o-1", "metadata": {"correlationId": "s-1"}}, "s-1"),
        ({"checkoutId": "c-1"}, "c-1"),
        ({"body": {"OrderId": "x-1"}}, "x-1"),
        ({"productId": "mug"}, ""),
        ({"orderId": 7, "metadata": "none", "body": []}, "7"),
        ({"orderId": 7.0}, ""),
        ({"orderId": True}, ""),
        ("text", ""),
        (None, ""),
    ],
)
def test_an_event_of_any_shape_is_about_an_order_or_about_none(detail, order):
    assert read(message(record({**EVENT, "detail": detail})), PAYMENT).order == order


def test_a_shoppers_address_is_not_shown_even_where_the_exception_cites_it():
    # given
    shipping = {"email": "ada@example.com", "lines": ["12 St James's Square"]}
    event = {**EVENT, "detail": {**EVENT["detail"], "shipping": shipping}}
    cited = {"errorType": "E", "errorMessage": "'ada@example.com' of 12 St James's Square is no number"}
    failed = read(message(record(event, responsePayload=cited)), PAYMENT)

    # then
    assert failed.reason == "'…' of … is no number"
    assert "ada@" not in shown([failed]) + as_json([failed], NAMES)


def shown(found):
    said = io.StringIO()
    show(found, NAMES, Console(file=said, width=200, highlight=False))
    return said.getvalue()


def test_it_is_shown_with_what_is_needed_to_go_on():
    assert shown([read(message(record()), PAYMENT)]).splitlines() == [
        "2026-11-20 12:00:00 UTC  payment: OrderCreated, order o-1",
        "    PaymentFunction: KeyError: 'quantity'",
        "    event e-1, message m-1",
        "1 failed: payment 1",
    ]


def test_markup_and_control_characters_stay_what_they_are():
    wild = {"errorType": "[red]E\x1b[2J", "errorMessage": "a\nb\x07" + "x" * 9_000}
    event = {**EVENT, "detail-type": "[/]\u202e", "detail": {"orderId": "\x1b]0;o"}}
    said = shown([read(message(record(event, responsePayload=wild)), PAYMENT)])
    assert "payment: [/]�, order �]0;o\n    PaymentFunction: [red]E�[2J: a b�xxx" in said
    assert all(character.isprintable() for character in said.replace("\n", ""))
    assert max(map(len, said.splitlines())) < 500


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (f"{ARN}shop-Payment-1A:$LATEST", "PaymentFunction"),
        (f"{ARN}shop-Payment-1A", "PaymentFunction"),
        (KEEPER, "Keeper"),
        (SQS + "shop-Checkouts-5E", "Checkouts"),
        (f"{ARN}gone:live", "gone"),
        ("", "nobody"),
    ],
)
def test_a_consumer_is_called_what_its_template_calls_it(arn, name):
    assert called(arn, NAMES) == name


# Queues, in memory: what is taken is out of sight until it is given back


class Queues:
    """SQS. `held` are hidden; a queue hands out as many at once as it likes."""

    def __init__(self, **messages):
        self.messages = {URL + name.replace("_", "-"): list(each) for name, each in messages.items()}
        self.held = set()

    def get_queue_attributes(self, QueueUrl, AttributeNames):
        name = QueueUrl.rpartition("/")[2]
        there = self.messages.get(QueueUrl, [])
        attributes = {"QueueArn": SQS + name, "ApproximateNumberOfMessages": str(len(there))}
        if name == "shop-Checkouts-5E":
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": SQS + "shop-FailedCheckouts-6F"})
        return {"Attributes": attributes}

    def receive_message(self, QueueUrl, MaxNumberOfMessages, **request):
        assert request["WaitTimeSeconds"] > 0, "without waiting, SQS may say that a queue is empty which is not"
        assert request["VisibilityTimeout"] > 15, "a consumer may still be at work"
        there = [it for it in self.messages[QueueUrl] if it["ReceiptHandle"] not in self.held]
        taken = there[: min(MaxNumberOfMessages, 3)]
        self.held |= {it["ReceiptHandle"] for it in taken}
        return {"Messages": taken} if taken else {}

    def change_message_visibility_batch(self, QueueUrl, Entries):
        assert 1 <= len(Entries) <= 10
        assert {entry["VisibilityTimeout"] for entry in Entries} == {0}
        self.held -= {entry["ReceiptHandle"] for entry in Entries}
        return {}

    def delete_message(self, QueueUrl, ReceiptHandle):
        assert ReceiptHandle in self.held
        self.messages[QueueUrl] = [it for it in self.messages[QueueUrl] if it["ReceiptHandle"] != ReceiptHandle]

    def left(self, queue):
        assert not self.held & {it["ReceiptHandle"] for it in self.messages[queue.url]}, "not given back"
        return [it["MessageId"] for it in self.messages[queue.url]]


def test_the_queues_are_those_named_so_and_those_that_take_what_another_gives_up():
    assert failed_queues(STACKS, Queues()) == [CHECKOUTS, PAYMENT]
    assert failed_queues(STACKS, Queues(), "payment") == [PAYMENT]
    with pytest.raises(OpsError, match="no failed-events queue of Payment; there is: checkouts, payment"):
        failed_queues(STACKS, Queues(), "Payment")


def test_looking_finds_all_of_many_and_leaves_them():
    sqs = Queues(shop_PaymentFailedEvents_3C=[message(record(), f"m-{n}") for n in range(25)])
    assert len(look([PAYMENT], sqs)) == 25
    assert len(sqs.left(PAYMENT)) == 25
    assert len(look([PAYMENT], sqs, "o-1")) == 25
    assert look([PAYMENT], sqs, "o-2") == []


# Sending again


class Lambda:
    """`fails` are the ids of events that the functions raise for."""

    def __init__(self, fails=(), error="KeyError"):
        self.fails, self.error, self.invoked = fails, error, []

    def invoke(self, FunctionName, Payload):
        self.invoked.append((FunctionName, json.loads(Payload)))
        event = json.loads(Payload)
        if "gone" in FunctionName:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "none"}}, "Invoke")
        if "Records" in event:
            (item,) = event["Records"]
            bad = [{"itemIdentifier": item["messageId"]}] if json.loads(item["body"])["id"] in self.fails else []
            return {"Payload": io.BytesIO(json.dumps({"batchItemFailures": bad}).encode())}
        if event["id"] in self.fails:
            told = json.dumps({"errorType": self.error, "errorMessage": "again"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(told.encode())}
        return {"Payload": io.BytesIO(b"null")}

    def list_event_source_mappings(self, EventSourceArn):
        assert EventSourceArn == SQS + "shop-Checkouts-5E"
        return {"EventSourceMappings": [{"FunctionArn": f"{ARN}shop-Checkouts-2B:live"}]}


def of(event_id):
    return {**EVENT, "id": event_id}


def sent(sqs, queues, lambdas=None, states=None, send=redrive, tell_bus=nobody):
    """What is said, and whether nothing is left."""
    said = io.StringIO()
    consumers = Consumers(ADDRESSES, lambdas or Lambda(), states)
    console = Console(file=said, width=200, highlight=False)
    planned = look(queues, sqs)
    if send is rehearse:
        return rehearse(planned, consumers, NAMES, console), said.getvalue()
    return redrive(planned, consumers, sqs, NAMES, console, tell_bus), said.getvalue()


def three():
    return Queues(shop_PaymentFailedEvents_3C=[message(record(of(f"b-{n}")), f"m-{n}") for n in range(3)])


def test_each_goes_to_the_alias_that_failed_and_leaves_the_queue():
    sqs, lambdas = three(), Lambda()
    assert sent(sqs, [PAYMENT], lambdas) == (
        True,
        "sent to PaymentFunction  payment: OrderCreated, order o-1\n" * 3 + "3 sent.\n",
    )
    assert lambdas.invoked == [(f"{ARN}shop-Payment-1A:live", of(f"b-{n}")) for n in range(3)]
    assert sqs.left(PAYMENT) == []


@pytest.mark.parametrize("qualifier", ["", ":live", ":7", ":$LATEST", ":canary"])
def test_whatever_version_failed_it_is_the_live_one_that_is_called(qualifier):
    sqs = Queues(shop_PaymentFailedEvents_3C=[message(record(arn=f"{ARN}shop-Payment-1A{qualifier}"))])
    lambdas = Lambda()
    assert sent(sqs, [PAYMENT], lambdas)[0]
    assert lambdas.invoked == [(f"{ARN}shop-Payment-1A:live", EVENT)]


@pytest.mark.parametrize("qualifier", ["", ":7"])
def test_a_function_without_that_alias_is_called_by_its_name(qualifier):
    sqs = Queues(shop_PaymentFailedEvents_3C=[message(record(arn=f"{ARN}shop-timeline-Watch-7G{qualifier}"))])
    lambdas = Lambda()
    assert sent(sqs, [PAYMENT], lambdas)[0]
    assert lambdas.invoked == [("shop-timeline-Watch-7G", EVENT)]


def test_one_that_fails_again_stays_and_the_others_go():
    sqs = three()
    well, said = sent(sqs, [PAYMENT], Lambda(fails={"b-1"}))
    assert not well
    assert "still failing  payment: OrderCreated, order o-1\n    KeyError: again\n" in said
    assert said.endswith("2 sent, 1 still failing.\n")
    assert sqs.left(PAYMENT) == ["m-1"]


def test_one_that_someone_is_handling_stays_and_says_when_to_come_back():
    sqs = three()
    _, said = sent(sqs, [PAYMENT], Lambda(fails={"b-1"}, error="BeingTold"))
    assert "redrive it again in a minute" in said
    assert sqs.left(PAYMENT) == ["m-1"]


def test_what_is_for_nobody_stays_and_the_others_go():
    sqs = Queues(
        shop_PaymentFailedEvents_3C=[
            message("garbage", "m-1"),
            message(record(arn=f"{ARN}other-stack"), "m-2"),
            message(record(arn="shop-gone:live"), "m-3"),
            message(record(), "m-4"),
        ]
    )
    well, said = sent(sqs, [PAYMENT])
    assert not well
    assert "skipped  payment: a message\n    Unreadable" in said
    assert "other-stack is not in the stack, or no longer" in said
    assert said.endswith("3 skipped, 1 sent.\n")
    assert sqs.left(PAYMENT) == ["m-1", "m-2", "m-3"]


def test_a_function_that_the_stack_has_and_lambda_has_not_is_gone(monkeypatch):
    monkeypatch.setitem(ADDRESSES, "gone", f"{ARN}gone:live")
    sqs = Queues(shop_PaymentFailedEvents_3C=[message(record(arn=f"{ARN}gone:live"))])
    assert "skipped  payment: OrderCreated, order o-1\n    gone:live is gone\n" in sent(sqs, [PAYMENT])[1]
    assert sqs.left(PAYMENT) == ["m-1"]


def test_a_checkout_goes_to_the_reader_of_the_queue_as_a_batch_of_one():
    sqs = Queues(shop_FailedCheckouts_6F=[message(of("b-1"), "m-1"), message(of("b-2"), "m-2")])
    lambdas = Lambda(fails={"b-2"})
    well, said = sent(sqs, [CHECKOUTS], lambdas)
    assert not well
    assert said.endswith("1 sent, 1 still failing.\n")
    assert sqs.left(CHECKOUTS) == ["m-2"]
    (function, batch), _ = lambdas.invoked
    (item,) = batch["Records"]
    assert function == f"{ARN}shop-Checkouts-2B:live"
    assert (json.loads(item["body"]), item["eventSource"], item["awsRegion"]) == (of("b-1"), "aws:sqs", "eu-west-1")


def batch_of_one_that_fails_whole(reason):
    """The message with which Powertools ends a function that could not handle the only message of its batch."""

    def handle(record):
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError(reason)  # noqa: B904

    batch = {"Records": [{"messageId": "m-1", "body": "{}", "eventSource": "aws:sqs"}]}
    with pytest.raises(BatchProcessingError) as raised:
        process_partial_response(batch, handle, BatchProcessor(EventType.SQS))
    return str(raised.value)


def test_a_batch_of_one_that_fails_whole_is_told_by_the_reason_of_that_one_without_personal_data():
    # given
    whole = batch_of_one_that_fails_whole("Expected `int`, got 'ada@example.com'\nat `$.detail.quantity`")

    class Raising(Lambda):
        def invoke(self, FunctionName, Payload):
            told = json.dumps({"errorType": "BatchProcessingError", "errorMessage": whole})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(told.encode())}

    checkout = {**of("b-1"), "detail": {"checkoutId": "c-1", "shipping": {"email": "ada@example.com"}}}
    sqs = Queues(shop_FailedCheckouts_6F=[message(checkout)])

    # when
    _, said = sent(sqs, [CHECKOUTS], Raising())

    # then
    assert said.splitlines()[1:] == [
        "    ValueError: Expected `int`, got '…' at `$.detail.quantity`",
        "1 still failing.",
    ]
    assert sqs.left(CHECKOUTS) == ["m-1"]


def test_a_batch_of_one_that_is_handed_back_is_told_by_where_the_reason_is():
    sqs = Queues(shop_FailedCheckouts_6F=[message(of("b-1"))])
    _, said = sent(sqs, [CHECKOUTS], Lambda(fails={"b-1"}))
    assert "    shop-Checkouts-2B refuses it: its log of message m-1 says why\n" in said


class Keeper:
    """A state machine that puts what it gives up on into the queue, as statemachines/order_timeline.asl.json does."""

    def __init__(self, sqs, fails):
        self.sqs, self.fails, self.executions = sqs, fails, 0

    def start_sync_execution(self, **request):
        assert request["stateMachineArn"] == KEEPER
        self.executions += 1
        execution = f"execution {self.executions}"
        if json.loads(request["input"])["id"] not in self.fails:
            return {"status": "SUCCEEDED", "executionArn": execution}
        echo = record(json.loads(request["input"]), KEEPER)
        echo["requestContext"]["requestId"] = execution
        self.sqs.messages[PAYMENT.url].append(message(echo, f"echo of {execution}"))
        return {"status": "FAILED", "executionArn": execution, "error": "Throttled", "cause": "busy"}


def test_what_a_state_machine_gives_up_on_again_is_in_the_queue_once():
    sqs = Queues(shop_PaymentFailedEvents_3C=[message(record(of(f"b-{n}"), KEEPER), f"m-{n}") for n in range(3)])
    keeper = Keeper(sqs, fails={"b-0", "b-2"})
    for _ in range(2):
        well, said = sent(sqs, [PAYMENT], states=keeper)
        assert not well
        assert "Throttled: busy" in said
        assert sqs.left(PAYMENT) == ["m-0", "m-2"]
    assert keeper.executions == 5


def test_a_rehearsal_calls_nobody():
    sqs, lambdas = three(), Lambda()
    well, said = sent(sqs, [PAYMENT], lambdas, send=rehearse)
    assert well
    assert said.startswith("would go to PaymentFunction  payment: OrderCreated, order o-1\n")
    assert lambdas.invoked == []
    assert len(sqs.left(PAYMENT)) == 3


THROTTLED = ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}}, "Invoke")


@pytest.mark.parametrize("error", [THROTTLED, EndpointConnectionError(endpoint_url="https://lambda")])
def test_what_its_consumer_was_never_asked_to_handle_stays(error):
    class Busy(Lambda):
        def invoke(self, FunctionName, Payload):
            if json.loads(Payload)["id"] == "b-1":
                raise error
            return super().invoke(FunctionName, Payload)

    sqs = three()
    well, said = sent(sqs, [PAYMENT], Busy())
    assert not well
    assert f"still failing  payment: OrderCreated, order o-1\n    {error}\n" in said
    assert sqs.left(PAYMENT) == ["m-1"]


@pytest.mark.parametrize("error", [THROTTLED, EndpointConnectionError(endpoint_url="https://sqs")])
def test_what_was_handled_and_cannot_be_removed_is_said_to_be_left(error):
    # given
    sqs = three()
    delete = sqs.delete_message

    def refusing(QueueUrl, ReceiptHandle):
        if ReceiptHandle == "receipt of m-1":
            raise error
        delete(QueueUrl, ReceiptHandle)

    sqs.delete_message = refusing

    # when
    well, said = sent(sqs, [PAYMENT])

    # then
    assert not well
    assert f"still failing  payment: OrderCreated, order o-1\n    it was handled, but is not removed: {error}\n" in said
    assert sqs.left(PAYMENT) == ["m-1"]


class Interrupting(Lambda):
    def invoke(self, FunctionName, Payload):
        if json.loads(Payload)["id"] == "b-1":
            raise KeyboardInterrupt
        return super().invoke(FunctionName, Payload)


def test_a_person_who_stops_it_loses_nothing_and_is_told_how_far_it_came():
    sqs, said = three(), io.StringIO()
    planned = look([PAYMENT], sqs)
    with pytest.raises(KeyboardInterrupt):
        redrive(planned, Consumers(ADDRESSES, Interrupting(), None), sqs, NAMES, Console(file=said, width=200))
    assert said.getvalue().endswith("1 sent.\n")
    assert sqs.left(PAYMENT) == ["m-1", "m-2"]


def test_what_someone_else_holds_is_left_to_them():
    # given three that were seen, of which another takes one before it is sent
    sqs, said = three(), io.StringIO()
    planned = look([PAYMENT], sqs)
    sqs.held.add("receipt of m-0")

    # when
    well = redrive(planned, Consumers(ADDRESSES, Lambda(), None), sqs, NAMES, Console(file=said, width=200))

    # then
    assert well
    assert said.getvalue().endswith("2 sent, 1 in other hands.\n")
    assert [it["MessageId"] for it in sqs.messages[PAYMENT.url]] == ["m-0"]


def test_what_comes_meanwhile_is_not_sent_unseen():
    sqs = three()
    planned = look([PAYMENT], sqs)
    sqs.messages[PAYMENT.url].insert(0, message(record(of("b-9")), "m-9"))
    assert redrive(planned, Consumers(ADDRESSES, Lambda(), None), sqs, NAMES, Console(file=io.StringIO()))
    assert sqs.left(PAYMENT) == ["m-9"]


# Tens of thousands, on a queue with a clock


class LongQueue:
    """One queue of SQS. Each call takes `seconds`; a message that is taken comes back when its time is over.

    It hands out at random, as SQS does, and holds up to `flight` at once. It counts `roughly`: "approximate".
    """

    LONGEST = 12 * 60 * 60

    def __init__(self, number, *, seconds=0.2, flight=120_000, roughly=1.0):
        self.bodies = {f"m-{n}": json.dumps(record(of(f"b-{n}"))) for n in range(number)}
        self.visible, self.back_at, self.hidden = list(self.bodies), [], {}
        self.seconds, self.flight, self.roughly = seconds, flight, roughly
        self.now, self.calls, self.received, self.deleted, self.receipts = 0.0, 0, 0, [], 0
        self.chance, self.lock = random.Random(7), threading.Lock()

    def monotonic(self):
        return self.now

    def _call(self):
        self.now += self.seconds
        assert self.now < 2 * self.LONGEST, f"it does not end: {self.received} received, of {len(self.bodies)}"
        self.calls += 1
        self.come_back()

    def come_back(self):
        while self.back_at and self.back_at[0][0] <= self.now:
            _, message_id, receipt = heapq.heappop(self.back_at)
            if self.hidden.get(message_id) == receipt:
                del self.hidden[message_id]
                self.visible.append(message_id)

    def get_queue_attributes(self, QueueUrl, AttributeNames):
        counted = {"": len(self.visible), "NotVisible": len(self.hidden)}
        return {
            "Attributes": {
                f"ApproximateNumberOfMessages{which}": str(round(number * self.roughly))
                for which, number in counted.items()
                if f"ApproximateNumberOfMessages{which}" in AttributeNames
            }
        }

    def receive_message(self, QueueUrl, MaxNumberOfMessages, VisibilityTimeout, **_):
        assert 0 < VisibilityTimeout <= self.LONGEST
        self._call()
        messages = []
        while self.visible and len(messages) < MaxNumberOfMessages and len(self.hidden) < self.flight:
            place = self.chance.randrange(len(self.visible))
            self.visible[place], self.visible[-1] = self.visible[-1], self.visible[place]
            message_id = self.visible.pop()
            self.receipts += 1
            receipt = f"{message_id} {self.receipts}"
            self.hidden[message_id] = receipt
            heapq.heappush(self.back_at, (self.now + VisibilityTimeout, message_id, receipt))
            messages.append({**message(self.bodies[message_id], message_id), "ReceiptHandle": receipt})
        self.received += len(messages)
        return {"Messages": messages}

    def change_message_visibility_batch(self, QueueUrl, Entries):
        with self.lock:
            self.come_back()
            for entry in Entries:
                message_id = entry["ReceiptHandle"].partition(" ")[0]
                assert self.hidden.pop(message_id, None) == entry["ReceiptHandle"], "it may be someone else's by now"
                self.visible.append(message_id)
        return {}

    def delete_message(self, QueueUrl, ReceiptHandle):
        message_id = ReceiptHandle.partition(" ")[0]
        assert self.hidden.pop(message_id) == ReceiptHandle
        self.deleted.append(message_id)

    def hidden_for(self):
        """How many seconds at most, if nobody gives anything back."""
        return max(at for at, message_id, receipt in self.back_at if self.hidden.get(message_id) == receipt) - self.now

    def taken_by_another(self, *message_ids):
        self.visible = [it for it in self.visible if it not in message_ids]


@pytest.fixture
def long_queue(monkeypatch):
    def make(number, **how):
        queue = LongQueue(number, **how)
        monkeypatch.setattr(failed, "monotonic", queue.monotonic)
        return queue

    return make


class Outage:
    """A function that takes a while, and fails on what it is told to. Each event is sent to it once, and nobody else is
    handed its message meanwhile.
    """

    def __init__(self, queue, seconds, fails=lambda number: False):
        self.queue, self.seconds, self.fails, self.invoked = queue, seconds, fails, set()

    def invoke(self, FunctionName, Payload):
        event = json.loads(Payload)["id"]
        assert event not in self.invoked, "sent twice"
        self.invoked.add(event)
        self.queue.now += self.seconds
        self.queue.come_back()
        assert event.replace("b", "m") in self.queue.hidden, "someone else is handed it"
        if self.fails(int(event.partition("-")[2])):
            told = json.dumps({"errorType": "Throttled", "errorMessage": "again"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(told.encode())}
        return {"Payload": io.BytesIO(b"null")}


class Quiet:
    """A console that only counts: to print tens of thousands of lines takes seconds."""

    def __init__(self):
        self.lines, self.said = 0, []

    def print(self, text, **_):
        self.lines += 1
        self.last = str(text)
        if not isinstance(text, Text):  # not about one message
            self.said.append(text)

    def status(self, _):
        return contextlib.nullcontext(SimpleNamespace(update=lambda text: None))


def again(planned, queue, function):
    said = Quiet()
    well = redrive(planned, Consumers(ADDRESSES, function, None), queue, NAMES, said)
    return well, said.last


@pytest.mark.parametrize(("number", "seconds"), [(20_000, 0.2), (4_000, 3)])
def test_tens_of_thousands_or_thousands_from_afar_are_each_listed_once_and_given_back(long_queue, number, seconds):
    queue, sight, told = long_queue(number, seconds=seconds), Sight(), []
    sight.tell = told.append

    found = look([PAYMENT], queue, sight=sight)

    assert len(found) == len({it.message_id for it in found}) == number
    assert queue.received < number + 100, "they came back while it still looked"
    assert sight.missed == {}
    assert len(queue.visible) == number, "not given back"
    assert f"Looking into the queues: 10 of about {number:,} messages" in told
    assert told[-1] == f"Giving back {number:,} messages of payment"


@pytest.mark.parametrize("roughly", [0, 0.5, 2])
def test_a_queue_that_sqs_counts_wrongly_is_listed_to_an_end_and_it_is_said_that_it_may_not_be_all(long_queue, roughly):
    queue, sight = long_queue(2_000, seconds=1, roughly=roughly), Sight()
    found = look([PAYMENT], queue, sight=sight)
    assert len(found) == len({it.message_id for it in found})
    assert len(found) == 2_000 or PAYMENT in sight.missed
    assert len(queue.visible) == 2_000


def test_what_is_more_than_sqs_hands_out_is_said_to_be_missed(long_queue):
    queue, sight = long_queue(400, flight=290), Sight()
    assert len(look([PAYMENT], queue, sight=sight)) == 290
    assert sight.missed == {PAYMENT: 110}
    assert len(queue.visible) == 400


def test_where_messages_come_back_before_all_were_seen_it_is_said_although_sqs_counts_none(long_queue, monkeypatch):
    monkeypatch.setattr(failed, "LONGEST_HOLD_SECONDS", 20)
    queue, sight = long_queue(1_000, seconds=1, roughly=0), Sight()
    look([PAYMENT], queue, sight=sight)
    assert sight.missed[PAYMENT] > 0


def test_a_message_that_sqs_delivers_twice_ends_no_look(long_queue):
    # given
    queue, sight = long_queue(100), Sight()
    receive, answers = queue.receive_message, []

    def twice(**request):
        answers.append(receive(**request) if len(answers) != 1 else answers[0])
        return answers[-1]

    queue.receive_message = twice

    # then
    assert len(look([PAYMENT], queue, sight=sight)) == 100
    assert sight.missed == {}


def test_what_others_hold_is_said_to_be_missed(long_queue):
    queue, sight = long_queue(100), Sight()
    with Hand(PAYMENT, queue) as colleagues:
        for _ in range(9):
            colleagues.take()
        assert len(look([PAYMENT], queue, sight=sight)) == 10
    assert sight.missed == {PAYMENT: 90}


def signalled(number, noticed):
    """Sends this process a signal once its main thread waits for the threads that look into queues. One that comes just
    before that thread really sleeps wakes it only when the next comes (CPython's locks), so there may be more.
    """
    deadline = time.monotonic() + 5
    while "result" not in (waits := [frame.f_code.co_name for frame, _ in walk_stack(main_frame())]):
        assert time.monotonic() < deadline, waits
    os.kill(os.getpid(), number)
    while not noticed.wait(1):
        assert time.monotonic() < deadline, "it goes on"
        os.kill(os.getpid(), number)


def main_frame():
    return sys._current_frames()[threading.main_thread().ident]


@pytest.fixture
def ctrl_c_is_heard():
    """As in a terminal: what runs in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_person_who_stops_a_look_does_not_wait_for_the_rest_of_it(long_queue):
    # given
    queue, sight = long_queue(1_000), Sight()
    receive = queue.receive_message

    def interrupted(**request):
        if queue.calls == 5:
            signalled(signal.SIGINT, sight.stop)
        return receive(**request)

    queue.receive_message = interrupted

    # when
    with pytest.raises(KeyboardInterrupt):
        look([PAYMENT], queue, sight=sight)

    # then
    assert queue.calls == 6, "it was told to stop after the fifth"
    assert len(queue.visible) == 1_000, "not given back"


class Killed(BaseException):
    """As by `kill -9`: nothing is given back."""


def test_what_a_killed_redrive_held_is_back_after_two_minutes_and_a_second_for_every_twenty(long_queue):
    # given consumers that take long, and fail
    queue = long_queue(600, seconds=0.05)
    planned = look([PAYMENT], queue)
    function = Outage(queue, 15)

    def killed(number):
        if len(function.invoked) == 30:
            raise Killed
        return True

    function.fails = killed
    queue.change_message_visibility_batch = lambda **_: {}

    # when
    with pytest.raises(Killed):
        again(planned, queue, function)

    # then
    assert queue.hidden_for() <= 120 + 600 / 20


@pytest.mark.parametrize("how", [{"roughly": 10_000}, {"seconds": 100}])
def test_nothing_is_hidden_for_more_than_half_an_hour_however_long_or_slow_the_queue(long_queue, how):
    queue = long_queue(400, **how)
    with Hand(PAYMENT, queue) as hand:
        for _ in range(2):
            hand.take()
        assert queue.hidden_for() == 30 * 60


def test_ten_messages_are_sent_for_each_call_that_receives_them(long_queue):
    queue = long_queue(200)
    planned = look([PAYMENT], queue)
    queue.calls = 0
    assert again(planned, queue, Outage(queue, 0.1)) == (True, "200 sent.")
    assert queue.calls <= 25


def test_what_was_taken_with_others_that_take_long_is_given_back_and_sent_later(long_queue):
    queue = long_queue(10)  # which Outage wants hidden until it is done with it
    planned = look([PAYMENT], queue)
    assert again(planned, queue, Outage(queue, 90)) == (True, "10 sent.")


def test_those_that_fail_again_come_back_often_and_are_not_sent_again(long_queue):
    queue = long_queue(300)
    planned = look([PAYMENT], queue)
    assert again(planned, queue, Outage(queue, 60, fails=lambda number: True)) == (False, "300 still failing.")


def cut_off(*_, **__):
    raise EndpointConnectionError(endpoint_url=URL)


def test_where_the_network_is_gone_when_messages_are_given_back_it_is_said_what_was_sent_and_what_is_hidden(long_queue):
    # given a hundred that are sent, among others
    queue, tried = long_queue(400), []
    planned = look([PAYMENT], queue)[:100]
    queue.change_message_visibility_batch = lambda **request: cut_off(tried.append(request))
    said = Quiet()

    # when
    well = redrive(planned, Consumers(ADDRESSES, Outage(queue, 0.1), None), queue, NAMES, said)

    # then
    assert not well
    summary, hidden = said.said
    assert summary == "100 sent."
    assert re.match(
        rf"{len(queue.hidden)} of payment could not be given back: nobody sees them until about \d\d:\d\d", hidden
    )
    assert len(tried) <= failed.GIVERS_BACK, "each call without a network takes a while"


def test_what_sqs_refuses_to_take_back_is_counted_and_the_rest_is_given_back(long_queue):
    # given a call that is throttled, one message that SQS fails on, and one that is gone
    queue = long_queue(100)
    give_back, calls = queue.change_message_visibility_batch, iter(range(10))

    def refusing(QueueUrl, Entries):
        match next(calls):
            case 0:
                raise ClientError({"Error": {"Code": "RequestThrottled", "Message": "slow down"}}, "ChangeVisibility")
            case 1:
                give_back(QueueUrl, Entries[2:])
                return {"Failed": [{"Id": "0", "SenderFault": False}, {"Id": "1", "SenderFault": True}]}
            case _:
                return give_back(QueueUrl, Entries)

    queue.change_message_visibility_batch = refusing
    sight = Sight()

    # then
    assert len(look([PAYMENT], queue, sight=sight)) == 100
    assert sight.not_given_back == {PAYMENT: 11}
    assert len(queue.visible) == 88


def test_more_than_ten_thousand_are_each_sent_once_and_those_that_fail_stay(long_queue):
    # given an outage that is over for one in three
    queue = long_queue(12_000)
    function = Outage(queue, 0.1, fails=lambda number: number % 3)
    planned = look([PAYMENT], queue)

    # when
    well, said = again(planned, queue, function)

    # then
    assert not well
    assert sorted(said.rstrip(".").split(", ")) == ["4000 sent", "8000 still failing"]
    assert len(function.invoked) == 12_000
    assert len(queue.deleted) == len(set(queue.deleted)) == 4_000
    assert len(queue.visible) == 8_000, "not given back"


def test_a_few_of_more_than_ten_thousand_are_found_and_the_rest_is_left(long_queue):
    queue = long_queue(12_000)
    planned = [it for it in look([PAYMENT], queue) if int(it.message_id[2:]) % 5_000 == 0]
    received = queue.received
    assert again(planned, queue, Outage(queue, 100)) == (True, "3 sent.")
    assert queue.received - received <= 12_000
    assert len(queue.visible) == 11_997


def test_what_sqs_hands_out_too_late_is_left_to_the_next_run(long_queue, monkeypatch):
    # given messages that come back before all of the queue can have been received
    queue = long_queue(1_000, seconds=1)
    planned = look([PAYMENT], queue)[:1]
    monkeypatch.setattr(failed, "LONGEST_HOLD_SECONDS", 20)
    queue.taken_by_another(planned[0].message_id)
    # then
    assert again(planned, queue, Outage(queue, 1)) == (False, "1 skipped.")


def test_it_ends_where_another_has_taken_what_is_due(long_queue):
    queue = long_queue(3_000)
    function = Outage(queue, 1, fails=lambda number: True)
    planned = look([PAYMENT], queue)
    queue.taken_by_another("m-3", "m-4")
    well, said = again(planned, queue, function)
    assert (well, said) == (False, "2998 still failing, 2 in other hands.")
    assert len(queue.visible) == 2_998


# What the bus is told


class Bus:
    def __init__(self, refuses=None):
        self.entries, self.refuses = [], refuses

    def put_events(self, Entries):
        self.entries += Entries
        if isinstance(self.refuses, Exception):
            raise self.refuses
        answer = {"ErrorCode": "InternalFailure", "ErrorMessage": "not now"} if self.refuses else {"EventId": "x"}
        return {"FailedEntryCount": int("ErrorCode" in answer), "Entries": [answer]}

    @property
    def told(self):
        return [json.loads(entry["Detail"]) for entry in self.entries]


def test_the_bus_is_told_of_each_event_that_is_handled_now_and_of_no_other():
    bus = Bus()
    sqs = three()
    well, _ = sent(sqs, [PAYMENT], Lambda(fails={"b-1"}), tell_bus=telling("shop-bus", bus, NAMES))
    assert not well
    assert len(bus.entries) == 2
    for entry, told in zip(bus.entries, bus.told, strict=True):
        assert (entry["EventBusName"], entry["Source"]) == ("shop-bus", "eventflow.operations")
        assert entry["DetailType"] == "EventRedriven"
        schema = json.loads((SCHEMAS / "eventflow.operations" / "EventRedriven-1.0.json").read_text())
        Draft202012Validator(schema).validate(told)
        redriven = read_event({"id": "x", "source": entry["Source"], "detail-type": entry["DetailType"],
                               "time": "2026-11-20T12:00:00Z", "detail": told}, EventRedriven)  # fmt: skip
        assert redriven.fact == EventRedriven(
            order_id="o-1", service="payment", function="PaymentFunction", outcome="handled"
        )
        assert told["metadata"]["correlationId"] == "o-1"
        assert redriven.causation_id == "e-1", "the event that had failed"
        assert entry["Time"].timestamp() == redriven.occurred_at / 1000
    assert len({told["metadata"]["eventId"] for told in bus.told}) == 2


def test_the_same_message_is_told_of_under_the_same_id():
    ids = []
    for _ in range(2):
        bus = Bus()
        sent(three(), [PAYMENT], tell_bus=telling("shop-bus", bus, NAMES))
        ids.append({told["metadata"]["eventId"] for told in bus.told})
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


def test_of_a_checkout_the_function_is_named_that_reads_the_queue():
    bus = Bus()
    sent(Queues(shop_FailedCheckouts_6F=[message(of("b-1"))]), [CHECKOUTS], tell_bus=telling("bus", bus, NAMES))
    (told,) = bus.told
    assert (told["service"], told["function"]) == ("checkouts", "OrdersCheckoutsFunction")


def test_what_is_on_no_timeline_is_not_told():
    # given an event about no order, and one that the timeline had given up
    bus = Bus()
    queue = Queues(
        shop_PaymentFailedEvents_3C=[
            message(record({**EVENT, "detail": {"productId": "mug", "metadata": {"eventId": "e-1"}}}), "m-1"),
            message(record(of("b-1"), KEEPER), "m-2"),
        ]
    )
    well, _ = sent(queue, [PAYMENT], states=Keeper(queue, fails=()), tell_bus=telling("bus", bus, NAMES))
    assert well
    assert bus.entries == []


@pytest.mark.parametrize(
    ("refuses", "why"),
    [
        (True, "InternalFailure: not now"),
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents"), "AccessDenied"),
        (EndpointConnectionError(endpoint_url="https://events"), "Could not connect"),
    ],
)
def test_where_the_bus_cannot_be_told_the_event_is_still_handled_and_that_is_said(refuses, why):
    sqs = three()
    well, said = sent(sqs, [PAYMENT], tell_bus=telling("bus", Bus(refuses), NAMES))
    assert well
    assert sqs.left(PAYMENT) == []
    assert said.count(why) == said.count("its timeline does not show that") == 3
    assert said.endswith("3 sent.\n")


@pytest.mark.parametrize(
    ("outputs", "parameters", "bus"),
    [
        ({"EventBusName": "shop"}, {}, "shop"),
        ({}, {"EventBusName": "shop"}, "shop"),  # an add-on's stack
        ({}, {}, ""),
    ],
)
def test_the_bus_is_that_of_the_stack_or_that_it_is_attached_to(outputs, parameters, bus):
    assert bus_of(Stack("any", outputs, parameters)) == bus


# The command line


@pytest.fixture
def on_aws(monkeypatch):
    """`python -m ops redrive` with the given options, on AWS; what is left is what it returns."""
    sqs, lambdas = three(), Lambda()
    sqs.meta = boto3.client("sqs").meta
    clients = {"sqs": sqs, "lambda": lambdas}
    monkeypatch.setattr(boto3, "client", lambda name, **_: clients.get(name))
    queues = {"AWS::SQS::Queue": {"PaymentFailedEvents": PAYMENT.url}}
    payment = replace(STACKS[0], resources={**STACKS[0].resources, **queues})
    monkeypatch.setattr(Stack, "with_timelines", lambda name, _: [payment])

    def run(*options, command="redrive"):
        monkeypatch.setattr(sys, "argv", ["ops", command, *options])
        command_line.main()
        return sqs.messages[PAYMENT.url]

    run.sqs = sqs
    # as in a terminal, whatever these tests were started by
    before = {ending: signal.signal(ending, signal.SIG_DFL) for ending in (signal.SIGHUP, signal.SIGTERM)}
    yield run
    for ending, handler in before.items():
        signal.signal(ending, handler)


def hidden_notes(capsys):
    said = capsys.readouterr()
    return said.out, " ".join(said.err.split())


@pytest.mark.parametrize("command", ["failed", "redrive"])
def test_while_all_that_failed_is_hidden_nobody_is_told_that_nothing_has_failed(on_aws, capsys, command):
    # given what a command held that was killed
    on_aws.sqs.held = {f"receipt of m-{n}" for n in range(3)}

    # when
    with contextlib.suppress(SystemExit):
        on_aws(command=command)

    # then
    out, err = hidden_notes(capsys)
    assert out == "about 3 cannot be seen now\n"
    assert re.search(r"This may not be all of payment: SQS counts about 3 more\..* back at about \d\d:\d\d UTC", err)


@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"]])
def test_it_ends_with_1_if_anything_is_hidden_although_all_else_is_well(on_aws, capsys, options):
    on_aws.sqs.held = {"receipt of m-1"}
    with pytest.raises(SystemExit, match="1"):
        on_aws(*options)
    out, err = hidden_notes(capsys)
    assert out.endswith(("2 sent.\n", "2 looked at, nothing sent.\n"))
    assert "SQS counts about 1 more" in err


def test_what_failed_and_what_is_hidden_is_told_in_one_line(on_aws, capsys):
    on_aws.sqs.held = {"receipt of m-1"}
    on_aws(command="failed")
    assert hidden_notes(capsys)[0].endswith("2 failed: payment 2; about 1 cannot be seen now\n")


@pytest.mark.parametrize("command", ["failed", "redrive"])
def test_without_anything_failed_nothing_has_failed(on_aws, capsys, command):
    on_aws.sqs.messages[PAYMENT.url] = []
    on_aws(command=command)
    assert hidden_notes(capsys) == ("Nothing has failed.\n", "")


def test_what_a_look_could_not_give_back_is_told(on_aws, capsys):
    on_aws.sqs.change_message_visibility_batch = cut_off
    on_aws(command="failed")
    assert "3 of payment could not be given back" in hidden_notes(capsys)[1]


ENDINGS = pytest.mark.parametrize("ending", [signal.SIGHUP, signal.SIGTERM])


@ENDINGS
def test_a_look_whose_terminal_is_lost_or_whose_pipeline_is_called_off_gives_back_what_it_holds(
    on_aws, monkeypatch, ending
):
    # given
    looks, receive = [], on_aws.sqs.receive_message
    monkeypatch.setattr(failed, "Sight", lambda tell: looks.append(Sight(tell)) or looks[-1])

    def received(**request):
        if on_aws.sqs.held:
            signalled(ending, looks[0].stop)
        return receive(**request)

    on_aws.sqs.receive_message = received

    # when
    with pytest.raises(KeyboardInterrupt):
        on_aws(command="failed")

    # then
    assert len(on_aws.sqs.left(PAYMENT)) == 3
    assert signal.getsignal(ending) == signal.SIG_IGN, "a second one, as it often comes, would cut this short"


@ENDINGS
def test_a_redrive_does_so_too(on_aws, monkeypatch, ending):
    monkeypatch.setattr(Lambda, "invoke", lambda *_, **__: os.kill(os.getpid(), ending))
    with pytest.raises(KeyboardInterrupt):
        on_aws("--yes")
    assert len(on_aws.sqs.left(PAYMENT)) == 3


def test_under_nohup_it_outlives_its_terminal(on_aws):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert on_aws("--yes") == []
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_on_aws_nothing_is_sent_unless_someone_agrees_to_what_is_shown(on_aws, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(OpsError, match="nothing was sent"):
        on_aws()
    assert "3 failed: payment 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "answer", "left"), [(["--yes"], "never asked", 0), ([], "y", 0), (["--dry-run"], "", 3)]
)
def test_on_aws_it_goes_on_when_it_may(on_aws, monkeypatch, options, answer, left):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert len(on_aws(*options)) == left


def test_it_ends_with_1_if_anything_is_left(on_aws, monkeypatch):
    monkeypatch.setattr(Lambda, "invoke", Lambda(fails={"b-0"}).invoke)
    with pytest.raises(SystemExit, match="1"):
        on_aws("--yes")


# One order's log


class Logs:
    """CloudWatch Logs with one function's log: pages of two, and a filter that finds a term anywhere in a line."""

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self, *events):
        self.events = [{"logStreamName": stream, "timestamp": at, "message": text} for stream, at, text in events]

    def filter_log_events(
        self, logGroupName, startTime, endTime=10**15, logStreamNames=(), filterPattern='""', nextToken="0"
    ):
        if logGroupName == "/aws/lambda/never-run":
            raise self.exceptions.ResourceNotFoundException
        term = json.loads(filterPattern)
        found = [
            it
            for it in self.events
            if startTime <= it["timestamp"] <= endTime
            and (not logStreamNames or it["logStreamName"] in logStreamNames)
            and term in it["message"]
        ]
        first, after = int(nextToken), int(nextToken) + 2
        return {"events": found[first:after], **({"nextToken": str(after)} if found[after:] else {})}


def line(order, message="received", request="r-1", **more):
    return json.dumps({"level": "INFO", "message": message, "service": "payment", "orderId": order,
                       "function_request_id": request, **more})  # fmt: skip


GROUP = Group("/aws/lambda/one", "PaymentFunction")
EPOCH = datetime.fromtimestamp(0, UTC)


def told(*events, order="o-1"):
    found = lines_about(order, [GROUP, Group("/aws/lambda/never-run", "Never")], Logs(*events), EPOCH)
    return [(it.message, it.below) for it in found]


def test_an_orders_log_has_what_its_invocations_wrote_without_naming_it():
    assert told(
        ("s", 1, "START RequestId: r-0 Version: 1"),
        ("s", 2, "[ERROR] Before: of another invocation"),
        ("s", 3, "END RequestId: r-0"),
        ("s", 4, "START RequestId: r-1 Version: 1"),
        ("s", 5, line("o-1")),
        ("s", 6, '{"_aws": {}, "Payments": [1.0]}'),
        ("s", 7, "[ERROR] KeyError: 'quantity'"),
        ("s", 8, "Traceback (most recent call last):"),
        ("s", 9, "    raise"),
        ("s", 10, "    raise"),
        ("s", 11, "END RequestId: r-1"),
        ("s", 12, "REPORT RequestId: r-1 Duration: 1 ms"),
        ("t", 7, "[ERROR] Aside: of another sandbox"),
    ) == [
        ("received", ""),
        ("[ERROR] KeyError: 'quantity'", "Traceback (most recent call last):\n    raise\n    raise"),
    ]


def platform(kind, request, **record):
    return json.dumps({"time": "t", "type": f"platform.{kind}", "record": {"requestId": request, **record}})


def test_where_lambda_logs_in_json_and_only_what_went_wrong_the_invocations_lines_are_found_too():
    uncaught = json.dumps({"log_level": "ERROR", "errorMessage": "boom", "errorType": "OSError", "requestId": "r-1"})
    assert told(
        ("s", 1, line("o-0", request="r-0")),
        ("s", 2, "a warning of that invocation"),
        ("s", 3, line("o-1")),
        ("s", 4, "a warning of this one"),
        ("s", 5, uncaught),
        ("s", 6, platform("report", "r-1", status="timeout")),
        ("s", 7, line("o-2", request="r-2")),
        ("s", 8, "a warning of the next one"),
    ) == [
        ("received", ""),
        ("a warning of this one", ""),
        ("boom", ""),
        ("the invocation ended with: timeout", ""),
    ]


def test_where_lambda_logs_all_in_json_its_lines_of_what_went_well_are_left_out():
    assert told(
        ("s", 1, platform("start", "r-1")),
        ("s", 2, line("o-1")),
        ("s", 3, platform("runtimeDone", "r-1", status="success")),
        ("s", 4, platform("report", "r-1", status="success")),
    ) == [("received", "")]


def test_of_a_batch_it_has_only_this_order():
    assert told(
        ("s", 1, "START RequestId: r-1 Version: 1"),
        ("s", 2, line("o-1")),
        ("s", 3, line("o-2")),
        ("s", 4, line("o-1", "not handled", exception="Traceback\n  KeyError")),
        ("s", 5, "END RequestId: r-1"),
    ) == [("received", ""), ("not handled", "Traceback\n  KeyError")]


def test_an_id_within_another_is_another():
    assert told(("s", 1, line("o-12")), ("s", 2, line("foo-1", request="xo-1"))) == []


def test_lines_of_all_functions_come_in_the_order_of_time_their_own_where_they_have_one():
    at = "2026-11-20 12:00:00,{}+0000"
    assert told(
        ("s", 9_000, line("o-1", "second", "r-1", timestamp=at.format("200"))),
        ("t", 1_000, line("o-1", "first", "r-2", timestamp=at.format("100"))),
        ("u", 5_000, "Task of o-1 timed out"),
    ) == [("Task of o-1 timed out", ""), ("first", ""), ("second", "")]


def test_a_line_is_shown_with_the_keys_that_matter_and_its_exception_below():
    said = io.StringIO()
    shown_line = Line(
        datetime(2026, 11, 20, 12, 0, 0, 123_000, UTC),
        "payment",
        "ERROR",
        "not [red]handled\x07",
        "a\nb",
        {"eventId": "e-1"},
    )
    logs.show([shown_line], Console(file=said, width=40))
    assert said.getvalue() == "12:00:00.123  payment       ERROR    not [red]handled�  eventId=e-1\n    a\n    b\n"


class Clock:
    """Time that goes on when someone waits, and stops one who waits past `ends`."""

    def __init__(self, ends):
        self.now, self.ends = 0.0, ends

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        if self.now > self.ends:
            raise KeyboardInterrupt


def followed(cloudwatch, clock, groups, per_second=logs.CALLS_PER_SECOND):
    said = io.StringIO()
    logs.follow("o-1", groups, cloudwatch, EPOCH, Console(file=said, width=200), per_second, clock, clock.pause)
    return said.getvalue()


def test_following_shows_each_line_once():
    # given a line, and one that is logged later
    later = 10**14
    cloudwatch = Logs(("s", later, line("o-1", "one")))

    class Growing(Clock):
        def pause(self, seconds):
            super().pause(seconds)
            cloudwatch.events[1:] = Logs(("s", later, line("o-1", "two"))).events

    clock = Growing(ends=8)

    # then
    assert re.findall(r"one|two", followed(cloudwatch, clock, [GROUP], per_second=math.inf)) == ["one", "two"]
    assert clock.now > 8


def test_what_a_round_of_following_finds_is_shown_in_the_order_of_time():
    at = "2026-11-20 12:00:00,{}+0000"
    groups = {
        "b": [("s", 10**14, line("o-1", "second", timestamp=at.format("200")))],
        "a": [("s", 10**14, line("o-1", "first", timestamp=at.format("100")))],
    }

    class OfTwo(Logs):
        def filter_log_events(self, logGroupName, **request):
            return Logs(*groups[logGroupName]).filter_log_events(logGroupName, **request)

    said = followed(OfTwo(), Clock(ends=1), [Group(name, "Function") for name in groups])
    assert re.findall("first|second", said) == ["first", "second"]


def test_following_keeps_below_the_quota_of_calls_however_many_groups_pages_and_invocations_there_are():
    # given as many groups as the shop and a timeline have, and of the order several pages and invocations in each
    clock, calls = Clock(ends=60), []

    class Counting(Logs):
        def filter_log_events(self, **request):
            calls.append(clock.now)
            clock.now += 0.01  # it takes a moment, too
            return super().filter_log_events(**request)

    events = [(f"s{number}", 10**14, line("o-1", request=f"r-{number}")) for number in range(5)]

    # when it is followed for a minute
    followed(Counting(*events), clock, [Group(f"/aws/lambda/{number}", "Function") for number in range(18)])

    # then no second has more than five calls, and it has not merely stood still
    assert max(sum(start <= at < start + 1 for at in calls) for start in calls) <= 5
    assert len(calls) > 100


def test_one_look_at_all_logs_makes_five_calls_at_once_at_most():
    # given calls that wait for each other
    at_once, counts, lock, five = [0], [], threading.Lock(), threading.Barrier(5)

    class Slow(Logs):
        def filter_log_events(self, **request):
            with lock:
                at_once[0] += 1
                counts.append(at_once[0])
            five.wait(timeout=10)
            with lock:
                at_once[0] -= 1
            return super().filter_log_events(**request)

    # when
    lines_about("o-1", [Group(f"/aws/lambda/{number}", "Function") for number in range(20)], Slow(), EPOCH)

    # then
    assert len(counts) == 20
    assert max(counts) == 5


def test_a_function_logs_where_it_says_or_where_lambda_puts_it():
    class Functions:
        def get_function_configuration(self, FunctionName):
            return {"LoggingConfig": {"LogGroup": "shop-PaymentLog"}} if FunctionName == "shop-Payment-1A" else {}

    assert groups_of(STACKS, Functions()) == [
        Group("/aws/lambda/shop-Checkouts-2B", "OrdersCheckoutsFunction"),
        Group("shop-PaymentLog", "PaymentFunction"),
        Group("/aws/lambda/shop-timeline-Watch-7G", "WatchFunction"),
    ]
