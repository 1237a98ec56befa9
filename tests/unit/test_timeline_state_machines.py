"""The add-on's state machines, as their files say them: what they may cost at most, and what becomes of a failure."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from timeline.sagas import listing_of

from ..sam_template import STATE_MACHINES, attribute, definition, walk
from .keeper import MOST_BYTES, given_up, judged, kept, row_of, size

State = dict[str, Any]
Path = tuple[str, ...]

ACTIONS = {
    "arn:aws:states:::dynamodb:putItem": "dynamodb:PutItem",
    "arn:aws:states:::dynamodb:updateItem": "dynamodb:UpdateItem",
    "arn:aws:states:::aws-sdk:dynamodb:query": "dynamodb:Query",
    "arn:aws:states:::sqs:sendMessage": "sqs:SendMessage",
    "arn:aws:states:::aws-sdk:cloudwatch:putMetricData": "cloudwatch:PutMetricData",
}
"""Which permission a task needs: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html"""

WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem"}

KEEPER = definition("Keeper")
(BRANCH,) = KEEPER["States"]["Try"]["Branches"]


def followers(state: State) -> set[str]:
    """Every state that may come next, on its level and not within it."""
    own = list(walk({name: it for name, it in state.items() if name != "Branches"}))
    return {it[name] for it in own for name in ("Next", "Default") if name in it}


def paths(machine: State, name: str | None = None) -> Iterator[Path]:
    """Every way through a state machine, by the names of its states. It has no loops, or this would not end."""
    name = name or machine["StartAt"]
    following = followers(machine["States"][name])
    if not following:
        yield (name,)
    for following_name in following:
        yield from ((name, *rest) for rest in paths(machine, following_name))


def tasks(machine: State) -> list[State]:
    return [state for state in walk(machine) if state.get("Type") == "Task"]


def longest(state: State) -> float:
    """For how many seconds a state can go on: every attempt times out, and every pause between is as long as can be."""
    if state["Type"] == "Parallel":
        return max(longest_way(branch) for branch in state["Branches"])
    if state["Type"] != "Task":
        return 0
    pauses = [
        retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt
        for retrier in state.get("Retry", [])
        for attempt in range(retrier["MaxAttempts"])
    ]
    return float(state["TimeoutSeconds"] * (len(pauses) + 1) + sum(pauses))


def longest_way(machine: State) -> float:
    return max(sum(longest(machine["States"][name]) for name in path) for path in paths(machine))


def test_however_long_it_tries_it_has_time_left_to_send_the_event_to_the_queue():
    assert set(paths(KEEPER)) == {("Try", "Give up", "Not kept"), ("Try", "Give up", "Cut", "Not kept")}
    for way_into_the_queue in ("Give up", "Cut"):
        assert longest(KEEPER["States"][way_into_the_queue]) >= 6
    assert longest_way(KEEPER) < KEEPER["TimeoutSeconds"] == 60


def test_whatever_fails_ends_in_the_queue_with_the_reason():
    assert KEEPER["StartAt"] == "Try"
    (caught,) = KEEPER["States"]["Try"]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Give up")
    # nothing that could fail stands outside
    assert {name for name, state in KEEPER["States"].items() if state["Type"] == "Task"} == {"Give up", "Cut"}
    # within, nothing is caught but a cut event that is there whole, and a summary older than the one that is there
    within = {name: it["Catch"] for name, it in BRANCH["States"].items() if "Catch" in it}
    refused_write = {"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"]}
    assert within == {
        "Keep": [refused_write | {"Output": {}, "Next": "Of a saga?"}],
        "Summarise": [refused_write | {"Next": "Kept"}],
    }
    # without trying it again
    assert all(BRANCH["States"][name]["Retry"][0] == refused_write | {"MaxAttempts": 0} for name in within)
    # and what cannot be sent as it is, is sent cut
    (refused,) = KEEPER["States"]["Give up"]["Catch"]
    assert (refused["ErrorEquals"], refused["Next"]) == (["States.ALL"], "Cut")


def test_an_event_costs_two_writes_at_most():
    ways = set(paths(BRANCH))
    writes = [sum(ACTIONS.get(BRANCH["States"][name].get("Resource")) in WRITES for name in way) for way in ways]
    assert max(writes) == 2
    # one that is of no saga costs one
    assert min(writes) == 1
    assert all("Keep" in way for way in ways)


def test_a_summary_is_never_replaced_by_one_of_fewer_events():
    summarise = BRANCH["States"]["Summarise"]["Arguments"]
    # (of a saga that is cut, the number of events stays, and its newest moves on)
    assert summarise["ConditionExpression"] == (
        "attribute_not_exists(events) OR events < :events OR (events = :events AND lastAt <= :lastAt)"
    )
    # and it is made from what has surely been written
    looks = [state for state in tasks(BRANCH) if state["Resource"].endswith(":query")]
    assert [look["Arguments"]["ConsistentRead"] for look in looks] == [True, True]


def test_a_task_that_was_throttled_tries_again_and_one_that_hangs_is_given_up():
    for task in tasks(BRANCH):
        assert task["TimeoutSeconds"] <= 2
        *_, retrier = task["Retry"]
        assert {"States.TaskFailed", "States.Timeout"} == set(retrier["ErrorEquals"])
        assert retrier["MaxAttempts"] >= 2
        assert retrier["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_a_state_machine_may_do_what_its_tasks_do_and_nothing_else(machine):
    properties = STATE_MACHINES[machine]
    needed = {ACTIONS[task["Resource"]] for task in tasks(definition(machine))}
    allowed = [
        action
        for policy in properties["Policies"]
        for statement in policy.get("Statement", [])
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    ]
    assert sorted(allowed) == sorted(needed)
    assert not {action for action in needed if action.startswith(("events:", "lambda:"))}


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_a_state_machine_is_given_what_its_file_asks_for_and_nothing_else(machine):
    text = json.dumps(definition(machine))
    asked_for = set(re.findall(r"\$\{(\w+)\}", text))
    assert asked_for == STATE_MACHINES[machine]["DefinitionSubstitutions"].keys()
    assert definition(machine)["QueryLanguage"] == "JSONata"


@pytest.mark.parametrize("machine", STATE_MACHINES)
def test_a_state_machine_is_an_express_one_that_is_traced_and_logs_no_event(machine):
    properties = STATE_MACHINES[machine]
    assert properties["Type"] == "EXPRESS"
    assert properties["Tracing"] == {"Enabled": True}
    logging = properties["Logging"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ({"Ref": "LogLevel"}, False)
    assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": attribute("Log")}}]
    # what a role that logs must be allowed
    assert {"Ref": "LogDelivery"} in properties["Policies"]


# What it makes of an event


def event(detail: State, source: str = "eventflow.orders") -> State:
    """As EventBridge hands it to the state machine."""
    return {
        "version": "0",
        "id": "e-1",
        "source": source,
        "detail-type": "OrderCreated",
        "time": "2026-11-20T12:00:00Z",
        "detail": detail,
    }


LARGEST = {
    "of plain text": {"orderId": "o", "text": "x" * 239_000},
    "that doubles when it is escaped": {"orderId": "o", "text": '"' * 119_000},
    "of three bytes a character": {"orderId": "o", "text": "漢" * 79_000},
    "of four bytes a character": {"orderId": "o", "text": "😀" * 59_000},
    "in its id": {"orderId": "o", "metadata": {"eventId": "x" * 239_000}},
    "in its user": {"orderId": "o", "userId": "x" * 239_000},
    "in its correlation id": {"metadata": {"correlationId": "x" * 239_000}},
    "in its cause": {"orderId": "o", "metadata": {"causationId": '"' * 119_000}},
    # every field as long as it is kept, of characters that take six bytes each as JSON
    "in all its fields": {
        "text": "x" * 228_000,
        "userId": "\x01" * 128,
        "metadata": {"eventId": "\x01" * 1_200, "correlationId": "\x01" * 256, "causationId": "\x01" * 20},
    },
}


@pytest.mark.parametrize("detail", LARGEST.values(), ids=LARGEST)
def test_an_event_as_large_as_it_can_come_holds_no_state_that_nobody_could_catch(detail):
    assert size(event(detail)) < MOST_BYTES

    variables, write = kept(event(detail))

    assert size(write) <= MOST_BYTES
    assert all(size(it) <= MOST_BYTES for it in variables.values())
    assert row_of(write)["type"] == {"S": "OrderCreated"}


def test_of_an_event_that_is_too_large_to_be_kept_whole_it_keeps_what_led_to_it():
    cause = {"causationId": "e-0", "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"}
    _, write = kept(event({"orderId": "o", "text": '"' * 119_000, "metadata": cause}))
    detail = json.loads(row_of(write)["detail"]["S"])
    assert (detail.pop("tooLarge"), detail) == ("more than 240,000 bytes as they would be kept", {"metadata": cause})
    assert row_of(write)["sagaId"] == {"S": "saga#o"}


def test_any_other_event_is_kept_as_it_is_but_for_personal_data():
    detail = {
        "orderId": "o",
        "text": 'a "quoted" word',
        "lines": [{"n": 1, "shipping": {"name": "Ada"}}],
        "metadata": {},
    }
    _, write = kept(event(detail))
    assert json.loads(row_of(write)["detail"]["S"]) == {**detail, "lines": [{"n": 1}]}


@pytest.mark.parametrize(
    ("source", "owners", "owner"),
    [
        ("eventflow.orders", "eventflow.", {"userId": {"S": "ada"}}),
        ("eventflow.basket", "shop.,eventflow.", {"userId": {"S": "ada"}}),
        # a partner, or anyone else on the bus, cannot show a stranger's order to somebody
        ("microservice_x", "eventflow.", {}),
        ("fraud-detection", "eventflow.", {}),
        ("not.eventflow.orders", "eventflow.", {}),
        # a bus of others has others to say it
        ("acme.depot", "acme.", {"userId": {"S": "ada"}}),
        ("acme.depot", "", {"userId": {"S": "ada"}}),
    ],
)
def test_whose_a_saga_is_the_owners_sources_say_and_nobody_else(source, owners, owner):
    _, write = kept(event({"orderId": "o", "userId": "ada"}, source), OwnerSources=owners)
    assert {name: it for name, it in row_of(write).items() if name == "userId"} == owner


@pytest.mark.parametrize("character", ["x", "ü", "漢", "😀"])
@pytest.mark.parametrize("length", [1, 250, 252, 253, 254, 256, 257, 299])
def test_no_key_of_a_saga_is_longer_than_dynamodb_takes(character, length):
    saga = character * length

    _, write = kept(event({"orderId": saga}))

    # partition keys take 2,048 bytes, sort keys 1,024 (DynamoDB Developer Guide, "Constraints")
    partition = row_of(write)["sagaId"]["S"]
    assert len(partition.encode()) <= 2048
    if partition == f"saga#{saga}":
        assert len(listing_of(0, saga).encode()) <= 1024, "its summary could never be written"
    else:
        assert partition == "unplaced#2026-11-20#1"  # by the last character of the event's id
    assert (partition == f"saga#{saga}") == (length <= (256 if character == "x" else 252))


@pytest.mark.parametrize(
    ("number", "partition"),
    [
        (4711, "saga#4711"),
        (999_999_999_999_999, "saga#999999999999999"),
        (1_000_000_000_000_001, "unplaced#2026-11-20#1"),
        (12_345_678_901_234_567, "unplaced#2026-11-20#1"),
        (-12_345_678_901_234_567, "unplaced#2026-11-20#1"),
    ],
)
def test_a_number_is_the_id_of_a_saga_unless_it_would_lose_digits(number, partition):
    _, write = kept(event({"orderId": number}))
    assert row_of(write)["sagaId"] == {"S": partition}


# What it leaves in the queue


WHOM = {"firstName": "Ada", "email": "ada@example.com", "address": "12 St James's Square"}


@pytest.mark.parametrize("time", ["2026-11-20T12:00:00Z", "not a time"])
def test_what_is_not_to_be_kept_is_not_kept_in_the_failed_events_queue_either(time):
    # given a checkout that says whom it is for, here and there
    detail = {"checkoutId": "o", "shipping": WHOM, "lines": [{"n": 1, "shipping": WHOM}], "metadata": {}}
    checked_out = {**event(detail), "time": time, "resources": ["r"]}

    # when the state machine gives it up
    sent = given_up(checked_out)

    # then all of it is in the queue but that
    record = sent["MessageBody"]
    assert sent["QueueUrl"] == "queue"
    assert record["requestPayload"] == {
        **checked_out,
        "detail": {"checkoutId": "o", "lines": [{"n": 1}], "metadata": {}},
    }
    assert record["requestContext"]["functionArn"] == "keeper-1"
    assert record["responsePayload"] == {"errorType": "DynamoDB.Throttled", "errorMessage": "why"}
    # and it makes the same row when it is sent again
    if time != "not a time":
        assert kept(record["requestPayload"]) == kept(checked_out)


def test_the_time_of_an_event_is_no_field_of_its_detail():
    sent = given_up(event({"orderId": "o", "time": "secret", "id": "secret"}), OmittedFields="time,id")
    assert sent["MessageBody"]["requestPayload"] == event({"orderId": "o"})


METADATA = {
    "eventId": "e-7",
    "occurredAt": 1_795_176_000_123,
    "correlationId": "o",
    "causationId": "e-6",
    "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
}

DAY = 86_400_000
YEAR = 365 * DAY


NOW = int(datetime.fromisoformat(event({})["time"]).timestamp() * 1000)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (NOW - 9 * YEAR, NOW - 9 * YEAR),
        (NOW + YEAR, NOW + YEAR),
        (1.5, 1),
        (0, 0),
        ("2026-01-31T12:00:00Z", 1_769_860_800_000),
        ("2026-01-31T12:00:00.250+01:00", 1_769_857_200_250),
        *((it, NOW) for it in (-1, 10**13, 1e308, True, [], "", "2026-01-31", "2026-01-31T12:00:00Z and more")),
        *((it, NOW) for it in ("9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z", "2026-77-01T00:00:00Z")),
    ],
)
def test_a_time_that_cannot_be_an_events_is_replaced_by_eventbridges(said, at):
    _, write = kept(event({"orderId": "o", "metadata": {**METADATA, "occurredAt": said}}))
    assert row_of(write)["occurredAt"] == {"N": str(at)}


@pytest.mark.parametrize("years", [0, 3, 5, 50])
def test_a_row_of_long_ago_expires_at_a_time_at_which_dynamodb_still_deletes_it(years):
    # it never deletes what expired more than five years ago (Developer Guide, "Before you start using TTL")
    _, write = kept(event({"orderId": "o", "metadata": {**METADATA, "occurredAt": NOW - years * YEAR}}))
    expires = int(row_of(write)["expiresAt"]["N"]) * 1000
    assert expires > NOW - 4.5 * YEAR
    assert years > 3 or expires == NOW - years * YEAR + 90 * DAY


TOO_LARGE = {
    "by its length": {"text": "x" * 239_950},
    "by its characters": {"text": "漢" * 79_000},
}


@pytest.mark.parametrize("more", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_event_too_large_for_the_queue_is_in_it_cut_to_what_its_place_needs(more):
    # given
    detail = {"orderId": "o", "userId": "ada", "shipping": WHOM, "metadata": METADATA}

    # when
    record = given_up(event({**detail, **more}))["MessageBody"]

    # then it says so, and why it failed at all
    assert size(record) < MOST_BYTES
    assert record["responsePayload"]["errorType"] == "DynamoDB.Throttled"
    assert record["responsePayload"]["errorMessage"].startswith("why (The event is cut here")
    cut = record["requestPayload"]
    assert cut["detail"].pop("cut").endswith("States.QueryEvaluationError")
    assert cut == event({"orderId": "o", "userId": "ada", "metadata": METADATA})
    # and sent again, it has its place
    _, write = kept(cut)
    place = f"{METADATA['occurredAt']}#e-7#eventflow.orders#OrderCreated"
    assert (row_of(write)["sagaId"]["S"], row_of(write)["position"]["S"]) == ("saga#o", place)
    assert row_of(write)["userId"] == {"S": "ada"}


def put(table: dict[tuple[str, str], State], write: State) -> None:
    """DynamoDB's PutItem, by its two conditions. One that is refused changes nothing."""
    key = write["Key"]["sagaId"]["S"], write["Key"]["position"]["S"]
    fulfilled = {
        "attribute_not_exists(sagaId)": key not in table,
        "attribute_not_exists(sagaId) OR attribute_exists(sagaId)": True,
    }
    if fulfilled[write["ConditionExpression"]]:
        table[key] = row_of(write)


