"""Made-up answers of the timeline's API, in the shape that it answers in, and a server at which the console gets them.

With them a test of the page is quick, and can show what a real bus seldom has: 500 events in a saga, a cause that was
not kept, a consumer that gave up.
"""

import base64
import json
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from tests.unit.console import console

OPERATOR, SHOPPER, PASSWORD = "olive@example.com", "ada@example.com", "right"
START = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)
FOR_OPERATORS = ("giveUps", "waitsFor", "usualMs")

Json = dict[str, Any]


def iso(offset_ms: float) -> str:
    """So many ms after START."""
    return (START + timedelta(milliseconds=offset_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def step(type_: str, lane: str, at_ms: int, *causes: str, role: str = "step", **more: Any) -> Json:
    """One event, whose id is its type unless `eventId` says another."""
    said = {"causationId": causes[0]} if causes and not more.get("inferred") and role != "giveUp" else {}
    detail = {} if role == "giveUp" else {"orderId": "o-1", "metadata": {"eventId": type_, **said}}
    event = {"eventId": type_, "source": f"eventflow.{lane}", "lane": lane, "type": type_, "offsetMs": at_ms}
    led = {"causes": list(causes)} if causes else {}
    return {**event, "role": role, **led, "detail": detail, **said, **more}


def saga(id_: str, ending: str, *steps: Json, at_ms: int = 0, **more: Any) -> Json:
    """One timeline, as `GET /timelines/{id}` has it. It began `at_ms` after START."""
    offsets = {event["eventId"]: event["offsetMs"] for event in steps}
    events = []
    for event in steps:
        known = [offsets[cause] for cause in event.get("causes", ()) if cause in offsets]
        gap = {"gapMs": event["offsetMs"] - max(known)} if known else {}
        events.append({**event, **gap, "time": iso(at_ms + event["offsetMs"])})
    told = [event for event in steps if event["role"] != "giveUp"]
    status = ending if ending in ("open", "stuck") else "done"
    ended = {"outcome": told[-1]["type"], "ended": iso(at_ms + told[-1]["offsetMs"])} if status == "done" else {}
    give_ups = sum("redrivenAt" not in event["failure"] for event in steps if event["role"] == "giveUp")
    head = {
        "id": id_,
        "status": status,
        "ending": ending,
        "started": iso(at_ms),
        "lastEvent": iso(at_ms + told[-1]["offsetMs"]),
        "lastType": told[-1]["type"],
        "durationMs": told[-1]["offsetMs"],
        "eventCount": len(told),
        **({"giveUps": give_ups} if give_ups else {}),
    }
    return {**head, **ended, **more, "events": events}


def give_up(lane: str, on: str, at_ms: int, exception: str, **more: Any) -> Json:
    failure = {"service": lane, "function": f"{lane.title()}Function", "exception": exception, "attempts": 3, **more}
    return step(on, lane, at_ms, on, role="giveUp", eventId=f"request-{lane}", failure=failure)


OUT_OF_STOCK = "Out of stock: matcha, 2 wanted"
TRACE = {"traceId": "1-6926fd9e-0123456789abcdef01234567"}

FAILED = saga(
    "99efbe25-39c3-441f-a868-691fdf8e4d70",
    "failed",
    step("OrderCreated", "orders", 0, critical=True, **TRACE),
    step("PaymentSucceeded", "payment", 2190, "OrderCreated", usualMs=46),
    step("InventoryFailed", "inventory", 2200, "OrderCreated", role="failure", reason=OUT_OF_STOCK, critical=True),
    step("OrderCancelled", "orders", 2270, "InventoryFailed", role="compensation", critical=True, reason=OUT_OF_STOCK),
    step("PaymentRefunded", "payment", 2340, "OrderCancelled", role="compensation", critical=True),
    reason=OUT_OF_STOCK,
    failedStep="InventoryFailed",
    at_ms=50_000,
) | {"outcome": "OrderCancelled"}

SUCCEEDED = saga(
    "5ce1ab1e-0000-4000-8000-000000000001",
    "succeeded",
    step("OrderCreated", "orders", 0, critical=True),
    step("InventoryReserved", "inventory", 22, "OrderCreated", usualMs=24),
    step("PaymentSucceeded", "payment", 46, "OrderCreated", critical=True, usualMs=44),
    step("OrderConfirmed", "orders", 90, "PaymentSucceeded", "InventoryReserved", role="outcome", critical=True),
    at_ms=40_000,
)

STUCK = saga(
    "57ac4000-0000-4000-8000-000000000002",
    "stuck",
    step("OrderCreated", "orders", 0),
    give_up("inventory", "OrderCreated", 900, "KeyError: 'sku'", redrivenAt=iso(60_000), outcome="handled"),
    give_up("payment", "OrderCreated", 1_200, "ValidationError: no amount\nTraceback (most recent call last):\n  ..."),
    waitsFor=[
        {"lane": "payment", "type": "PaymentSucceeded", "usualMs": 46},
        {"lane": "inventory", "type": "InventoryReserved", "usualMs": 22},
    ],
    at_ms=30_000,
)

CALLED_OFF = saga(
    "ca11ed0f-0000-4000-8000-000000000003",
    "calledOff",
    step("OrderCreated", "orders", 0),
    step("PaymentSucceeded", "payment", 46, "OrderCreated"),
    step("InventoryReserved", "inventory", 52, "OrderCreated"),
    step("OrderConfirmed", "orders", 120, "PaymentSucceeded", "InventoryReserved", role="outcome"),
    step("OrderCancelled", "orders", 7_500_120, role="compensation"),
    step("PaymentRefunded", "payment", 7_500_180, "OrderCancelled", role="compensation"),
    step("InventoryReleased", "inventory", 7_500_190, "OrderCancelled", role="compensation"),
    reason="Cancelled by the shopper",
    at_ms=20_000,
) | {"outcome": "OrderCancelled"}

WITHOUT_CAUSATION = saga(
    "S-1",
    "open",
    step("ShipmentBooked", "booking", 0),
    step("ParcelCollected", "depot", 60_000, "ShipmentBooked", inferred=True),
    step("ParcelScanned", "depot", 90_000, "ParcelCollected", inferred=True),
    at_ms=10_000,
)

CAUSE_NOT_KEPT = saga(
    "c0ffee00-0000-4000-8000-000000000004",
    "open",
    step("PaymentSucceeded", "payment", 0) | {"causationId": "long-gone", "causeMissing": True},
    cut=True,
    at_ms=5_000,
)

LANES = ("orders", "payment", "inventory", "notification", "shipping", "fraud")


def big(count: int, id_: str = "", *, lanes: Sequence[str] = LANES, seed: int = 1) -> Json:
    """A saga of so many events, each led to by one of the ten before it."""
    chance = random.Random(seed)
    steps, at_ms = [step("OrderCreated", lanes[0], 0, eventId="e-0")], 0
    for index in range(1, count):
        at_ms += chance.choice([0, 3, 20, 400]) if index != count // 2 else 90_000
        lane = chance.choice(lanes)
        role = "failure" if index % 25 == 7 else "outcome" if index == count - 1 else "step"
        why = {"reason": "The carrier refused it"} if role == "failure" else {}
        cause = f"e-{max(0, index - chance.randint(1, 10))}"
        type_ = f"{lane.title()}Step{'Failed' if role == 'failure' else 'Done'}"
        steps.append(step(type_, lane, at_ms, cause, role=role, eventId=f"e-{index}", **why))
    return saga(id_ or f"b16b00b5-0000-4000-8000-{count:012}", "succeeded", *steps)


def _edge(from_: str, to: str, count: int, share: float, p50: int, p95: int) -> Json:
    return {"from": from_, "to": to, "count": count, "share": share, "p50": p50, "p95": p95}


def _node(lane: str, type_: str, column: int, count: int, share: float, role: str = "step", stops: int = 0) -> Json:
    return {"lane": lane, "type": type_, "role": role, "count": count, "share": share, "stops": stops, "column": column}


def _path(key: str, ending: str, count: int, share: float, p50: int, *steps: tuple[str, str], slow: int = 0) -> Json:
    path = [{"lane": lane, "type": type_, "causes": [max(0, at - 1)]} for at, (lane, type_) in enumerate(steps)]
    times = {"p50": p50, "p95": 3 * p50, "p99": 10 * p50}
    return {"key": key, "steps": path, "ending": ending, "count": count, "share": share, **times, "slow": slow} | {
        "examples": [SUCCEEDED["id"] if ending == "succeeded" else FAILED["id"]]
    }


CREATED, PAID, RESERVED, CONFIRMED = (
    *(("orders", "OrderCreated"), ("payment", "PaymentSucceeded")),
    *(("inventory", "InventoryReserved"), ("orders", "OrderConfirmed")),
)
OUT, CANCELLED, REFUNDED = (
    ("inventory", "InventoryFailed"),
    ("orders", "OrderCancelled"),
    ("payment", "PaymentRefunded"),
)
USUAL = _path("aaaaaaaaaa", "succeeded", 1842, 0.921, 92, CREATED, PAID, RESERVED, CONFIRMED, slow=18)
REFUSED = _path("bbbbbbbbbb", "failed", 140, 0.07, 2300, CREATED, PAID, OUT, CANCELLED, REFUNDED, slow=1)
RARE = _path("cccccccccc", "stuck", 18, 0.009, 40, CREATED)

COUNTS = (0, 0, 0, 4, 30, 210, 1190, 380)

WINDOW: Json = {
    "from": iso(0),
    "to": iso(3_600_000),
    "sagas": 2000,
    "more": True,
    "bucketMs": 60_000,
    "endings": {"succeeded": 1842, "failed": 140, "calledOff": 0, "stuck": 13, "open": 5},
    "durations": {"p50": 94, "p95": 410, "p99": 2_610, "max": 48_000},
    "histogram": [
        *({"from": 2**at, "to": 2 ** (at + 1), "count": count} for at, count in enumerate(COUNTS)),
        {"from": 256, "count": 168},
    ],
    "minutes": [
        {"minute": iso(at * 60_000), "endings": {"succeeded": 25 + at % 9, "failed": at % 5, "stuck": int(at > 55)}}
        for at in range(60)
    ],
    "nodes": [
        _node("orders", "OrderCreated", 0, 2000, 1, stops=18),
        _node("payment", "PaymentSucceeded", 1, 1982, 0.991),
        _node("inventory", "InventoryReserved", 1, 1842, 0.921),
        _node("inventory", "InventoryFailed", 1, 140, 0.07, "failure"),
        _node("orders", "OrderConfirmed", 2, 1842, 0.921, "outcome"),
        _node("orders", "OrderCancelled", 2, 140, 0.07, "compensation"),
        _node("payment", "PaymentRefunded", 3, 140, 0.07, "compensation"),
    ],
    "edges": [
        _edge("orders/OrderCreated", "payment/PaymentSucceeded", 1982, 0.991, 46, 120),
        _edge("orders/OrderCreated", "inventory/InventoryReserved", 1842, 0.921, 22, 61),
        _edge("orders/OrderCreated", "inventory/InventoryFailed", 140, 0.07, 24, 64),
        _edge("payment/PaymentSucceeded", "orders/OrderConfirmed", 1842, 0.921, 40, 95),
        _edge("inventory/InventoryReserved", "orders/OrderConfirmed", 1842, 0.921, 62, 160),
        _edge("inventory/InventoryFailed", "orders/OrderCancelled", 140, 0.07, 70, 140),
        _edge("payment/PaymentSucceeded", "payment/PaymentRefunded", 140, 0.07, 900, 1800),
        _edge("orders/OrderCancelled", "payment/PaymentRefunded", 140, 0.07, 70, 150),
    ],
    "variants": [USUAL, REFUSED, RARE],
    "otherVariants": 0,
    "unusual": [
        {"id": STUCK["id"], "why": "rare", "durationMs": 40, "variant": RARE["key"], "share": 0.009},
        {"id": FAILED["id"], "why": "slow", "durationMs": 48_000, "variant": REFUSED["key"], "p99": 23_000},
    ],
    "oldestOpen": [{"id": STUCK["id"], "started": STUCK["started"], "lastType": "OrderCreated", "ending": "stuck"}],
}

AGAINST: Json = WINDOW | {
    "from": iso(-3_600_000),
    "to": iso(0),
    "sagas": 1900,
    "endings": {"succeeded": 1880, "failed": 20},
}

CREATED_TO = {"from": "orders/OrderCreated"}

COMPARED: Json = {
    "variants": [
        {"key": USUAL["key"], "steps": USUAL["steps"], "share": 0.921, "againstShare": 0.99},
        {"key": REFUSED["key"], "steps": REFUSED["steps"], "share": 0.07, "againstShare": 0.01},
        {"key": RARE["key"], "steps": RARE["steps"], "share": 0.009, "againstShare": 0},
    ],
    "edges": [
        {
            "from": "orders/OrderCreated",
            "to": "payment/PaymentSucceeded",
            "p50": 46,
            "againstP50": 20,
            "change": "slower",
        },
        {
            "from": "orders/OrderCreated",
            "to": "inventory/InventoryReserved",
            "p50": 22,
            "againstP50": 22,
            "change": "same",
        },
        {"from": "orders/OrderCancelled", "to": "payment/PaymentRefunded", "p50": 70, "change": "new"},
    ],
}

ALL = (FAILED, SUCCEEDED, STUCK, CALLED_OFF, WITHOUT_CAUSATION, CAUSE_NOT_KEPT)


def _listed(timeline: Json) -> Json:
    return {name: value for name, value in timeline.items() if name not in ("events", "truncated", "waitsFor")}


def _for_shoppers(timeline: Json) -> Json:
    shown = {name: value for name, value in timeline.items() if name not in FOR_OPERATORS}
    events = [
        {name: value for name, value in event.items() if name not in FOR_OPERATORS}
        for event in timeline["events"]
        if event["role"] != "giveUp"
    ]
    return {**shown, "events": events}


def _wanted(timeline: Json, asked: Mapping[str, str]) -> bool:
    ids = [
        timeline["id"],
        *(event[name] for event in timeline["events"] for name in ("eventId", "traceId") if name in event),
    ]
    tests = {
        "status": lambda value: timeline["status"] == value,
        "ending": lambda value: timeline["ending"] == value,
        "type": lambda value: any(event["type"] == value for event in timeline["events"]),
        "lastType": lambda value: timeline["lastType"] == value,
        "service": lambda value: any(event["lane"] == value for event in timeline["events"]),
        "from": lambda value: timeline["started"] >= value,
        "to": lambda value: timeline["started"] < value,
        "slowerThan": lambda value: timeline["durationMs"] > int(value),
        "fasterThan": lambda value: timeline["durationMs"] < int(value),
        "find": lambda value: any(each.startswith(value) for each in ids),
        "variant": lambda value: True,
        "edge": lambda value: True,
    }
    return all(tests[name](value) for name, value in asked.items())


@dataclass
class Answers:
    """What the API knows, and what it was asked: (path, query) of each GET."""

    timelines: list[Json] = field(default_factory=lambda: list(ALL))
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    noun: str = "order"
    url: str = ""

    def answer(self, path: str, query: dict[str, str], operator: bool) -> tuple[int, Json]:
        self.asked.append((path, query))
        known = self.timelines if operator else [_for_shoppers(each) for each in self.timelines]
        if path == "flow":
            compared = {"against": AGAINST, "compared": COMPARED} if "againstFrom" in query else {}
            return (200, {"window": WINDOW, **compared}) if operator else (403, {"detail": "Flow is for operators."})
        if path == "timelines":
            limit, start = int(query.pop("limit", "50")), int(query.pop("cursor", "0"))
            page = known[start : start + limit]
            items = [_listed(each) for each in page if _wanted(each, query)]
            more = {"nextCursor": str(start + limit)} if len(known) > start + limit else {}
            return 200, {"items": items, **more, "read": len(page)}
        id_ = unquote(path.removeprefix("timelines/"))
        return next(((200, each) for each in known if each["id"] == id_), (404, {"detail": "no such saga"}))


def _token(username: str) -> str:
    groups = {"cognito:groups": ["operators"]} if username == OPERATOR else {}
    claims = base64.urlsafe_b64encode(json.dumps({"email": username, **groups}).encode()).decode().rstrip("=")
    return f"header.{claims}.signature"


@contextmanager
def served(answers: Answers) -> Iterator[Answers]:
    """The console by its own handler, the API, and the little of Cognito that it needs, all at one origin."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/v1/")
            if path.partition("/")[0] == "console":
                name = path.partition("/")[2]
                asked = {"path": parts.path, "pathParameters": {"file": name} if name else None, "headers": {}}
                answer = page.handler(asked, None)
                self._say(answer["statusCode"], answer["body"], answer["headers"])
                return
            token = self.headers.get("Authorization", "")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if not token:
                self._say(401, "{}", {})
                return
            status, body = answers.answer(path, query, token == _token(OPERATOR))
            self._say(status, json.dumps(body), {"Content-Type": "application/json"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given = body.get("AuthParameters", {})
            if self.headers["X-Amz-Target"].endswith("RevokeToken"):
                self._say(200, "{}", {})
            elif given.get("PASSWORD", PASSWORD) != PASSWORD:
                self._say(
                    400,
                    json.dumps({"__type": "NotAuthorizedException", "message": "Incorrect username or password."}),
                    {},
                )
            else:
                username = given.get("USERNAME") or given["REFRESH_TOKEN"]
                tokens = {"IdToken": _token(username), "RefreshToken": username}
                self._say(200, json.dumps({"AuthenticationResult": tokens}), {})

        def _say(self, status: int, text: str, headers: Mapping[str, str]) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_port}"
    told = {"AWS_REGION": "us-east-1", "USER_POOL_CLIENT_ID": "client", "TITLE": "eventflow", "NOUN": answers.noun}
    with mock.patch.dict(os.environ, {**told, "AWS_ENDPOINT_URL": origin}):
        page = console()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers.url = f"{origin}/v1/console"
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
