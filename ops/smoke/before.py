"""Checks of how the stack is set up, made before any order is placed. They change nothing.

CloudFormation's list of the stack's resources says what there should be: a new service needs no change here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from ops.smoke.deployed import Deployed, Resource
from ops.smoke.waiting import Wrong

Json = Mapping[str, Any]

GONE = (
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
)

MOST_ALARMS = 100
"""Names that DescribeAlarms takes, and alarms that it gives if asked for so many; else it gives 50."""

RUNBOOK = 'docs/runbook.md, "Is this deployed stack right?"'


@dataclass(frozen=True)
class Problem:
    what: str
    look_at: str


def require_none(problems: Iterable[Problem]) -> None:
    """Raises Wrong, with all of them, and with what to look at for the first."""
    found = list(problems)
    if found:
        raise Wrong("; ".join(problem.what for problem in found), found[0].look_at)


def deploy(at: Deployed, stack: str, *options: str) -> str:
    """The command that deploys a stack again: the shop, or a timeline."""
    environment = [] if stack == at.name else ["--config-env timeline"]
    told = ["sam build", *environment, "&& sam deploy", *environment, f"--stack-name {stack}", *options, f"({RUNBOOK})"]
    return " ".join(told)


# Functions


def aliases(at: Deployed) -> None:
    """Each alias leads all callers to the code and the configuration that was deployed last. Raises Wrong."""

    def look(alias: Resource) -> Iterator[Problem]:
        arn, _, name = alias.physical.rpartition(":")
        function = at.named_in_template().get(arn.rpartition(":")[2], arn.rpartition(":")[2])
        try:
            shifting = at.lambdas.get_alias(FunctionName=arn, Name=name).get("RoutingConfig") or {}
            latest = at.lambdas.get_function_configuration(FunctionName=arn, Qualifier="$LATEST")
            live = at.lambdas.get_function_configuration(FunctionName=arn, Qualifier=name)
        except ClientError as error:
            if not _is_gone(error):
                raise
            yield Problem(f"{function}:{name} is gone", deploy(at, alias.stack))
            return
        if shifting.get("AdditionalVersionWeights"):
            yield Problem(
                f"{function}:{name} is between two versions: a deployment still shifts traffic",
                "the deployment (CodeDeploy): when it has ended, run make smoke again",
            )
        if differing := differences(latest, live):
            what = f"{function}:{name} is not what $LATEST is; they differ in: {', '.join(differing)}"
            yield Problem(what, deploy(at, alias.stack))

    require_none(at.each(at.resources("AWS::Lambda::Alias"), look))


def differences(latest: Json, live: Json) -> list[str]:
    """The names of settings that differ between two configurations of a function. No values: they may be secret."""
    one, other = _told(latest), _told(live)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _told(configuration: Json) -> dict[str, Any]:
    """What decides how a function behaves. Its ARN, say, is left out: each version has its own."""
    compared = {
        "code": "CodeSha256",
        "runtime": "Runtime",
        "architectures": "Architectures",
        "handler": "Handler",
        "memory": "MemorySize",
        "disk": "EphemeralStorage",
        "timeout": "Timeout",
        "role": "Role",
        "tracing": "TracingConfig",
        "logging": "LoggingConfig",
    }
    variables = configuration.get("Environment", {}).get("Variables", {})
    return {
        **{name: configuration.get(field) for name, field in compared.items()},
        "layers": [layer["Arn"] for layer in configuration.get("Layers", [])],
        **{f"variable {name}": value for name, value in variables.items()},
    }


# How events get from one service to the next


def rules(at: Deployed) -> None:
    """Each rule is on, and its targets and their dead-letter queues are there. Raises Wrong."""
    there = _existence(at)

    def look(resource: Resource) -> Iterator[Problem]:
        rule = found_rule(at, resource)
        if not rule:
            yield Problem(f"rule {resource.logical} is gone", deploy(at, resource.stack))
            return
        if rule.state != "ENABLED":
            on = f"--name {rule.name} --event-bus-name {rule.bus}"
            yield Problem(f"rule {resource.logical} is {rule.state}", f"aws events enable-rule {on}")
        if not rule.targets:
            yield Problem(f"rule {resource.logical} has no target", deploy(at, resource.stack))
        for target in rule.targets:
            dead_letters = target.get("DeadLetterConfig", {}).get("Arn")
            for role, arn in (("target", target["Arn"]), ("dead-letter queue", dead_letters)):
                if arn and not there(arn):
                    yield Problem(f"rule {resource.logical}: its {role} {arn} is gone", deploy(at, resource.stack))

    require_none(at.each(at.resources("AWS::Events::Rule"), look))


@dataclass(frozen=True)
class Rule:
    """`pattern` is None for a rule on a schedule; `targets` are as EventBridge lists them."""

    name: str
    bus: str
    state: str
    pattern: Json | None
    targets: list[Json]


def found_rule(at: Deployed, resource: Resource) -> Rule | None:
    """A rule as it is now. On AWS its physical id names its bus; the embedded cloud's does not."""
    named, _, name = resource.physical.rpartition("|")
    for bus in [named] if named else [at.bus, "default"]:
        try:
            rule = at.events.describe_rule(Name=name, EventBusName=bus)
        except ClientError as error:
            if not _is_gone(error):
                raise
            continue
        pages = at.events.get_paginator("list_targets_by_rule").paginate(Rule=name, EventBusName=bus)
        targets = [target for page in pages for target in page["Targets"]]
        pattern = rule.get("EventPattern")
        return Rule(name, bus, rule["State"], json.loads(pattern) if pattern else None, list(targets))
    return None


