"""ops/: what the commands ask of AWS, what they say, and what they refuse."""

import io
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, NoRegionError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ops import OpsError
from ops import __main__ as command_line
from ops.axis import Axis
from ops.console import has_screen, show_consoles
from ops.drawing import duration
from ops.moments import moment
from ops.replay import Replay, Target, follow, start
from ops.stack import Stack, runs_here

from ..sam_template import ROOT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/eventflow"
ARCHIVE = "arn:aws:events:us-east-1:123456789012:archive/eventflow"
RULE = "arn:aws:events:us-east-1:123456789012:rule/eventflow/"
STACK = Stack(
    "eventflow",
    outputs={"EventBusName": "eventflow", "ArchiveArn": ARCHIVE},
    resources={
        "AWS::Events::Rule": {
            "OrdersPricesFunctionProducts": "eventflow-OrdersPrices-1A",
            "PaymentFunctionOrders": "eventflow-Payment-2B",
        }
    },
)


def replay(rule: str = "") -> Replay:
    return Replay(STACK, NOW - timedelta(hours=2), NOW, rule)


@pytest.fixture(autouse=True)
def nothing_of_the_users_own(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "STACK_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def events():
    """EventBridge, which has to be asked just what a test says."""
    with Stubber(boto3.client("events")) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def cloudformation():
    with Stubber(boto3.client("cloudformation")) as stub:
        yield stub


# Moments


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", datetime(2026, 11, 20, 11, 58, 30, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 20, 11, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 13, 12, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20 10:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_a_moment_is_so_long_ago_or_iso_8601(text, meant):
    assert moment("--since", text, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "2", "h", "-2h", "2 h", "999999d", "2026-13-01", "2h30m"])
def test_what_is_no_moment_is_refused_with_how_to_write_one(text):
    with pytest.raises(OpsError, match=r"--since .* is not a time: write 30m, 2h or 7d"):
        moment("--since", text, NOW)


def test_the_future_cannot_be_replayed():
    with pytest.raises(OpsError, match="--until 2026-11-20T12:00:01Z is in the future"):
        moment("--until", "2026-11-20T12:00:01Z", NOW)


def test_a_span_begins_before_it_ends():
    with pytest.raises(OpsError, match="--since must be before --until"):
        Replay(STACK, NOW, NOW)


# The stack


