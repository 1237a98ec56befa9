"""What must hold. It is read from what AWS would show (rows, events, queues, messages) and from what people were told.

`always` is looked at after each write, `at_rest` when nothing is left to happen and what had failed was redriven. Each
rule yields what is wrong, in a sentence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Protocol

from eventflow.keys import Use
from ops.ends import PAID, SET_ASIDE
from orders.orders import order_id_for
from payment.gateway import declines

from .dynamodb import Written
from .people import Asked, People
from .wire import Json
from .world import Told, World

OFF = ("PAYMENT_FAILED", "INVENTORY_FAILED", "CANCELLED")
CLAIM_HOLDS_SECONDS = 14
"""A claim lasts for 30 seconds, and is taken by an invocation that may run for 15."""
TOLD = ("OrderCreated", "OrderConfirmed", "OrderCancelled", "PaymentRefunded")


def always(world: World, written: Written) -> Iterator[str]:
    if written.table == "InventoryTable" and int(written.new["availableQty"]["N"]) < 0:
        yield f"stock of {written.key} is below zero: {written.new['availableQty']['N']}"
    if written.table == "BasketsTable" and "event" in written.new and written.new.get("items", {}).get("L"):
        yield f"the basket of {written.key} was checked out, and still holds what was in it"
    if written.table == "OrdersTable" and written.new["status"]["S"] == "CONFIRMED":
        done = {it["detailType"] for it in world.deliveries.announced if it["key"] == written.key}
        if not done >= {"PaymentSucceeded", "InventoryReserved"}:
            yield f"order {written.key} is CONFIRMED after {', '.join(sorted(done))}"


def at_rest(world: World, people: People) -> Iterator[str]:
    yield from world.errors
    yield from world.broken
    state = State(world.dynamodb.rows)
    yield from seen_from_outside(state, people, world.deliveries.published)
    yield from money_is_taken_once_and_given_back_once(state, world)
    yield from what_is_announced_is_published_and_nothing_else(world)
    yield from messages_tell_what_is_newest(world)
    yield from traces_are_not_mixed(world)
    yield from nothing_lies_in_a_failed_queue(world)


def seen_from_outside(state: State, people: Customers, published: Iterable[Json]) -> Iterator[str]:
    """What a deployed stack can show, too: its tables, what people were told, and the events on its bus."""
    yield from accepted_is_there_once_and_ends(state, people)
    yield from no_answer_is_contradicted(state, people)
    yield from payment_reservation_and_order_agree(state)
    yield from stock_adds_up(state, people)
    yield from events_tell_of_their_order(state, published)
    yield from each_checkout_is_one_order(state, published)
    yield from price_lists_are_as_the_catalog(state)


class Customers(Protocol):
    asked: list[Asked]
    stocked: dict[str, int]
    """Pieces of each product that were there when it began."""


class State:
    """The rows, as plain values."""

    def __init__(self, tables: Mapping[str, Mapping[str, Json]]) -> None:
        self.tables = {name: {key: _plain({"M": row}) for key, row in rows.items()} for name, rows in tables.items()}

    def __getitem__(self, table: str) -> dict[str, Any]:
        return self.tables[table]


def _plain(attribute: Json) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "M":
            return {name: _plain(it) for name, it in value.items()}
        case "L":
            return [_plain(it) for it in value]
        case "N":
            return float(value) if "." in value else int(value)
    return value


def key_of(what: str, scope: str, key: str) -> str:
    """The id of the row that an Idempotency-Key is."""
    return Use.of(what, scope, key, None, answer="", now=0).id


def placed_by(asked: Asked) -> str | None:
    """The id of the order that a request placed, or would have placed."""
    if (asked.method, asked.path) == ("POST", "/orders") and asked.key:
        return order_id_for(asked.by, asked.key)
    return None


def accepted_is_there_once_and_ends(state: State, people: Customers) -> Iterator[str]:
    """Accepted is there, refused is not, and whatever is there ends."""
    wanted = {placed_by(asked): asked for asked in people.asked if placed_by(asked)}
    for order_id, asked in wanted.items():
        there = order_id in state["OrdersTable"]
        if asked.last.status == 201 and not there:
            yield f"order {order_id} was accepted, and is not there"
        if asked.definite and asked.last.status >= 400 and there and not any(it.status == 201 for it in asked.answers):
            yield f"order {order_id} was refused with {asked.last.status}, and is there"
    for order_id, order in state["OrdersTable"].items():
        if order["status"] != "CONFIRMED" and order["status"] not in OFF:
            yield f"order {order_id} does not end: it is {order['status']}"
    for asked in people.asked:
        if asked.path == "/basket/checkout" and asked.last.status == 202:
            order_id = asked.last.body["orderId"]
            if order_id not in state["OrdersTable"]:
                yield f"a basket was checked out as {order_id}, and no order came of it"


def no_answer_is_contradicted(state: State, people: Customers) -> Iterator[str]:
    for number, asked in enumerate(people.asked):
        ids = {it.body["orderId"] for it in asked.answers if it.status in (201, 202) and "orderId" in it.body}
        if len(ids) > 1:
            yield f"one request was told as several orders: {sorted(ids)}"
        if asked.path.endswith("/cancel") and asked.last.status == 200:
            order = state["OrdersTable"][asked.path.split("/")[2]]
            if order["status"] not in OFF:
                yield f"order {order['orderId']} was told as cancelled, and is {order['status']}"
        last_of_its_key = not any(it.key == asked.key for it in people.asked[number + 1 :])
        if asked.path == "/basket/checkout" and asked.key and asked.definite and last_of_its_key:
            record = state["IdempotencyTable"].get(key_of("checkout", asked.by, asked.key))
            if asked.last.status == 202 and (record is None or record["answer"] not in ids):
                yield f"checkout {asked.key} was told as {sorted(ids)}, but its key stands for {record}"
            done = any(it.key == asked.key and it.last.status == 202 for it in people.asked if it.answers)
            if asked.last.status == 409 and record is not None and not done:
                yield f"checkout {asked.key} was refused, but its key stands for order {record['answer']}"
        unknown = asked.last.status == 422 and asked.last.body["title"] == "Unknown product"
        if unknown and any(product in asked.last.body["detail"] for product in people.stocked):
            yield f"{asked.method} {asked.path} was refused, for {asked.last.body['detail']}: it is sold all the time"
        if asked.method == "PUT" and asked.path.startswith("/products/") and asked.last.status == 200:
            product = state["ProductsTable"][asked.path.split("/")[2]]
            if product["revision"] < asked.last.body["revision"]:
                yield f"a change of {product['productId']} was told as made, and is not there"


def payment_reservation_and_order_agree(state: State) -> Iterator[str]:
    for order_id, order in state["OrdersTable"].items():
        payment, reservation = state["PaymentsTable"].get(order_id), state["ReservationsTable"].get(order_id)
        ends = (payment and payment["status"], reservation and reservation["status"])
        end = order["status"]
        if end in PAID and not (ends[0] in PAID[end] and ends[1] in SET_ASIDE[end]):
            yield f"order {order_id} is {end}, its payment and reservation are {ends}"
    for table in ("PaymentsTable", "ReservationsTable"):
        for order_id in state[table].keys() - state["OrdersTable"].keys():
            yield f"{table} has {order_id}, of which there is no order"


def money_is_taken_once_and_given_back_once(state: State, world: World) -> Iterator[str]:
    """By the provider's own books: what it answered under each key, and what it was told to give back."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for order_id, payment in state["PaymentsTable"].items():
        if "idempotencyKey" in payment:
            keys[order_id].append(payment["idempotencyKey"])
    known = {key for several in keys.values() for key in several}
    taken = {
        key: it["answer"]["paymentId"]
        for key, it in state["SimulatedGatewayTable"].items()
        if it["answer"]["type"] == "Approved"
    }
    for key in taken.keys() - known:
        yield f"the provider took money under {key}, which no payment knows"
    for order_id, order in state["OrdersTable"].items():
        payments = [taken[key] for key in keys[order_id] if key in taken]
        given_back = [it for it in world.refunds.values() if it in payments]
        if order["status"] == "CONFIRMED" and (len(payments), len(given_back)) != (1, 0):
            yield f"order {order_id} stands: {len(payments)} payments were taken, {len(given_back)} given back"
        if order["status"] in OFF and len(payments) != len(given_back):
            yield f"order {order_id} is off: {len(payments)} payments were taken, {len(given_back)} given back"
        if payments and declines(order_id, 10):
            yield f"order {order_id} was to be declined, and was charged"
    for payment, times in Counter(world.refunds.values()).items():
        if times > 1:
            yield f"payment {payment} was given back {times} times"
        if payment not in taken.values():
            yield f"payment {payment} was given back, and was never taken"


