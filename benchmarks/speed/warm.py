"""Warm invocations: their CPU time beside that of a bare boto3 handler that makes the very same calls of AWS.

The calls are recorded from the function, so they have the same parameters on both sides. They go over HTTP, to a server
in this process that answers at once, whose time is not counted. What is left is what EventFlow adds: contracts,
decisions, routing, idempotency, logs, metrics and traces.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.speed.built import Built
from benchmarks.speed.cold import environment
from eventflow import clock
from eventflow.attributes import to_attributes
from eventflow.events import Line
from eventflow.prices import Price
from local.cloud import EMULATOR_PYTHON, ROOT, CloudError
from orders.orders import Order, Status
from payment import payments
from payment.payments import Payment

WORKER = Path(__file__).with_name("worker.py")
INVOCATIONS = 10
"""Of each kind in a round."""

INVOKED = {
    "POST /orders": ("OrdersApiFunction", "orders/place-order.json"),
    "PaymentSucceeded, by orders": ("OrdersSagaFunction", "orders/payment-succeeded.json"),
    "OrderCreated, by payment": ("PaymentFunction", "payment/order-created.json"),
    "OrderCreated, by inventory": ("InventorySagaFunction", "inventory/order-created.json"),
    "OrderConfirmed, by notification": ("NotificationFunction", "notification/order-confirmed.json"),
}

KINDS: Mapping[str, Mapping[str, Any]] = {
    "untraced": {"POWERTOOLS_TRACE_DISABLED": "true"},
    "not sampled": {"sampled": 0},
    "traced": {"sampled": 1},
}
"""How a function runs: without tracing, in a trace that X-Ray did not sample, and in one that it did."""

Json = dict[str, Any]


@dataclass
class Cost:
    """Milliseconds of CPU per invocation, one for each round."""

    bare: list[float] = field(default_factory=list)
    kinds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def ratio(self, kind: str) -> float:
        """Of the medians, as a multiple of the bare handler's."""
        return statistics.median(self.kinds[kind]) / statistics.median(self.bare)


def measured(functions: Sequence[Built], rounds: int, tell: Callable[[str], None]) -> Mapping[str, Cost]:
    """By what is invoked. Raises CloudError where a function does not do what it should."""
    by_name = {function.name: function for function in functions}
    costs = {}
    with _aws() as endpoint, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))  # X-Ray's: nobody reads what comes
        given = {"AWS_ENDPOINT_URL": endpoint, "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}"}
        for title, (name, event) in INVOKED.items():
            tell(f"warm cost: {title}")
            costs[title] = _cost(by_name[name], _event(event), given, rounds)
    return costs


def _cost(function: Built, event: str, given: Mapping[str, str], rounds: int) -> Cost:
    about = {"handler": function.handler, "event": event}
    with ExitStack() as workers:
        own = {kind: workers.enter_context(_Worker(function, {**about, **how}, given)) for kind, how in KINDS.items()}
        calls = own["untraced"].ask("calls")
        if len(calls) < 2:
            raise CloudError(f"{function.name} made {len(calls)} calls: {own['untraced'].ask('1')}")
        bare = workers.enter_context(_Worker(function, {"event": event, "calls": calls}, given))
        cost = Cost()
        for number in range(rounds + 1):
            times = {kind: worker.milliseconds() for kind, worker in {"": bare, **own}.items()}
            if number:  # the first one warms up
                cost.bare.append(times[""])
                for kind in KINDS:
                    cost.kinds[kind].append(times[kind])
        return cost


class _Worker:
    """A process that is one warm function."""

    def __init__(self, function: Built, about: Mapping[str, Any], given: Mapping[str, str]) -> None:
        variables = {name: value for name, value in about.items() if name.isupper()}
        self._process = subprocess.Popen(
            [str(EMULATOR_PYTHON), str(WORKER)],
            cwd=function.task,
            env={**environment(function), **given, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._say(json.dumps({name: value for name, value in about.items() if not name.isupper()}))

    def ask(self, line: str) -> Any:
        """Raises CloudError."""
        self._say(line)
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise CloudError("a function that is measured has failed; its error is above")
        return json.loads(answer)

    def milliseconds(self) -> float:
        """CPU per invocation."""
        answer = self.ask(str(INVOCATIONS))
        last = json.loads(answer["last"])
        if isinstance(last, dict) and last.get("statusCode", 201) != 201:
            raise CloudError(f"a function that is measured answers {last}")
        return float(answer["milliseconds"]) / INVOCATIONS

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _event(name: str) -> str:
    """A sample, as Lambda hands it over. A request without an Idempotency-Key: the order's row is not read first."""
    event = json.loads((ROOT / "events" / name).read_text())
    for headers in (event.get("headers", {}), event.get("multiValueHeaders", {})):
        headers.pop("Idempotency-Key", None)
    return json.dumps(event)


# What AWS answers: the product is sold, the order is pending, and every write is made.

ORDER = json.loads((ROOT / "events/orders/payment-succeeded.json").read_text())["detail"]
PRICE = Price(product_id="espresso", name="Espresso", unit_price=1999, currency="USD", as_of=1)
PENDING = Order(
    order_id=ORDER["orderId"],
    user_id=ORDER["userId"],
    items=(Line(product_id="espresso", quantity=2, unit_price=1999),),
    total_price=3998,
    currency="USD",
    status=Status.PENDING,
    created_at="2026-01-31T12:00:00.000+00:00",
)
CHARGING = Payment(
    order_id=ORDER["orderId"],
    user_id=ORDER["userId"],
    status=payments.Status.CHARGING,
    idempotency_key="6513270e-269e-4d37-b2a7-4de452e6b438",
    amount=3998,
    currency="USD",
    intended_at=clock.now(),
)


def _answer(operation: str, request: Json) -> Json:
    match operation:
        case "BatchGetItem":
            return {"Responses": {"OrdersPricesTable": [to_attributes(PRICE)]}, "UnprocessedKeys": {}}
        case "GetItem":
            row = {"OrdersTable": PENDING, "PaymentsTable": CHARGING, "IdempotencyTable": None}[request["TableName"]]
            return {"Item": {**to_attributes(row), "revision": {"N": "1"}}} if row else {}
    return {}


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # which keeps connections
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(_answer(self.headers["X-Amz-Target"].partition(".")[2], request)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _aws() -> Iterator[str]:
    """Where a server answers as DynamoDB would."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
