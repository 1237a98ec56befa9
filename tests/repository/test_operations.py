"""What the person on call relies on: logs that end, alarms that name a metric there is, a dashboard that shows all."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from eventflow.store import COUNTED
from orders.orders import Status

from ..sam_template import ALL_FUNCTIONS, FUNCTIONS, ROOT, TEMPLATE, TIMELINE, resources
from ..transformed import deployed, of_kind, rendered
from ..unit.bus import PUBLISHED

LOGS = resources("AWS::Logs::LogGroup") | resources("AWS::Logs::LogGroup", TIMELINE)
ALARMS = resources("AWS::CloudWatch::Alarm")
TIMELINE_ALARMS = resources("AWS::CloudWatch::Alarm", TIMELINE)

EMITTED = {
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible": {"QueueName"}},
    "AWS/Lambda": {
        "Errors": {"FunctionName"},
        "IteratorAge": {"FunctionName"},
        "Throttles": set(),  # this and the next of all functions together
        "DestinationDeliveryFailures": set(),
    },
    "AWS/ApiGateway": {"5XXError": {"ApiName", "Stage"}, "Latency": {"ApiName", "Stage"}},
    "AWS/Events": {
        "FailedInvocations": {"EventBusName", "RuleName"},
        "InvocationsFailedToBeSentToDlq": {"EventBusName", "RuleName"},
    },
    "AWS/States": {
        name: {"StateMachineArn"} for name in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionThrottled")
    },
    "EventFlow/Timeline": {"StuckSagas": {"Stack"}},  # put by statemachines/stuck_sagas.asl.json
}
"""The metrics that AWS's services emit, of those used here, with the dimensions that they have.