def mappings(at: Deployed) -> None:
    """Each event source mapping is on, and its source and its function are there. Raises Wrong."""
    there = _existence(at)

    def look(resource: Resource) -> Iterator[Problem]:
        try:
            mapping = at.lambdas.get_event_source_mapping(UUID=resource.physical)
        except ClientError as error:
            if not _is_gone(error):
                raise
            yield Problem(f"{resource.logical} is gone", deploy(at, resource.stack))
            return
        if mapping["State"] != "Enabled":
            on = f"aws lambda update-event-source-mapping --uuid {resource.physical} --enabled"
            yield Problem(f"{resource.logical} is {mapping['State']}", on)
        for role, arn in (("source", mapping["EventSourceArn"]), ("function", mapping["FunctionArn"])):
            if not there(arn):
                yield Problem(f"{resource.logical}: its {role} {arn} is gone", deploy(at, resource.stack))

    require_none(at.each(at.resources("AWS::Lambda::EventSourceMapping"), look))


def _existence(at: Deployed) -> Callable[[str], bool]:
    """Whether what an ARN names is there: a function with its alias, a queue, a state machine, a table's stream."""

    @cache
    def there(arn: str) -> bool:
        _, _, service, _, account, name = arn.split(":", 5)
        try:
            match service:
                case "lambda":
                    at.lambdas.get_function_configuration(FunctionName=arn)
                case "sqs":
                    at.sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
                case "states":
                    at.states.describe_state_machine(stateMachineArn=arn)
                case "dynamodb":
                    table = at.dynamodb.describe_table(TableName=name.split("/")[1])["Table"]
                    return table.get("LatestStreamArn") == arn
        except ClientError as error:
            if not _is_gone(error):
                raise
            return False
        return True

    return there


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in GONE


# What has gone wrong already


def queues(at: Deployed) -> None:
    """No failed-events queue holds anything. Raises Wrong."""
    held: Counter[str] = Counter()
    for queue in at.queues:
        held[queue.service] += at.waiting_in(queue)
    if told := ", ".join(f"{service} {number}" for service, number in held.items() if number):
        raise Wrong(f"failed events wait in the queues: {told}", f"make failed STACK_NAME={at.name}")


def alarms(at: Deployed) -> None:
    """No alarm of these stacks is on. It asks by name: a prefix may be another stack's, too. Raises Wrong."""
    ours = {alarm.physical: alarm.logical for alarm in at.resources("AWS::CloudWatch::Alarm")}
    names = sorted(ours)
    described = [
        at.cloudwatch.describe_alarms(AlarmNames=names[start : start + MOST_ALARMS], MaxRecords=MOST_ALARMS)
        for start in range(0, len(names), MOST_ALARMS)
    ]
    on = [alarm for page in described for alarm in page["MetricAlarms"] if alarm["StateValue"] == "ALARM"]
    require_none(
        Problem(
            f"{ours[alarm['AlarmName']]} is on: {alarm.get('StateReason', 'CloudWatch gives no reason')}",
            f"docs/runbook.md, the entry of {ours[alarm['AlarmName']]}",
        )
        for alarm in on
    )


def gateway(at: Deployed) -> None:
    """The simulated payment gateway approves some orders. Raises Wrong."""
    if failure_rate(at) >= 100:
        raise Wrong(
            "PaymentFailureRate is 100: the gateway declines every order, so none can be confirmed",
            deploy(at, at.name, "--parameter-overrides PaymentFailureRate=10"),
        )


def failure_rate(at: Deployed) -> int:
    """In percent of all orders."""
    return int(at.shop.parameters.get("PaymentFailureRate", "0"))
