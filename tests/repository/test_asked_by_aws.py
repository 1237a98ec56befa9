"""What AWS asks of the stack and the emulator does not: order of creation, permissions, quotas, names, rollbacks.

Held on what SAM makes of the template.
"""

import copy
import importlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from ..sam_template import FUNCTIONS, TIMELINE, triggers
from ..transformed import Resources, deployed, made_before, of_kind
from ..unit.lambda_context import LambdaContext
from .test_house_rules import as_list

STACK = deployed()
PROD = deployed(Stage="prod")
BOTH = {"main": STACK, "timeline": deployed(TIMELINE, UserPoolId="us-east-1_abc")}


@pytest.mark.parametrize("stack", [*BOTH, "prod"])
def test_no_resource_waits_for_itself(stack):
    # through an alarm that its deployment is rolled back by, say, which there is in prod only
    resources = {**BOTH, "prod": PROD}[stack]
    assert [name for name in resources if name in made_before(name, resources)] == []


# Who may do what, and from when on


def policies(resources: Resources) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Role, the resource that allows it, and statement, of all policies of a role's own."""
    for name, role in of_kind("AWS::IAM::Role", resources).items():
        for policy in role.get("Policies", []):
            for statement in as_list(policy["PolicyDocument"]["Statement"]):
                yield name, name, statement
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for name, policy in of_kind(kind, resources).items():
            for role in policy.get("Roles", []):
                for statement in as_list(policy["PolicyDocument"]["Statement"]):
                    yield role["Ref"], name, statement


NEEDED = {
    "dynamodb": {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    },
    "sqs": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
}
"""What Lambda does with a source in the function's name (Lambda Developer Guide, "Process DynamoDB records", "Using
Lambda with Amazon SQS").
"""