def test_a_stack_knows_its_outputs_and_parameters_and_its_resources_by_logical_id(cloudformation):
    cloudformation.add_response(
        "describe_stacks",
        {
            "Stacks": [
                {
                    "StackName": "shop",
                    "CreationTime": NOW,
                    "StackStatus": "CREATE_COMPLETE",
                    "Outputs": [{"OutputKey": "ArchiveArn", "OutputValue": ARCHIVE}],
                    "Parameters": [{"ParameterKey": "RetentionDays", "ParameterValue": "90"}],
                }
            ]
        },
        {"StackName": "shop"},
    )
    common = {"LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
    rule, table, queue, alias = (
        {**common, "ResourceType": f"AWS::{kind}"}
        for kind in ("Events::Rule", "DynamoDB::Table", "SQS::Queue", "Lambda::Alias")
    )
    cloudformation.add_response(
        "list_stack_resources",
        {
            "StackResourceSummaries": [
                {**rule, "LogicalResourceId": "OnItsBus", "PhysicalResourceId": "eventflow|shop-OnItsBus-1A"},
                {**rule, "LogicalResourceId": "Plain", "PhysicalResourceId": "shop-Plain-2B"},
                {**table, "LogicalResourceId": "Table", "PhysicalResourceId": "shop-Table-3C"},
                {**queue, "LogicalResourceId": "Queue", "PhysicalResourceId": "https://sqs/shop-Queue"},
                {**alias, "LogicalResourceId": "Aliaslive", "PhysicalResourceId": "arn:aws:lambda:::function:it:live"},
            ]
        },
    )
    stack = Stack.named("shop", cloudformation.client)
    assert stack == Stack(
        "shop",
        outputs={"ArchiveArn": ARCHIVE},
        parameters={"RetentionDays": "90"},
        resources={
            "AWS::Events::Rule": {"OnItsBus": "eventflow|shop-OnItsBus-1A", "Plain": "shop-Plain-2B"},
            "AWS::DynamoDB::Table": {"Table": "shop-Table-3C"},
            "AWS::SQS::Queue": {"Queue": "https://sqs/shop-Queue"},
            "AWS::Lambda::Alias": {"Aliaslive": "arn:aws:lambda:::function:it:live"},
        },
    )
    assert stack.rules == {"OnItsBus": "shop-OnItsBus-1A", "Plain": "shop-Plain-2B"}
    assert stack.tables == {"Table": "shop-Table-3C"}
    assert stack.queues == {"Queue": "https://sqs/shop-Queue"}
    assert stack.aliases == {"Aliaslive": "arn:aws:lambda:::function:it:live"}
    assert stack.functions == stack.state_machines == {}
    with pytest.raises(OpsError, match="stack shop has no output EventBusName"):
        stack.output("EventBusName")
    with pytest.raises(OpsError, match=r"stack shop has no table TimelineTable: is it the right stack \(the shop or"):
        stack.table("TimelineTable")


def test_of_a_deployment_under_way_only_what_exists_is_listed(cloudformation):
    # given a table that stands, one that is not made yet, one that could not be made, and one of the former version
    cloudformation.add_response("describe_stacks", {"Stacks": [shop_stack(StackStatus="UPDATE_IN_PROGRESS")]})
    table = {"LastUpdatedTimestamp": NOW, "ResourceType": "AWS::DynamoDB::Table"}
    cloudformation.add_response(
        "list_stack_resources",
        {
            "StackResourceSummaries": [
                {**table, "LogicalResourceId": "A", "PhysicalResourceId": "a", "ResourceStatus": "UPDATE_COMPLETE"},
                {**table, "LogicalResourceId": "B", "ResourceStatus": "CREATE_IN_PROGRESS"},
                {**table, "LogicalResourceId": "C", "PhysicalResourceId": "", "ResourceStatus": "CREATE_FAILED"},
                {**table, "LogicalResourceId": "D", "PhysicalResourceId": "d", "ResourceStatus": "DELETE_COMPLETE"},
            ]
        },
    )
    # then
    assert Stack.named("shop", cloudformation.client).tables == {"A": "a"}


def test_a_stack_that_is_not_there_is_named_with_where_it_was_looked_for(cloudformation):
    cloudformation.add_client_error("describe_stacks", "ValidationError", "Stack with id shop does not exist")
    with pytest.raises(OpsError, match="no stack shop in us-east-1: name it by --stack-name"):
        Stack.named("shop", cloudformation.client)


def described(name, bus, *, timeline=True, status="UPDATE_COMPLETE"):
    """A stack that listens to `bus`, as DescribeStacks lists it."""
    outputs = [{"OutputKey": "TimelineApiUrl", "OutputValue": "https://api"}] if timeline else []
    parameters = [{"ParameterKey": "EventBusName", "ParameterValue": bus}]
    return {
        "StackName": name,
        "CreationTime": NOW,
        "StackStatus": status,
        "Outputs": outputs,
        "Parameters": parameters,
    }


def shop_stack(**more):
    outputs = [{"OutputKey": "EventBusName", "OutputValue": "shop-bus"}]
    return {"StackName": "shop", "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs, **more}


def with_timelines(cloudformation, *pages):
    """The names of the stacks found, when DescribeStacks answers with these pages."""
    for number, page in enumerate(pages, start=1):
        more = {} if number == len(pages) else {"NextToken": str(number)}
        cloudformation.add_response("describe_stacks", {"Stacks": list(page), **more})
    for _ in range(3):
        cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": []})
    return [stack.name for stack in Stack.with_timelines("shop", cloudformation.client)]


def test_every_timeline_that_listens_to_the_stacks_bus_is_found_whatever_it_is_called(cloudformation):
    assert with_timelines(
        cloudformation,
        [described("what-happened", "shop-bus"), described("other-timeline", "other-bus")],
        [shop_stack(), described("audit", "shop-bus"), described("fraud-detection", "shop-bus", timeline=False)],
    ) == ["shop", "audit", "what-happened"]


def test_a_stack_called_timeline_that_listens_to_another_bus_is_none_of_its_timelines(cloudformation):
    assert with_timelines(cloudformation, [shop_stack(), described("shop-timeline", "other-bus")]) == ["shop"]


def test_a_timeline_that_is_being_deleted_is_left_out(cloudformation):
    leaving = described("shop-timeline", "shop-bus", status="DELETE_IN_PROGRESS")
    assert with_timelines(cloudformation, [shop_stack(), leaving]) == ["shop"]


def test_a_stack_without_a_bus_of_its_own_has_no_timelines(cloudformation):
    assert with_timelines(cloudformation, [shop_stack(Outputs=[]), described("shop-timeline", "shop-bus")]) == ["shop"]


def test_without_the_stack_itself_it_is_said_where_it_was_looked_for(cloudformation):
    with pytest.raises(OpsError, match="no stack shop in us-east-1: name it by --stack-name"):
        with_timelines(cloudformation, [described("shop-timeline", "shop-bus")])


@pytest.mark.parametrize(
    ("endpoint", "here"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("http://aws.localhost:4566", True),
        ("https://events.us-east-1.amazonaws.com", False),
        ("https://localhost.example.com", False),
        (None, False),
    ],
)
def test_only_an_endpoint_on_this_machine_is_the_embedded_cloud(endpoint, here):
    assert runs_here(boto3.client("events", endpoint_url=endpoint)) == here


# A replay's target


def expect_rules(events: Stubber) -> None:
    events.add_response("describe_event_bus", {"Arn": BUS}, {"Name": "eventflow"})
    names = ["eventflow-OrdersPrices-1A", "eventflow-Payment-2B", "fraud-Orders-3C"]
    rules = [{"Name": name, "Arn": RULE + name} for name in names]
    first, others = rules[:1], [*rules[1:], {"Name": "Events-Archive-x", "Arn": RULE, "ManagedBy": "prod.vhs"}]
    events.add_response("list_rules", {"Rules": first, "NextToken": "more"}, {"EventBusName": "eventflow"})
    events.add_response("list_rules", {"Rules": others}, {"EventBusName": "eventflow", "NextToken": "more"})


def test_without_a_rule_it_goes_to_the_bus(events):
    events.add_response("describe_event_bus", {"Arn": BUS}, {"Name": "eventflow"})
    assert replay().target(events.client) == Target(BUS)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        pytest.param("OrdersPricesFunctionProducts", "eventflow-OrdersPrices-1A", id="by logical id"),
        pytest.param("eventflow-Payment-2B", "eventflow-Payment-2B", id="by name"),
        pytest.param("fraud-Orders-3C", "fraud-Orders-3C", id="an add-on's"),
    ],
)
def test_a_rule_goes_by_its_logical_id_or_its_name(events, rule, name):
    expect_rules(events)
    assert replay(rule).target(events.client) == Target(BUS, RULE + name)


