"""The timeline add-on and the shop: what it tells of an order, to whom, and that nobody notices it."""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from .test_replay import check_out, replay, shipping
from .waiting import eventually

CONFIRMED = ("OrderCreated", "PaymentSucceeded", "InventoryReserved", "OrderConfirmed")
DECLINED = ("OrderCreated", "InventoryReserved", "PaymentFailed", "OrderCancelled", "InventoryReleased")


def instant(text):
    return datetime.fromisoformat(text)


# What it tells of an order


def test_a_confirmed_order_is_told_from_its_beginning_to_its_end(shop, timeline):
    # when
    order = shop.place(shop.stocked(5), 2)
    told = timeline.until_told(order, *CONFIRMED)

    # then it tells each event as it was heard
    heard = {event["detail"]["metadata"]["eventId"]: event for event in shop.until_heard(order, *CONFIRMED)}
    for event in told["events"]:
        original = heard.pop(event["eventId"])
        assert (event["source"], event["type"], event["detail"]) == (
            *(original["source"], original["detail-type"], original["detail"]),
        )
        metadata = event["detail"]["metadata"]
        assert instant(event["time"]).timestamp() * 1000 == pytest.approx(metadata["occurredAt"])
        assert event["traceId"].replace("-", "")[1:] == metadata["traceparent"].split("-")[1]
    assert not heard

    # in order, and what led to what
    first, *_, last = told["events"]
    events = {event["eventId"]: event for event in told["events"]}
    assert [event["time"] for event in told["events"]] == sorted(event["time"] for event in told["events"])
    for event in told["events"]:
        assert event["offsetMs"] == (instant(event["time"]) - instant(first["time"])) / timedelta(milliseconds=1)
        if event is not first:
            causes = [events[cause] for cause in event["causes"]]
            assert event["causationId"] in event["causes"]
            assert event["gapMs"] == event["offsetMs"] - max(cause["offsetMs"] for cause in causes)
    assert {event["type"]: event["role"] for event in told["events"]} == {
        **dict.fromkeys(CONFIRMED, "step"),
        "OrderConfirmed": "outcome",
    }
    # the confirmation follows both, and waited for the later of the two
    followed = [events[cause] for cause in last["causes"]]
    assert {event["type"] for event in followed} == {"PaymentSucceeded", "InventoryReserved"}
    path = [event["type"] for event in told["events"] if event.get("critical")]
    assert path == ["OrderCreated", max(followed, key=lambda it: it["time"])["type"], "OrderConfirmed"]

    # and all of it in a few words
    assert {name: it for name, it in told.items() if name != "events"} == {
        "id": order,
        "status": "done",
        "ending": "succeeded",
        "outcome": "OrderConfirmed",
        "started": first["time"],
        "lastEvent": last["time"],
        "lastType": "OrderConfirmed",
        "ended": last["time"],
        "durationMs": last["offsetMs"],
        "eventCount": 4,
    }


def test_an_order_that_was_called_off_is_told_until_all_of_it_is_undone(shop, timeline):
    order = shop.place(shop.stocked(5), pays=False)
    told = timeline.until_told(order, *DECLINED)

    assert (told["status"], told["outcome"]) == ("done", "OrderCancelled")
    assert (told["ending"], told["failedStep"]) == ("failed", "PaymentFailed")
    (failed,) = (event for event in told["events"] if event["role"] == "failure")
    assert told["reason"] == failed["reason"] == failed["detail"]["reason"]
    assert order in [item["id"] for item in timeline.listed(ending="failed", type="PaymentFailed", limit="100")]
    assert {event["type"]: event["role"] for event in told["events"]} == {
        "OrderCreated": "step",
        "InventoryReserved": "step",
        "PaymentFailed": "failure",
        "OrderCancelled": "compensation",
        "InventoryReleased": "compensation",
    }
    path = [event["type"] for event in told["events"] if event.get("critical")]
    assert path[-2:] == ["OrderCancelled", "InventoryReleased"] or told["events"][-1]["type"] != "InventoryReleased"


