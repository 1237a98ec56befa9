"""An order's trace, read back as an operator reads it: by the real `aws xray`."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from local import xray
from local.cloud import ROOT
from ops.trace import Segment, Trace

from .test_shop_day import SHIPPING
from .waiting import eventually

HTTP, FUNCTION = "AWS::ApiGateway::Stage", "AWS::Lambda::Function"


def root_of(shop, order):
    """The trace's id, from the order's row."""
    header = shop.row("OrdersTable", order)["event"]["M"]["trace"]["S"]
    return dict(field.split("=") for field in header.split(";"))["Root"]


def read(shop, trace_id):
    """The trace, by the real command line."""
    read_back = subprocess.run(
        [str(Path(sys.executable).with_name("aws")), "xray", "batch-get-traces", "--trace-ids", trace_id],
        env=shop.cloud.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    (trace,) = json.loads(read_back.stdout)["Traces"]
    return Trace.of(trace_id, [segment["Document"] for segment in trace["Segments"]])


def xray_of(shop, trace_id):
    """The trace, or None while there is none."""
    try:
        return read(shop, trace_id)
    except ValueError:
        return None


def ways(trace):
    """Each segment by the services that led to it, in order: ("eventflow/v1", "orders", "relay")."""
    found, way = [], []
    for depth, segment, _ in trace.tree():
        way = [*way[:depth], segment.name]
        found.append(tuple(way))
    return found


def complete(shop, order, *last):
    """The order's trace, once it holds a segment reached in the `last` way, and none whose cause is still to come: a
    function's segments come when it has ended."""

    def whole(trace):
        found = ways(trace)
        return last in found and sum(len(way) == 1 for way in found) == 1

    return eventually(lambda: read(shop, root_of(shop, order)), whole)


def annotations(segment: Segment):
    return {name: segment.annotations.get(name) for name in ("OrderId", "DetailType")}


def test_an_order_is_one_trace_in_which_each_service_stands_under_its_cause(shop):
    # given
    order = shop.place(shop.stocked(1))
    shop.until(order, "CONFIRMED")

    # when
    start = ("eventflow/v1", "orders", "relay")
    confirmed = ("orders", "relay", "notification")
    trace = eventually(
        lambda: read(shop, root_of(shop, order)),
        lambda trace: any(way[-3:] == confirmed and len(way) == 8 for way in ways(trace)) and len(ways(trace)) == 12,
    )

    # then it has one root, and each step of the saga is there, once, under what led to it
    found = ways(trace)
    payment, inventory = (*start, "payment", "relay", "orders"), (*start, "inventory", "relay", "orders")
    last = payment if (*payment, "relay") in found else inventory
    assert sorted(found) == sorted(
        [
            *(start[:1], start[:2], start, (*start, "notification")),
            *(payment[:4], payment[:5], payment, inventory[:4], inventory[:5], inventory),
            *((*last, "relay"), (*last, "relay", "notification")),
        ]
    )

    # and says whose it is and what it took
    by_way = {tuple(way): segment for way, (_, segment, _) in zip(found, trace.tree(), strict=True)}
    assert annotations(by_way[start[:2]]) == {"OrderId": order, "DetailType": None}
    assert annotations(by_way[start]) == {"OrderId": None, "DetailType": "OrderCreated"}
    assert annotations(by_way[payment[:4]]) == {"OrderId": order, "DetailType": "OrderCreated"}
    assert annotations(by_way[payment]) == {"OrderId": order, "DetailType": "PaymentSucceeded"}
    assert by_way[start[:1]].document["http"]["response"]["status"] == 201
    functions = [segment for segment in trace.segments if segment.document.get("origin") == FUNCTION]
    assert len(functions) == 7
    assert len({segment.document["id"] for segment in trace.segments}) == len(found)
    assert all(segment.started <= segment.ended for segment in trace.segments)


def test_a_checkout_and_the_order_that_it_becomes_are_one_trace_over_the_queue(shop):
    # given
    product = shop.stocked(1)
    order = shop.check_out(SHIPPING, **{product: 1}).body["orderId"]
    shop.until(order, "CONFIRMED")

    # when
    taken = ("eventflow/v1", "basket", "relay", "orders")
    trace = complete(shop, order, *taken, "relay", "payment")

    # then the order's trace begins with the checkout's request, though a queue stands between
    assert len([way for way in ways(trace) if len(way) == 1]) == 1
    by_way = dict(zip(ways(trace), (segment for _, segment, _ in trace.tree()), strict=True))
    assert annotations(by_way[taken]) == {"OrderId": order, "DetailType": "BasketCheckedOut"}
    operations = [part["aws"]["operation"] for part in by_way[taken].parts if "aws" in part]
    assert operations == ["PutItem"]


