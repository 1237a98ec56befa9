"""Whatever is delivered, lost, sold and called off meanwhile, whatever answer gets lost: the pieces add up."""

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest
from botocore.exceptions import ConnectionClosedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventflow.contracts import Received
from eventflow.events import Line, OrderCancelled, OrderCreated
from inventory import stock
from inventory.http import LEVELS
from inventory.warehouse import Warehouse

from .api_gateway import OPERATOR, call
from .lossy_wire import LossyWire
from .memory_dynamodb import MemoryDynamoDB

WAREHOUSE = Warehouse("ReservationsTable", "InventoryTable")
PRODUCTS = ("mug", "lamp")
ORDERS = ("A", "B", "C", "D")

KEYS = ("k1", "k2", "k3", "k4")

acts = st.one_of(
    st.tuples(st.just("adjust"), st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(("reserve", "release")), st.sampled_from(ORDERS)),
)
adjustments = st.fixed_dictionaries(
    {key: st.tuples(st.sampled_from(PRODUCTS), st.integers(-4, 9).filter(bool)) for key in KEYS}
)
lines = st.lists(
    st.builds(Line, product_id=st.sampled_from(PRODUCTS), quantity=st.integers(1, 4)),
    min_size=1,
    max_size=2,
    unique_by=lambda line: line.product_id,
).map(tuple)


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


def received(fact):
    return Received(fact=fact, source="s", detail_type="t", version="1.0", event_id="e", occurred_at=0)


class World:
    """What operators and orders do, and which adjustments were told as made."""

    def __init__(self, orders: dict[str, tuple[Line, ...]], adjustments: dict[str, tuple[str, int]]) -> None:
        self.orders = orders
        self.adjustments = adjustments
        self.made: set[str] = set()
        self.unknown: set[str] = set()
        """The keys of those of which no answer came."""

    def act(self, what: str, about: str) -> None:
        match what:
            case "adjust":
                self.adjust(about)
            case "reserve":
                order = OrderCreated(order_id=about, user_id="ada", items=self.orders[about])
                self.deliver(lambda: stock.reserve(WAREHOUSE, order, received(order)))
            case "release":
                off = OrderCancelled(order_id=about, user_id="ada", reason="r")
                self.deliver(lambda: stock.release(WAREHOUSE, off, received(off)))

    def adjust(self, key: str) -> None:
        product, by = self.adjustments[key]
        path, body = f"/inventory/{product}/adjustments", {"by": by, "reason": "r"}
        answer = call("POST", path, body, OPERATOR, {"Idempotency-Key": key})
        self.unknown.discard(key)
        match answer.status:
            case 200:
                self.made.add(key)
            case 500:
                self.unknown.add(key)
            case status:
                assert (status, answer.body["title"]) == (409, "Below zero")

    @staticmethod
    def deliver(handle: Callable[[], None]) -> None:
        """As EventBridge: again, until it is handled."""
        while True:
            with suppress(ConnectionClosedError):
                return handle()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(lines, min_size=len(ORDERS), max_size=len(ORDERS)),
    adjustments,
    st.lists(acts, max_size=12),
    st.lists(acts, max_size=6),
    st.binary(max_size=60),
)
def test_adjusted_less_reserved_plus_released_is_what_is_available(wanted, adjustments, now, meanwhile, losses):
    # given a wire that loses answers, so that the SDK repeats and callers do, and others that act in between
    db, world = MemoryDynamoDB(), World(dict(zip(ORDERS, wanted, strict=True)), adjustments)
    db.meanwhile = [lambda act=act: world.act(*act) for act in meanwhile]
    lost = iter(losses)

    # when all is done, and what had no answer is asked for again until there is one
    db.conflicts = len(meanwhile)
    with LossyWire(db, lambda operation: operation != "GetItem" and next(lost, 0) % 3 == 2):
        for act in now:
            world.act(*act)
        while world.unknown:
            world.adjust(min(world.unknown))

        # then
        reservations = [WAREHOUSE.read(order) for order in ORDERS]
        for product in PRODUCTS:
            adjusted = sum(adjustments[key][1] for key in world.made if adjustments[key][0] == product)
            held = [it.state for it in reservations if it and it.state.status is stock.Status.RESERVED]
            reserved = sum(line.quantity for it in held for line in it.items if line.product_id == product)
            level = LEVELS.read(product)
            assert (level.available_qty if level else 0) == adjusted - reserved
            assert level is None or level.available_qty >= 0
