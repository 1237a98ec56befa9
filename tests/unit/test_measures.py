import json

import pytest

from eventflow import clock
from eventflow.events import InventoryReserved, PaymentSucceeded, StepFailed
from eventflow.telemetry import metrics
from orders import orders
from orders.measures import Watched
from orders.orders import Order, Status

STARTED = 1_795_176_000_000
PAID = PaymentSucceeded(order_id="o", user_id="u", payment_id="p", amount=1, currency="USD")


@pytest.fixture(autouse=True)
def _two_seconds_later(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: STARTED + 2000)
    metrics.clear_metrics()


def an_order(status: Status) -> Order:
    return Order(order_id="o", user_id="u", items=(), status=status, created_at=clock.iso(STARTED))


def counted(capsys: pytest.CaptureFixture[str]) -> tuple[list[float], list[str]]:
    """The durations measured, and the statuses in which orders were called off."""
    metrics.flush_metrics(raise_on_empty_metrics=False)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    durations = [value for line in lines for value in line.get("SagaDuration", [])]
    return durations, [line["status"] for line in lines if "Cancelled" in line]


@pytest.mark.parametrize(
    ("before", "step", "measured"),
    [
        (Status.RESERVED, PAID, ([2000.0], [])),
        (Status.PENDING, PAID, ([], [])),
        (Status.CONFIRMED, PAID, ([], [])),
    ],
)
def test_an_order_is_measured_when_it_ends_and_once(capsys, before, step, measured):
    decide = Watched(lambda order: orders.step_done(order, step, clock.now()))
    decide(an_order(before))
    decide.count_end()
    assert counted(capsys) == measured


@pytest.mark.parametrize(
    ("before", "detail_type", "measured"),
    [
        (Status.PENDING, "PaymentFailed", ([2000.0], ["PAYMENT_FAILED"])),
        (Status.PAID, "InventoryFailed", ([2000.0], ["INVENTORY_FAILED"])),
        (Status.CONFIRMED, "FraudCheckFailed", ([], ["CANCELLED"])),  # it had ended before
        (Status.CANCELLED, "PaymentFailed", ([], [])),
    ],
)
def test_what_called_an_order_off_is_counted(capsys, before, detail_type, measured):
    failure = StepFailed(order_id="o", reason="because")
    decide = Watched(lambda order: orders.step_failed(order, failure, detail_type, clock.now()))
    decide(an_order(before))
    decide.count_end()
    assert counted(capsys) == measured


def test_of_several_attempts_the_one_that_was_committed_counts(capsys):
    step = InventoryReserved(order_id="o", user_id="u", items=())
    decide = Watched(lambda order: orders.step_done(order, step, clock.now()))
    decide(an_order(Status.PENDING))  # another writer was faster
    decide(an_order(Status.PAID))
    decide.count_end()
    assert counted(capsys) == ([2000.0], [])
