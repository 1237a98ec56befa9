"""House rules that no reviewer should have to check: imports, and what each part of the template must have."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventflow.keys import REMEMBERED_SECONDS
from ops.patterns import matches

from ..sam_template import (
    ALL_FUNCTIONS,
    FUNCTIONS,
    ROOT,
    STATE_MACHINES,
    TEMPLATE,
    TIMELINE,
    TIMELINE_FUNCTIONS,
    attribute,
    definition,
    environment,
    kept_events,
    resources,
    service_of,
    triggers,
    walk,
)
from ..unit.bus import failure_record, with_names
from ..unit.console import SOURCES as CONSOLE
from ..unit.console import console

SOURCES = ROOT / "functions"
PACKAGES = sorted(init.parent.name for init in SOURCES.glob("*/__init__.py"))
SERVICES = [package for package in PACKAGES if package != "eventflow"]
MODULES = sorted(SOURCES.glob("*/**/*.py"))


def imports(module: Path) -> Iterator[str]:
    """Every module that it names, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports are alike everywhere, so absolute"
            yield str(node.module)


def importers_of(package: str) -> set[str]:
    return {
        str(module.relative_to(SOURCES))
        for module in MODULES
        if any(name.partition(".")[0] == package for name in imports(module))
    }


# The code


@pytest.mark.parametrize("package", PACKAGES)
def test_a_service_imports_the_kernel_and_itself_and_the_kernel_no_service(package):
    allowed = {package, "eventflow"}
    for module in (SOURCES / package).rglob("*.py"):
        ours = {name.partition(".")[0] for name in imports(module)} & set(PACKAGES)
        assert ours <= allowed, f"{module.relative_to(ROOT)} imports {ours - allowed}"


DECISIONS = [
    *("catalog.products", "basket.baskets", "orders.orders", "payment.payments", "payment.gateway"),
    *("inventory.stock", "notification.messages", "intake.partner_orders", "eventflow.prices", "timeline.sagas"),
]


def test_decisions_load_no_aws():
    program = f"import sys, {', '.join(DECISIONS)}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=SOURCES, env={}, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert {"orders", "msgspec"} <= loaded
    assert not {name for name in loaded if re.match(r"boto|aws_|awscrt|s3transfer", name)}


def test_only_telemetry_names_the_xray_sdk():
    assert importers_of("aws_xray_sdk") == {"eventflow/telemetry.py"}


def test_only_relay_puts_events():
    putters = {
        str(module.relative_to(SOURCES))
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "put_events")
        or (isinstance(node, ast.Constant) and node.value in ("put_events", "events"))
    }
    assert putters == {"relay/stream.py"}
    allowed = {
        service_of(name)
        for name, function in FUNCTIONS.items()
        for statement in statements(function)
        if "events:PutEvents" in as_list(statement["Action"])
    }
    assert allowed == {"relay"}


# The build


@pytest.mark.parametrize(
    ("makefile", "variable", "parameter"),
    [
        ("layer/Makefile", "PYTHON_RUNTIME", "PythonRuntime"),
        ("layer/Makefile", "ARCHITECTURE", "Architecture"),
        ("functions/Makefile", "PYTHON_RUNTIME", "PythonRuntime"),
    ],
)
def test_what_is_built_by_default_is_what_is_deployed_by_default(makefile, variable, parameter):
    (default,) = re.findall(rf"^{variable} \?= (\S+)$", (ROOT / makefile).read_text(), re.MULTILINE)
    assert [it["Parameters"][parameter]["Default"] for it in (TEMPLATE, TIMELINE)] == [default] * 2


# The template


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(within: Any) -> Iterator[dict[str, Any]]:
    for mapping in walk(within):
        yield from as_list(mapping.get("Statement", []))


CONSUMERS = [name for name in FUNCTIONS if triggers(name, "EventBridgeRule")]
FED_BY_STREAMS = {
    name: mapping
    for name, mapping in resources("AWS::Lambda::EventSourceMapping").items()
    if mapping["EventSourceArn"]["Fn::GetAtt"][1] == "StreamArn"
}


def alarms_on(queue: str, template: dict[str, Any] = TEMPLATE) -> list[dict[str, Any]]:
    on_queue = {"Name": "QueueName", "Value": attribute(queue, "QueueName")}
    return [
        alarm
        for alarm in resources("AWS::CloudWatch::Alarm", template).values()
        if on_queue in alarm.get("Dimensions", [])
    ]


