"""Price lists: however catalog's events arrive, a list ends as the catalog is; and what things cost by it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import products
from catalog.products import NewProductRequest, Product
from eventflow import price_list
from eventflow.contracts import MalformedEvent, read_event
from eventflow.events import Line, Pieces, ProductChanged, ProductRemoved
from eventflow.outbox import announce
from eventflow.prices import MixedCurrencies, Price, Quote, UnknownProduct, quote, updated

from .bus import delivered
from .lambda_context import LambdaContext
from .memory_dynamodb import MemoryDynamoDB

PRODUCTS = ("mug", "lamp", "vase")

asked = st.builds(
    NewProductRequest,
    name=st.sampled_from(["Plain", "Fancy"]),
    category=st.just("things"),
    unit_price=st.integers(0, 3),
    currency=st.sampled_from(["USD", "EUR"]),
)
steps = st.tuples(st.sampled_from(PRODUCTS), st.one_of(asked, st.just("remove")))


class Catalog:
    """The catalog's real decisions, and every event that they announce."""

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.events: list[dict[str, Any]] = []

    def step(self, product: str, wanted: Any) -> None:
        """Create, reprice, remove or create again, as the product's state allows."""
        there = self.products.get(product)
        if there is None or not there.listed_in:
            if wanted == "remove":
                return
            change = products.create(there, product, wanted)
        elif wanted == "remove":
            change = products.remove(there, product, "*")
        else:
            change = products.replace(there, product, wanted, "*")
        self.products[product] = change.state
        self.events.append(delivered(announce(change.fact)))

    @property
    def price_list(self) -> dict[str, Price]:
        return {
            name: Price(
                product_id=name,
                name=product.name,
                unit_price=product.unit_price,
                currency=product.currency,
                as_of=product.revision,
                sold=product.listed_in is not None,
            )
            for name, product in self.products.items()
        }


@settings(max_examples=100)
@given(st.lists(steps, max_size=15), st.data())
def test_a_price_list_ends_as_the_catalog_is_however_its_events_arrive(done, data):
    # given a catalog in which products come, change, go and come again
    catalog = Catalog()
    for product, wanted in done:
        catalog.step(product, wanted)

    # when every event arrives at least once, in whatever order
    again = data.draw(st.lists(st.sampled_from(catalog.events), max_size=8)) if catalog.events else []
    arriving = data.draw(st.permutations(catalog.events + again))
    prices: dict[str, Price] = {}
    for event in arriving:
        product = read_event(event, ProductChanged, ProductRemoved).fact
        if change := updated(prices.get(product.product_id), product):
            prices[product.product_id] = change.state

    # then the list knows what the catalog does, and a replay of all of it tells it nothing new
    assert prices == catalog.price_list
    for event in catalog.events:
        product = read_event(event, ProductChanged, ProductRemoved).fact
        assert updated(prices[product.product_id], product) is None


# The consumer


def changed(revision: int, unit_price: int = 1250, product: str = "mug") -> ProductChanged:
    return ProductChanged(
        product_id=product, name="Mug", category="mugs", unit_price=unit_price, currency="USD", revision=revision
    )


def removed(revision: int) -> ProductRemoved:
    return ProductRemoved(
        product_id="mug", name="Mug", category="mugs", unit_price=1250, currency="USD", revision=revision
    )


def deliver(*facts: ProductChanged | ProductRemoved) -> None:
    for fact in facts:
        price_list.handler(delivered(announce(fact)), LambdaContext())


def listed(db: MemoryDynamoDB, product: str = "mug") -> Any:
    stored = db.stored(price_list.PRICES, product)
    return stored and (stored.state.unit_price, stored.state.as_of, stored.state.sold)


def test_a_price_list_follows_the_catalog_and_is_not_misled_by_what_comes_late_or_twice(db):
    assert listed(db) is None
    deliver(changed(2, 1300), changed(1), changed(2, 1300))
    assert listed(db) == (1300, 2, True)
    deliver(removed(3), changed(2, 1300))
    assert listed(db) == (1250, 3, False)
    deliver(changed(4, 1400), removed(3))
    assert listed(db) == (1400, 4, True)
    assert db.told == [], "a copy announces nothing"
    assert db.stored(price_list.PRICES, "mug").revision == 3, "what is not news is not written"