@pytest.mark.parametrize("name", of_kind("AWS::Lambda::EventSourceMapping", STACK))
def test_a_function_may_read_its_source_before_lambda_looks_at_it_for_the_first_time(name):
    mapping = STACK[name]["Properties"]
    before = made_before(name, STACK)
    (alias,) = (it for it in before if it == mapping["FunctionName"]["Ref"])
    function = STACK[alias]["Properties"]["FunctionName"]["Ref"]
    role = STACK[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    source = mapping["EventSourceArn"]
    allowed = {
        action
        for holder, by, statement in policies(STACK)
        if holder == role and by in before and statement["Resource"] == source
        for action in as_list(statement["Action"])
    }
    kind = "dynamodb" if source["Fn::GetAtt"][1] == "StreamArn" else "sqs"
    assert allowed == NEEDED[kind]


MANAGED_POLICIES = 10
INLINE_CHARACTERS = 10_240
"""Quotas of a role: IAM User Guide, "IAM and AWS STS quotas"."""


@pytest.mark.parametrize("stack", BOTH)
def test_no_role_is_near_its_quotas(stack):
    resources = BOTH[stack]
    roles = of_kind("AWS::IAM::Role", resources)
    assert len(roles) > 2
    attached = Counter({name: len(role.get("ManagedPolicyArns", [])) for name, role in roles.items()})
    attached.update(
        role["Ref"] for it in of_kind("AWS::IAM::ManagedPolicy", resources).values() for role in it.get("Roles", [])
    )
    assert max(attached.values()) <= MANAGED_POLICIES / 2

    inline: Counter[str] = Counter()
    for role, _, statement in policies(resources):
        inline[role] += len(json.dumps(statement))
    assert max(inline.values()) <= INLINE_CHARACTERS / 2


def test_what_relay_may_read_stands_in_the_sections_of_the_tables():
    basics, *others = STACK["RelayFunctionRole"]["Properties"]["ManagedPolicyArns"]
    assert all(":iam::aws:policy/" in json.dumps(it) for it in (basics, *others)), "AWS's own, to log and to trace"
    streams = [it for it in policies(STACK) if it[0] == "RelayFunctionRole" and "StreamArn" in json.dumps(it[2])]
    assert {STACK[by]["Type"] for _, by, _ in streams} == {"AWS::IAM::Policy"}
    assert len(streams) == len({by for _, by, _ in streams}), "one policy a table"


# What a deployment is rolled back by


def rollback_alarms(function: str) -> list[dict[str, Any]]:
    group = PROD[f"{function}DeploymentGroup"]["Properties"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    assert group["AlarmConfiguration"]["Enabled"] is True
    return [PROD[it["Name"]["Ref"]]["Properties"] for it in group["AlarmConfiguration"]["Alarms"]]


def goes_off_at_one(alarm: dict[str, Any], metric: str, **dimensions: object) -> bool:
    """Whether one minute in which the metric is 1 sets the alarm off."""
    watched = (alarm["MetricName"], {it["Name"]: it["Value"] for it in alarm["Dimensions"]})
    one_a_minute = (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"])
    return (
        watched == (metric, dimensions)
        and one_a_minute == ("Sum", 60, 1, 1)
        and alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_fails_is_rolled_back(function):
    alarms = rollback_alarms(function)

    # whatever raises
    assert [it for it in alarms if goes_off_at_one(it, "Errors", FunctionName={"Ref": function})]
    # over HTTP it raises nothing: what went wrong is its answer, and the gateway counts that
    if triggers(function, "Api"):
        stage = PROD["Apiv1Stage"]["Properties"]["StageName"]
        api = PROD["Api"]["Properties"]["Name"]
        assert [it for it in alarms if goes_off_at_one(it, "5XXError", ApiName=api, Stage=stage)]
    # of a batch it says which messages failed, and raises if all did
    for mapping in of_kind("AWS::Lambda::EventSourceMapping", PROD).values():
        if mapping["FunctionName"]["Ref"] == f"{function}Aliaslive" and "FunctionResponseTypes" in mapping:
            module, _, name = FUNCTIONS[function]["Handler"].rpartition(".")
            handler = getattr(importlib.import_module(module), name)
            with pytest.raises(BatchProcessingError):
                handler(
                    {"Records": [{"messageId": "m", "body": "no event", "eventSource": "aws:sqs"}]}, LambdaContext()
                )


# Who may put events from elsewhere


def allowed(condition: dict[str, dict[str, Any]], *entries: tuple[str, str]) -> bool:
    """Whether a policy's condition holds of a PutEvents of these (source, detail-type). Both keys have a value for each
    entry (EventBridge User Guide, "Using IAM policy conditions"; IAM User Guide, "Multivalued context keys").
    """
    keys = {"events:source": {it[0] for it in entries}, "events:detail-type": {it[1] for it in entries}}

    def holds(operator: str, key: str, wanted: Any) -> bool:
        match operator:
            case "StringEquals":
                return bool(keys[key] & set(as_list(wanted)))
            case "ForAllValues:StringEquals":
                return keys[key] <= set(as_list(wanted))
            case "ForAnyValue:StringNotEquals":
                return bool(keys[key] - set(as_list(wanted)))
            case "Null":
                return (not keys[key]) == (str(wanted).lower() == "true")
        raise NotImplementedError(operator)

    return all(holds(operator, *it) for operator, keys_ in condition.items() for it in keys_.items())


def test_the_partner_puts_its_one_event_from_its_one_source_and_nothing_else():
    access = copy.deepcopy(deployed(PartnerAccount="210987654321")["PartnerAccess"]["Properties"])
    statement = access["Statement"]
    condition = statement.pop("Condition")
    assert access["EventBusName"] == {"Ref": "EventBus"}
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        "Action": "events:PutEvents",
        "Resource": {"Fn::GetAtt": ["EventBus", "Arn"]},
    }

    its_own = ("microservice_x", "microservice_x_test_event")
    assert allowed(condition, its_own)
    assert allowed(condition, its_own, its_own)
    for other in (
        ("microservice_x", "PartnerFailed"),  # a veto
        ("microservice_x", "OrderCreated"),
        ("eventflow.orders", "microservice_x_test_event"),
        ("eventflow.orders", "OrderCancelled"),
    ):
        assert not allowed(condition, other)
        assert not allowed(condition, its_own, other)
        assert not allowed(condition, other, its_own)
    assert not allowed(condition), "ForAllValues holds of nothing at all"
    assert "PartnerAccess" not in STACK


CONSUMERS = [name for name in FUNCTIONS if triggers(name, "EventBridgeRule")]


def policies_of(function: str) -> Iterator[dict[str, Any]]:
    """The statements of its role: those of the role's own, those attached to it, and managed ones of the template."""
    role = STACK[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    yield from (statement for holder, _, statement in policies(STACK) if holder == role)
    for arn in STACK[role]["Properties"].get("ManagedPolicyArns", []):
        if isinstance(arn, dict) and arn.get("Ref") in STACK:
            yield from as_list(STACK[arn["Ref"]]["Properties"]["PolicyDocument"]["Statement"])


def may_put(function: str, *entries: tuple[str, str]) -> bool:
    on_bus = [it for it in policies_of(function) if "events:PutEvents" in as_list(it["Action"])]
    assert all(it["Resource"] == {"Fn::GetAtt": ["EventBus", "Arn"]} for it in on_bus)
    effects = {it["Effect"] for it in on_bus if allowed(it.get("Condition", {}), *entries)}
    return effects == {"Allow"}


@pytest.mark.parametrize("function", CONSUMERS)
def test_a_consumers_failure_goes_out_in_its_name_and_nothing_else_does(function):
    # SAM allows it everything, for its on-failure destination
    failed = ("lambda", "Lambda Function Invocation Result - Failure")
    assert may_put(function, failed)
    assert may_put(function), "should Lambda's own call have no such key, the destination still works"
    vetoes = (("microservice_x", "PartnerFailed"), ("lambda", "PaymentFailed"))
    for forged in (("eventflow.payment", "PaymentSucceeded"), ("", "X"), *vetoes):
        assert not may_put(function, forged)
        assert not may_put(function, failed, forged)


def test_of_functions_that_are_no_consumers_only_relay_puts_events():
    assert [it for it in FUNCTIONS if it not in CONSUMERS and may_put(it, ("eventflow.x", "X"))] == ["RelayFunction"]


@pytest.mark.parametrize("function", CONSUMERS)
def test_there_is_a_way_to_the_queue_before_a_function_can_have_given_anything_up(function):
    # Lambda gives an event up three minutes after it came, at the earliest; the rule needs the function's name only
    config = next(
        it
        for it in of_kind("AWS::Lambda::EventInvokeConfig", STACK).values()
        if it["FunctionName"] == {"Ref": function}
    )
    assert config.get("MaximumRetryAttempts", 2) == 2
    (rule,) = (name for name in of_kind("AWS::Events::Rule", STACK) if name.endswith("Failures")
               and function in json.dumps(STACK[name]))  # fmt: skip
    assert not {it for it in made_before(rule, STACK) if it.endswith("DeploymentGroup")}


@pytest.mark.parametrize("stack", BOTH)
def test_an_api_has_a_limit_of_its_own(stack):
    # else its callers can use up that of the account, for every other API (API Gateway Developer Guide, "Throttle
    # requests to your REST APIs": 10,000 a second in each region)
    (stage,) = of_kind("AWS::ApiGateway::Stage", BOTH[stack]).values()
    (settings,) = stage["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"] <= 1000


# Names, and what cannot be changed later

LONGEST_STACK_NAME = 128

LONGEST = {
    ("AWS::ApiGateway::RestApi", "Name"): 1024,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::Cognito::UserPool", "UserPoolName"): 128,
    ("AWS::Events::EventBus", "Name"): 256,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::Logs::DeliveryDestination", "Name"): 60,
    ("AWS::Logs::DeliverySource", "Name"): 60,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::Logs::QueryDefinition", "Name"): 255,
    ("AWS::Lambda::LayerVersion", "LayerName"): 140,
}
"""How long names may be, by type and property, as CloudFormation's resource schemas say. What has no name of ours gets
one from CloudFormation, which cuts it to fit.
"""


def names_of_ours(resources: Resources) -> dict[tuple[str, str, str], str]:
    """By logical id, type and property."""
    found = {
        (name, it["Type"], property_): value
        for name, it in resources.items()
        for property_, value in it.get("Properties", {}).items()
        if (it["Type"], property_) in LONGEST or (isinstance(value, str) and "a-long-name" in value)
    }
    return {key: value for key, value in found.items() if isinstance(value, str)}


@pytest.mark.parametrize(
    ("template", "longest"), [(None, LONGEST_STACK_NAME), (TIMELINE, 64)], ids=["main", "timeline"]
)
def test_a_stack_may_have_as_long_a_name_as_the_documents_say(template, longest):
    stack_name = "a-long-name-".ljust(longest, "x")
    given = (
        {"AWS::StackName": stack_name, "UserPoolId": "us-east-1_abc"} if template else {"AWS::StackName": stack_name}
    )
    names = names_of_ours(deployed(template, **given))
    assert len(names) >= 2
    for (_, kind, property_), value in names.items():
        assert len(value) <= LONGEST[kind, property_], (kind, property_, value)


def test_two_stacks_of_one_account_share_no_name():
    def named(stack: str) -> set[tuple[str, str]]:
        given = {"AWS::StackName": stack, "AWS::StackId": f"arn:aws:cloudformation:::stack/{stack}/id-of-{stack}"}
        return {(kind, value) for (_, kind, _), value in names_of_ours(deployed(**given)).items()}

    assert len(named("a-long-name-1")) > 8
    assert not named("a-long-name-1") & named("a-long-name-2")


def test_an_e_mail_address_is_one_person_however_it_is_written():
    # by default Me@x and me@x are two, and it can hardly be changed later
    pool = STACK["UserPool"]["Properties"]
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}


def test_relays_concurrency_has_a_bound_where_one_is_asked_for():
    assert "ReservedConcurrentExecutions" not in STACK["RelayFunction"]["Properties"]
    assert deployed(RelayConcurrency=5)["RelayFunction"]["Properties"]["ReservedConcurrentExecutions"] == 5


def test_each_consumers_concurrency_has_a_bound_where_one_is_asked_for():
    consumers = {name for name in FUNCTIONS if triggers(name, "EventBridgeRule")}
    bounded = of_kind("AWS::Lambda::Function", deployed(ConsumerConcurrency=50))
    assert {name for name, it in bounded.items() if it.get("ReservedConcurrentExecutions") == 50} == consumers
    assert not any("ReservedConcurrentExecutions" in it for it in of_kind("AWS::Lambda::Function", STACK).values())


def test_relay_takes_as_many_batches_at_once_and_gathers_them_for_as_long_as_asked_for():
    def of_streams(stack: Resources) -> set[tuple[int, int]]:
        return {
            (int(it["ParallelizationFactor"]), int(it["MaximumBatchingWindowInSeconds"]))
            for it in of_kind("AWS::Lambda::EventSourceMapping", stack).values()
            if it["EventSourceArn"]["Fn::GetAtt"][1] == "StreamArn"
        }

    assert of_streams(STACK) == {(1, 0)}
    assert of_streams(deployed(RelayParallelization=10, RelayBatchSeconds=1)) == {(10, 1)}


def test_lambda_writes_no_line_of_an_invocation_that_went_well():
    # "start" and a "report" of success are INFO, one of anything else WARN; levels need JSON (Lambda Developer Guide,
    # "Log-level filtering"). Above INFO, ApplicationLogLevel would take the metrics away, which are lines without level
    wanted = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"}
    functions = [it for stack in BOTH.values() for it in of_kind("AWS::Lambda::Function", stack).values()]
    assert len(functions) > 14
    for function in functions:
        assert wanted.items() <= function["LoggingConfig"].items()
        assert "LogGroup" in function["LoggingConfig"]