def test_make_trace_draws_it_and_the_x_ray_of_this_machine_draws_it_alike(shop):
    # given
    order = shop.place(shop.stocked(1))
    shop.until(order, "CONFIRMED")
    complete(shop, order, "eventflow/v1", "orders", "relay", "payment", "relay")

    # when
    drawn = make_trace(shop, order)
    url = f"{xray.endpoint(shop.cloud.state)}/traces/{root_of(shop, order)}"
    with build_opener(ProxyHandler({})).open(url) as page:
        assert page.headers["Content-Type"] == "text/plain; charset=utf-8"
        on_page = page.read().decode()

    # then
    assert drawn.returncode == 0, drawn.stderr
    assert "POST /v1/orders 201" in drawn.stdout
    assert f"└─ orders  OrderId={order}" in drawn.stdout
    assert "\x1b" not in drawn.stdout
    assert on_page.splitlines()[2:5] == drawn.stdout.splitlines()[2:5]


def test_of_an_order_that_its_shopper_cancelled_both_requests_traces_are_drawn(shop):
    # given
    order = shop.place(shop.stocked(1))
    shop.until(order, "CONFIRMED")
    complete(shop, order, "eventflow/v1", "orders", "relay", "payment", "relay")
    placed = root_of(shop, order)

    # when
    shop.cancel(order)
    complete(shop, order, "eventflow/v1", "orders", "relay", "payment", "relay", "notification")

    # then
    drawn = make_trace(shop, order).stdout
    assert root_of(shop, order) != placed
    assert drawn.index(placed) < drawn.index("POST /v1/orders 201") < drawn.index(root_of(shop, order))
    assert drawn.index(root_of(shop, order)) < drawn.index(f"POST /v1/orders/{order}/cancel 200")
    assert drawn.count("DetailType=PaymentRefunded") == 1


def test_an_event_that_another_producer_puts_while_traced_goes_on_in_its_trace(shop):
    # given a producer that knows of no TraceHeader, but whose SDK sends the header of its trace with each call
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    header = {"X-Amzn-Trace-Id": f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1"}
    events = shop.cloud.client("events")
    events.meta.events.register("before-call", lambda params, **_: params["headers"].update(header))
    detail = json.dumps({"orderId": f"traced-{root}", "userId": "ada"})
    entry = {"EventBusName": shop.stack.event_bus, "Source": "eventflow.orders", "Detail": detail}

    # when
    events.put_events(Entries=[{**entry, "DetailType": "OrderConfirmed"}])

    # then
    (line, *_) = eventually(lambda: shop.log("NotificationFunction", f"traced-{root}"), len)
    assert line["xray_trace_id"] == root
    trace = eventually(lambda: xray_of(shop, root), lambda trace: trace)
    assert ways(trace) == [("notification",)]
    assert trace.segments[0].document["parent_id"] == "53995c3f42cd8ad8"


def make_trace(shop, order, **variables):
    return subprocess.run(
        [sys.executable, "-m", "ops", "trace", order],
        cwd=ROOT,
        env=shop.cloud.environment() | {"STACK_NAME": shop.stack.name} | variables,
        capture_output=True,
        text=True,
    )


def test_an_order_that_is_not_sampled_is_not_traced_and_make_trace_says_so(shop):
    # given a caller whose own tracing has decided that this request is not sampled
    headers = {"X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"}
    body = {"productId": shop.stocked(1), "quantity": 1}
    order = shop.call("POST", "/orders", body, key=shop.key(), headers=headers).body["orderId"]
    assert shop.until(order, "CONFIRMED")

    # when
    refused = make_trace(shop, order)

    # then
    assert root_of(shop, order) == "1-5759e988-bd862e3fe1be46a994272793"
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: order {order} was not sampled: ")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("order", "variables", "error"),
    [
        ("no-such-order", {}, "stack eventflow has no order no-such-order: is that its whole id?"),
        ("", {}, "which order? name it by its id: make trace ORDER=..."),
    ],
)
def test_what_make_trace_cannot_draw_is_one_line(shop, order, variables, error):
    refused = make_trace(shop, order, **variables)
    assert refused.returncode == 1
    assert refused.stderr == f"error: {error}\n"


def test_without_an_x_ray_make_trace_says_what_to_do(shop):
    order = shop.place(shop.stocked(1))
    for endpoint in (shop.cloud.endpoint, "http://127.0.0.1:9"):
        refused = make_trace(shop, order, AWS_ENDPOINT_URL_XRAY=endpoint)
        assert refused.stderr == "error: X-Ray does not run here: `make up` starts it, then `. .local/env`\n"


def test_x_ray_is_found_again_and_if_it_dies_is_started_on_the_port_that_functions_send_to(tmp_path):
    try:
        # given
        daemon = xray.start(tmp_path)
        first = xray.endpoint(tmp_path)

        # then it is kept
        assert xray.start(tmp_path, daemon) == daemon
        assert xray.endpoint(tmp_path) == first

        # when it dies
        os.kill(json.loads((tmp_path / "xray.pid").read_text())["pid"], signal.SIGKILL)
        eventually(lambda: xray.endpoint(tmp_path), lambda endpoint: endpoint is None)

        # then it is started again
        assert xray.start(tmp_path, daemon) == daemon
        assert xray.endpoint(tmp_path)
    finally:
        xray.stop(tmp_path)
    assert xray.endpoint(tmp_path) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", daemon))
