"""make timeline, make sagas, make flow: which stack is meant, what is read of its table, and how it is drawn."""

import io
import json
import re
import sys
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from eventflow import clock
from eventflow.attributes import Attributes
from ops import OpsError
from ops import __main__ as command_line
from ops.drawing import draw
from ops.stack import Stack
from timeline import sagas
from timeline.sagas import Awaited, Ending, Event, Saga, Summary, Vocabulary, told

from .keeper import kept, row_of, summed_up
from .memory_dynamodb import MemoryDynamoDB

STARTED = 1_795_176_000_000
"""2026-11-20 12:00 UTC."""
NOW = STARTED + 960_000
PARAMETERS = {
    "EventBusName": "shop-bus",
    "GoodOutcomes": "OrderConfirmed",
    "BadOutcomes": "OrderCancelled",
    "Compensations": "PaymentSucceeded=PaymentRefunded,InventoryReserved=InventoryReleased",
    "StuckAfterSeconds": "900",
    "Buckets": "8",
}


@pytest.fixture(autouse=True)
def at_this_moment(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "STACK_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clock, "now", lambda: NOW)


# Which timeline


def listed(name: str, bus: str, *, timeline: bool = True, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    """A stack as DescribeStacks lists it: a timeline that listens to the bus, or a shop that has it."""
    outputs = {"TimelineApiUrl": "https://api"} if timeline else {"EventBusName": bus}
    return {
        "StackName": name,
        "CreationTime": clock.iso(STARTED),
        "StackStatus": status,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": "EventBusName", "ParameterValue": bus}] if timeline else [],
    }


SHOP = listed("shop", "shop-bus", timeline=False)
DEFAULT = listed("eventflow", "eventflow", timeline=False)


def meant(name: str | None, *stacks: dict[str, Any]) -> str:
    with Stubber(boto3.client("cloudformation")) as cloudformation:
        cloudformation.add_response("describe_stacks", {"Stacks": list(stacks)})
        cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": []})
        return Stack.timeline(name, cloudformation.client).name


@pytest.mark.parametrize(
    ("name", "stacks", "timeline"),
    [
        ("shop", [SHOP, listed("what-happened", "shop-bus"), listed("other", "other-bus")], "what-happened"),
        ("other", [SHOP, listed("what-happened", "shop-bus"), listed("other", "other-bus")], "other"),
        (None, [DEFAULT, listed("audit", "eventflow"), listed("other", "other-bus")], "audit"),
        (None, [listed("acme-timeline", "acme")], "acme-timeline"),
        ("shop", [SHOP, listed("one", "shop-bus"), listed("two", "shop-bus", status="DELETE_IN_PROGRESS")], "one"),
        ("shop", [SHOP, listed("shop-timeline", "shop-bus"), listed("audit", "shop-bus")], "shop-timeline"),
        (None, [DEFAULT, *(listed(it, "eventflow") for it in ("audit", "eventflow-timeline"))], "eventflow-timeline"),
    ],
)
def test_a_timeline_is_named_by_its_stack_or_by_the_stack_whose_bus_it_listens_to(name, stacks, timeline):
    assert meant(name, *stacks) == timeline


@pytest.mark.parametrize(
    ("name", "stacks", "advice"),
    [
        ("shop", [SHOP, listed("a", "shop-bus"), listed("b", "shop-bus")], r"which\? STACK_NAME=a or STACK_NAME=b"),
        (
            "shop",
            [SHOP, listed("other", "other-bus")],
            "no timeline listens to the bus of shop: .* make attach BUS=...",
        ),
        ("sohp", [SHOP, listed("a", "shop-bus")], "there is no stack sohp .*; timelines there: a"),
        (None, [listed("a", "one"), listed("b", "two")], "there is no stack eventflow .*; timelines there: a, b"),
        (None, [], "there is no stack eventflow"),
    ],
)
def test_where_none_or_several_are_meant_it_says_which_there_are(name, stacks, advice):
    with pytest.raises(OpsError, match=advice):
        meant(name, *stacks)


# What is in its table: rows as the state machine writes them


def event(
    saga: str, number: int, source: str, kind: str, at: int, cause: int | None = None, **more: str
) -> dict[str, Any]:
    metadata = {"eventId": f"{saga}-e{number}", "occurredAt": at, "correlationId": saga}
    metadata |= {"causationId": f"{saga}-e{cause}"} if cause is not None else {}
    time = "2026-11-20T12:00:00Z"
    detail = {"orderId": saga, **more, "metadata": metadata}
    return {"id": f"id-{saga}-{number}", "source": source, "detail-type": kind, "time": time, "detail": detail}


def rows_of(*events: dict[str, Any]) -> list[Attributes]:
    """Those of a saga of these events, which are in order."""
    rows = [row_of(kept(it)[1]) for it in events]
    return [*rows, summed_up(rows)["Item"]]


def keeps(db: MemoryDynamoDB, *events: dict[str, Any]) -> None:
    for row in rows_of(*events):
        db.keeps("TimelineTable", row)


def confirmed(saga: str, at: int, paid: int = 46) -> list[dict[str, Any]]:
    return [
        event(saga, 0, "eventflow.orders", "OrderCreated", at),
        event(saga, 1, "eventflow.inventory", "InventoryReserved", at + 22, 0),
        event(saga, 2, "eventflow.payment", "PaymentSucceeded", at + paid, 0),
        event(saga, 3, "eventflow.orders", "OrderConfirmed", at + paid + 9, 2),
    ]


def declined(saga: str, at: int) -> list[dict[str, Any]]:
    return [
        event(saga, 0, "eventflow.orders", "OrderCreated", at),
        event(saga, 1, "eventflow.payment", "PaymentFailed", at + 30, 0, reason="Card declined"),
        event(saga, 2, "eventflow.orders", "OrderCancelled", at + 40, 1, reason="Not paid"),
    ]


@pytest.fixture
def run(db, monkeypatch, capsys):
    """What a command writes, on the table of a deployed timeline."""
    tables = {"AWS::DynamoDB::Table": {"TimelineTable": "TimelineTable"}}
    stack = Stack("shop-timeline", parameters=PARAMETERS, resources=tables)
    monkeypatch.setattr(Stack, "timeline", classmethod(lambda cls, name, cloudformation: stack))
    monkeypatch.setattr(boto3, "client", lambda service: {"dynamodb": db}.get(service))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["ops", *arguments])
        command_line.main()
        return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())

    return run