def test_a_removal_that_comes_first_is_remembered(db):
    deliver(removed(2), changed(1))
    assert listed(db) == (1250, 2, False)


@pytest.mark.parametrize(("ours", "theirs"), [(2, 3), (3, 2)])
def test_of_two_events_handled_at_once_the_later_one_stays(db, ours, theirs):
    deliver(changed(1))
    db.meanwhile = [lambda: deliver(changed(theirs, theirs * 100))]
    deliver(changed(ours, ours * 100))
    assert listed(db) == (300, 3, True)


def test_a_replay_rebuilds_a_list_that_was_lost(db):
    everything = [changed(1), changed(1, 4000, "lamp"), changed(2, 1300)]
    deliver(*everything)
    db.rows["OrdersPricesTable"].clear()
    deliver(*everything)  # the same events, not taken for ones that were handled
    assert (listed(db), listed(db, "lamp")) == ((1300, 2, True), (4000, 1, True))


@pytest.mark.parametrize(
    ("detail", "complaint"),
    [
        ({"revision": 0}, r"at `\$\.detail\.revision`"),
        ({"unitPrice": -1}, r"at `\$\.detail\.unitPrice`"),
        ({"currency": "dollars"}, r"at `\$\.detail\.currency`"),
        ({"version": "2.0"}, "'2.0'"),
    ],
)
def test_a_malformed_event_changes_no_price(db, detail, complaint):
    event = delivered(announce(changed(1)))
    event["detail"] |= detail
    with pytest.raises(MalformedEvent, match=complaint):
        price_list.handler(event, LambdaContext())
    assert db.asked == []


# What things cost


def prices(**unit_prices: int) -> dict[str, Price]:
    return {
        name: Price(product_id=name, name=name, unit_price=unit_price, currency="USD", as_of=1)
        for name, unit_price in unit_prices.items()
    }


def pieces(**quantities: int) -> list[Pieces]:
    return [Pieces(product_id=name, quantity=quantity) for name, quantity in quantities.items()]


PRICES = prices(mug=1250, lamp=4000, gift=0)
GONE = Price(product_id="teapot", name="Teapot", unit_price=3000, currency="USD", as_of=2, sold=False)
ABROAD = Price(product_id="vase", name="Vase", unit_price=3000, currency="EUR", as_of=1)


def test_a_quote_is_each_line_at_its_price_and_what_they_come_to():
    assert quote(pieces(mug=3, gift=1, lamp=2), PRICES) == Quote(
        items=(
            Line(product_id="mug", quantity=3, unit_price=1250),
            Line(product_id="gift", quantity=1, unit_price=0),
            Line(product_id="lamp", quantity=2, unit_price=4000),
        ),
        total_price=11_750,
        currency="USD",
    )


@pytest.mark.parametrize(
    ("listed", "wanted", "error", "complaint"),
    [
        (PRICES, pieces(mug=1, teapot=1, yeti=1), UnknownProduct, "not sold: teapot, yeti$"),
        (PRICES | {"teapot": GONE}, pieces(mug=1, teapot=1), UnknownProduct, "not sold: teapot$"),
        (PRICES | {"vase": ABROAD}, pieces(mug=1, vase=1), MixedCurrencies, "EUR and USD"),
        ({}, pieces(mug=1), UnknownProduct, "not sold: mug$"),
    ],
)
def test_what_cannot_be_had_together_has_no_quote(
    listed: Mapping[str, Price], wanted: list[Pieces], error: type[Exception], complaint: str
):
    with pytest.raises(error, match=complaint):
        quote(wanted, listed)


def test_what_is_gone_in_another_currency_is_gone_and_no_matter_of_currency():
    with pytest.raises(UnknownProduct, match=r"not sold: teapot$"):
        quote(pieces(vase=1, teapot=1), {"vase": ABROAD, "teapot": GONE})


def test_what_is_listed_but_not_wanted_does_not_matter():
    assert quote(pieces(mug=1), PRICES | {"teapot": GONE, "vase": ABROAD}).total_price == 1250