def stock_adds_up(state: State, people: Customers) -> Iterator[str]:
    """There was so much, so much was adjusted, so much is set aside: what is left is exact."""
    expected = Counter(people.stocked)
    for asked in people.asked:
        if asked.path.endswith("/adjustments"):
            assert asked.key
            made = key_of("adjustment", asked.path.split("/")[2], asked.key) in state["IdempotencyTable"]
            if made:
                expected[asked.path.split("/")[2]] += asked.body["by"]
            if asked.definite and made != (asked.last.status == 200):
                yield f"adjustment {asked.key} was answered {asked.last.status}, and was {'' if made else 'not '}made"
    for reservation in state["ReservationsTable"].values():
        if reservation["status"] == "RESERVED":
            expected.subtract({line["productId"]: line["quantity"] for line in reservation["items"]})
    for product, pieces in expected.items():
        there = state["InventoryTable"].get(product, {"availableQty": 0})["availableQty"]
        if there != pieces:
            yield f"there should be {pieces} of {product}, and there are {there}"


def what_is_announced_is_published_and_nothing_else(world: World) -> Iterator[str]:
    announced = {it["id"]: it for it in world.deliveries.announced}
    published = defaultdict(list)
    for event in world.deliveries.published:
        if event["source"].startswith("eventflow."):
            published[event["detail"]["metadata"]["eventId"]].append(event)
    for event_id in announced.keys() - published.keys():
        yield f"{announced[event_id]['detailType']} {event_id} was announced by a row, and never published"
    for event_id, events in published.items():
        if event_id not in announced:
            yield f"{events[0]['detail-type']} {event_id} was published, and no row announced it"
        elif any(it["detail"] != events[0]["detail"] for it in events):
            yield f"{events[0]['detail-type']} {event_id} was published in two ways"
    facts = Counter(
        (it["detailType"], it["key"])
        for it in world.deliveries.announced
        if it["table"] not in ("ProductsTable", "BasketsTable")
    )
    for (detail_type, key), times in facts.items():
        if times > 1:
            yield f"{detail_type} of {key} was announced {times} times"


