"""Orders of every kind, placed as shoppers place them, and what every service makes of them."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from eventflow.attributes import from_attributes
from eventflow.outbox import Announcement
from ops import OpsError, failed
from ops.api import Api, ErrorAnswer
from ops.logs import lines_about
from ops.people import Person, sign_in, take_away
from ops.smoke.before import failure_rate
from ops.smoke.deployed import Deployed
from ops.smoke.waiting import Skip, Wrong, until
from ops.stack import Stack
from ops.trace import Segment, documents
from orders.orders import order_id_for
from payment.gateway import declines
from relay.publish import entry

Json = dict[str, Any]

STOCK = 20
UNIT_PRICE = 1999
MORE_THAN_THERE_IS = 9_999

SHIPPING = {
    "firstName": "Smoke",
    "lastName": "Test",
    "email": "smoke@example.com",
    "address": "1 Example Street, Example Town",
}

ENDS = ("CONFIRMED", "PAYMENT_FAILED", "INVENTORY_FAILED", "CANCELLED")

SAGA = frozenset({"orders", "relay", "payment", "inventory", "notification"})
"""The services that take part in an order, by their names in its trace."""

DONE = ("OrderCreated", "PaymentSucceeded", "InventoryReserved", "OrderConfirmed")
DECLINED = frozenset({"BasketCheckedOut", "OrderCreated", "PaymentFailed", "OrderCancelled"})
UNDONE = ("OrderCancelled", "PaymentRefunded", "InventoryReleased")

HEARD_TWICE_BY = ("InventorySagaFunction", "PaymentFunction")
"""These would move stock or money again, if they took a repeated event for a new one."""


@dataclass(frozen=True)
class Placed:
    """An order, and the events that its timeline must have; `may_have` are those that it may have or not."""

    order_id: str
    events: frozenset[str]
    may_have: frozenset[str] = frozenset()

    @property
    def outcome(self) -> str:
        return "OrderCancelled" if "OrderCancelled" in self.events else "OrderConfirmed"


@dataclass
class Shopping:
    """The users, the product and the orders of one run, whose id is `run`. `tell` shows how far a step is."""

    at: Deployed
    run: str
    tell: Callable[[str], None]
    people: dict[str, Person] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)
    """All that were accepted."""
    placed: list[Placed] = field(default_factory=list)
    """Those that ended as they should."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    on_sale: bool = False
    stock: int = STOCK
    """How many pieces there should be."""
    root: str = ""
    """The id of the confirmed order's trace."""
    request: tuple[str, Json] = "", {}
    """The Idempotency-Key and the body of the confirmed order."""

    @property
    def product(self) -> str:
        return self.run

    @property
    def confirmed(self) -> str:
        return self.placed[0].order_id

    def email(self, name: str) -> str:
        return f"{self.run}-{name}@example.com"

    def api(self, name: str = "shopper") -> Api:
        return Api(self.at.url(self.at.shop, "ApiUrl"), self.people[name].token)

    # Users and a product

    def sign_in(self) -> None:
        pool, client = self.at.shop.output("UserPoolId"), self.at.shop.output("UserPoolClientId")
        for name, groups in (("shopper", ()), ("stranger", ()), ("operator", ("operators",))):
            self.people[name] = sign_in(self.at.cognito, pool, client, self.email(name), groups)

    def sell(self) -> None:
        """A product of this run's own is in stock, and in every price list."""
        about = {"name": "Made by make smoke", "category": self.run, "unitPrice": UNIT_PRICE, "currency": "USD"}
        self.on_sale = True  # even if no answer comes
        self.api("operator").call("POST", "/products", {"productId": self.product, **about})
        self._adjust_stock(STOCK, "made by make smoke")
        for table in ("BasketPricesTable", "OrdersPricesTable"):
            self._until_priced(table)

    def _until_priced(self, table: str) -> None:
        self._until(
            f"the price in {table}",
            lambda: self.at.row(table, productId=self.product),
            lambda row: row is not None and row["unitPrice"] == UNIT_PRICE,
            self.at.patience.copies,
            lambda row: Wrong(
                f"{self.product} is on sale, but {table} has of it: {row or 'nothing'}",
                f"make failed STACK_NAME={self.at.name}",
            ),
        )

    def browse(self) -> None:
        """Anyone finds the product under its category."""
        nobody = Api(self.at.url(self.at.shop, "ApiUrl"), "")
        self._until(
            "the category to list it",
            lambda: nobody.call("GET", f"/products?category={self.run}")["items"],
            lambda items: [item["productId"] for item in items] == [self.product],
            self.at.patience.copies,
            lambda items: Wrong(
                f"category {self.run} lists {items}, not {self.product}",
                f"sam logs --stack-name {self.at.name} -n CatalogApiFunction",
            ),
        )

    # Orders

    def confirm(self) -> None:
        """An order is confirmed. Its header asks X-Ray for a trace, so that it is sampled in any case."""
        self.root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        self.request = self._key(), {"productId": self.product, "quantity": 1}
        order = self._place(*self.request, X_Amzn_Trace_Id=f"Root={self.root};Sampled=1")
        self._until_ended(order, "CONFIRMED")
        self.placed.append(Placed(order, frozenset(DONE)))
        self._until_stock(self.stock - 1)

    def sell_out(self) -> None:
        """An order of more than there is: it is cancelled, no stock is taken, and nothing stays paid."""
        order = self._place(self._key(), {"productId": self.product, "quantity": MORE_THAN_THERE_IS})
        self._until_ended(order, "INVENTORY_FAILED")
        refunded = self._until_paid_back(order) == "REFUNDED"
        # if payment received the cancellation before it charged, there is nothing to pay back
        events = ["OrderCreated", "InventoryFailed", "OrderCancelled", *["PaymentRefunded"] * refunded]
        self.placed.append(Placed(order, frozenset(events), frozenset({"PaymentSucceeded"})))
        self._until_stock(self.stock)

    def cancel(self) -> None:
        """An order is confirmed, then cancelled by its shopper: it is refunded, and its stock is back."""
        order = self._place(self._key(), {"productId": self.product, "quantity": 2})
        self._until_ended(order, "CONFIRMED")
        before = self.stock
        self._until_stock(before - 2)
        self.api().call("POST", f"/orders/{order}/cancel")
        self._until_ended(order, "CANCELLED")
        if (paid := self._until_paid_back(order)) != "REFUNDED":
            raise Wrong(f"order {order} was paid and cancelled, but its payment is {paid}", self._logs_of(order))
        self._until_stock(before)
        self.placed.append(Placed(order, frozenset((*DONE, *UNDONE))))

    def check_out(self) -> None:
        """A basket becomes an order, through the queue of checkouts."""
        self.api().call("PUT", f"/basket/items/{self.product}", {"quantity": 3})
        shown = {**SHIPPING, "expectedTotal": 3 * UNIT_PRICE}
        answer = self.api().call("POST", "/basket/checkout", shown, Idempotency_Key=str(uuid.uuid4()))
        order = self._accepted(answer)
        # the simulated gateway decides by the order's id, which the basket draws at random
        declined = declines(order, failure_rate(self.at))
        self._until_ended(order, "PAYMENT_FAILED" if declined else "CONFIRMED")
        self.placed.append(
            Placed(order, DECLINED, frozenset({"InventoryReserved", "InventoryReleased"}))
            if declined
            else Placed(order, frozenset(("BasketCheckedOut", *DONE)))
        )
        self._until_stock(self.stock if declined else self.stock - 3)

    # What must not happen

    def repeat(self) -> None:
        """The same request twice is one order; another request with its key is refused."""
        key, body = self.request
        again = self._place(key, body)
        if again != self.confirmed:
            raise Wrong(f"one Idempotency-Key is two orders, {self.confirmed} and {again}", self._logs_of(again))
        self._refused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "an Idempotency-Key that was used for another order",
            lambda: self._place(key, {**body, "quantity": 2}),
        )
        self._until_stock(self.stock)

    def pry(self) -> None:
        """Another shopper is told that there is no such order."""
        path = f"/orders/{self.confirmed}"
        self._refused(HTTPStatus.NOT_FOUND, "a stranger", lambda: self.api("stranger").call("GET", path))

    def list_orders(self) -> None:
        """The shopper finds all orders of this run."""
        wanted = {placed.order_id for placed in self.placed}
        self._until(
            "the list to have every order",
            lambda: {order["orderId"] for order in self.api().call("GET", "/orders?limit=100")["items"]},
            lambda listed: listed == wanted,
            self.at.patience.copies,
            lambda listed: Wrong(
                f"the shopper's list has the orders {sorted(listed)}, not {sorted(wanted)}",
                f"sam logs --stack-name {self.at.name} -n OrdersApiFunction",
            ),
        )

    def take_a_partners_order(self) -> None:
        """An order that a partner puts on the bus. Raises Skip if no partner may do that."""
        if not (self.at.here or self.at.shop.parameters.get("PartnerAccount")):
            raise Skip("no partner is allowed: the parameter PartnerAccount is empty")
        order = f"{self.run}-partner"
        body = {"OrderId": order, "Item": "a book", "Amount": 3, "IsMember": True, "ShippingMethod": "air"}
        detail = json.dumps({"body": body})
        self.at.put([{"Source": "microservice_x", "DetailType": "microservice_x_test_event", "Detail": detail}])
        self._until(
            f"the partner's order {order}",
            lambda: self._found(f"/partner-orders/{order}", self.api("operator")),
            lambda seen: seen.get("amount") == body["Amount"],
            self.at.patience.order,
            lambda seen: Wrong(f"the partner's order {order} is {seen or 'not there'}", self._logs_of(order)),
        )

    def repeat_an_event(self) -> None:
        """The cancellation comes twice more, as it was: nothing is refunded or put back again."""
        order = next(placed.order_id for placed in self.placed if "InventoryReleased" in placed.events)
        row: Json = self.at.dynamodb.get_item(
            TableName=self.at.shop.table("OrdersTable"), Key={"orderId": {"S": order}}, ConsistentRead=True
        )["Item"]
        announcement = from_attributes(dict(row["event"]["M"]), Announcement)
        if announcement.detail_type != "OrderCancelled":
            raise Wrong(f"order {order} announced {announcement.detail_type} last", self._logs_of(order))
        # a line of the first delivery that comes late would count as a repeat
        first = self._until_received(order, announcement.id, dict.fromkeys(HEARD_TWICE_BY, 1))
        before, again = self._state_of(order), entry(announcement, self.at.bus)
        self.at.put([again, again])
        self._until_received(order, announcement.id, {name: times + 2 for name, times in first.items()})
        if (after := self._state_of(order)) != before:
            raise Wrong(f"an event put twice more changed {before} into {after}", self._logs_of(order))

    # What trace and timeline show

    def trace(self) -> None:
        """X-Ray has a segment of every service for the confirmed order."""
        elsewhere = self.at.cloudformation.meta.endpoint_url
        self._until(
            "the trace to have every service",
            lambda: {Segment(json.loads(it)).name for it in documents(self.root, self.at.xray, elsewhere)},
            lambda names: names >= SAGA,
            self.at.patience.traces,
            lambda names: Wrong(
                f"trace {self.root} of order {self.confirmed} has nothing of {', '.join(sorted(SAGA - names))}",
                f"make trace ORDER={self.confirmed} STACK_NAME={self.at.name}",
            ),
        )

    def timelines(self) -> None:
        """Each timeline shows how each order ended. Raises Skip if none listens to the bus."""
        if not self.at.timelines:
            raise Skip(f"no timeline listens to the bus {self.at.bus}")
        for timeline in self.at.timelines:
            for placed in self.placed:
                self._until_told(placed, timeline)

    def _until_told(self, placed: Placed, timeline: Stack) -> None:
        api = Api(self.at.url(timeline, "TimelineApiUrl"), self.people["operator"].token)
        self._until(
            f"order {placed.order_id} in {timeline.name}",
            lambda: self._found(f"/timelines/{placed.order_id}", api),
            lambda told: tells(told, placed),
            self.at.patience.order,
            lambda told: Wrong(
                f"{timeline.name} shows order {placed.order_id} as {_in_short(told)}, not as done by "
                f"{placed.outcome} after {', '.join(sorted(placed.events))}",
                f"make failed SERVICE=timeline STACK_NAME={self.at.name}",
            ),
        )

    # Afterwards

    def take_away(self) -> None:
        """Take the product off sale, with a stock of none, and delete the users. All is tried, even if one fails."""
        with ExitStack() as everything:  # calls them in reverse order, and raises the last exception
            for name in ("operator", "stranger", "shopper"):
                pool = self.at.shop.output("UserPoolId")
                everything.callback(take_away, self.at.cognito, pool, self.email(name))
            if self.on_sale and "operator" in self.people:
                everything.callback(self._remove_product)

    def _remove_product(self) -> None:
        operator = self.api("operator")
        try:
            operator.call("DELETE", f"/products/{self.product}")
            if there := self._stock():
                self._adjust_stock(-there, "make smoke is over")
        except ErrorAnswer as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    # Steps' parts

    def _adjust_stock(self, by: int, reason: str) -> None:
        adjustment = {"by": by, "reason": reason}
        path = f"/inventory/{self.product}/adjustments"
        self.api("operator").call("POST", path, adjustment, Idempotency_Key=str(uuid.uuid4()))

    def _key(self) -> str:
        """An Idempotency-Key whose order the simulated gateway approves."""
        while True:
            key = str(uuid.uuid4())
            if not declines(order_id_for(self.people["shopper"].sub, key), failure_rate(self.at)):
                return key

    def _place(self, key: str, body: Mapping[str, Any], **headers: str) -> str:
        answer = self.api().call("POST", "/orders", body, Idempotency_Key=key, **headers)
        return self._accepted(answer)

    def _accepted(self, answer: Mapping[str, Any]) -> str:
        order = str(answer["orderId"])
        if order not in self.orders:
            self.orders.append(order)
        return order

    def _found(self, path: str, api: Api) -> Json:
        """The answer's JSON; empty if there is no such thing (404)."""
        try:
            return api.call("GET", path)
        except ErrorAnswer as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return {}

    def _refused(self, status: HTTPStatus, whom: str, call: Callable[[], object]) -> None:
        try:
            answer = call()
        except ErrorAnswer as error:
            if error.status != status:
                raise
        else:
            raise Wrong(f"{whom} is not refused with {status.value}: it gets {answer}", self._logs_of(self.confirmed))

    def _until(
        self,
        what: str,
        look: Callable[[], Any],
        holds: Callable[[Any], object],
        seconds: float,
        otherwise: Callable[[Any], OpsError],
    ) -> Any:
        self.tell(f"Wait for {what}")
        return until(look, holds, seconds, otherwise, self.at.patience.poll)

    def _until_ended(self, order: str, status: str) -> None:
        """Wait until the order has this status. Raises Wrong as soon as it has another end, or a service has failed."""

        def look() -> str:
            seen = self._found(f"/orders/{order}", self.api())
            now = str(seen.get("status", "not there"))
            if now != status:
                if now in ENDS and not (status == "CANCELLED" and now == "CONFIRMED"):
                    reason = f" ({seen['reason']})" if "reason" in seen else ""
                    raise Wrong(f"order {order} is {now}{reason}, not {status}", self._logs_of(order))
                self._require_not_failed(order, now)
            return now

        self._until(
            f"order {order} to be {status}",
            look,
            lambda now: now == status,
            self.at.patience.order,
            lambda now: Wrong(
                f"order {order} is {now} after {self.at.patience.order:.0f} s, not {status}", self._logs_of(order)
            ),
        )

    def _require_not_failed(self, order: str, status: str) -> None:
        """Raises Wrong if a service has given up an event of the order. It reads only queues that hold something."""
        held = [queue for queue in self.at.queues if self.at.waiting_in(queue)]
        for it in failed.look(held, self.at.sqs, order) if held else []:
            raise Wrong(
                f"order {order} is {status}, because {it.queue.service} gave up its {it.detail_type}: {it.why}",
                f"make failed ORDER={order} STACK_NAME={self.at.name}",
            )

    def _until_paid_back(self, order: str) -> str:
        """The payment's status, once it is refunded, or cancelled before any charge."""

        def look() -> str:
            status = str((self.at.row("PaymentsTable", orderId=order) or {}).get("status", "not there"))
            if status not in ("REFUNDED", "CANCELLED"):
                self._require_not_failed(order, "cancelled")
            return status

        return str(
            self._until(
                f"the payment of order {order}",
                look,
                lambda status: status in ("REFUNDED", "CANCELLED"),
                self.at.patience.order,
                lambda status: Wrong(f"order {order} is cancelled, but its payment is {status}", self._logs_of(order)),
            )
        )

    def _until_stock(self, pieces: int) -> None:
        """Wait until there are this many pieces, and expect that number from then on."""
        self._until(
            "the stock",
            self._stock,
            lambda there: there == pieces,
            self.at.patience.order,
            lambda there: Wrong(
                f"there are {there} pieces of {self.product}, not {pieces}",
                f"sam logs --stack-name {self.at.name} -n InventorySagaFunction",
            ),
        )
        self.stock = pieces

    def _stock(self) -> int:
        return int(self.api("operator").call("GET", f"/inventory/{self.product}")["availableQty"])

    def _state_of(self, order: str) -> Json:
        tables = ("OrdersTable", "PaymentsTable", "ReservationsTable")
        return {"stock": self._stock(), **{table: self.at.row(table, orderId=order) for table in tables}}

    def _until_received(self, order: str, event_id: str, times: Mapping[str, int]) -> dict[str, int]:
        """How often each function has received the event, once it is at least this often."""
        self.tell("Wait for the logs to show that the cancellation was received")
        return until(
            lambda: self._received(order, event_id),
            lambda now: all(now.get(function, 0) >= number for function, number in times.items()),
            self.at.patience.logs,
            lambda now: Wrong(
                f"the logs show that OrderCancelled was received {_counted(now)}, not {_counted(times)}",
                self._logs_of(order),
            ),
            self.at.patience.poll_logs,
        )

    def _received(self, order: str, event_id: str) -> dict[str, int]:
        """How often each function has received the event, as far as its log shows by now."""
        groups = [group for group in self.at.log_groups if group.function in HEARD_TWICE_BY]
        since = self.started - timedelta(minutes=1)  # this clock may be ahead of AWS's
        return {
            group.function: sum(
                line.message == "received" and line.about.get("eventId") == event_id
                for line in lines_about(order, [group], self.at.logs, since)
            )
            for group in groups
        }

    def _logs_of(self, order: str) -> str:
        return f"make logs ORDER={order} STACK_NAME={self.at.name}"


def tells(told: Mapping[str, Any], placed: Placed) -> bool:
    """Whether a timeline shows an order as it was: done, with this outcome, and with each event once."""
    types = [event["type"] for event in told.get("events", [])]
    return (
        told.get("status") == "done"
        and told.get("outcome") == placed.outcome
        and len(types) == len(set(types))
        and placed.events <= set(types) <= placed.events | placed.may_have
    )


def _counted(times: Mapping[str, int]) -> str:
    return ", ".join(f"{number} times by {function}" for function, number in times.items())


def _in_short(told: Mapping[str, Any]) -> str:
    types = ", ".join(event["type"] for event in told.get("events", []))
    return f"{told.get('status')} by {told.get('outcome')} after {types}" if told else "nothing"
