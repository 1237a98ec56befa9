"""What an order costs, and where the limits are: how calls are counted and priced, and that documents say the same."""

from dataclasses import fields, replace

import pytest

from benchmarks import scale, stock_row
from benchmarks.cost import document
from benchmarks.tables import DOCS, with_tables
from cost import bill as bills
from cost.bill import bill, by_guarantee, by_service, dollars, without_timeline
from cost.prices import PRICES
from cost.records import recorded_tallies
from cost.tally import Tally, tallied
from cost.weight import weight, write_units

from ..sam_template import ALL_FUNCTIONS, TEMPLATE

RECORDED = recorded_tallies()
CONFIRMED = RECORDED["confirmed"]

NAMED = {"eventflow-Orders": "OrdersTable", "eventflow": "EventBus", "eventflow-relay": "RelayFunction"}


def call(service, operation, resource, **more):
    return {"service": service, "operation": operation, "resource": resource, **more}


# Counting


def test_calls_are_added_up_for_one_order():
    # given the calls of two orders
    calls = [
        call("apigateway", "POST", "eventflow", bytes=300),
        call("dynamodb", "PutItem", "eventflow-Orders", write=0.5, index={"byUser": 2.0}, call=True),
        call("dynamodb", "PutItem", "eventflow-Orders", write=0.5, index={}, call=False),  # of the same transaction
        call("dynamodb", "GetItem", "eventflow-Orders", read=0.5, through=""),
        call("dynamodb", "Query", "eventflow-Orders", read=1.5, through="byUser"),
        call("lambda", "Begin", "eventflow-relay", mark="1"),
        call("lambda", "Invoke", "eventflow-relay", traced=True, lines=[74, 100], naming_traces=1, platform=False),
        call("lambda", "End", "eventflow-relay", mark="1"),
    ]

    # when
    tally = tallied(calls * 2, 2, NAMED, {"OrdersTable": 4000})

    # then
    assert (tally.requests, tally.answered_bytes) == (1, 300)
    assert tally.writes == {"OrdersTable": 1, "OrdersTable/byUser": 2}
    assert tally.reads == {"OrdersTable": 0.5, "OrdersTable/byUser": 1.5}
    assert (tally.invocations, tally.batches) == ({"RelayFunction": 1}, 1)
    assert (tally.log_lines, tally.log_bytes, tally.platform_bytes) == (2, 74 + 100 + 2 * 26, 0)
    assert tally.kept_bytes == {"OrdersTable": 2000}
    assert tally.calls == 3, "what a function asked other services"


@pytest.mark.parametrize(("size", "entries"), [(1, 1), (65_536, 1), (65_537, 2), (200_000, 4)])
def test_an_event_is_billed_by_the_64_kb_that_are_begun(size, entries):
    assert tallied([call("events", "PutEvents", "eventflow", bytes=size)], 1, NAMED, {}).entries == entries


def test_what_aws_says_on_the_default_bus_is_free():
    assert tallied([call("events", "PutEvents", "default", bytes=100)], 1, NAMED, {}).entries == 0


def test_lambdas_own_lines_count_where_it_writes_them():
    invoked = call("lambda", "Invoke", "eventflow-relay", traced=False, lines=[], naming_traces=0, platform=True)
    assert 300 < tallied([invoked], 1, NAMED, {}).platform_bytes < 600


def test_a_row_weighs_what_dynamodb_says():
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    assert weight({"id": {"S": "é"}, "n": {"N": "-1234"}, "l": {"L": [{"BOOL": True}]}}) == 4 + 5 + 6
    assert write_units({"x": {"S": "a" * 1023}}) == 1
    assert write_units({"x": {"S": "a" * 1024}}) == 2


# Pricing


def test_every_price_has_a_source_and_is_used():
    assert all(price.dollars > 0 and price.source.startswith("https://aws.amazon.com/") for price in PRICES.values())
    used = {item.price for tally in RECORDED.values() for item in bill(tally)}
    elsewhere = {
        "stored",
        "recoverable",
        "in the archive",
        "in the log",
        "alarm",
        "metric",
        "dashboard",
        "PutMetricData",
    }
    assert used | elsewhere == PRICES.keys()


def test_a_bill_is_the_same_by_service_and_by_guarantee():
    for tally in RECORDED.values():
        items = bill(tally)
        assert sum(by_service(items).values()) == pytest.approx(dollars(items))
        assert sum(by_guarantee(items).values()) == pytest.approx(dollars(items))


