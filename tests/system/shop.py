"""The deployed shop as its tests see it: over HTTP as a person, on the bus as a producer, in its tables and logs."""

import json
import re
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import boto3

from local.cloud import REGION, Cloud
from local.people import People
from local.stack import Stack
from ops.people import Person
from orders.orders import order_id_for
from payment.gateway import declines

from .ear import Ear
from .waiting import eventually

direct = build_opener(ProxyHandler({}))

ENDED = ("CONFIRMED", "PAYMENT_FAILED", "INVENTORY_FAILED", "CANCELLED")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Shop:
    cloud: Cloud
    stack: Stack
    people: People
    ear: Ear

    # Over HTTP

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        by: Person | None = None,
        key: str | None = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """`body` goes as JSON, bytes as they are. `token` overrides that of `by`, who is the first shopper."""
        token = (by or self.people.shopper).token if token is None else token
        headers = {"Content-Type": "application/json", **(headers or {})}
        if token:
            headers["Authorization"] = token
        if key:
            headers["Idempotency-Key"] = key
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = Request(self.stack.api_url + path, method=method, data=data, headers=headers)
        try:
            with direct.open(request, timeout=60) as response:
                return Answer(response.status, json.loads(response.read() or b"null"), dict(response.headers))
        except HTTPError as error:
            return Answer(error.code, json.loads(error.read() or b"null"), dict(error.headers))

    def stocked(self, quantity: int, **fields: Any) -> str:
        """A product of this test, on sale, with this many pieces."""
        product = self.sold(**fields)
        if quantity:
            self.deliver(product, quantity)
        return product

    def deliver(self, product: str, pieces: int) -> None:
        delivery = {"by": pieces, "reason": "a test's delivery"}
        path, key = f"/inventory/{product}/adjustments", str(uuid.uuid4())
        answer = self.call("POST", path, delivery, by=self.people.operator, key=key)
        assert answer.status == 200, answer

    def sold(self, **fields: Any) -> str:
        """A product of this test's own, in the catalog and in every price list."""
        body = {"name": "A test's product", "category": "tests", "unitPrice": 1999, "currency": "USD"} | fields
        answer = self.call("POST", "/products", body, by=self.people.operator)
        assert answer.status == 201, answer
        product = str(answer.body["productId"])
        self.until_priced(product, answer.body["unitPrice"])
        return product

    def until_priced(self, product: str, unit_price: int) -> None:
        """Until basket and orders have heard what the product costs."""
        for table in ("BasketPricesTable", "OrdersPricesTable"):
            eventually(
                lambda table=table: self.item(table, productId=product),
                lambda row: row is not None and row["unitPrice"]["N"] == str(unit_price),
            )

    def stock_of(self, product: str) -> int:
        answer = self.call("GET", f"/inventory/{product}", by=self.people.operator)
        assert answer.status == 200, answer
        return int(answer.body["availableQty"])

    def key(self, *, pays: bool = True, by: Person | None = None) -> str:
        """A new Idempotency-Key, whose order the gateway will approve, or decline."""
        caller = by or self.people.shopper
        while True:
            key = str(uuid.uuid4())
            if declines(order_id_for(caller.sub, key), self.failure_rate) != pays:
                return key

    def check_out(self, shipping: dict[str, str], **basket: int) -> Answer:
        """Check out these quantities, until it is an order whose payment the gateway will approve.

        It decides by the order's id, which is drawn at random: one order in ten it declines.
        """
        while True:
            for product, quantity in basket.items():
                assert self.call("PUT", f"/basket/items/{product}", {"quantity": quantity}).status == 200
            answer = self.call("POST", "/basket/checkout", shipping, key=str(uuid.uuid4()))
            assert answer.status == 202, answer
            order_id = answer.body["orderId"]
            if not declines(order_id, self.failure_rate):
                return answer
            eventually(
                lambda order_id=order_id: self.row("ReservationsTable", order_id),
                lambda row: row is not None and row["status"]["S"] in ("RELEASED", "CANCELLED"),
            )

    @property
    def failure_rate(self) -> int:
        return int(self.stack.parameters["PaymentFailureRate"])

    def place(self, product: str, quantity: int = 1, *, pays: bool = True, by: Person | None = None) -> str:
        """Place an order of one product; returns its id."""
        return self.place_lines({product: quantity}, pays=pays, by=by)

    def place_lines(self, lines: dict[str, int], *, pays: bool = True, by: Person | None = None) -> str:
        items = [{"productId": product, "quantity": quantity} for product, quantity in lines.items()]
        body = items[0] if len(items) == 1 else {"items": items}
        answer = self.call("POST", "/orders", body, by=by, key=self.key(pays=pays, by=by))
        assert answer.status == 201, answer
        return str(answer.body["orderId"])

    def cancel(self, order_id: str) -> Answer:
        return self.call("POST", f"/orders/{order_id}/cancel")

    def status(self, order_id: str) -> str:
        answer = self.call("GET", f"/orders/{order_id}", by=self.people.operator)
        return str(answer.body["status"]) if answer.status == 200 else f"HTTP {answer.status}"

    def until(self, order_id: str, *statuses: str) -> str:
        return eventually(lambda: self.status(order_id), lambda seen: seen in statuses)

    # On the bus

    def until_heard(self, order_id: str, *detail_types: str) -> list[dict[str, Any]]:
        """The order's events, once these are among them."""
        eventually(lambda: self.ear.types_about(order_id), lambda heard: set(detail_types) <= set(heard))
        return self.ear.about(order_id)

    def put_event(self, source: str, detail_type: str, detail: Any) -> str:
        """Put an event on the bus as any producer may; returns EventBridge's id of it."""
        entry = {
            "EventBusName": self.stack.event_bus,
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
        }
        answer = self.cloud.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer
        return str(answer["Entries"][0]["EventId"])

    def put_again(self, event: dict[str, Any]) -> None:
        self.put_event(event["source"], event["detail-type"], event["detail"])

    # Behind the scenes

    @cached_property
    def resources(self) -> dict[str, str]:
        """Physical by logical id."""
        pages = self.cloud.client("cloudformation").get_paginator("list_stack_resources")
        found = pages.paginate(StackName=self.stack.name).search("StackResourceSummaries[]")
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def item(self, table: str, **key: str) -> dict[str, Any] | None:
        found = self.cloud.client("dynamodb").get_item(
            TableName=self.resources[table], Key={name: {"S": value} for name, value in key.items()}
        )
        return dict(found["Item"]) if "Item" in found else None

    def row(self, table: str, order_id: str) -> dict[str, Any] | None:
        return self.item(table, orderId=order_id)

    def rows(self, order_id: str) -> dict[str, dict[str, Any] | None]:
        """Everything that the services keep of an order."""
        return {table: self.row(table, order_id) for table in ("OrdersTable", "PaymentsTable", "ReservationsTable")}

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What is in a queue, left there."""
        answer = self.cloud.client("sqs").receive_message(
            QueueUrl=self.resources[queue], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    def log(self, function: str, containing: str) -> list[dict[str, Any]]:
        """The JSON lines of a function's log that contain this text."""
        group = self.resources[f"{function.removesuffix('Function')}Log"]
        pages = self.cloud.client("logs").get_paginator("filter_log_events")
        # an id is looked for by CloudWatch itself, which is much quicker
        term = {"filterPattern": f'"{containing}"'} if re.fullmatch(r"[\w-]+", containing) else {}
        found = pages.paginate(logGroupName=group, **term)
        lines = [event["message"] for page in found for event in page["events"]]
        return [json.loads(line) for line in lines if line.startswith("{") and containing in line]

    def received(self, function: str, event_id: str) -> int:
        """How often a function was handed this event. Logs are written when an invocation has ended."""
        lines = self.log(function, event_id)
        return sum(line["message"] == "received" and line["eventId"] == event_id for line in lines)

    def as_role_of(self, function: str, service: str) -> Any:
        """A client of `service` that may do what the function may."""
        configuration = self.cloud.client("lambda").get_function_configuration(FunctionName=self.resources[function])
        session = self.cloud.client("sts").assume_role(RoleArn=configuration["Role"], RoleSessionName="test")
        credentials = session["Credentials"]
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.cloud.endpoint,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