@cache
def rows_of_shop() -> list[Attributes]:
    """Thirty orders that go well, two that are declined, one that is stuck."""
    # all that go well begin alike, so that an id is looked for in the events of each
    orders = [confirmed(f"good-{n:04}", STARTED + n * 1_000) for n in range(30)]
    orders += [declined("declined-1", STARTED + 40_000), declined("declined-2", STARTED + 41_000)]
    orders += [[event("stuck-1", 0, "eventflow.orders", "OrderCreated", STARTED + 2)]]
    return [row for order in orders for row in rows_of(*order)]


@pytest.fixture
def shop(db):
    for row in rows_of_shop():
        db.keeps("TimelineTable", dict(row))
    return db


def test_a_timeline_is_drawn_with_its_ending_and_its_reason(run, shop):
    said = run("timeline", "declined-1")
    assert "failed: Card declined (OrderCancelled after 40 ms)" in said
    assert "3 events, started 2026-11-20 12:00:40.000 UTC" in said
    assert re.search(r"2 +30 ms +30 ms +1 +payment +└ ✗ PaymentFailed: Card declined", said)
    assert json.loads(run("timeline", "declined-1", "--json"))["ending"] == "failed"


@pytest.mark.parametrize("prefix", ["declined-1", "declined-1-e1"])
def test_one_is_found_by_what_its_id_or_an_events_id_begins_with(run, shop, prefix):
    assert "Card declined" in run("timeline", prefix)