def test_every_function_has_the_memory_that_is_priced():
    assert TEMPLATE["Globals"]["Function"]["MemorySize"] == bills.MEMORY_GB * 1024
    assert {it["MemorySize"] for it in ALL_FUNCTIONS.values() if "MemorySize" in it} <= {512}


def test_the_bill_of_an_order_is_no_higher_than_when_it_was_last_cut():
    at_a_rate = document.batched(CONFIRMED)
    assert dollars(without_timeline(bill(CONFIRMED))) <= 26.00
    assert dollars(without_timeline(bill(at_a_rate))) <= 25.10
    # one write unit and half a read unit a delivery for Powertools' record, and nothing for what can be left out
    assert CONFIRMED.writes["IdempotencyTable"] == 6
    assert CONFIRMED.reads["IdempotencyTable"] == 3
    assert CONFIRMED.writes["OrdersTable/byUser"] == 1
    assert CONFIRMED.writes["OrdersTable"] == 3
    assert CONFIRMED.reads["OrdersTable"] == 2
    assert "PaymentsTable" not in CONFIRMED.reads
    assert CONFIRMED.batches == 0
    assert CONFIRMED.platform_bytes == 0


def test_what_the_levers_save_is_what_the_bill_fell_by():
    table = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in document.levers(CONFIRMED).splitlines()[2:]
    ]
    *parts, (_, before, now, saved) = table
    for column, whole in enumerate((before, now, saved), start=1):
        assert sum(float(part[column]) for part in parts) == pytest.approx(float(whole), abs=0.05), "rounded"
    assert float(now) == pytest.approx(dollars(without_timeline(bill(CONFIRMED))), abs=0.01)


def test_no_part_of_the_bill_is_of_two_levers():
    for item in without_timeline(bill(CONFIRMED)):
        assert sum(of(item) for of in document.LEVERS.values()) <= 1, item.what


def test_what_operators_run_does_not_need_the_benchmarks():
    for file in (DOCS.parent / "ops").rglob("*.py"):
        assert "benchmarks" not in file.read_text(), file


def test_under_load_relay_costs_less_and_everything_else_as_much():
    def others(tally):
        return {
            name: sum_ for name, sum_ in by_guarantee(bill(tally)).items() if name not in (bills.OUTBOX, bills.TRACES)
        }

    batched = document.batched(CONFIRMED, 100)
    assert others(batched) == pytest.approx(others(CONFIRMED))
    assert batched.invocations["RelayFunction"] < CONFIRMED.invocations["RelayFunction"]
    assert document.batched(CONFIRMED, 0.1).invocations == CONFIRMED.invocations, "one at a time"


# Limits


def test_twice_the_orders_need_twice_as_much_or_what_a_partition_takes():
    for limit in scale.LIMITS:
        once, twice = limit.needs(CONFIRMED, 5_000), limit.needs(CONFIRMED, 10_000)
        assert twice == pytest.approx(2 * once) or limit.part in ("relay", "index of orders by user"), limit.part


def test_what_binds_first_is_found():
    rate = scale.highest_rate(CONFIRMED)
    shares = [limit.needs(CONFIRMED, rate) / limit.has for limit in scale.LIMITS]
    assert 0.9 < max(shares) <= 1


def test_one_row_takes_few_orders_ten_rows_ten_times_as_many_and_batches_the_most():
    assert stock_row.retried(20, rows=1).gave_up == 0
    assert stock_row.retried(500, rows=1).gave_up > 0.5
    assert stock_row.retried(200, rows=10).gave_up == 0
    assert stock_row.batches(2_000).p99 < 0.2
    # it is a model: the same each time
    assert stock_row.retried(100, rows=1) == stock_row.retried(100, rows=1)


# Documents


@pytest.mark.parametrize(
    ("name", "tables", "command"),
    [
        ("performance.md", lambda: document.tables(RECORDED), "make cost KEEP=1"),
        ("scale.md", lambda: scale.tables_of(CONFIRMED), "make scale"),
    ],
)
def test_a_documents_tables_are_what_the_program_writes(name, tables, command):
    text = (DOCS / name).read_text()
    assert with_tables(text, tables()) == text, f"run {command}"


def test_a_table_that_has_no_place_is_an_error():
    with pytest.raises(KeyError, match="nowhere"):
        with_tables("<!-- here: written by `make` -->\n<!-- end -->", {"nowhere": "|"})


def test_a_record_is_read_as_it_was_kept():
    assert Tally(**CONFIRMED.as_json()) == CONFIRMED
    assert {field.name for field in fields(Tally)} == CONFIRMED.as_json().keys()
    assert replace(CONFIRMED, requests=2).as_json()["requests"] == 2
