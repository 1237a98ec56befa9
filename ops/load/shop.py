"""The users and the products of one run, and what the API says of its orders."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.request import getproxies

import urllib3

from eventflow.attributes import from_attributes
from ops import OpsError
from ops.api import Api, ErrorAnswer
from ops.people import Person, sign_in, take_away
from ops.smoke.deployed import Deployed
from ops.smoke.waiting import Wrong, until
from ops.stack import is_here

Json = dict[str, Any]

SHOPPERS = 4
PRODUCTS = 10
"""An order is of one of them: all orders of one product write one row."""

UNIT_PRICE = 1999
SPARE = 10
"""Pieces of a product beyond what the orders take."""


@dataclass(frozen=True)
class Answer:
    """`status` is 0 where none came; `body` then says why."""

    status: int
    body: Json


@dataclass
class Shop:
    at: Deployed
    run: str
    shoppers: list[Person] = field(default_factory=list)
    stocked: int = 0
    """Pieces of each product, before the first order."""
    accepted: set[str] = field(default_factory=set)
    """Ids of the orders that were answered 201."""
    _operator: Person | None = None
    _sold: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return self.at.url(self.at.shop, "ApiUrl")

    @property
    def products(self) -> list[str]:
        return [f"{self.run}-{number}" for number in range(PRODUCTS)]

    @property
    def operator(self) -> Api:
        assert self._operator
        return Api(self.url, self._operator.token)

    def open(self, pieces: int) -> None:
        """Sign everyone in; each product has as many pieces as all orders together could take of it."""
        pool, client = self.at.shop.output("UserPoolId"), self.at.shop.output("UserPoolClientId")
        self._operator = sign_in(self.at.cognito, pool, client, self._email("operator"), ("operators",))
        for number in range(SHOPPERS):
            self.shoppers.append(sign_in(self.at.cognito, pool, client, self._email(f"shopper-{number}")))
        self.stocked = pieces // PRODUCTS + SPARE + 1
        about = {"name": "Made by make load", "category": self.run, "unitPrice": UNIT_PRICE, "currency": "USD"}
        for product in self.products:
            self._sold.append(product)  # even if no answer comes
            self.operator.call("POST", "/products", {"productId": product, **about})
            self._adjust(product, self.stocked, "made by make load")
        for product in self.products:
            until(
                lambda product=product: self.at.row("OrdersPricesTable", productId=product),  # type: ignore[misc]
                lambda row: row is not None,
                self.at.patience.copies,
                lambda _, product=product: Wrong(  # type: ignore[misc]
                    f"{product} is on sale, but OrdersPricesTable does not know it",
                    f"make failed STACK_NAME={self.at.name}",
                ),
                self.at.patience.poll,
            )

    def connections(self, number: int) -> urllib3.PoolManager:
        """Kept open, as a client's are: a new one for each call would be most of its latency."""
        proxy = "" if is_here(self.url) else getproxies().get("https", "")
        options: Any = {"maxsize": number, "block": False, "retries": False, "timeout": 30.0}
        return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def place(self, pool: urllib3.PoolManager, shopper: Person, key: str, product: str) -> Answer:
        """One order of one piece. It never raises: what goes wrong is in the answer."""
        headers = {"Authorization": shopper.token, "Content-Type": "application/json", "Idempotency-Key": key}
        body = json.dumps({"productId": product, "quantity": 1})
        try:
            response = pool.request("POST", f"{self.url}/orders", body=body, headers=headers)
            answer = Answer(response.status, dict(json.loads(response.data or b"{}")))
        except urllib3.exceptions.HTTPError as error:
            return Answer(0, {"title": type(error).__name__})
        except ValueError:
            return Answer(response.status, {"title": "no JSON"})
        if answer.status == HTTPStatus.CREATED:
            with self._lock:
                self.accepted.add(str(answer.body["orderId"]))
        return answer

    def orders_since(self, since: str) -> dict[str, Json]:
        """All orders of the shoppers that were created then or later (ISO-8601), by id."""
        found: dict[str, Json] = {}
        for shopper in self.shoppers:
            cursor = ""
            while True:
                path = f"/orders?limit=100&from={since.replace('+', '%2B')}{cursor}"
                page = Api(self.url, shopper.token).call("GET", path)
                found |= {order["orderId"]: order for order in page["items"]}
                if "nextCursor" not in page:
                    break
                cursor = f"&cursor={page['nextCursor']}"
        return found

    def rows(self, table: str, orders: list[str]) -> dict[str, Json]:
        """What a service keeps of these orders, by consistent reads."""
        name, found = self.at.shop.table(table), {}
        for start in range(0, len(orders), 100):
            keys = [{"orderId": {"S": order}} for order in orders[start : start + 100]]
            asked: Any = {name: {"Keys": keys, "ConsistentRead": True}}
            while asked:
                answer: Any = self.at.dynamodb.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(name, []):
                    found[item["orderId"]["S"]] = from_attributes(item, Json)
                asked = answer.get("UnprocessedKeys")
        return found

    def stock_of(self, product: str) -> int:
        return int(self.operator.call("GET", f"/inventory/{product}")["availableQty"])

    def take_away(self) -> None:
        """Delete the users, and take the products off sale with a stock of none. All is tried, even if one fails."""
        pool = self.at.shop.output("UserPoolId")
        with ExitStack() as everything:  # calls them in reverse order, and raises the last exception
            for name in ("operator", *(f"shopper-{number}" for number in range(SHOPPERS))):
                everything.callback(take_away, self.at.cognito, pool, self._email(name))
            if self._operator:
                for product in self._sold:
                    everything.callback(self._remove, product)

    def _remove(self, product: str) -> None:
        try:
            self.operator.call("DELETE", f"/products/{product}")
            if there := self.stock_of(product):
                self._adjust(product, -there, "make load is over")
        except ErrorAnswer as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise OpsError(f"product {product} was not taken off sale: {error}") from None

    def _adjust(self, product: str, by: int, reason: str) -> None:
        adjustment: Mapping[str, Any] = {"by": by, "reason": reason}
        path = f"/inventory/{product}/adjustments"
        self.operator.call("POST", path, adjustment, Idempotency_Key=str(uuid.uuid4()))

    def _email(self, name: str) -> str:
        return f"{self.run}-{name}@example.com"
