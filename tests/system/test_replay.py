"""The archive, replayed by the ops command; and what of a shopper's is in no event that is archived, and in no log."""

import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest

from local.cloud import ROOT

from .test_failures import kept
from .test_idempotency import CONSUMERS, ended_orders, forget_what_was_handled
from .test_intake import partner_order, put
from .waiting import eventually

HANDLED_BY = CONSUMERS | {
    "ProductChanged": ("BasketPricesFunction", "OrdersPricesFunction"),
    "ProductRemoved": ("BasketPricesFunction", "OrdersPricesFunction"),
    "microservice_x_test_event": ("IntakeFunction",),
    "PartnerOrderReceived": (),
}
"""Which consumer gets which archived event, by the rules of the template."""


@pytest.fixture
def since():
    """The second from which on there is nothing but this test's own."""
    time.sleep(1 - time.time() % 1)
    return datetime.now(UTC).isoformat(timespec="seconds")


def replay(shop, since, *options):
    """`python -m ops replay`, as the shop's operator calls it; returns the replay's name."""
    finished = subprocess.run(
        [sys.executable, "-m", "ops", "replay", "--since", since, "--stack-name", shop.stack.name, *options],
        cwd=ROOT,
        env=shop.cloud.environment(),
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()[-1].removesuffix(" is done.")


def reprice(shop, product, unit_price):
    body = {"name": "A test's product", "category": "tests", "unitPrice": unit_price, "currency": "USD"}
    path, by = f"/products/{product}", shop.people.operator
    assert shop.call("PUT", path, body, by=by, headers={"If-Match": "*"}).status == 200
    shop.until_priced(product, unit_price)


def retire(shop, product):
    assert shop.call("DELETE", f"/products/{product}", by=shop.people.operator).status == 204
    for table in ("BasketPricesTable", "OrdersPricesTable"):
        eventually(lambda table=table: shop.item(table, productId=product), lambda row: "sold" in row)


def check_out(shop, product, shipping):
    return shop.check_out(shipping, **{product: 1}).body["orderId"]


def shipping():
    """A name that nobody else in the logs has."""
    mark = uuid.uuid4().hex
    return {
        "firstName": f"Zoe{mark}",
        "lastName": f"Zimmer{mark}",
        "email": f"zoe{mark}@example.com",
        "address": f"1 {mark} Street",
    }


# A whole day, replayed over itself


def rows(shop):
    """Everything that is in any table, but for the records of what was handled, and until when it was claimed."""
    dynamodb = shop.cloud.client("dynamodb")
    found = {}
    for logical, physical in shop.resources.items():
        if logical.endswith("Table") and logical != "IdempotencyTable":
            pages = dynamodb.get_paginator("scan").paginate(TableName=physical, ConsistentRead=True)
            items = [
                json.dumps({name: it for name, it in item.items() if name != "claimedUntil"}, sort_keys=True)
                for page in pages
                for item in page["Items"]
            ]
            found[logical] = sorted(items)
    return found


def heard(shop):
    shop.ear.about("anything")
    return shop.ear.heard


def until_handled(shop, events, times):
    """Wait until each event was delivered this often to each of its consumers. Logs are written when that has ended."""
    wanted = {function: [] for functions in HANDLED_BY.values() for function in functions}
    for event in events:
        for function in HANDLED_BY[event["detail-type"]]:
            wanted[function].append(event["detail"].get("metadata", {}).get("eventId", event["id"]))

    def received(function):
        lines = shop.log(function, '"received"')
        return Counter(line["eventId"] for line in lines if line["message"] == "received")

    for function, ids in wanted.items():
        eventually(
            lambda function=function: received(function),
            lambda seen, ids=ids: all(seen[event_id] >= times for event_id in ids),
        )


def a_day(shop):
    """Every kind of thing that happens in the shop; returns once all of it has come to rest."""
    product, gone = shop.stocked(20), shop.stocked(1)
    reprice(shop, product, 2500)
    retire(shop, gone)
    *_, regretted = ended_orders(shop, product)
    checked_out = check_out(shop, product, shipping())
    assert shop.until(checked_out, "CONFIRMED")
    shop.until_heard(checked_out, "OrderConfirmed")
    shop.until_heard(regretted, "PaymentRefunded", "InventoryReleased")
    partners = partner_order()
    put(shop, partners)
    shop.until_heard(partners["body"]["OrderId"], "PartnerOrderReceived")


def test_a_day_replayed_over_itself_changes_nothing_with_the_records_and_without(shop, since):
    # given
    earlier = len(heard(shop))
    a_day(shop)
    day = heard(shop)[earlier:]
    archived = [event for event in day if event["detail-type"] != "BasketCheckedOut"]
    assert {event["detail-type"] for event in archived} == HANDLED_BY.keys()
    until_handled(shop, archived, times=1)
    before = rows(shop)

    # when it is replayed while the first layer of idempotency remembers it, and again when only the second is left
    for times in (2, 3):
        replay(shop, since)
        until_handled(shop, archived, times=times)
        forget_what_was_handled(shop)
    time.sleep(2)  # what it had led to would be in the table by now, and on the bus

    # then no row is another
    assert rows(shop) == before
    # and all of the day was heard twice more, but for the checkout: it is in no archive
    again = heard(shop)[earlier + len(day) :]
    assert all("replay-name" in event for event in again), "a replay has led to a new event"
    assert Counter(event["id"] for event in again) == {event["id"]: 2 for event in archived}


# A price list, rebuilt


def test_a_price_list_that_was_lost_is_rebuilt(shop, since):
    # given products that were repriced, or retired
    repriced, retired, plain = shop.stocked(5), shop.stocked(5), shop.stocked(5)
    reprice(shop, repriced, 2500)
    reprice(shop, repriced, 2100)
    retire(shop, retired)

    # when the price list of orders is lost
    dynamodb, table = shop.cloud.client("dynamodb"), shop.resources["OrdersPricesTable"]
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression="productId"):
        for key in page["Items"]:
            dynamodb.delete_item(TableName=table, Key=key)
    order = {"productId": repriced, "quantity": 1}
    assert shop.call("POST", "/orders", order).status == 422

    # and the archive is replayed to the rule that feeds it
    name = replay(shop, since, "--rule", "OrdersPricesFunctionProducts")

    # then it says again what it said
    for product, unit_price in ((repriced, 2100), (plain, 1999)):
        eventually(
            lambda product=product: shop.item("OrdersPricesTable", productId=product),
            lambda row, unit_price=unit_price: row is not None and row["unitPrice"]["N"] == str(unit_price),
        )
    eventually(lambda: shop.item("OrdersPricesTable", productId=retired), lambda row: row is not None and "sold" in row)
    answer = shop.call("POST", "/orders", order)
    assert (answer.status, answer.body["totalPrice"]) == (201, 2100)
    assert shop.call("POST", "/orders", {"productId": retired, "quantity": 1}).status == 422

    # and the replay was meant only for that rule (the emulator replays to all)
    events = shop.cloud.client("events")
    (filtered,) = events.describe_replay(ReplayName=name)["Destination"]["FilterArns"]
    targets = events.list_targets_by_rule(Rule=filtered.rpartition("/")[2], EventBusName=shop.stack.event_bus)
    (target,) = targets["Targets"]
    assert target["Arn"].endswith(f":{shop.resources['OrdersPricesFunction']}:live")


