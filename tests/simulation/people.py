"""Shoppers and operators: what they ask for, again where no answer came, and what they were answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .clients import Answer, Person
from .world import World

OPERATOR = {"sub": "olga", "cognito:groups": "operators"}
SHIPPING = {"firstName": "Ada", "lastName": "L", "email": "ada@example.com", "address": "12 St James's Square"}

MOST_TRIES = 8


@dataclass
class Asked:
    """A request, and its answers: of each attempt, 0 where none came."""

    method: str
    path: str
    body: Any
    by: str
    key: str | None
    answers: list[Answer] = field(default_factory=list)

    @property
    def last(self) -> Answer:
        return self.answers[-1]

    @property
    def definite(self) -> bool:
        """Whether the answer says what became of it."""
        return bool(self.answers) and is_definite(self.last)


def is_definite(answer: Answer) -> bool:
    return 200 <= answer.status < 500 and not (answer.status == 409 and answer.body["title"] == "Contended")


class People:
    """All of a world's, and a book of what they asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[Asked] = []
        self.stocked: dict[str, int] = {}
        """Pieces that were there when the world began."""

    # What is there before anything happens

    def sells(self, product: str, pieces: int, unit_price: int = 100) -> None:
        """A product is in the catalog, in both price lists and, unless it is sold out, in stock."""
        rows = self.world.dynamodb.rows
        about = {"productId": {"S": product}, "name": {"S": product}, "currency": {"S": "USD"}}
        about["unitPrice"] = {"N": str(unit_price)}
        listed = {"category": {"S": "c"}, "listedIn": {"S": "c"}, "revision": {"N": "1"}}
        rows["ProductsTable"][product] = about | listed
        for table in ("BasketPricesTable", "OrdersPricesTable"):
            rows[table][product] = about | {"asOf": {"N": "1"}, "sold": {"BOOL": True}, "revision": {"N": "1"}}
        self.stocked[product] = pieces
        if pieces:
            rows["InventoryTable"][product] = {"productId": {"S": product}, "availableQty": {"N": str(pieces)}}

    # What they do

    def come(self, name: str, script: Callable[[Person], None]) -> None:
        """Someone of this name does what the script says, beginning now."""
        Person(self.world, name, script)

    def ask(
        self, person: Person, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> Asked:
        """Ask until there is an answer that says what became of it, or patience ends."""
        claims: Mapping[str, str] = OPERATOR if person.name == "olga" else {"sub": person.name}
        asked = Asked(method, path, body, person.name, key)
        self.asked.append(asked)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Idempotency-Key": key} if key else {}
        for attempt in range(MOST_TRIES):
            asked.answers.append(person.call(method, path, body, claims=claims, headers=sent))
            if asked.definite:
                break
            person.wait(0.2 * 2**attempt, "asks again")
        return asked

    def order(self, person: Person, key: str, *lines: tuple[str, int]) -> str | None:
        """Place an order; its id, if it was taken."""
        items = [{"productId": product, "quantity": quantity} for product, quantity in lines]
        asked = self.ask(person, "POST", "/orders", items[0] if len(items) == 1 else {"items": items}, key)
        return str(asked.last.body["orderId"]) if asked.last.status == 201 else None

    def cancel(self, person: Person, order: str) -> Asked:
        return self.ask(person, "POST", f"/orders/{order}/cancel")

    def put(self, person: Person, product: str, quantity: int) -> Asked:
        return self.ask(person, "PUT", f"/basket/items/{product}", {"quantity": quantity})

    def check_out(self, person: Person, key: str | None, **more: Any) -> Asked:
        return self.ask(person, "POST", "/basket/checkout", {**SHIPPING, **more}, key)

    def adjust(self, person: Person, product: str, by: int, key: str) -> Asked:
        return self.ask(person, "POST", f"/inventory/{product}/adjustments", {"by": by, "reason": "r"}, key)

    def reprice(self, person: Person, product: str, unit_price: int) -> Asked:
        body = {"name": product, "category": "c", "unitPrice": unit_price, "currency": "USD"}
        return self.ask(person, "PUT", f"/products/{product}", body, If_Match="*")
