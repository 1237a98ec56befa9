"""Unit tests need nothing but Python: no network, no credentials, no cloud."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from ..sam_template import ALL_FUNCTIONS, environment

if TYPE_CHECKING:
    from .memory_dynamodb import MemoryDynamoDB

os.environ |= {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "eventflow-unit",
    "EVENT_BUS": "bus",
    # tables by their names in the template; of two price lists that of orders
    **{
        variable: table["Ref"]
        for function in ALL_FUNCTIONS
        for variable, table in environment(function).items()
        if variable.endswith("_TABLE")
    },
    "PAYMENT_FAILURE_RATE": "10",
    "TOPIC_ARN": "",
    "GOOD_OUTCOMES": "OrderConfirmed,PartnerOrderReceived",
    "BAD_OUTCOMES": "OrderCancelled",
    "BUCKETS": "8",
    "COMPENSATIONS": "OrderConfirmed=OrderCancelled,PaymentSucceeded=PaymentRefunded",
    "STUCK_AFTER_SECONDS": "900",
    "OPERATOR_FIELDS": "availableQty",
    # of the console; Lambda gives the region
    "USER_POOL_CLIENT_ID": "client",
    "AWS_REGION": "us-east-1",
}

settings.register_profile("unit", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("unit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test prints and logs goes from one process to another, and half a character cannot."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a unit test went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a transition paused between its attempts, in seconds. It does so in no time."""
    paused: list[float] = []
    monkeypatch.setattr("eventflow.transition.sleep", paused.append)
    return paused


@pytest.fixture
def first_layer_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each delivery reaches the decision: that an event is consumed once is told in test_subscriber."""
    monkeypatch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> MemoryDynamoDB:
    """All tables, empty, behind every service; basket and orders each have their own price list."""
    import basket.http
    from eventflow import price_list, store
    from inventory import warehouse
    from notification import memory

    from .memory_dynamodb import MemoryDynamoDB

    db = MemoryDynamoDB()
    monkeypatch.setattr(store, "dynamodb", db)
    monkeypatch.setattr(warehouse, "dynamodb", db)
    monkeypatch.setattr(memory, "dynamodb", db)
    monkeypatch.setattr(basket.http, "PRICES", store.Table("BasketPricesTable", "productId", price_list.Price))
    return db


@pytest.fixture
def shop(db: MemoryDynamoDB) -> MemoryDynamoDB:
    """Three products sold, one of them in another currency."""
    db.sells("mug", 1250)
    db.sells("lamp", 4000)
    db.sells("vase", 3000, "EUR")
    return db


@pytest.fixture
def everything_logged(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that was logged or printed so far."""
    from eventflow import telemetry

    log = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", log)
    printed: list[str] = []

    def so_far() -> str:
        printed.extend(capfd.readouterr())
        return "".join((log.getvalue(), *printed))

    return so_far
