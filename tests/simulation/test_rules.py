"""What a game day on a deployed stack is held to (`make soak`): what is right passes, and each wrong is told."""

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from . import cloud, rules
from .choices import Choices
from .clients import Answer
from .clock import Clock, in_charge
from .explore import Simulator
from .people import Asked, People
from .scenarios import a_basket_is_checked_out, a_key


@pytest.fixture(scope="module")
def seen() -> Any:
    """Tables, people and events of a world that behaved: two orders, one of them cancelled, a checkout, a price."""
    clock, kept = Clock(), SimpleNamespace()

    def people_come(world: Any, people: People) -> None:
        kept.people = people
        a_basket_is_checked_out(world, people)

        def bob(person: Any) -> None:
            kept.order = people.order(person, a_key("bob"), ("mug", 1))
            kept.cancelled = people.order(person, a_key("bob", mark=1), ("mug", 1))
            person.wait(30)
            people.cancel(person, kept.cancelled)

        def olga(person: Any) -> None:
            person.wait(60)
            people.adjust(person, "mug", 4, "d1")
            people.reprice(person, "mug", 150)

        people.come("bob", bob)
        people.come("olga", olga)

    with in_charge(clock):
        world = Simulator(cloud.main(), clock).run(people_come, Choices()).world
    return SimpleNamespace(**vars(kept), rows=world.dynamodb.rows, events=world.deliveries.published)


def wrong(seen: Any, change: Callable[[Any], object] = lambda it: None) -> list[str]:
    """What the rules say of a copy with this change."""
    it = SimpleNamespace(
        order=seen.order,
        cancelled=seen.cancelled,
        rows=copy.deepcopy(seen.rows),
        events=copy.deepcopy(seen.events),
        people=SimpleNamespace(asked=copy.deepcopy(seen.people.asked), stocked=dict(seen.people.stocked)),
    )
    change(it)
    return list(rules.seen_from_outside(rules.State(it.rows), it.people, it.events))


def told(it: Any, detail_type: str) -> Any:
    return next(event["detail"] for event in it.events if event["detail-type"] == detail_type)


def checked_out(it: Any) -> Any:
    return told(it, "BasketCheckedOut")


def refused_after_all(it: Any) -> None:
    asked = next(asked for asked in it.people.asked if rules.placed_by(asked) == it.order)
    asked.answers[:] = [Answer(422, {"title": "Refused", "detail": ""})]


def told_as_cancelled(it: Any) -> None:
    it.people.asked.append(
        Asked("POST", f"/orders/{it.order}/cancel", None, "bob", None, [Answer(200, {"orderId": it.order})])
    )


def set_status(table: str, which: str, status: str) -> Callable[[Any], None]:
    return lambda it: it.rows[table][getattr(it, which)].update(status={"S": status})


WRONGS: dict[str, tuple[Callable[[Any], object], str]] = {
    "an accepted order is lost": (lambda it: it.rows["OrdersTable"].pop(it.order), "was accepted, and is not there"),
    "a refused order is there": (refused_after_all, "was refused with 422, and is there"),
    "an order does not end": (set_status("OrdersTable", "order", "PAID"), "does not end: it is PAID"),
    "a checkout is lost": (lambda it: it.rows["OrdersTable"].pop(checked_out(it)["checkoutId"]), "no order came of it"),
    "cancelled, people were told": (told_as_cancelled, "was told as cancelled, and is CONFIRMED"),
    "a payment failed": (set_status("PaymentsTable", "order", "FAILED"), "is CONFIRMED, its payment and reservation"),
    "nothing was given back": (set_status("PaymentsTable", "cancelled", "SUCCEEDED"), "is CANCELLED, its payment"),
    "nothing is set aside": (set_status("ReservationsTable", "order", "RELEASED"), "its payment and reservation are"),
    "a payment of no order": (
        lambda it: it.rows["PaymentsTable"].update(none=it.rows["PaymentsTable"][it.order]),
        "PaymentsTable has none, of which there is no order",
    ),
    "a piece is missing": (
        lambda it: it.rows["InventoryTable"]["mug"].update(availableQty={"N": "0"}),
        "of mug, and there are 0",
    ),
    "less was paid": (lambda it: told(it, "PaymentSucceeded").update(amount=1), "PaymentSucceeded of"),
    "more was set aside": (
        lambda it: told(it, "InventoryReserved")["items"][0].update(quantity=9),
        "InventoryReserved of",
    ),
    "a checkout became another order": (lambda it: checked_out(it)["items"][0].update(quantity=9), "became another"),
    "a checkout became no order": (lambda it: checked_out(it).update(checkoutId="none"), "none became no order"),
    "a price list is behind": (
        lambda it: it.rows["OrdersPricesTable"]["mug"].update(unitPrice={"N": "100"}),
        "OrdersPricesTable has mug at 100, the catalog at 150",
    ),
    "a price list knows nothing": (
        lambda it: it.rows["BasketPricesTable"].clear(),
        "BasketPricesTable has mug at None",
    ),
}


def test_what_is_right_breaks_no_rule(seen):
    assert wrong(seen) == []


@pytest.mark.parametrize("case", WRONGS)
def test_each_wrong_is_told(seen, case):
    change, said = WRONGS[case]
    assert any(said in each for each in wrong(seen, change)), wrong(seen, change)