def test_a_timeline_is_its_shoppers_own_and_every_operators(shop, timeline):
    # given
    order = shop.place(shop.stocked(5))
    timeline.until_told(order, *CONFIRMED)

    # when
    own, strangers, operators, never_was = (
        timeline.ask(order, shop.people.shopper),
        timeline.ask(order, shop.people.other_shopper),
        timeline.ask(order, shop.people.operator),
        timeline.ask(str(uuid.uuid4()), shop.people.other_shopper),
    )

    # then
    assert (own.status, strangers.status, operators.status, never_was.status) == (200, 404, 200, 404)
    assert without_the_usual(own.body) == without_the_usual(operators.body)
    assert strangers.body.keys() == never_was.body.keys()
    assert order not in [item["id"] for item in timeline.listed(shop.people.other_shopper, limit="100")]
    for path in ("/timelines", f"/timelines/{order}"):
        assert timeline.call("GET", path, token="").status == 401


def test_what_a_partner_says_of_an_order_moves_its_timeline_to_nobody(shop, timeline):
    # given
    order = shop.place(shop.stocked(5))
    timeline.until_told(order, *CONFIRMED)

    # when a partner names another shopper, in an event that claims to be older than the order
    forged = {"correlationId": order, "eventId": str(uuid.uuid4()), "occurredAt": 1_000}
    stranger = shop.people.other_shopper
    shop.put_event("microservice_x", "Note", {"orderId": order, "userId": stranger.sub, "metadata": forged})

    # then the event is there, and the saga is still its shopper's
    timeline.until_told(order, *CONFIRMED, "Note")
    assert timeline.ask(order, stranger).status == 404
    assert order not in [item["id"] for item in timeline.listed(stranger, limit="100")]
    assert timeline.ask(order, shop.people.shopper).status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=over", "status"),
        ("cursor=nonsense", "cursor"),
        ("cursor=eyJsaXN0aW5nIjoiOTk5OTk5OTk5OTk5OSN4In0%3D&status=stuck", "cursor"),
        ("limit=0", "limit"),
        ("from=yesterday", "from"),
    ],
)
def test_a_wrong_query_is_refused_by_the_name_of_its_field(timeline, query, field):
    answer = timeline.call("GET", f"/timelines?{query}")

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert [error["field"] for error in answer.body["errors"]] == [field]


def test_whom_to_send_an_order_to_is_nowhere_in_its_timeline(shop, timeline):
    # given a checkout
    whom = shipping()
    order = check_out(shop, shop.stocked(5), whom)

    # when
    told = timeline.until_told(order, "BasketCheckedOut", *CONFIRMED)

    # then the timeline begins with it, and knows nothing of whom it is for
    checked_out = told["events"][0]["detail"]
    assert (checked_out["checkoutId"], "shipping" in checked_out) == (order, False)
    everything = json.dumps(timeline.kept())
    assert [value for value in whom.values() if value in everything] == []
    assert order in everything


# What consumers gave up on


def test_what_its_consumers_gave_up_on_is_on_an_orders_timeline_for_operators(shop, timeline):
    # given an order's event that no consumer can read
    order, event_id = str(uuid.uuid4()), str(uuid.uuid4())
    metadata = {"eventId": event_id, "correlationId": order, "occurredAt": 1000 * int(time.time())}
    detail = {"orderId": order, "userId": shop.people.shopper.sub, "items": "three mugs", "metadata": metadata}

    # when
    shop.put_event("eventflow.orders", "OrderCreated", detail)

    # then each service that gave up is under it, with the reason
    told = eventually(
        lambda: timeline.ask(order).body, lambda seen: len([*filter(is_give_up, seen.get("events", []))]) == 3
    )
    gave_up = {step["lane"]: step for step in told["events"] if is_give_up(step)}
    assert gave_up.keys() == {"payment", "inventory", "notification"}
    for step in gave_up.values():
        assert (step["type"], step["causes"]) == ("OrderCreated", [event_id])
        assert "OrderCreated" in step["failure"]["exception"]
        assert step["failure"]["attempts"] == 3
    # and the saga stands as before
    assert (told["status"], told["lastType"], told["eventCount"], told["giveUps"]) == ("open", "OrderCreated", 1, 3)
    # its shopper sees none of that
    own = timeline.ask(order, shop.people.shopper).body
    assert [step["type"] for step in own["events"]] == ["OrderCreated"]
    assert "giveUps" not in own
    # what it is found by: what its id begins with, its event's
    for prefix in (order[:8], event_id[:13]):
        assert order in [item["id"] for item in timeline.listed(find=prefix)]