def test_a_cut_event_that_is_sent_again_takes_nothing_from_the_whole_one():
    # given an event that was kept; then its summary failed, and the queue took it cut only
    whole = event({"orderId": "o", "userId": "ada", "text": "a \uffff b", "metadata": METADATA})
    table: dict[tuple[str, str], State] = {}
    _, write = kept(whole)
    put(table, write)
    before = dict(table)
    cut = given_up(whole, refused="Sqs.InvalidMessageContentsException")["MessageBody"]["requestPayload"]

    # when it is sent again
    _, again = kept(cut)
    put(table, again)

    # then the row is as it was
    assert table == before


def test_a_cut_event_stands_in_its_place_until_the_whole_one_comes():
    whole = event({"orderId": "o", "text": "\uffff", "metadata": METADATA})
    cut = given_up(whole, refused="Sqs.InvalidMessageContentsException")["MessageBody"]["requestPayload"]
    table: dict[tuple[str, str], State] = {}
    for it, text in ((cut, None), (whole, "\uffff"), (whole, "\uffff")):
        _, write = kept(it)
        put(table, write)
        (row,) = table.values()
        assert json.loads(row["detail"]["S"]).get("text") == text


def test_what_sqs_refuses_is_cut_and_holds_no_character_that_it_refuses():
    # given text that XML 1.0 cannot hold, here and there
    worse = {**event({"orderId": "o\uffff", "text": "\uffff"}, source="eventflow.\ufffe"), "detail-type": "Order\uffff"}

    # when SQS does not take it
    record = given_up(worse, cause="\uffff", refused="Sqs.InvalidMessageContentsException")["MessageBody"]

    # then
    assert record["requestPayload"]["detail"]["orderId"] == "o?"
    assert not {"\uffff", "\ufffe"} & set(json.dumps(record, ensure_ascii=False))
    assert "Sqs.InvalidMessageContentsException" in record["responsePayload"]["errorMessage"]