# Personal data


def logged(shop):
    """Every line of every function's log."""
    logs = shop.cloud.client("logs")
    groups = [group for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]]
    return [
        event["message"]
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for event in page["events"]
    ]


def test_whom_to_send_an_order_to_is_in_no_log_and_in_one_event(shop):
    # given a checkout that becomes an order
    product, whom = shop.stocked(5), shipping()
    order = check_out(shop, product, whom)
    assert shop.until(order, "CONFIRMED")
    shop.until_heard(order, "OrderConfirmed")
    # one that the API refuses
    assert shop.call("PUT", f"/basket/items/{product}", {"quantity": 1}).status == 200
    assert shop.call("POST", "/basket/checkout", whom | {"address": whom["address"] * 50}).status == 400
    # and one that orders cannot read
    malformed = str(uuid.uuid4())
    detail = {"checkoutId": malformed, "userId": "ada", "items": [], "shipping": whom, "version": "1.0"}
    shop.put_event("eventflow.basket", "BasketCheckedOut", detail | {"totalPrice": 1, "currency": "USD"})
    eventually(lambda: shop.log("OrdersCheckoutsFunction", "$.detail.items"), len)
    shop.cloud.client("sqs").purge_queue(QueueUrl=shop.resources["Checkouts"])

    # when
    lines = eventually(lambda: logged(shop), lambda lines: any(order in line for line in lines))

    # then
    assert [line for line in lines for value in whom.values() if value in line] == []
    tellers = {e["detail-type"] for e in heard(shop) for value in whom.values() if value in json.dumps(e)}
    assert tellers == {"BasketCheckedOut"}
    assert shop.call("GET", f"/orders/{order}").body["shipping"] == whom
    shop.call("DELETE", "/basket")


# What had failed


def test_what_had_failed_and_fails_again_is_in_its_queue_twice(shop, since):
    # given an event that its one consumer cannot read, in a failed-events queue
    order = str(uuid.uuid4())
    shop.put_event("eventflow.payment", "PaymentRefunded", {"orderId": order, "version": "9.0"})
    eventually(lambda: kept(shop, "NotificationFailedEvents", order), lambda seen: len(seen) == 1)

    # when
    replay(shop, since, "--rule", "NotificationFunctionRefunds")

    # then
    eventually(lambda: kept(shop, "NotificationFailedEvents", order), lambda seen: len(seen) == 2)