def is_give_up(step):
    return step["role"] == "giveUp"


# A bus of somebody else's


def test_it_listens_to_a_bus_that_is_not_eventflows(timeline):
    foreign = {
        "OnlySources": "acme.,emca",
        "CorrelationId": "detail.shipment.ref",
        "GoodOutcomes": "Delivered",
        "BadOutcomes": "",
        "Compensations": "",
        "OmittedFields": "secret",
    }
    with timeline.attached_again(**foreign) as acme:

        def said(detail_type, shipment, second, source="acme.depot", **more):
            detail = {"shipment": shipment, "secret": "x1", **more}
            return {"Source": source, "DetailType": detail_type, "Detail": detail, "Time": second}

        # when parcels are on their way, several events of them in one second, none with metadata
        now = int(time.time()) - 60
        parcel = {"ref": 4711, "by": [{"name": "Joe", "secret": {"phone": "x2"}}]}
        (packed, *_) = acme.put(
            said("Packed", parcel, now),
            said("Weighed", parcel, now, metadata="none that we know"),
            said("Labelled", parcel, now, metadata={"eventId": 7, "occurredAt": "noon"}),
            said("Delivered", parcel, now + 2, source="emca"),
            said("Packed", {"ref": "depot 7: ü, 100% (1+1)"}, now),
            # things that are of no parcel
            said("DepotOpened", {}, now),
            said("DepotClosed", {"ref": {"no": "text"}}, now),
            said("DepotMoved", {"ref": "r" * 257}, now),
            said("DepotPainted", {"ref": "😀" * 256}, now),  # more bytes than a sort key of DynamoDB takes
            # and of nobody's whom it listens to
            said("Packed", parcel, now, source="other.depot"),
        )
        acme.until_at_rest()

        # then a parcel's timeline has what was said of it, by EventBridge's own ids and times
        told = acme.until_told("4711", "Packed", "Weighed", "Labelled", "Delivered")
        assert [event["offsetMs"] for event in told["events"]] == [0, 0, 0, 2000]
        assert (told["status"], told["outcome"], told["durationMs"]) == ("done", "Delivered", 2000)
        assert told["events"][-1]["role"] == "outcome"
        assert packed in [event["eventId"] for event in told["events"]]
        (first,) = (event for event in told["events"] if event["eventId"] == packed)
        assert first["detail"] == {"shipment": {"ref": 4711, "by": [{"name": "Joe"}]}}
        assert acme.until_told("depot 7: ü, 100% (1+1)", "Packed")["status"] == "open"

        # what is of no parcel is kept by the day
        kept = acme.kept()
        day = f"unplaced#{datetime.fromtimestamp(now, UTC):%Y-%m-%d}#"
        unplaced = [row["type"] for partition, rows in kept.items() if partition.startswith(day) for row in rows]
        assert sorted(unplaced) == ["DepotClosed", "DepotMoved", "DepotOpened", "DepotPainted"]
        assert {it for it in kept if not it.startswith(day)} == {"saga#4711", "saga#depot 7: ü, 100% (1+1)"}

        # and nothing is kept that is not to be kept, or was not said to it
        assert not [secret for secret in ("secret", "x1", "x2", "other.depot") if secret in json.dumps(kept)]
        assert acme.messages("TimelineFailedEvents") == []


# What cannot be kept