def test_several_that_begin_so_are_a_list(run, shop):
    said = run("timeline", "declin")
    assert re.findall(r"declined-\d", said) == ["declined-2", "declined-1"]
    assert "2 sagas, of 33 looked at" in said
    assert [it["id"] for it in json.loads(run("timeline", "declin", "--json"))["items"]] == ["declined-2", "declined-1"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "nothing-like-it",
            "has no saga 'nothing-like-it', and of the newest 33 none .* make replay SINCE=7d RULE=shop-t",
        ),
        ("good", "has no saga 'good': to find one, give 6 characters of its id or more"),
    ],
)
def test_one_that_is_not_there_is_answered_with_what_to_do(run, shop, text, advice):
    with pytest.raises(OpsError, match=advice):
        run("timeline", text)


def test_sagas_are_listed_newest_first_with_why(run, shop):
    said = run("sagas", "--limit", "3")
    assert re.findall(r"(?:declined|good|stuck)-\d+", said) == ["declined-2", "declined-1", "good-0029"]
    assert re.search(r"2026-11-20 12:00:41 +failed +40 ms +3 +declined-2 +OrderCancelled: Card declined", said)
    assert "There are older ones" in said


@pytest.mark.parametrize(
    ("terminal", "line"),
    [
        (True, r"^11-20 12:00:41 +failed +40 ms +3 +declined +OrderCancelled"),
        (False, r"^2026-11-20 12:00:41 +failed +40 ms +3 +declined-2 +OrderCancelled: Card declined$"),
    ],
)
def test_in_80_columns_a_list_of_sagas_keeps_what_finds_each_and_a_file_has_all_of_it(
    run, shop, monkeypatch, terminal, line
):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(Console, "is_terminal", terminal)
    said = re.sub(r"\x1b\[\d+m", "", run("sagas", "--limit", "1"))
    assert re.search(line, said, re.MULTILINE)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        (["--ending", "stuck"], ["stuck-1"]),
        (["--ending", "failed", "--type", "PaymentFailed"], ["declined-2", "declined-1"]),
        (["--service", "payment", "--since", "2026-11-20T12:00:41Z"], ["declined-2"]),
        (["--until", "2026-11-20T12:00:00.500Z"], ["stuck-1", "good-0000"]),
        (["--slower", "1m"], ["stuck-1"]),
        (["--find", "good-0007"], ["good-0007"]),
    ],
)
def test_sagas_are_listed_by_what_happened_to_them(run, shop, asked, ids):
    answer = json.loads(run("sagas", *asked, "--json"))
    assert [it["id"] for it in answer["items"]] == ids
    assert answer["read"] >= len(ids)


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        (["sagas", "--ending", "lost"], "--ending 'lost' is none: write succeeded, failed, calledOff, open, stuck"),
        (["sagas", "--slower", "soon"], r"--slower 'soon' is no duration: write 500ms, 2s or 5m \(make: SLOWER=2s\)"),
        (["sagas", "--find", "abc"], "--find 'abc' is too short"),
        (["sagas", "--limit", "0"], "--limit is from 1 to 1000, not 0"),
        (["sagas", "--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["flow", "--against", "2h"], r"--against '2h' is no span: write 2h\.\.1h"),
        (["flow", "--against", "1h..2h"], r"--against '1h\.\.2h' ends before it begins"),
        (["flow", "--width", "59"], "--width is 60 at least, not 59"),
        (["timeline", "o-1", "--width", "59"], "--width is 60 at least, not 59"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_how_to_write_it(run, asked, advice):
    with pytest.raises(OpsError, match=advice):
        run(*asked)


# Flow


def test_flow_tells_what_is_usual_and_what_is_not(run, shop):
    said = run("flow", "--width", "160")
    assert "shop-timeline: 33 sagas, 2026-11-20 12:00:00 to 2026-11-20 12:00:41 UTC" in said
    assert re.search(r"succeeded 30 \(90\.9 %\) +failed 2 \(6\.1 %\) +stuck 1 \(3\.0 %\)", said)
    assert "Those that ended took 55 ms (p50), 55 ms (p95), 55 ms (p99), 55 ms at most" in said
    # the map, the paths, what is open
    assert re.search(r"● OrderCreated of orders +33 +100\.0 % +1$", said, re.MULTILINE)
    assert re.search(r"→ PaymentSucceeded +30 +90\.9 % +46 ms +46 ms", said)
    assert re.search(
        r"█{18}\S? +90\.9 % +30 .*OrderCreated → InventoryReserved \+ PaymentSucceeded → OrderConfirmed", said
    )
    assert re.search(r"stuck-1 +stuck +2026-11-20 12:00:00 +OrderCreated", said)


def test_flow_next_to_an_earlier_time_tells_what_changed(run, db):
    for n in range(5):
        keeps(db, *confirmed(f"before-{n}", STARTED + n))
        keeps(db, *confirmed(f"after-{n}", STARTED + 60_000 + n, paid=400))
    keeps(db, *declined("after-x", STARTED + 60_009))
    window = ["--since", "2026-11-20T12:01:00Z", "--against", "2026-11-20T12:00:00Z..2026-11-20T12:01:00Z"]
    said = run("flow", *window)
    assert re.search(r"against 5 sagas", said)
    assert re.search(r"slower +46 ms +400 ms +OrderCreated → PaymentSucceeded \(p50\)", said)
    assert re.search(r"new +0\.0 % +16\.7 % +OrderCreated → PaymentFailed → OrderCancelled", said)
    answer = json.loads(run("flow", *window, "--json"))
    assert (answer["window"]["sagas"], answer["against"]["sagas"]) == (6, 5)


def test_flow_of_nothing_says_so(run, db):
    assert "None began in that time. Another: make flow SINCE=1d" in run("flow")


# A timeline, drawn


def step(event_id: str, after: int, source: str, kind: str, cause: str | None = None, **more: Any) -> Event:
    return Event(
        event_id=event_id,
        occurred_at=STARTED + after,
        source=source,
        type=kind,
        detail=json.dumps(more.pop("detail", {})),
        lane=source.rpartition(".")[2] or source,
        short_id=event_id,
        arrived_at=STARTED + after,
        causation_id=cause,
        **more,
    )


VOCABULARY = Vocabulary.of(*(PARAMETERS[name] for name in ("GoodOutcomes", "BadOutcomes", "Compensations")))


def drawn(
    *events: Event, saga_id: str = "o-1", width: int = 80, terminal: bool = False, whole: bool = True, **summary: Any
) -> str:
    """What is written of a saga that has failed, unless `summary` says otherwise, sixteen minutes after its start."""
    ended = {"ending": Ending.FAILED, "outcome": "OrderCancelled", "events": len(events)}
    times = {"listing": f"{STARTED:013}#o-1", "last_at": events[-1].occurred_at, "last_type": events[-1].type}
    saga = Saga(Summary(saga_id=f"saga#{saga_id}", **{**times, **ended, **summary}), events, whole)
    return drawing(told(saga, VOCABULARY, NOW, 900_000), width, terminal)


def drawing(timeline: sagas.Timeline, width: int = 80, terminal: bool = False) -> str:
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    draw(timeline, console)
    return "\n".join(line.rstrip() for line in said.getvalue().splitlines())


FAILED = (
    step("e1", 0, "eventflow.orders", "OrderCreated"),
    step("e2", 120, "eventflow.inventory", "InventoryFailed", "e1", reason="Out of stock"),
    step("e3", 200, "eventflow.payment", "PaymentSucceeded", "e1"),
    step("e4", 260, "eventflow.orders", "OrderCancelled", "e2"),
    step("e5", 400, "eventflow.payment", "PaymentRefunded", "e4"),
)

DRAWN = """\
o-1
failed: Out of stock: matcha (OrderCancelled after 400 ms)
5 events, started 2026-11-20 12:00:00.000 UTC

              0 ms            100 ms          200 ms         300 ms       400 ms
orders        ●                  ━━━━━━━━━━━━━━━━━━━━━━◎
inventory     ━━━━━━━━━━━━━━━━━━━✗
payment       ────────────────────────────────●        ━━━━━━━━━━━━━━━━━━━━━━◆
              ● step   ◎ outcome   ✗ failure   ◆ compensation   ━ critical path

   #  offset     gap  from  service    event
━  1    0 ms                orders     ● OrderCreated
━  2  120 ms  120 ms     1  inventory  └ ✗ InventoryFailed: Out of stock
   3  200 ms  200 ms     1  payment    └ ● PaymentSucceeded
━  4  260 ms  140 ms     2  orders       └ ◎ OrderCancelled
━  5  400 ms  140 ms     4  payment        └ ◆ PaymentRefunded"""


def test_it_is_drawn_as_the_console_draws_it():
    assert drawn(*FAILED, reason="Out of stock: matcha") == DRAWN


@pytest.mark.parametrize(
    ("summary", "fate"),
    [
        ({}, "failed (OrderCancelled after 400 ms)"),
        ({"ending": Ending.SUCCEEDED, "outcome": "OrderConfirmed"}, "succeeded (OrderConfirmed after 400 ms)"),
        ({"ending": Ending.CALLED_OFF}, "called off (OrderCancelled after 400 ms)"),
        ({"ending": None, "listing": f"{STARTED + 900_000:013}#o-1"}, "open (for 1 min, last PaymentRefunded)"),
        ({"ending": None, "reason": "Why"}, "stuck: Why (for 16 min, last PaymentRefunded)"),
    ],
)
def test_its_fate_comes_first(summary, fate):
    assert drawn(*FAILED, **summary).splitlines()[1] == fate


def test_what_a_consumer_gave_up_on_is_said_first_and_what_came_of_it():
    exception = {"function": "shop-Payment", "exception": "ValidationError: no total", "attempts": 3}
    gave_up = step("r1", 90, "lambda", "OrderCreated", "e1", gave_up=True, detail=exception)
    gave_up = Event(**{name: getattr(gave_up, name) for name in Event.__struct_fields__} | {"lane": "payment"})
    redriven = step(
        "d1", 5_000, "eventflow.operations", "EventRedriven", "e1", detail={"service": "payment", "outcome": "handled"}
    )
    line = "✗ payment could not handle OrderCreated: ValidationError: no total (3 attempts"
    said = drawn(FAILED[0], gave_up, ending=None, width=100)
    assert f"{line})" in said
    assert re.search(r"payment +! gave up on OrderCreated|payment +└ ! gave up on OrderCreated", said)
    assert "! gave up" in said
    assert f"{line}, redriven 12:00:05: handled)" in drawn(FAILED[0], gave_up, redriven, ending=None, width=140)


def test_a_cause_that_was_not_kept_is_said_to_be_missing():
    said = drawn(FAILED[0], step("e9", 9, "eventflow.fraud", "FraudCheckFailed", "who-knows"))
    assert re.search(r"2 +9 ms +\? +fraud", said)
    assert said.endswith("?: it names a cause that was not kept")


def test_a_step_with_two_causes_names_both():
    said = drawn(
        FAILED[0],
        step("e2", 20, "eventflow.inventory", "InventoryReserved", "e1"),
        step("e3", 40, "eventflow.payment", "PaymentSucceeded", "e1"),
        step("e4", 50, "eventflow.orders", "OrderConfirmed", "e3"),
    )
    assert re.search(r"4 +50 ms +10 ms +2,3 +orders +└ ◎ OrderConfirmed", said)


def test_without_causes_it_is_said_that_each_follows_the_one_before():
    said = drawn(step("e1", 0, "a", "One"), step("e2", 5, "a", "Two"))
    assert "No event says what led to it: each is drawn after the one before." in said


def test_what_it_waits_for_is_said_with_how_long_that_takes():
    summary = Summary(saga_id="saga#o", listing=f"{STARTED:013}#o", last_at=STARTED, last_type="OrderCreated", events=1)
    timeline = told(Saga(summary, FAILED[:1]), VOCABULARY, NOW, 900_000)
    waiting = sagas.Timeline(
        **{name: getattr(timeline, name) for name in sagas.Timeline.__struct_fields__ if name != "waits_for"},
        waits_for=[
            Awaited(lane="inventory", type="InventoryReserved", usual_ms=22),
            Awaited(lane="payment", type="PaymentSucceeded", usual_ms=46),
        ],
    )
    line = "usually next: InventoryReserved of inventory (22 ms), PaymentSucceeded of payment (46 ms)"
    assert line in drawing(waiting, width=120)


def test_one_of_which_only_the_end_is_there_says_so():
    assert "Only the newest 5 are drawn." in drawn(*FAILED, whole=False)


def test_what_occurred_in_one_place_is_counted_there_and_listed_after():
    said = drawn(step("e1", 0, "a.b", "One"), step("e2", 0, "a.b", "Two"), step("e3", 9, "a.b", "Three"))
    assert re.search(r"^b +2[ ─]+●$", said, re.MULTILINE)
    assert re.search(r"● One.*● Two.*● Three", said, re.DOTALL)


def test_of_two_events_with_one_id_each_has_its_own_place():
    said = drawn(step("e1", 0, "a", "One", "x"), step("e1", 50, "b", "Two", "x"), step("e2", 100, "a", "Three", "x"))
    assert re.search(r"^a +● {60,}●$", said, re.MULTILINE)
    assert re.search(r"^b {40,}●$", said, re.MULTILINE)


def test_a_long_silence_is_folded():
    said = drawn(*FAILED[:2], step("e9", 3_600_000, "eventflow.payment", "PaymentRefunded", "e2"))
    assert re.search(r"^inventory +━{50,}✗ +//$", said, re.MULTILINE)
    assert re.search(r"^payment +━━//━━◆$", said, re.MULTILINE)
    assert re.search(r" 1 h$", said, re.MULTILINE)


def test_only_a_terminal_is_sent_colours():
    assert "\x1b" not in drawn(*FAILED)
    in_colour = drawn(*FAILED, terminal=True)
    assert "\x1b[1;33m◆" in in_colour
    assert re.sub(r"\x1b\[[\d;]*m", "", in_colour).replace(" ", "") == drawn(*FAILED).replace(" ", "")


anything = st.text(min_size=1, max_size=60)


@given(
    events=st.lists(
        st.builds(step, st.sampled_from("abc"), st.integers(0, 10**7), anything, anything, st.sampled_from("abcd")),
        min_size=1,
        max_size=12,
    ),
    saga_id=anything,
    width=st.integers(60, 120),
)
def test_whatever_an_event_holds_nothing_but_its_letters_reaches_the_terminal(events, saga_id, width):
    said = drawn(*sorted(events, key=lambda it: it.occurred_at), saga_id=saga_id, width=width, reason=saga_id)
    assert all(character.isprintable() for line in said.split("\n") for character in line)
    assert all(cell_len(line) <= width for line in said.split("\n"))


def test_markup_and_control_characters_stay_what_they_are():
    said = drawn(step("e1", 0, "shop.[red]x", "[bold]a[/bold] \x1b[2J\x07 :bomb: \u202e[/]"), saga_id="[link]\x1b]0;o")
    assert said.splitlines()[0] == "[link]�]0;o"
    assert re.search(r"^\[red]x +●$", said, re.MULTILINE)
    assert "● [bold]a[/bold] �[2J� :bomb: �[/]" in said