def events_tell_of_their_order(state: State, published: Iterable[Json]) -> Iterator[str]:
    for event in published:
        detail, order = event["detail"], state["OrdersTable"].get(event["detail"].get("orderId"))
        if order is None or not event["source"].startswith("eventflow."):
            continue
        told, is_so = detail, order
        match event["detail-type"]:
            case "PaymentSucceeded" | "PaymentRefunded":
                told = detail["amount"], detail["currency"], detail["paymentId"]
                is_so = (
                    order["totalPrice"],
                    order["currency"],
                    state["PaymentsTable"][order["orderId"]].get("paymentId"),
                )
            case "InventoryReserved" | "InventoryReleased":
                told, is_so = (
                    Counter({it["productId"]: it["quantity"] for it in of["items"]}) for of in (detail, order)
                )
            case _:
                continue
        if told != is_so:
            yield f"{event['detail-type']} of {order['orderId']} tells {told}, and it is {is_so}"


def each_checkout_is_one_order(state: State, published: Iterable[Json]) -> Iterator[str]:
    for event in {
        it["detail"]["checkoutId"]: it for it in published if it["detail-type"] == "BasketCheckedOut"
    }.values():
        detail = event["detail"]
        order = state["OrdersTable"].get(detail["checkoutId"])
        if order is None:
            yield f"checkout {detail['checkoutId']} became no order"
        elif (order["items"], order["userId"], order["totalPrice"]) != (
            detail["items"],
            detail["userId"],
            detail["totalPrice"],
        ):
            yield f"checkout {detail['checkoutId']} became another order: {order['items']}"