def test_an_event_that_cannot_be_kept_ends_in_the_queue_with_the_reason(timeline):
    with timeline.attached_again() as apart:
        # given events whose id is longer than DynamoDB's keys may be, one of them very large, and one like any other
        order = str(uuid.uuid4())
        detail = {"orderId": order, "metadata": {"eventId": "e" * 1_100, "correlationId": order}}

        # when
        apart.put_event("eventflow.basket", "BasketCheckedOut", {**detail, "shipping": shipping()})
        apart.put_event("eventflow.orders", "OrderCreated", {**detail, "big": "x" * 240_000})
        whole = {"orderId": order, "amount": 1999, "metadata": {"eventId": "e", "occurredAt": 1000 * int(time.time())}}
        apart.put_event("eventflow.payment", "PaymentSucceeded", whole)

        # then it is there but for what is not to be kept, and the large one has what its place needs
        records = eventually(lambda: apart.messages("TimelineFailedEvents"), lambda seen: len(seen) == 2)
        by_type = {record["requestPayload"]["detail-type"]: record for record in records}
        assert by_type["BasketCheckedOut"]["requestPayload"]["detail"] == detail
        cut = by_type["OrderCreated"]["requestPayload"]["detail"]
        assert "could not be put into the failed-events queue" in cut.pop("cut")
        assert cut == detail
        # with the reason
        for record in records:
            assert "ValidationException" in record["responsePayload"]["errorType"]
            assert "1024" in record["responsePayload"]["errorMessage"]
        # and the other is kept
        assert apart.until_told(order, "PaymentSucceeded")["status"] == "open"

        # when it comes again, cut for the queue, as after a summary that could not be written
        apart.put_event("eventflow.payment", "PaymentSucceeded", {**whole, "amount": None, "cut": "too large"})
        apart.until_at_rest()

        # then the whole one stays, and nothing has failed
        (event,) = apart.ask(order).body["events"]
        assert event["detail"]["amount"] == 1999
        assert len(apart.messages("TimelineFailedEvents")) == 2


def test_of_a_saga_too_big_to_be_looked_at_every_event_is_kept_and_its_summary_moves_with_the_newest(timeline):
    with timeline.attached_again() as apart:
        # given a saga of more than DynamoDB reads at once, a megabyte
        saga, big = str(uuid.uuid4()), "x" * 190_000
        metadata = [
            {"correlationId": saga, "eventId": f"e{n}", "occurredAt": 1000 * int(time.time()) + n} for n in range(7)
        ]

        # when
        for each in metadata:
            apart.put_event("eventflow.orders", "OrderCreated", {"big": big, "metadata": each})
        apart.until_at_rest()

        # then nothing has failed, and its summary says that it is cut, and when it last moved
        assert apart.messages("TimelineFailedEvents") == []
        (listed,) = apart.listed()
        assert (listed["id"], listed["cut"]) == (saga, True)
        assert instant(listed["lastEvent"]).timestamp() * 1000 == pytest.approx(metadata[-1]["occurredAt"])
        # and nothing of it is lost
        *events, _ = apart.kept()[f"saga#{saga}"]
        assert [row["eventId"] for row in events] == [f"e{n}" for n in range(7)]
        told = apart.ask(saga).body
        assert (told["truncated"], told["events"][-1]["eventId"]) == (True, "e6")


# Stuck sagas


def stuck_sagas(timelines):
    """The metric of the latest minute in which there is any."""
    now = datetime.now(UTC)
    points = timelines.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="EventFlow/Timeline",
        MetricName="StuckSagas",
        Dimensions=[{"Name": "Stack", "Value": timelines.stack.name}],
        StartTime=now - timedelta(minutes=2),
        EndTime=now + timedelta(minutes=1),
        Period=1,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max(points, key=lambda point: point["Timestamp"])["Maximum"] if points else None