def assert_one_message_is_enough_for(alarm: dict[str, Any]) -> None:
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["AlarmActions"] in ([{"Ref": "AlarmTopic"}], IF_THERE_IS_A_TOPIC)


IF_THERE_IS_A_TOPIC = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}


def settings_of(function: str) -> dict[str, Any]:
    template = TEMPLATE if function in FUNCTIONS else TIMELINE
    return {**template["Globals"]["Function"], **ALL_FUNCTIONS[function]}


@pytest.mark.parametrize("function", [name for name in ALL_FUNCTIONS if name != "ConsoleFunction"])
def test_a_function_is_traced_and_its_handler_exists(function):
    settings = settings_of(function)
    # relay's batches belong to no trace: it sends its segments in those of the orders itself
    assert settings["Tracing"] == ("PassThrough" if function == "RelayFunction" else "Active")
    module, _, name = settings["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert module.partition(".")[0] in (service_of(function), "eventflow")
    assert service_of(function) in SERVICES


def read_from_environment(module: str) -> set[str]:
    """The variables that a module and what it imports of ours take from the environment and cannot do without."""
    places = SOURCES / f"{module.replace('.', '/')}.py", SOURCES / module.replace(".", "/") / "__init__.py"
    path = next((path for path in places if path.exists()), None)
    if path is None:
        return set()
    source = path.read_text()
    ours = [name for name in imports(path) if name.partition(".")[0] in PACKAGES]
    return set(re.findall(r'environ\["(\w+)"\]', source)).union(*map(read_from_environment, ours))


@pytest.mark.parametrize("function", [name for name in ALL_FUNCTIONS if name != "ConsoleFunction"])
def test_a_function_is_given_the_environment_that_it_reads_and_nothing_else(function):
    given = environment(function).keys() - {"POWERTOOLS_SERVICE_NAME"}
    assert given == read_from_environment(ALL_FUNCTIONS[function]["Handler"].rpartition(".")[0])


@pytest.mark.parametrize("function", CONSUMERS)
def test_what_a_consumer_cannot_handle_ends_in_its_services_queue_which_raises_an_alarm(function):
    # both layers of failure, in delivery and in execution, end in one queue
    on_failure = FUNCTIONS[function]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    dead_letters = [rule["DeadLetterConfig"] for rule in triggers(function, "EventBridgeRule").values()]
    queue = f"{service_of(function).capitalize()}FailedEvents"
    assert on_failure == {"Type": "EventBridge", "Destination": attribute("EventBus")}
    assert dead_letters == [{"Arn": attribute(queue)}] * len(dead_letters)

    # it lets in the rules of its service, and nobody else
    rules = [
        attribute(f"{service_of(function).capitalize()}Failures"),
        *(
            attribute(f"{consumer}{rule}")
            for consumer in CONSUMERS
            if service_of(consumer) == service_of(function)
            for rule in triggers(consumer, "EventBridgeRule")
        ),
    ]
    (policy,) = (p for p in resources("AWS::SQS::QueuePolicy").values() if {"Ref": queue} in p["Queues"])
    (statement,) = statements(policy)
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": attribute(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
    }

    # it keeps what it got for as long as a queue can, and one message is enough to be told
    assert resources("AWS::SQS::Queue")[queue]["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    (alarm,) = alarms_on(queue)
    assert_one_message_is_enough_for(alarm)


def test_relay_gives_no_event_up_and_can_tell_what_a_write_announced():
    tables = resources("AWS::DynamoDB::Table")
    streaming = {name for name, table in tables.items() if "StreamSpecification" in table}
    assert {mapping["EventSourceArn"]["Fn::GetAtt"][0] for mapping in FED_BY_STREAMS.values()} == streaming
    for mapping in FED_BY_STREAMS.values():
        assert mapping["FunctionName"] == {"Ref": "RelayFunction.Alias"}
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert not {"MaximumRetryAttempts", "MaximumRecordAgeInSeconds"} & mapping.keys()
    for name in streaming:
        assert tables[name]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


# Queues


def timeout_of(function: str) -> int:
    return int(settings_of(function)["Timeout"])


FED_BY_QUEUES = {
    name: mapping
    for name, mapping in resources("AWS::Lambda::EventSourceMapping").items()
    if mapping["EventSourceArn"]["Fn::GetAtt"][0] in resources("AWS::SQS::Queue")
}
RULES = resources("AWS::Events::Rule")


@pytest.mark.parametrize("name", FED_BY_QUEUES)
def test_a_queue_that_feeds_a_function_gives_each_message_five_tries_and_none_up_in_silence(name):
    mapping = FED_BY_QUEUES[name]
    queues, feeding = resources("AWS::SQS::Queue"), mapping["EventSourceArn"]["Fn::GetAtt"][0]
    function = mapping["FunctionName"]["Ref"].removesuffix(".Alias")

    # one that cannot be handled comes again, and the others of its batch do not
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # but not while it may still be being handled
    assert queues[feeding]["VisibilityTimeout"] >= 6 * timeout_of(function)

    # after five tries it is kept aside, for as long as a queue can, and somebody is told
    redrive = queues[feeding]["RedrivePolicy"]
    dead_letters = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert redrive == {"deadLetterTargetArn": attribute(dead_letters), "maxReceiveCount": 5}
    assert queues[dead_letters]["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    (alarm,) = alarms_on(dead_letters)
    assert_one_message_is_enough_for(alarm)

    # both let in the rules that fill the one, and nobody else
    filling = {
        rule: target
        for rule, properties in RULES.items()
        for target in properties["Targets"]
        if target["Arn"] == attribute(feeding)
    }
    (rule,) = filling
    assert filling[rule]["DeadLetterConfig"] == {"Arn": attribute(dead_letters)}
    (policy,) = (p for p in resources("AWS::SQS::QueuePolicy").values() if {"Ref": feeding} in p["Queues"])
    assert policy["Queues"] == [{"Ref": feeding}, {"Ref": dead_letters}]
    assert list(statements(policy)) == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": [attribute(feeding), attribute(dead_letters)],
            "Condition": {"ArnEquals": {"aws:SourceArn": attribute(rule)}},
        }
    ]