def price_lists_are_as_the_catalog(state: State) -> Iterator[str]:
    for product_id, product in state["ProductsTable"].items():
        for table in ("BasketPricesTable", "OrdersPricesTable"):
            price = state[table].get(product_id, {})
            if (price.get("unitPrice"), price.get("asOf")) != (product["unitPrice"], product["revision"]):
                yield f"{table} has {product_id} at {price.get('unitPrice')}, the catalog at {product['unitPrice']}"


def messages_tell_what_is_newest(world: World) -> Iterator[str]:
    """No message that was begun after newer news was noted tells older ones; no news goes untold without that; and of
    two deliveries at once, one tells it.
    """
    for it in world.told:
        if any(at < it.begun and order == it.order and news > it.occurred_at for at, order, news in world.noted):
            yield f"a message about {it.order} tells what is older than what was noted before it began: {it.text}"
    same: dict[tuple[str, int, str], list[Told]] = defaultdict(list)
    for it in world.told:
        same[it.order, it.occurred_at, it.text].append(it)
    for (order, _, _), messages in same.items():
        if len(messages) > 1 and not world.faults:
            yield f"the same was told of {order} {len(messages)} times, and no fault explains it"
        for one, other in pairwise(messages):
            if one.begun != other.begun and other.at - one.at < CLAIM_HOLDS_SECONDS:
                yield f"two deliveries told the same of {order}, {other.at - one.at:.3f} s after each other"
    told = {(it.order, it.occurred_at) for it in world.told}
    for event in world.deliveries.published:
        if event["detail-type"] in TOLD and event["source"].startswith("eventflow."):
            order, occurred_at = event["detail"]["orderId"], event["detail"]["metadata"]["occurredAt"]
            newer = any(each == order and news > occurred_at for _, each, news in world.noted)
            if (order, occurred_at) not in told and not newer:
                yield f"nobody told of {event['detail-type']} of {order}"


def traces_are_not_mixed(world: World) -> Iterator[str]:
    """What an event led to is in the trace of that event. (What an operator sends again is in a trace of its own.)"""
    roots = {it["id"]: _root(it["trace"]) for it in world.deliveries.announced}
    for event in world.deliveries.published:
        metadata = event["detail"].get("metadata", {})
        event_id, cause = metadata.get("eventId"), metadata.get("causationId")
        if not world.deliveries.sent_again and cause in roots and roots.get(event_id) != roots[cause]:
            yield f"{event['detail-type']} {event_id} is in trace {roots.get(event_id)}, its cause in {roots[cause]}"
    for it in world.deliveries.announced:
        if it["detailType"] == "OrderCreated" and not world.deliveries.sent_again:
            asked = {_root(each["trace"]) for each in world.requests if _order_of(each) == it["key"]}
            if asked and roots[it["id"]] not in asked:
                yield f"order {it['key']} is in the trace {roots[it['id']]}, its requests in {sorted(asked)}"


def _order_of(request: Json) -> str | None:
    placing = request["path"] == "/orders" and request["key"]
    return order_id_for(request["by"], request["key"]) if placing else None


def _root(trace: str) -> str:
    return trace.split(";")[0]


def nothing_lies_in_a_failed_queue(world: World) -> Iterator[str]:
    for name in sorted(world.cloud.failed_queues | world.cloud.pollers.keys()):
        for message in world.deliveries.queues[name]:
            yield f"{name} still holds {str(message.body)[:200]}"