Lambda: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
API Gateway: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
Step Functions: https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
"""


# Logs


@pytest.mark.parametrize("function", ALL_FUNCTIONS)
def test_a_function_has_a_log_group_of_its_own_which_ends(function):
    # its own, because `sam logs` would show a shared one once per function
    (log,) = re.findall(r"^(\w+)Log$", ALL_FUNCTIONS[function]["LoggingConfig"]["LogGroup"]["Ref"])
    assert f"{log}Function" == function
    assert LOGS[f"{log}Log"]["RetentionInDays"] == {"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "LogDays"]}


def test_every_log_ends_in_every_stage():
    for name, log in LOGS.items():
        assert "RetentionInDays" in log, name
    for template in (TEMPLATE, TIMELINE):
        stages = template["Mappings"]["Stages"]
        assert all(stage["LogDays"] > 0 for stage in stages.values())
        assert stages.keys() == set(template["Parameters"]["Stage"]["AllowedValues"])


def test_saved_queries_look_into_every_functions_log():
    logs = [{"Ref": f"{function.removesuffix('Function')}Log"} for function in FUNCTIONS]
    queries = resources("AWS::Logs::QueryDefinition")
    assert len(queries) >= 3
    for query in queries.values():
        assert query["LogGroupNames"] == logs


# Alarms


def metrics_of(alarm: dict[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """Namespace, name and dimensions of each metric that an alarm watches."""
    if "MetricName" in alarm:
        yield alarm["Namespace"], alarm["MetricName"], {it["Name"] for it in alarm.get("Dimensions", [])}
    for metric in alarm.get("Metrics", []):
        query = metric["Expression"]["Fn::Sub"]
        found = re.fullmatch(r'SELECT SUM\((\w+)\) FROM SCHEMA\("([\w/]+)", ([\w, ]+)\) WHERE .+', query)
        assert found, query
        yield found[2], found[1], set(found[3].split(", "))


@pytest.mark.parametrize("name", ALARMS | TIMELINE_ALARMS)
def test_an_alarm_watches_a_metric_that_is_emitted_and_tells_somebody(name):
    alarm = (ALARMS | TIMELINE_ALARMS)[name]
    (watched,) = metrics_of(alarm)
    namespace, metric, dimensions = watched
    assert EMITTED[namespace][metric] == dimensions
    given = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    telling = [{"Ref": "AlarmTopic"}] if name in ALARMS else given
    assert alarm["AlarmActions"] == telling
    assert alarm["AlarmDescription"].endswith(".")
    # no traffic is no trouble, but for who must never be silent; one minute is enough, but for what is slow
    silence = {"StuckSagas": "missing"}.get(metric, "notBreaching")
    assert alarm["TreatMissingData"] == silence
    assert alarm.get("InsufficientDataActions") == (telling if silence == "missing" else None)
    assert alarm["EvaluationPeriods"] == (5 if metric == "Latency" else 1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_errors_raise_an_alarm(function):
    alarm = f"{function.removesuffix('Function')}Errors"
    assert ALARMS[alarm]["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]


def dashboard() -> list[dict[str, Any]]:
    """Its widgets. The resources of the stack stand as <logical id>."""
    body = deployed()["Dashboard"]["Properties"]["DashboardBody"]
    return list(json.loads(rendered(body))["widgets"])


def test_the_dashboard_shows_every_alarm():
    first, *_ = dashboard()
    assert first["type"] == "alarm"
    assert sorted(first["properties"]["alarms"]) == sorted(f"<{name}>" for name in ALARMS)


def drawn() -> list[list[Any]]:
    """The rows of all widgets. "..." stands for what the row before says, up to its last name (CloudWatch API
    Reference, "Dashboard body structure").
    """
    rows = []
    for widget in dashboard():
        for row in widget["properties"].get("metrics", []):
            rows.append([*rows[-1][:-1], *row[1:]] if row[0] == "..." else row)
    return rows


def test_the_dashboard_shows_every_function_and_every_queue_of_what_failed():
    shown = {(row[1], row[3]) for row in drawn() if len(row) > 3}
    assert {("Errors", f"<{name}>") for name in FUNCTIONS} <= shown
    failed = {name for name in resources("AWS::SQS::Queue") if "Failed" in name}
    assert {("ApproximateNumberOfMessagesVisible", f"<{name}>") for name in failed} <= shown


def test_the_dashboard_draws_metrics_that_are_emitted():
    for row in drawn():
        if isinstance(row[0], str) and row[0].startswith("AWS/"):
            dimensions = {it for it in row[2::2] if isinstance(it, str)}
            known = EMITTED[row[0]] | {"Count": {"ApiName", "Stage"}, "ConcurrentExecutions": set()}
            assert known[row[1]] == dimensions, row


def test_what_is_counted_is_drawn_and_what_is_drawn_is_counted():
    own = {row[1] for row in drawn() if row[0] == "eventflow"}
    assert own == COUNTED | {"SagaDuration"}  # orders.measures counts that one, and Cancelled by its status
    assert {fact.detail_type() for fact in PUBLISHED} >= COUNTED


def test_the_dashboard_draws_nothing_of_another_stack_in_the_account():
    # what AWS's services emit it draws by the names of the stack's own resources, or as the account's
    for row in drawn():
        match row:
            case [{"expression": str(expression)}]:
                # all metrics of these dimensions, in the stack's own namespace
                assert expression.startswith('SEARCH(\'{"eventflow",service,status} ')
            case [namespace, *_] if not namespace.startswith("AWS/"):
                assert namespace == "eventflow", "the stack's name"
            case ["AWS/ApiGateway", _, "ApiName", name, *_]:
                assert name == "eventflow"
            case ["AWS/Lambda", "ConcurrentExecutions", *_]:
                pass
            case [_, _, _, resource, *_]:
                assert resource.strip("<>") in TEMPLATE["Resources"]
    # which is where the functions count
    for function in of_kind("AWS::Lambda::Function", deployed(**{"AWS::StackName": "another"})).values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == "another"


def test_the_documents_count_what_it_costs_at_rest():
    text = (ROOT / "docs" / "how-it-works.md").read_text()
    queries = [name for name, alarm in ALARMS.items() if "Metrics" in alarm]
    rules = of_kind("AWS::Events::Rule", deployed())
    statuses = [status for status in Status if status.is_off]
    for said in (
        f"| {len(ALARMS) - len(queries)} of a metric at 0.10 | {(len(ALARMS) - len(queries)) / 10:.2f} |",
        f"| {len(queries)} queries at 0.10 for each rule that has the metric: {len(rules) + 1} rules |",
        f"| {len(COUNTED) + 1 + len(statuses)} at 0.30, ",
        f"| the timeline: {len(TIMELINE_ALARMS)} alarms, ",
    ):
        assert said in text


# Stages


@pytest.mark.parametrize("name", [*resources("AWS::DynamoDB::Table"), "UserPool", "TimelineTable"])
def test_prod_keeps_its_tables_and_users(name):
    resource = (TEMPLATE["Resources"] | TIMELINE["Resources"])[name]
    assert resource["UpdateReplacePolicy"] == "Retain"
    protection = resource["Properties"].get("DeletionProtectionEnabled") or resource["Properties"]["DeletionProtection"]
    assert protection["Fn::If"][0] == "IsProd"
    assert protection["Fn::If"][1] in (True, "ACTIVE")


def test_only_prod_shifts_traffic_gradually():
    preference = TEMPLATE["Globals"]["Function"]["DeploymentPreference"]
    assert preference["Type"].startswith("Canary")
    stages = TEMPLATE["Parameters"]["Stage"]["AllowedValues"]
    rollouts = TEMPLATE["Parameters"]["Rollout"]["AllowedValues"]
    gradual = {
        (stage, rollout)
        for stage in stages
        for rollout in rollouts
        if of_kind("AWS::CodeDeploy::DeploymentGroup", deployed(Stage=stage, Rollout=rollout))
    }
    assert gradual == {("prod", "Gradual")}


def test_an_ordinary_deployment_of_prod_is_gradual_again_after_one_that_was_not():
    # sam leaves what is not named as it was
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    given = stages["prod"]["deploy"]["parameters"]["parameter_overrides"].split()
    assert given == ["Stage=prod", "Rollout=Gradual"]
