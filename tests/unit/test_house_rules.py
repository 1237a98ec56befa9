"""What no reviewer should have to look for: who may import whom, and what each part of the template must have."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .sam_template import FUNCTIONS, ROOT, TEMPLATE, attribute, resources, service_of, triggers, walk

SOURCES = ROOT / "functions"
PACKAGES = sorted(init.parent.name for init in SOURCES.glob("*/__init__.py"))
SERVICES = [package for package in PACKAGES if package != "eventflow"]
MODULES = sorted(SOURCES.glob("*/*.py"))


def imports(module: Path) -> Iterator[str]:
    """Every module that it names, wherever in it."""
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
    for module in (SOURCES / package).glob("*.py"):
        ours = {name.partition(".")[0] for name in imports(module)} & set(PACKAGES)
        assert ours <= allowed, f"{module.relative_to(ROOT)} imports {ours - allowed}"


DECISIONS = ["orders.orders", "payment.payments", "payment.gateway", "inventory.stock", "notification.messages"]


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
    assert default == TEMPLATE["Parameters"][parameter]["Default"]


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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_traced_and_its_handler_exists(function):
    settings = {**TEMPLATE["Globals"]["Function"], **FUNCTIONS[function]}
    assert settings["Tracing"] == "Active"
    module, _, name = settings["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    assert settings["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == service_of(function)


def read_from_environment(module: str) -> set[str]:
    """The variables that a module and what it imports of ours take from the environment and cannot do without."""
    path = SOURCES / f"{module.replace('.', '/')}.py"
    if not path.exists():
        return set()
    source = path.read_text()
    ours = [name for name in imports(path) if name.partition(".")[0] in PACKAGES]
    return set(re.findall(r'environ\["(\w+)"\]', source)).union(*map(read_from_environment, ours))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_the_environment_that_it_reads_and_nothing_else(function):
    given = FUNCTIONS[function]["Environment"]["Variables"].keys() - {"POWERTOOLS_SERVICE_NAME"}
    assert given == read_from_environment(FUNCTIONS[function]["Handler"].rpartition(".")[0])


@pytest.mark.parametrize("function", CONSUMERS)
def test_what_a_consumer_cannot_handle_ends_in_its_services_queue_which_raises_an_alarm(function):
    # both layers of failure, in delivery and in execution, lead to one queue
    on_failure = FUNCTIONS[function]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    dead_letters = [rule["DeadLetterConfig"] for rule in triggers(function, "EventBridgeRule").values()]
    queue = f"{service_of(function).capitalize()}FailedEvents"
    assert on_failure == {"Type": "SQS", "Destination": attribute(queue)}
    assert dead_letters == [{"Arn": attribute(queue)}] * len(dead_letters)

    # it lets in the rules of its service, and nobody else
    rules = [
        attribute(f"{consumer}{rule}")
        for consumer in CONSUMERS
        if service_of(consumer) == service_of(function)
        for rule in triggers(consumer, "EventBridgeRule")
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
    (alarm,) = (
        alarm
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        if {"Name": "QueueName", "Value": attribute(queue, "QueueName")} in alarm["Dimensions"]
    )
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]


def test_relay_gives_no_event_up_and_can_tell_what_a_write_announced():
    tables = resources("AWS::DynamoDB::Table")
    streaming = {name for name, table in tables.items() if "StreamSpecification" in table}
    assert {mapping["EventSourceArn"]["Fn::GetAtt"][0] for mapping in FED_BY_STREAMS.values()} == streaming
    for mapping in FED_BY_STREAMS.values():
        assert mapping["FunctionName"] == attribute("RelayFunction")
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert not {"MaximumRetryAttempts", "MaximumRecordAgeInSeconds"} & mapping.keys()
    for name in streaming:
        assert tables[name]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.parametrize("table", resources("AWS::DynamoDB::Table"))
def test_a_table_can_be_restored_to_any_second(table):
    recovery = resources("AWS::DynamoDB::Table")[table]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


def test_nobody_is_allowed_everything_and_nobody_everywhere():
    found = list(statements(TEMPLATE["Resources"]))
    assert len(found) > len(FUNCTIONS)
    for statement in found:
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        assert "*" not in str([statement["Action"], statement["Resource"], statement.get("Principal")]), statement
    for name, function in FUNCTIONS.items():
        managed = [policy for policy in as_list(function.get("Policies", [])) if isinstance(policy, str)]
        assert not managed, f"{name} has AWS's own, wider policies {managed}"
