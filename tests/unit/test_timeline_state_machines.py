"""The add-on's state machines, as their files say them: what they may cost at most, and what becomes of a failure."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .keeper import kept, size
from .sam_template import STATE_MACHINES, attribute, definition, walk

State = dict[str, Any]
Path = tuple[str, ...]

ACTIONS = {
    "arn:aws:states:::dynamodb:putItem": "dynamodb:PutItem",
    "arn:aws:states:::aws-sdk:dynamodb:query": "dynamodb:Query",
    "arn:aws:states:::sqs:sendMessage": "sqs:SendMessage",
    "arn:aws:states:::aws-sdk:cloudwatch:putMetricData": "cloudwatch:PutMetricData",
}
"""Which permission a task needs: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html"""

WRITES = {"dynamodb:PutItem"}

KEEPER = definition("Keeper")
(BRANCH,) = KEEPER["States"]["Try"]["Branches"]


def followers(state: State) -> set[str]:
    """Every state that may come next, beside it and not within it."""
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
    assert ("Try", "Give up", "Not kept") in set(paths(KEEPER))
    assert longest(KEEPER["States"]["Give up"]) >= 2
    assert longest_way(KEEPER) < KEEPER["TimeoutSeconds"] == 30


def test_whatever_fails_ends_in_the_queue_with_the_reason():
    assert KEEPER["StartAt"] == "Try"
    (caught,) = KEEPER["States"]["Try"]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Give up")
    # nothing that could fail stands outside
    assert {name for name, state in KEEPER["States"].items() if state["Type"] == "Task"} == {"Give up"}
    # within, nothing is caught but a summary that is older than the one that is there
    within = [catcher for it in walk(BRANCH) for catcher in it.get("Catch", [])]
    assert within == [{"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "Next": "Kept"}]

    sent = KEEPER["States"]["Give up"]["Arguments"]
    assert sent["QueueUrl"] == "${FailedEvents}"
    assert sent["MessageBody"]["requestPayload"] == "{% $states.context.Execution.Input %}"
    assert set(sent["MessageBody"]["responsePayload"]) == {"errorType", "errorMessage"}


def test_an_event_costs_two_writes_at_most():
    ways = set(paths(BRANCH))
    writes = [sum(ACTIONS.get(BRANCH["States"][name].get("Resource")) in WRITES for name in way) for way in ways]
    assert max(writes) == 2
    # one that is of no saga costs one
    assert min(writes) == 1
    assert all("Keep" in way for way in ways)


def test_a_summary_is_never_replaced_by_one_of_fewer_events():
    (guarded,) = (state for state in tasks(BRANCH) if "ConditionExpression" in state["Arguments"])
    assert guarded["Arguments"]["ConditionExpression"] == "attribute_not_exists(events) OR events < :events"
    # and it is made from what has surely been written
    (look,) = (state for state in tasks(BRANCH) if state["Resource"].endswith(":query"))
    assert look["Arguments"]["ConsistentRead"] is True


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


MOST_BYTES = 256 * 1024
"""Of what a task is given, and of one variable. Beyond it Step Functions raises States.DataLimitExceeded, which
States.ALL does not catch (Step Functions Developer Guide, "Service quotas", "Handling errors").
"""

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
    assert size(variables) <= MOST_BYTES, "of two states together; Step Functions counts each Assign"
    assert write["Item"]["type"] == {"S": "OrderCreated"}


def test_of_an_event_that_is_too_large_to_be_kept_whole_it_keeps_what_led_to_it():
    cause = {"causationId": "e-0", "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"}
    _, write = kept(event({"orderId": "o", "text": '"' * 119_000, "metadata": cause}))
    detail = json.loads(write["Item"]["detail"]["S"])
    assert (detail.pop("tooLarge"), detail) == ("more than 240,000 bytes as they would be kept", {"metadata": cause})
    assert write["Item"]["sagaId"] == {"S": "saga#o"}


def test_any_other_event_is_kept_as_it_is_but_for_personal_data():
    detail = {
        "orderId": "o",
        "text": 'a "quoted" word',
        "lines": [{"n": 1, "shipping": {"name": "Ada"}}],
        "metadata": {},
    }
    _, write = kept(event(detail))
    assert json.loads(write["Item"]["detail"]["S"]) == {**detail, "lines": [{"n": 1}]}


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
    assert {name: it for name, it in write["Item"].items() if name == "userId"} == owner