@pytest.mark.parametrize("rule", ["PaymentFunction", "Events-Archive-x"])
def test_an_unknown_rule_is_answered_with_those_that_there_are(events, rule):
    expect_rules(events)
    known = "OrdersPricesFunctionProducts, PaymentFunctionOrders, fraud-Orders-3C"
    with pytest.raises(OpsError, match=f"there is no rule {rule}; it is one of: {known}$"):
        replay(rule).target(events.client)


@pytest.mark.parametrize(
    ("target", "destination"),
    [
        (Target(BUS), {"Arn": BUS}),
        (Target(BUS, f"{RULE}one"), {"Arn": BUS, "FilterArns": [f"{RULE}one"]}),
    ],
)
def test_it_starts_with_the_stacks_archive_for_the_span_and_the_target(events, target, destination):
    events.add_response(
        "start_replay",
        {},
        {
            "ReplayName": ANY,
            "EventSourceArn": ARCHIVE,
            "EventStartTime": NOW - timedelta(hours=2),
            "EventEndTime": NOW,
            "Destination": destination,
        },
    )
    assert start(events.client, replay(), target, NOW).startswith("eventflow-20261120T120000Z-")


# Its progress


def expect_states(events: Stubber, *states: dict[str, object]) -> None:
    for state in states:
        events.add_response("describe_replay", state, {"ReplayName": "july"})