def watched(timelines):
    """How many sagas are stuck, by what EventBridge runs every minute, which is run now.

    What two runs of one second find is one datapoint: so it is to be run until it tells.
    """
    states = timelines.cloud.client("stepfunctions")
    run = states.start_execution(stateMachineArn=timelines.resources["Watch"])["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=run)["status"], lambda status: status != "RUNNING")
    return stuck_sagas(timelines)


def test_a_saga_that_does_not_end_is_stuck_and_raises_an_alarm_until_it_ends(timeline):
    with timeline.attached_again(StuckAfterSeconds="1") as apart:
        # given an order that nobody goes on with
        order = str(uuid.uuid4())
        apart.put_event("eventflow.orders", "OrderCreated", {"orderId": order})

        # when it has been open for too long
        assert apart.until(order, "stuck")

        # then
        eventually(lambda: watched(apart), lambda stuck: stuck == 1)
        (alarm,) = apart.cloud.client("cloudwatch").describe_alarms(AlarmNames=[apart.resources["StuckSagasAlarm"]])[
            "MetricAlarms"
        ]
        assert alarm["StateValue"] == "ALARM"
        assert [item["id"] for item in apart.listed(status="stuck")] == [order]

        # when it ends after all
        apart.put_event("eventflow.orders", "OrderCancelled", {"orderId": order})
        assert apart.until(order, "done")

        # then
        eventually(lambda: watched(apart), lambda stuck: stuck == 0)
        assert apart.listed(status="stuck") == []


# On and off


def everything_of(shop):
    """The main stack's resources, and how those that an add-on could touch are set up."""
    clients = {name: shop.cloud.client(name) for name in ("cloudformation", "lambda", "events", "dynamodb", "sqs")}
    resources = clients["cloudformation"].describe_stack_resources(StackName=shop.stack.name)["StackResources"]
    bus = shop.stack.event_bus

    def described(kind, physical):
        match kind:
            case "AWS::Lambda::Function":
                return clients["lambda"].get_function_configuration(FunctionName=physical)
            case "AWS::Lambda::EventSourceMapping":
                return clients["lambda"].get_event_source_mapping(UUID=physical)
            case "AWS::Events::Rule":
                rule = {"EventBusName": bus, "Name": physical.rpartition("|")[2]}
                targets = clients["events"].list_targets_by_rule(EventBusName=bus, Rule=rule["Name"])["Targets"]
                return {**clients["events"].describe_rule(**rule), "Targets": targets}
            case "AWS::DynamoDB::Table":
                return clients["dynamodb"].describe_table(TableName=physical)["Table"]
            case "AWS::SQS::Queue":
                return clients["sqs"].get_queue_attributes(QueueUrl=physical, AttributeNames=["All"])["Attributes"]
            case "AWS::Cognito::UserPool":
                return shop.cloud.client("cognito-idp").describe_user_pool(UserPoolId=physical)["UserPool"]
        return {}

    def is_setting(name):
        """What changes by itself, as the shop goes on."""
        return name not in ("ResponseMetadata", "LastModified", "LastProcessingResult") and not name.startswith(
            ("ItemCount", "TableSizeBytes", "Approximate", "EstimatedNumberOfUsers", "GlobalSecondaryIndexes")
        )

    return {
        it["LogicalResourceId"]: (
            it,
            {
                name: value
                for name, value in described(it["ResourceType"], it["PhysicalResourceId"]).items()
                if is_setting(name)
            },
        )
        for it in resources
    }


def without_the_usual(told):
    """What a timeline tells of the saga itself: what is usual depends on the others that it knows."""
    return {**told, "events": [{**event, "usualMs": None} for event in told["events"]]}


def test_switched_on_and_off_while_orders_flow_it_disturbs_none_and_catches_up_by_a_replay(shop, timeline):
    # given a shop without it, and an order in it
    since = datetime.now(UTC).isoformat(timespec="seconds")
    product = shop.stocked(20)
    before = everything_of(shop)
    early = shop.place(product)
    shop.until_heard(early, *CONFIRMED)

    # when it is switched on while another order is on its way
    meanwhile = shop.place(product)
    with timeline.attached_again(shop.stack.event_bus) as late:
        later = shop.place(product, pays=False)

        # then nothing of the shop has changed, and what comes from now on is told
        assert everything_of(shop) == before
        late.until_told(later, *DECLINED)
        assert late.ask(early).status == 404

        # and what was before is told once the archive has been replayed to it
        shop.until_heard(meanwhile, *CONFIRMED)
        replay(shop, since, "--rule", late.stack.name)
        assert without_the_usual(late.until_told(early, *CONFIRMED)) == without_the_usual(
            timeline.until_told(early, *CONFIRMED)
        )
        late.until_told(meanwhile, *CONFIRMED)
        assert without_the_usual(late.until_told(later, *DECLINED)) == without_the_usual(
            timeline.until_told(later, *DECLINED)
        )
        last = shop.place(product)

    # when it is off again, then nothing has changed either, and every order has ended
    assert everything_of(shop) == before
    for order, status in (
        (early, "CONFIRMED"),
        (meanwhile, "CONFIRMED"),
        (later, "PAYMENT_FAILED"),
        (last, "CONFIRMED"),
    ):
        assert shop.until(order, status)
    eventually(lambda: shop.stock_of(product), lambda pieces: pieces == 17)
