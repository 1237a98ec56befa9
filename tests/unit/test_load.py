"""`make load`: what it asks, counts and draws. That it works shows a deployed stack: tests/system/test_load.py."""

from xml.etree import ElementTree

import pytest

from ops import OpsError
from ops.load import MOST_ORDERS, Wanted, plan
from ops.load.driver import Order
from ops.load.figures import percentile, summed_up
from ops.load.picture import draw


def order(at, latency=0.02, status=201, ended="CONFIRMED", saga=0.5, problem=""):
    answered = None if latency is None else at + latency
    return Order(f"o-{at}", "mug", at, answered, status, problem, ended, saga if ended else None)


@pytest.mark.parametrize(
    ("rate", "seconds", "in_flight", "told"),
    [
        (0, 60, 10, "above 0"),
        (5, -1, 10, "above 0"),
        (5, 60, 0, "above 0"),
        (float("inf"), 60, 10, "above 0"),
        (5, 3001, 10, "a token is good for an hour"),
        (MOST_ORDERS, 2, 10, "lower RATE or SECONDS"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(rate, seconds, in_flight, told):
    with pytest.raises(OpsError, match=told):
        Wanted(rate, seconds, in_flight)


def test_a_run_is_at_least_one_order():
    assert Wanted(0.1, 1, 1).orders == 1
    assert Wanted(3, 5, 1).orders == 15


@pytest.mark.parametrize(("of", "value"), [(50, 2), (75, 3), (99, 4), (100, 4), (1, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(of, value):
    assert percentile([1, 2, 3, 4], of) == value


def test_it_is_summed_up_what_was_accepted_how_long_it_took_and_how_it_ended():
    # given
    orders = [order(0), order(1, latency=0.2, ended="PAYMENT_FAILED", saga=2.0), order(2, ended="")]
    orders += [
        order(3, status=429, ended="", problem="Too many"),
        order(4, latency=1.0, status=0, ended="", problem="Timeout"),
    ]

    # then
    assert list(summed_up(orders, rate=1)) == [
        "Accepted     3 of 5 orders, 0.6 a second",
        "Latency      p50 20, p90 1000, p99 1000, most 1000 ms (of POST /orders, from when it was due)",
        "Saga         p50 0.5, p90 2.0, p99 2.0, most 2.0 s (from created to its end)",
        "Ended        1 CONFIRMED, 1 PAYMENT_FAILED, 1 still open",
        "Not accepted 1 429 Too many, 1 no answer Timeout",
    ]


def test_of_a_run_that_was_answered_nothing_it_says_so():
    lines = list(summed_up([order(0, latency=None, status=0, ended="")], rate=5))
    assert lines == ["Ended        none", "Not accepted 1 no answer "]


def test_the_picture_has_a_dot_for_each_order_and_is_well_formed():
    orders = [order(at / 10, latency=0.01 * (at + 1), status=201 if at % 5 else 500) for at in range(50)]
    svg = draw(orders, 'eventflow & "friends"')
    root = ElementTree.fromstring(svg)
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert len(root.findall("svg:circle", space)) == 2 * 50
    assert len(root.findall("svg:polyline", space)) == 4
    assert 'eventflow & "friends"' in [text.text for text in root.findall("svg:text", space)]
    assert sum(circle.attrib["fill"] == "#c53030" for circle in root.findall("svg:circle", space)) == 10


@pytest.mark.parametrize("orders", [[], [order(0)], [order(0, latency=None, status=0, ended="")]])
def test_few_orders_make_a_picture_too(orders):
    assert ElementTree.fromstring(draw(orders, "t")).tag.endswith("svg")


def test_on_aws_it_says_what_it_does_and_what_that_costs(monkeypatch):
    class At:
        name = "eventflow-prod"

        class shop:
            parameters = {"NotificationEmail": "ops@example.com"}  # noqa: RUF012

        class cloudformation:
            class meta:
                region_name = "us-east-1"

    said = plan(At(), Wanted(100, 1000, 10))
    assert "100000 orders, 100 a second" in said
    assert "stack eventflow-prod (us-east-1)" in said
    assert "ops@example.com gets 200000 e-mails" in said
    dollars = float(said.partition("about $")[2].partition(",")[0])
    assert 4 < dollars < 7