def followed(events: Stubber) -> str:
    said = io.StringIO()
    follow(events.client, "july", Console(file=said), pause=lambda _: None)
    return said.getvalue()


def test_it_is_followed_until_it_is_done(events):
    halfway = {"State": "RUNNING", "EventLastReplayedTime": NOW.astimezone(timezone(timedelta(hours=2)))}
    expect_states(events, {"State": "STARTING"}, {"State": "RUNNING"}, halfway, halfway, {"State": "COMPLETED"})
    assert followed(events).splitlines() == [
        "july STARTING",
        "july RUNNING",
        "july RUNNING, up to 2026-11-20 12:00:00 UTC",
        "july COMPLETED",
        "july is done.",
    ]


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED"])
def test_one_that_does_not_end_well_is_an_error_with_the_reason(events, end):
    expect_states(events, {"State": "RUNNING"}, {"State": end, "StateReason": "the bus is gone"})
    with pytest.raises(OpsError, match=f"july is {end}: the bus is gone"):
        followed(events)


def test_a_person_who_stops_waiting_is_told_how_to_cancel_it(events):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    expect_states(events, {"State": "RUNNING"})
    with pytest.raises(OpsError, match="july goes on; to cancel it: aws events cancel-replay --replay-name july"):
        follow(events.client, "july", Console(file=io.StringIO()), pause=interrupt)


# The command line


@pytest.fixture
def on_aws(events, monkeypatch):
    """`python -m ops replay --since 2h` with the given options, on AWS, up to where it would start."""
    events.add_response("describe_event_bus", {"Arn": BUS}, {"Name": "eventflow"})
    monkeypatch.setattr(boto3, "client", lambda name: events.client if name == "events" else None)
    monkeypatch.setattr(Stack, "named", lambda name, _: STACK)

    def run(*options: str) -> None:
        monkeypatch.setattr(sys, "argv", ["ops", "replay", "--since", "2h", *options])
        command_line.main()

    return run


@pytest.mark.parametrize("answer", ["", "n", "maybe"])
def test_on_aws_nothing_happens_unless_someone_agrees(on_aws, monkeypatch, capsys, answer):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    with pytest.raises(OpsError, match="nothing was replayed"):
        on_aws()
    assert "up to ten minutes" in capsys.readouterr().out


def test_on_aws_with_nobody_to_ask_it_takes_a_yes(on_aws, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(OpsError, match="run it with --yes"):
        on_aws()


@pytest.mark.parametrize(("options", "answer"), [(("--yes",), "never asked"), ((), "y"), ((), "Yes ")])
def test_on_aws_it_goes_on_when_it_may(on_aws, events, monkeypatch, capsys, options, answer):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    events.add_response("start_replay", {})
    events.add_response("describe_replay", {"State": "COMPLETED"})
    on_aws(*options)
    assert "is done" in capsys.readouterr().out


@pytest.fixture
def no_cloud(monkeypatch):
    """`python -m ops` with the given arguments, where any client of AWS would be one too many."""

    def refuse(name, **_):
        raise AssertionError(f"asked {name}")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ops", *arguments])
        command_line.main()

    monkeypatch.setattr(boto3, "client", refuse)
    return run


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["replay", "--since", ""], "from when on? make replay SINCE=2h"),
        (["logs", ""], "which order? name it by its id: make logs ORDER=..."),
        (["timeline", ""], "which order? name it by its id: make timeline ORDER=..."),
        (["trace", ""], "which order? name it by its id: make trace ORDER=..."),
    ],
)
def test_what_is_missing_is_asked_for_by_the_name_that_make_gives_it(no_cloud, arguments, question):
    with pytest.raises(OpsError, match=f"^{re.escape(question)}$"):
        no_cloud(*arguments)