def test_every_queue_is_encrypted_and_either_feeds_a_function_or_holds_what_failed():
    queues = resources("AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    feeding = {mapping["EventSourceArn"]["Fn::GetAtt"][0] for mapping in FED_BY_QUEUES.values()}
    assert feeding == {"Checkouts"}
    assert all(len(alarms_on(queue)) == 1 for queue in queues.keys() - feeding)


# The bus


def every_rule() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Pattern and targets of each rule of the bus, and of the archive, by name."""
    return {
        **{
            f"{function}{name}": (rule["Pattern"], [function])
            for function in FUNCTIONS
            for name, rule in triggers(function, "EventBridgeRule").items()
        },
        **{
            name: (with_names(rule["EventPattern"]), [target["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]])
            for name, rule in RULES.items()
        },
        **{name: (it["EventPattern"], [name]) for name, it in resources("AWS::Events::Archive").items()},
    }


@pytest.mark.parametrize("qualifier", ["live", "7", "$LATEST"])
@pytest.mark.parametrize("function", CONSUMERS)
def test_what_a_consumer_gave_up_is_taken_to_its_services_queue_and_to_no_other_place(function, qualifier):
    record = failure_record(function, qualifier)
    taken = {name: targets for name, (pattern, targets) in every_rule().items() if matches(pattern, record)}
    service = service_of(function).capitalize()
    assert taken == {f"{service}Failures": [f"{service}FailedEvents"]}
    # as Lambda itself would have sent it to the queue
    (target,) = RULES[f"{service}Failures"]["Targets"]
    assert target["InputPath"] == "$.detail"


def test_no_function_hears_of_what_failed_for_its_own_failure_to_do_so_would_go_round_in_circles():
    record = failure_record("PaymentFunction", "live")
    record["detail"] |= {"orderId": "o1", "checkoutId": "o1", "userId": "ada"}
    hearing = {name for name, (pattern, targets) in every_rule().items() if matches(pattern, record)
               if {*targets} & FUNCTIONS.keys()}  # fmt: skip
    assert hearing == set()
    for name, (pattern, targets) in every_rule().items():
        assert not ("lambda" in pattern.get("source", []) and {*targets} & FUNCTIONS.keys()), name


def test_every_rule_is_on_the_bus():
    rules = [rule for function in FUNCTIONS for rule in triggers(function, "EventBridgeRule").values()]
    assert {str(rule["EventBusName"]) for rule in (*rules, *RULES.values())} == {str({"Ref": "EventBus"})}
    assert len(every_rule()) == len(rules) + len(RULES) + 1


def test_only_the_checkouts_queue_is_told_whom_an_order_goes_to():
    checked_out = {
        "source": "eventflow.basket",
        "detail-type": "BasketCheckedOut",
        # whatever else a rule may look for, it finds
        "detail": {"orderId": "o1", "checkoutId": "o1", "userId": "ada", "shipping": {"email": "ada@example.com"}},
    }
    told = {name: targets for name, (pattern, targets) in every_rule().items() if matches(pattern, checked_out)}
    assert told == {"CheckoutsRule": ["Checkouts"]}


def test_the_archive_keeps_everything_else_for_less_time_than_consumers_remember_it():
    (archive,) = resources("AWS::Events::Archive").values()
    assert archive["SourceArn"] == attribute("EventBus")
    assert archive["RetentionDays"] == {"Ref": "ArchiveDays"}
    days = TEMPLATE["Parameters"]["ArchiveDays"]
    assert days["MinValue"] >= 1, "0 means without an end"
    assert days["Default"] <= days["MaxValue"]
    assert days["MaxValue"] * 24 * 60 * 60 < REMEMBERED_SECONDS
    for source, detail_type in (("eventflow.orders", "OrderCreated"), ("fraud-detection", "FraudCheckFailed")):
        assert matches(archive["EventPattern"], {"source": source, "detail-type": detail_type, "detail": {}})
    # a replay would bring what failed into its queue again
    assert not matches(archive["EventPattern"], failure_record("PaymentFunction", "live"))


def test_nobody_but_relay_and_a_partner_of_a_known_account_puts_events():
    may_put = {
        name: list(statements(resource))
        for name, resource in TEMPLATE["Resources"].items()
        if any("events:PutEvents" in as_list(it["Action"]) for it in statements(resource))
    }
    assert may_put.keys() == {"RelayFunction", "PartnerAccess", "OnlyFailuresAccess"}
    assert TEMPLATE["Conditions"]["HasPartner"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "PartnerAccount"}, ""]}]}
    assert TEMPLATE["Parameters"]["PartnerAccount"]["Default"] == ""
    account = re.compile(TEMPLATE["Parameters"]["PartnerAccount"]["AllowedPattern"])
    assert account.search("123456789012")
    assert not [it for it in ("*", "12345678901", "1234567890123", "123456789012,*") if account.search(it)]

    assert len(resources("AWS::Events::EventBusPolicy")) == 1


# Tables


def tables_of(function: str) -> set[str]:
    """The tables that a function is told of, or allowed anything on."""
    told = {it["Ref"] for it in environment(function).values() if isinstance(it, dict) and "Ref" in it}
    allowed = re.findall(r"\w+", str([it["Resource"] for it in statements(FUNCTIONS[function])]))
    return (told | set(allowed)) & resources("AWS::DynamoDB::Table").keys()


def test_a_table_is_its_services_own():
    services = {
        table: {service_of(function) for function in FUNCTIONS if table in tables_of(function)}
        for table in resources("AWS::DynamoDB::Table")
    }
    services.pop("IdempotencyTable")  # shared: a record's id begins with the service's name
    assert all(len(owners) == 1 for owners in services.values()), services


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if "PRICES_TABLE" in environment(name)])
def test_a_function_that_needs_prices_has_its_own_services_list_and_only_its_consumer_writes_it(function):
    own = f"{service_of(function).capitalize()}PricesTable"
    assert environment(function)["PRICES_TABLE"] == {"Ref": own}
    (access,) = (it for it in statements(FUNCTIONS[function]) if it["Resource"] == attribute(own))
    consumer = FUNCTIONS[function]["Handler"] == "eventflow.price_list.handler"
    assert access["Action"] == (["dynamodb:GetItem", "dynamodb:PutItem"] if consumer else "dynamodb:BatchGetItem")


def test_every_price_list_is_fed_with_all_that_catalog_says_of_products():
    lists = {name for name in resources("AWS::DynamoDB::Table") if name.endswith("PricesTable")}
    fed = {
        environment(function)["PRICES_TABLE"]["Ref"]: [
            rule["Pattern"] for rule in triggers(function, "EventBridgeRule").values()
        ]
        for function in FUNCTIONS
        if FUNCTIONS[function]["Handler"] == "eventflow.price_list.handler"
    }
    pattern = {"source": ["eventflow.catalog"], "detail-type": ["ProductChanged", "ProductRemoved"]}
    assert fed == {name: [pattern] for name in lists}
    assert len(lists) == 2


def test_only_the_catalog_can_be_read_without_signing_in():
    auth = resources("AWS::Serverless::Api")["Api"]["Auth"]
    assert auth["DefaultAuthorizer"] == "Users"
    open_to_anyone = {
        (route["Method"], route["Path"])
        for function in FUNCTIONS
        for route in triggers(function, "Api").values()
        if "Auth" in route
    }
    assert open_to_anyone == {("GET", "/products"), ("GET", "/products/{productId}")}


@pytest.mark.parametrize("table", resources("AWS::DynamoDB::Table"))
def test_a_table_can_be_restored_to_any_second(table):
    recovery = resources("AWS::DynamoDB::Table")[table]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


NO_EVENTS_BUT_FAILURES = TEMPLATE["Resources"]["OnlyFailuresAccess"]


def test_nobody_is_allowed_everything_and_nobody_everywhere():
    found = list(statements(TEMPLATE["Resources"]))
    assert len(found) > len(FUNCTIONS)
    for statement in found:
        assert statement["Effect"] == "Allow" or statement in list(statements(NO_EVENTS_BUT_FAILURES))
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        assert "*" not in str([statement["Action"], statement["Resource"], statement.get("Principal")]), statement
    for name, function in FUNCTIONS.items():
        managed = [policy for policy in as_list(function.get("Policies", [])) if isinstance(policy, str)]
        assert not managed, f"{name} has AWS's own, wider policies {managed}"


# The add-on


def test_the_console_is_traced_and_public_and_so_may_do_nothing_and_knows_nothing():
    settings = settings_of("ConsoleFunction")
    assert settings["Tracing"] == "Active"
    assert callable(console().handler)
    assert not {"Policies", "Role", "Layers"} & settings.keys()

    # it is given what it reads, besides what Lambda itself gives
    read = set(re.findall(r'environ(?:\["|\.get\(")(\w+)"', (CONSOLE / "serve.py").read_text()))
    by_lambda = {name for name in read if name.startswith("AWS_")}
    assert environment("ConsoleFunction").keys() == read - by_lambda
    # and its packages are those that Python has
    named = {name.partition(".")[0] for name in imports(CONSOLE / "serve.py")}
    assert named <= sys.stdlib_module_names


def test_nothing_of_the_add_on_but_the_console_can_be_asked_for_without_signing_in():
    auth = resources("AWS::Serverless::Api", TIMELINE)["Api"]["Auth"]
    assert auth["DefaultAuthorizer"] == "Users"
    open_to_anyone = {
        (route["Method"], route["Path"], route["Auth"]["Authorizer"])
        for function in TIMELINE_FUNCTIONS
        for route in triggers(function, "Api").values()
        if "Auth" in route
    }
    assert open_to_anyone == {("GET", "/console", "NONE"), ("GET", "/console/{file}", "NONE")}


def test_what_the_add_on_cannot_keep_ends_in_its_queue_which_raises_an_alarm():
    # what could not be delivered goes where the state machine sends what it gives up on
    (queue,) = resources("AWS::SQS::Queue", TIMELINE)
    for machine in STATE_MACHINES.values():
        for rule in machine["Events"].values():
            assert rule["Properties"]["DeadLetterConfig"] == {"Arn": attribute(queue)}
    assert STATE_MACHINES["Keeper"]["DefinitionSubstitutions"]["FailedEvents"] == {"Ref": queue}

    # it lets in the rules of the add-on, and nobody else
    (policy,) = resources("AWS::SQS::QueuePolicy", TIMELINE).values()
    rules = [attribute(f"{name}{rule}") for name, machine in STATE_MACHINES.items() for rule in machine["Events"]]
    assert policy["Queues"] == [{"Ref": queue}]
    assert list(statements(policy)) == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": attribute(queue),
            "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
        }
    ]

    # it keeps what it got, encrypted, for as long as a queue can, and one message is enough to be told
    settings = resources("AWS::SQS::Queue", TIMELINE)[queue]
    assert settings == {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": 14 * 24 * 60 * 60}
    (alarm,) = alarms_on(queue, TIMELINE)
    assert_one_message_is_enough_for(alarm)


def test_the_add_on_hears_all_but_what_aws_says_unless_it_is_told_whom_to_hear():
    rule = STATE_MACHINES["Keeper"]["Events"]["AllEvents"]["Properties"]
    assert rule["EventBusName"] == {"Ref": "EventBusName"}
    assert rule["RuleName"] == {"Ref": "AWS::StackName"}
    sources = {"eventflow.orders", "microservice_x", "fraud-detection", "lambda", "aws.events", "aws.s3", "awsome"}
    assert _heard(sources) == sources - {"aws.events", "aws.s3"}
    assert _heard(sources, "eventflow.,micro") == {"eventflow.orders", "microservice_x"}


def _heard(sources: set[str], only: str = "") -> set[str]:
    pattern = kept_events(only)
    return {it for it in sources if matches(pattern, {"source": it, "detail-type": "Anything", "detail": {}})}


def test_a_stuck_saga_raises_an_alarm_on_the_very_metric_that_the_watch_puts():
    alarm = resources("AWS::CloudWatch::Alarm", TIMELINE)["StuckSagasAlarm"]
    (put,) = (
        it["Arguments"] for it in definition("Watch")["States"].values() if "Namespace" in it.get("Arguments", ())
    )
    (metric,) = put["MetricData"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (put["Namespace"], metric["MetricName"])
    # the state machine is told the stack's name
    assert metric["Dimensions"] == [{"Name": "Stack", "Value": "${Stack}"}]
    assert STATE_MACHINES["Watch"]["DefinitionSubstitutions"]["Stack"] == {"Ref": "AWS::StackName"}
    assert alarm["Dimensions"] == [{"Name": "Stack", "Value": {"Ref": "AWS::StackName"}}]

    assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Maximum", 60, 1)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    # a watch that is silent is a bad sign too
    assert alarm["TreatMissingData"] == "missing"
    assert alarm["AlarmActions"] == alarm["InsufficientDataActions"] == IF_THERE_IS_A_TOPIC
    assert STATE_MACHINES["Watch"]["Events"]["EveryMinute"]["Properties"]["Schedule"] == "rate(1 minute)"


def test_the_timelines_can_be_restored_and_go_when_they_are_old():
    (table,) = resources("AWS::DynamoDB::Table", TIMELINE).values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_nobody_of_the_add_on_is_allowed_everywhere_but_where_an_action_knows_no_resources():
    everywhere = {}
    for statement in statements(TIMELINE["Resources"]):
        actions = as_list(statement["Action"])
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        assert "*" not in str([actions, statement.get("Principal")]), statement
        assert not [action for action in actions if action.startswith("events:")], "it puts nothing on any bus"
        if "*" in str(statement["Resource"]):
            everywhere[actions[0].partition(":")[0]] = statement
    assert everywhere.keys() == {"logs", "cloudwatch"}
    assert everywhere["cloudwatch"]["Action"] == "cloudwatch:PutMetricData"
    assert everywhere["cloudwatch"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "EventFlow/Timeline"}}
    delivery = r"logs:(\w+LogDeliver(y|ies)|(Put|Describe)ResourcePolic(y|ies)|DescribeLogGroups)"
    assert all(re.fullmatch(delivery, action) for action in everywhere["logs"]["Action"])


@pytest.mark.parametrize(("runtime", "said"), [("python3.99", 1), (Path(sys.executable).resolve(), 0)])
def test_sam_build_says_in_one_line_where_it_cannot_ship_bytecode(tmp_path, runtime, said):
    (tmp_path / "a.py").touch()
    variables = [f"PYTHON_RUNTIME={runtime}", f"ARTIFACTS_DIR={tmp_path}", "INSTALL=:"]  # INSTALL: nothing

    built = subprocess.run(
        ["make", "-C", ROOT / "layer", "build-Dependencies", *variables], capture_output=True, text=True, check=True
    )

    # `sam build` shows what a makefile writes to stdout, and of stderr nothing where all went well
    assert [line[:14] for line in built.stdout.splitlines() if "Warning" in line] == ["Warning: no py"] * said
    assert bool(list(tmp_path.rglob("*.pyc"))) is not bool(said)


@pytest.mark.parametrize(("is_cached", "asked"), [(True, ["--offline"]), (False, ["--offline", ""])])
def test_the_layer_is_built_from_what_is_cached_and_only_else_from_the_network(tmp_path, is_cached, asked):
    # given a uv that has everything in its cache, or nothing
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$*" in *--offline*) {str(is_cached).lower()};; esac\n'
    )
    uv.chmod(0o755)

    # when
    subprocess.run(
        ["make", "-C", ROOT / "layer", "build-Dependencies", f"ARTIFACTS_DIR={tmp_path}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )

    # then
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["--offline" * ("--offline" in call) for call in calls] == asked
    assert all("--requirement requirements.txt" in call for call in calls)