@pytest.mark.parametrize("refused", ["", "Sqs.SqsException"])
@pytest.mark.parametrize("detail", [*LARGEST.values(), {}, {"metadata": "none"}, {"orderId": [1], "metadata": []}])
def test_any_event_ends_in_the_queue_in_a_message_that_a_state_holds(detail, refused):
    sent = given_up(event(detail), cause="\x01" * 32_768, refused=refused)
    assert size(sent) <= MOST_BYTES
    assert sent["MessageBody"]["requestPayload"]["id"] == "e-1"


def test_an_error_that_gives_no_cause_ends_in_the_queue_too():
    sent = given_up(event({"orderId": "o"}), cause=None)
    assert sent["MessageBody"]["responsePayload"] == {"errorType": "DynamoDB.Throttled", "errorMessage": ""}


def test_that_something_was_redriven_moves_neither_a_sagas_end_nor_its_last_event():
    steps = ("OrderCreated", "PaymentSucceeded", "InventoryReserved", "OrderConfirmed")
    for events in (steps, (*steps, "EventRedriven"), (*steps[:2], "EventRedriven", *steps[2:])):
        summary = judged(*events)
        assert summary["ending"] == {"S": "succeeded"}
        assert summary["lastType"] == {"S": "OrderConfirmed"}
    assert judged("EventRedriven")["lastType"] == {"S": "EventRedriven"}