COMMANDS = [["failed"], ["redrive"], ["replay", "--since", "1h"], *([name, "o-1"] for name in ("logs", "trace"))]


@pytest.mark.parametrize("arguments", [*COMMANDS, ["timeline", "o-1"]])
@pytest.mark.parametrize("silence", [ConnectionRefusedError, TimeoutError])
def test_where_the_embedded_cloud_does_not_answer_it_is_not_asked_twice(no_cloud, monkeypatch, arguments, silence):
    # given what `make up` left, and a port where nothing listens any more
    def connect(address, timeout):
        assert (address, timeout) == (("127.0.0.1", 4566), 1)
        raise silence

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setattr("socket.create_connection", connect)

    # then
    with pytest.raises(OpsError, match=r"^EventFlow does not run here: make up \(for a stack on AWS, set AWS_PROFILE "):
        no_cloud(*arguments)


@pytest.mark.parametrize(
    ("error", "credentials", "told"),
    [
        (NoCredentialsError(), False, "on which cloud? `make up` starts one"),
        (NoRegionError(), False, "on which cloud? `make up` starts one"),
        (NoRegionError(), True, "in which region? set AWS_DEFAULT_REGION"),
        (EndpointConnectionError(endpoint_url="https://x"), True, "Could not connect to .* the right AWS account?"),
    ],
)
def test_a_person_who_names_no_cloud_is_told_how_to_name_one(monkeypatch, error, credentials, told):
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda _: object() if credentials else None)
    assert re.match(told.replace("?", r"\?"), command_line._told(error))


# The time axis of a drawing


@given(offsets=st.lists(st.integers(-(10**6), 10**9), min_size=1, max_size=30).map(sorted), width=st.integers(10, 200))
def test_an_axis_keeps_the_order_of_time_and_its_width(offsets, width):
    axis = Axis.of(offsets, width)
    columns = [axis.column(offset) for offset in offsets]
    assert columns == sorted(columns)
    assert columns[0] == 0
    assert columns[-1] < width
    assert all(0 <= column < width for column, _ in axis.ticks())
    assert all(0 <= column < width for column in axis.breaks())


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        *((-3, "-3 ms"), (0, "0 ms"), (999, "999 ms"), (1_250, "1.25 s"), (12_340, "12.3 s"), (59_949, "59.9 s")),
        *((59_950, "1 min"), (312_400, "5 min 12 s"), (3_600_000, "1 h"), (3_659_000, "1 h"), (93_600_000, "1 d 2 h")),
    ],
)
def test_a_duration_is_told_in_the_units_that_matter(milliseconds, text):
    assert duration(milliseconds) == text


