"""Small stories, each with what a shop has when it begins, and what people do. Everything else is the world's doing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

from orders.orders import order_id_for
from payment.gateway import declines

from .clients import Person
from .people import People
from .world import DAY, World

Scenario = Callable[[World, People], None]


def a_key(by: str, *, pays: bool = True, mark: int = 0) -> str:
    """An Idempotency-Key whose order the gateway approves, or declines: the first that does."""
    for number in range(1000):
        key = f"k{mark}-{number}"
        if declines(order_id_for(by, key), 10) != pays:
            return key
    raise LookupError


def an_order_is_confirmed(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada"), ("mug", 2))))


def an_order_is_declined(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada", pays=False), ("mug", 2))))


def an_order_is_sold_out(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.sells("lamp", 0)
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada"), ("mug", 2), ("lamp", 1))))


def an_order_fails_twice(world: World, people: People) -> None:
    people.sells("mug", 1)
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada", pays=False), ("mug", 2))))


def an_order_is_cancelled_at_once(world: World, people: People) -> None:
    people.sells("mug", 5)

    def ada(person: Person) -> None:
        if order := people.order(person, a_key("ada"), ("mug", 2)):
            people.cancel(person, order)

    people.come("ada", ada)


def a_confirmed_order_is_cancelled(world: World, people: People) -> None:
    people.sells("mug", 5)

    def ada(person: Person) -> None:
        if order := people.order(person, a_key("ada"), ("mug", 2)):
            person.wait(30, "thinks again")
            people.cancel(person, order)

    people.come("ada", ada)


def an_order_is_vetoed_by_a_service_that_nobody_knows(world: World, people: People) -> None:
    people.sells("mug", 5)
    key = a_key("ada")
    order = order_id_for("ada", key)
    veto = {"Source": "fraud", "DetailType": "FraudCheckFailed", "EventBusName": "EventBus"}
    veto["Detail"] = f'{{"orderId": "{order}", "reason": "stolen card"}}'

    def ada(person: Person) -> None:
        if people.order(person, key, ("mug", 2)):
            world.later(0.15, "fraud detection vetoes", lambda: _void(world.deliveries.put_event(veto)))

    people.come("ada", ada)


def two_want_the_last_piece(world: World, people: People) -> None:
    people.sells("mug", 1)
    for name in ("ada", "bob"):
        people.come(name, lambda person: _void(people.order(person, a_key(person.name), ("mug", 1))))


def a_basket_is_checked_out(world: World, people: People) -> None:
    people.sells("mug", 5)

    def ada(person: Person) -> None:
        people.put(person, "mug", 2)
        people.check_out(person, "c1")

    people.come("ada", ada)


def a_basket_is_checked_out_twice_at_once_and_filled_again(world: World, people: People) -> None:
    people.sells("mug", 9)
    people.sells("lamp", 9)

    def ada(person: Person) -> None:
        people.put(person, "mug", 2)
        people.come("ada", lambda tab: _void(people.check_out(tab, "c1")))
        people.check_out(person, "c1")
        people.put(person, "lamp", 1)
        people.check_out(person, "c2")

    people.come("ada", ada)


def a_basket_is_checked_out_while_another_tab_fills_it(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.sells("lamp", 5)

    def ada(person: Person) -> None:
        people.put(person, "mug", 1)
        people.come("ada", lambda tab: _void(people.put(tab, "lamp", 1)))
        people.check_out(person, None)

    people.come("ada", ada)


def a_basket_is_checked_out_and_filled_again_by_another_tab(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.sells("lamp", 5)

    def ada(person: Person) -> None:
        people.put(person, "mug", 1)
        world.later(0.02, "another tab", lambda: people.come("ada", lambda tab: _void(people.put(tab, "lamp", 1))))
        people.check_out(person, None)

    people.come("ada", ada)


def a_delivery_comes_while_orders_take_the_rest(world: World, people: People) -> None:
    people.sells("mug", 2)
    people.come("olga", lambda olga: _void(people.adjust(olga, "mug", 3, "d1")))
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada"), ("mug", 2))))
    people.come("olga", lambda olga: _void(people.adjust(olga, "mug", -2, "d2")))


def a_price_changes_while_a_basket_is_filled(world: World, people: People) -> None:
    people.sells("mug", 5)

    def olga(person: Person) -> None:
        people.reprice(person, "mug", 150)
        people.reprice(person, "mug", 200)

    def ada(person: Person) -> None:
        people.put(person, "mug", 1)
        people.check_out(person, "c1", expectedTotal=100)

    people.come("olga", olga)
    people.come("ada", ada)


def someone_looks_around(world: World, people: People) -> None:
    people.sells("mug", 5)
    people.sells("lamp", 5)

    def ada(person: Person) -> None:
        people.ask(person, "GET", "/products")
        people.ask(person, "GET", "/products?category=c")
        people.ask(person, "GET", "/products/mug")
        people.put(person, "mug", 1)
        people.ask(person, "DELETE", "/basket/items/mug")
        people.put(person, "mug", 2)
        people.put(person, "lamp", 2)
        people.ask(person, "GET", "/basket")
        people.ask(person, "DELETE", "/basket")
        if order := people.order(person, a_key("ada"), ("mug", 1)):
            people.order(person, a_key("ada", mark=1), ("lamp", 1))
            people.ask(person, "GET", f"/orders/{order}")
            people.ask(person, "GET", "/orders")

    people.come("ada", ada)


def a_product_comes_and_goes(world: World, people: People) -> None:
    def olga(person: Person) -> None:
        about = {"productId": "vase", "name": "vase", "category": "c", "unitPrice": 100, "currency": "USD"}
        people.ask(person, "POST", "/products", about)
        people.adjust(person, "vase", 3, "d1")
        people.ask(person, "GET", "/inventory/vase")
        people.reprice(person, "vase", 150)
        people.ask(person, "DELETE", "/products/vase", If_Match="*")

    people.come("olga", olga)


def a_partner_orders(world: World, people: People) -> None:
    order = {"OrderId": "x-1", "Item": "a book", "Amount": 3, "IsMember": True, "ShippingMethod": "air"}
    entry = {"Source": "microservice_x", "DetailType": "microservice_x_test_event", "EventBusName": "EventBus"}
    entry["Detail"] = json.dumps({"body": order})
    world.later(0, "a partner orders", lambda: _void(world.deliveries.put_event(entry)))

    def olga(person: Person) -> None:
        person.wait(20, "looks for it")
        people.ask(person, "GET", "/partner-orders/x-1")

    people.come("olga", olga)


def all_that_was_announced_is_replayed(world: World, people: People) -> None:
    """While the order is on its way, and once more when it is off."""
    people.sells("mug", 5)
    people.come("ada", lambda ada: _void(people.order(ada, a_key("ada"), ("mug", 2))))
    world.later(0.2, "an operator replays", world.deliveries.replay)
    world.later(30, "an operator replays once more", world.deliveries.replay)


def a_delivery_and_a_month_later_one_under_the_same_key(world: World, people: People) -> None:
    people.sells("mug", 9)

    def olga(person: Person) -> None:
        people.adjust(person, "mug", 3, "d1")
        person.wait(31 * DAY, "uses the key again")
        people.adjust(person, "mug", 3, "d1")

    people.come("olga", olga)


def two_deliveries_come_at_once(world: World, people: People) -> None:
    people.sells("mug", 2)
    for key, pieces in (("d1", 3), ("d2", -4)):
        people.come("olga", lambda olga, key=key, pieces=pieces: _void(people.adjust(olga, "mug", pieces, key)))


def a_checkout_and_a_month_later_one_under_the_same_key(world: World, people: People) -> None:
    people.sells("mug", 9)

    def ada(person: Person) -> None:
        people.put(person, "mug", 1)
        people.check_out(person, "c1")
        person.wait(31 * DAY, "uses the key again")
        people.put(person, "mug", 1)
        people.check_out(person, "c1")

    people.come("ada", ada)


def a_day_at_random(seed: str, orders: int = 8) -> Scenario:
    """Shoppers, operators and a service that vetoes, who do what the seed says."""

    def day(world: World, people: People) -> None:
        dice = random.Random(f"people {seed}")
        products = ["mug", "lamp", "vase"]
        for product in products:
            people.sells(product, dice.randint(0, 8))
        for number in range(orders):
            name = dice.choice(["ada", "bob", "eve"])
            script = dice.choice([_buys, _buys, _buys, _checks_out])
            of_its_own = random.Random(f"{seed} {number}")
            world.later(
                dice.uniform(0, 3),
                f"{name} comes",
                lambda name=name, number=number, dice=of_its_own, script=script: people.come(
                    name, lambda person: script(world, people, person, number, dice, products)
                ),
            )
        for number in range(dice.randint(0, 3)):
            product, by = dice.choice(products), dice.choice([-2, -1, 3, 5])
            world.later(
                dice.uniform(0, 3),
                "olga comes",
                lambda number=number, product=product, by=by: people.come(
                    "olga", lambda olga: _void(people.adjust(olga, product, by, f"d{number}"))
                ),
            )
        if dice.random() < 0.3:
            world.later(
                dice.uniform(0, 3),
                "olga reprices",
                lambda: people.come("olga", lambda olga: _void(people.reprice(olga, "mug", 150))),
            )

        for likely, label, act in (
            (0.3, "an operator redrives", lambda: _void(world.deliveries.redrive())),
            (0.2, "an operator replays", world.deliveries.replay),
        ):
            if dice.random() < likely:
                world.later(dice.uniform(0, 400), label, act)

    return day


def _lines(dice: random.Random, products: list[str]) -> list[tuple[str, int]]:
    return [(product, dice.randint(1, 3)) for product in dice.sample(products, dice.randint(1, 2))]


def _buys(world: World, people: People, person: Person, number: int, dice: random.Random, products: list[str]) -> None:
    key = a_key(person.name, pays=dice.random() > 0.2, mark=number)
    order = people.order(person, key, *_lines(dice, products))
    if order and dice.random() < 0.2:
        detail = json.dumps({"orderId": order, "reason": "stolen card"})
        veto = {"Source": "fraud", "DetailType": "FraudCheckFailed", "EventBusName": "EventBus", "Detail": detail}
        world.later(dice.uniform(0, 1), "fraud detection vetoes", lambda: _void(world.deliveries.put_event(veto)))
    if order and dice.random() < 0.3:
        person.wait(dice.uniform(0, 1), "thinks again")
        people.cancel(person, order)


def _checks_out(
    world: World, people: People, person: Person, number: int, dice: random.Random, products: list[str]
) -> None:
    for product, quantity in _lines(dice, products):
        people.put(person, product, quantity)
    key = f"c{number}" if dice.random() < 0.7 else None
    if dice.random() < 0.4:
        people.come(person.name, lambda tab: _void(people.put(tab, dice.choice(products), 1)))
    people.check_out(person, key)
    if key and dice.random() < 0.3:
        people.check_out(person, key)


def _void(_: object) -> None:
    pass


ALL: Mapping[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        an_order_is_confirmed,
        an_order_is_declined,
        an_order_is_sold_out,
        an_order_fails_twice,
        an_order_is_cancelled_at_once,
        a_confirmed_order_is_cancelled,
        an_order_is_vetoed_by_a_service_that_nobody_knows,
        two_want_the_last_piece,
        a_basket_is_checked_out,
        a_basket_is_checked_out_twice_at_once_and_filled_again,
        a_basket_is_checked_out_while_another_tab_fills_it,
        a_basket_is_checked_out_and_filled_again_by_another_tab,
        a_delivery_comes_while_orders_take_the_rest,
        a_price_changes_while_a_basket_is_filled,
        someone_looks_around,
        a_product_comes_and_goes,
        a_partner_orders,
        all_that_was_announced_is_replayed,
        a_delivery_and_a_month_later_one_under_the_same_key,
        two_deliveries_come_at_once,
        a_checkout_and_a_month_later_one_under_the_same_key,
    )
}
