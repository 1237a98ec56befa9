"""Unit tests need nothing but Python: no network, no credentials, no cloud."""

import os
import socket

import pytest
from hypothesis import settings

os.environ |= {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "EVENT_BUS": "bus",
    "IDEMPOTENCY_TABLE": "idempotency",
    "ORDERS_TABLE": "orders",
    "PAYMENTS_TABLE": "payments",
    "PAYMENT_FAILURE_RATE": "10",
    "INVENTORY_TABLE": "inventory",
    "RESERVATIONS_TABLE": "reservations",
    "TOPIC_ARN": "",
}

settings.register_profile("unit", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a unit test went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