def test_a_drawing_needs_room(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ops", "timeline", "o-1", "--width", "59"])
    with pytest.raises(OpsError, match="--width is 60 at least, not 59"):
        command_line.main()


# `make`, of the commands


MADE = {
    "replay SINCE=2h RULE=One YES=1": "replay --since 2h --rule One --yes",
    "replay SINCE=2h STACK_NAME=shop": "replay --since 2h --stack-name shop",
    "failed SERVICE=payment ORDER=o-1": "failed --service payment --order o-1",
    "redrive DRY_RUN=1 YES=1 STACK_NAME=shop": "redrive --stack-name shop --dry-run --yes",
    "smoke": "smoke",
    "smoke POISON=1 YES=1 JUNIT=smoke.xml": "smoke --poison --yes --junit smoke.xml",
    "smoke POISON=0 STACK_NAME=shop": "smoke --stack-name shop --no-poison",
    "logs ORDER=o-1 SINCE=2h FOLLOW=1": "logs o-1 --since 2h --follow",
    "timeline ORDER=o-1": "timeline o-1",
    "timeline ORDER=o-1 STACK_NAME=shop JSON=1": "timeline o-1 --json --stack-name shop",
    "sagas ENDING=stuck SINCE=1h": "sagas --ending stuck --since 1h",
    "sagas TYPE=OrderCreated SERVICE=payment SLOWER=2s FIND=0f3d8e LIMIT=50 STACK_NAME=shop": (
        "sagas --type OrderCreated --service payment --slower 2s --find 0f3d8e --limit 50 --stack-name shop"
    ),
    "flow SINCE=1h AGAINST=2h..1h": "flow --since 1h --against 2h..1h",
    "flow JSON=1": "flow --json",
    "attach BUS=acme": "attach acme",
    "attach BUS=acme SAMPLE=event.json POOL=eu_1 YES=1": "attach acme --sample event.json --pool eu_1 --yes",
}


@pytest.mark.parametrize(("made", "runs"), MADE.items())
@pytest.mark.parametrize(
    ("up", "shell", "where"),
    [
        pytest.param(True, {}, "here", id="the embedded cloud"),
        pytest.param(True, {"AWS_PROFILE": "shop"}, "aws", id="a shell with a profile"),
        pytest.param(True, {"AWS_ACCESS_KEY_ID": "AKIA"}, "aws", id="a shell with keys"),
        pytest.param(False, {}, "aws", id="nothing runs here"),
    ],
)
def test_make_works_here_unless_the_shell_names_an_account(tmp_path, made, runs, up, shell, where):
    # given a project whose python tells what it is run with
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / ".venvs" / "dev" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "${CLOUD:-aws}:" "$@"\n')
    python.chmod(0o755)
    if up:
        (tmp_path / ".local").mkdir()
        (tmp_path / ".local" / "env").write_text("export CLOUD=here\n")

    # when
    finished = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venvs/dev/ready", *made.split()],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **shell},
        capture_output=True,
        text=True,
    )

    # then
    assert finished.stdout == f"{where}: -m ops {runs}\n", finished.stderr


# The console


CONSOLE_URL = "https://abc123.execute-api.us-east-1.amazonaws.com/v1/console"
SHOP = Stack("eventflow", outputs={"UserPoolId": "us-east-1_pool"})
TIMELINE_STACK = Stack("eventflow-timeline", outputs={"ConsoleUrl": CONSOLE_URL})
SIGN_INS = {
    "OPERATOR_EMAIL": "olive@example.com",
    "OPERATOR_PASSWORD": "secret-1",
    "SHOPPER_EMAIL": "ada@example.com",
    "SHOPPER_PASSWORD": "secret-2",
}


def shown_of_console(stacks: list[Stack], endpoint: str, environment: dict[str, str]) -> str:
    output = io.StringIO()
    show_consoles(stacks, endpoint, environment, Console(file=output, width=200))
    return output.getvalue()


def test_on_the_embedded_cloud_the_console_is_shown_by_an_address_that_this_machine_reaches_and_with_its_passwords():
    shown = shown_of_console([SHOP, TIMELINE_STACK], "http://127.0.0.1:4566", SIGN_INS)

    assert shown.splitlines() == [
        "http://127.0.0.1:4566/_aws/execute-api/abc123/v1/console",
        "  Every order: sign in as olive@example.com, password secret-1",
        "  One shopper's: as ada@example.com, password secret-2",
    ]


def test_on_aws_the_console_is_shown_with_the_pool_to_sign_in_from_and_no_password_of_this_machine():
    shown = shown_of_console([SHOP, TIMELINE_STACK], "https://cloudformation.us-east-1.amazonaws.com", SIGN_INS)

    assert shown.startswith(f"{CONSOLE_URL}\n")
    assert "us-east-1_pool" in shown
    assert "secret" not in shown


def test_where_no_timeline_is_deployed_the_console_command_says_how_to_deploy_one():
    with pytest.raises(OpsError, match="no timeline listens to the bus of eventflow: make up"):
        shown_of_console([SHOP], "http://127.0.0.1:4566", SIGN_INS)


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("darwin", {}, True),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {}, False),
        ("linux", {"BROWSER": "/vscode/browser.sh"}, True),  # in a Codespace: it opens on the person's own machine
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 22 10.0.0.2 22"}, False),
    ],
)
def test_a_browser_is_opened_only_where_the_person_would_see_it(platform, environment, expected):
    assert has_screen(platform, environment) is expected


# The command line


def test_every_command_of_the_command_line_is_run_by_something():
    assert set(command_line.commands.choices) == command_line.runs().keys()
