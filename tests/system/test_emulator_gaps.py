"""What local/gaps adds to the emulator, as AWS does it. (Retries and failure records: see test_failures.py.)"""

import json
import subprocess
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from local.cloud import EMULATOR_PYTHON, ROOT
from ops.people import sign_in

from .waiting import eventually


def test_a_stack_may_hold_an_archive_and_types_without_effect_here(cloud):
    # when (without the SAM CLI, which takes ten seconds for what is no SAM template)
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName="gaps", TemplateBody=Path(__file__).with_name("gaps-template.yaml").read_text()
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="gaps", WaiterConfig={"Delay": 1})

    # then the archive is a real one
    events = cloud.client("events")
    (archive,) = events.list_archives(NamePrefix="gaps")["Archives"]
    assert archive["RetentionDays"] == 7
    assert archive["EventSourceArn"].endswith("event-bus/gaps")

    # and goes with its stack
    cloudformation.delete_stack(StackName="gaps")
    eventually(lambda: events.list_archives(NamePrefix="gaps")["Archives"], lambda left: left == [])


def test_an_api_keeps_its_address_when_it_gets_another_route_and_answers_meanwhile(cloud):
    def template(*paths: str) -> str:
        mock = {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'}}
        route = {"get": {"x-amazon-apigateway-integration": mock}}
        api = {"Body": {"openapi": "3.0.1", "info": {"title": "routes"}, "paths": dict.fromkeys(paths, route)}}
        # another one for other routes, as SAM names them
        deployment = "Deployment" + "".join(filter(str.isalnum, "".join(paths)))
        stage = {"RestApiId": {"Ref": "Api"}, "StageName": "v1", "DeploymentId": {"Ref": deployment}}
        return json.dumps(
            {
                "Resources": {
                    "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": api},
                    deployment: {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
                    "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": stage},
                },
                "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
            }
        )

    # given
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(StackName="routes", TemplateBody=template("/old", "/kept"))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="routes", WaiterConfig={"Delay": 1})
    (output,) = cloudformation.describe_stacks(StackName="routes")["Stacks"][0]["Outputs"]

    def status(path: str) -> int:
        address = f"{cloud.endpoint}/_aws/execute-api/{output['OutputValue']}/v1{path}"
        return requests.get(address, timeout=10).status_code

    assert (status("/old"), status("/kept"), status("/new")) == (200, 200, 403)

    # when
    cloudformation.update_stack(StackName="routes", TemplateBody=template("/kept", "/new"))
    meanwhile = eventually(lambda: (status("/kept"), status("/new")), lambda it: it[1] == 200 or it[0] != 200)

    # then
    assert meanwhile == (200, 200)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="routes", WaiterConfig={"Delay": 1})
    assert (status("/old"), status("/kept"), status("/new")) == (403, 200, 200)
    cloudformation.delete_stack(StackName="routes")


@pytest.mark.parametrize(("closed", "answer"), [("", "D1012"), ("give_expressions_time()", "2")])
def test_an_expression_has_time_on_a_machine_that_is_busy(closed, answer):
    evaluate = f"""
from itertools import chain, repeat
from jsonata.jsonata import Jsonata
from jsonata.timebox import Timebox
from local.gaps.expressions import give_expressions_time
{closed}
times = chain([0], repeat(1500))  # milliseconds: it begins, and gets no processor for longer than a second
Timebox.current_milli_time = staticmethod(lambda: next(times))
try:
    print(Jsonata.jsonata("1 + 1", timeout=1000).evaluate(None))
except Exception as error:
    print(error.error)
"""
    said = subprocess.run([EMULATOR_PYTHON, "-c", evaluate], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.strip() == answer, said.stderr


def test_an_event_has_the_time_of_its_entry(shop):
    # given an entry of two hours ago, among others
    then = datetime.fromtimestamp(int(time.time()) - 7200, UTC)
    entry = {"EventBusName": shop.stack.event_bus, "Source": "test", "DetailType": "Late", "Detail": "{}"}
    late = {**entry, "Time": then, "Detail": f'{{"orderId": "late-{then.timestamp()}"}}'}

    # when
    shop.cloud.client("events").put_events(Entries=[entry, late, entry])

    # then
    (heard,) = eventually(lambda: shop.ear.about(f"late-{then.timestamp()}"), len)
    assert datetime.fromisoformat(heard["time"]) == then


def test_a_target_continues_the_trace_of_the_entry(shop):
    # given
    root = f"1-{int(time.time()):08x}-0123456789abcdef01234567"
    order = f"traced-{root}"
    entry = {
        "EventBusName": shop.stack.event_bus,
        "Source": "eventflow.orders",
        "DetailType": "OrderConfirmed",
        "Detail": f'{{"orderId": "{order}", "userId": "ada"}}',
        "TraceHeader": f"Root={root};Parent=0123456789abcdef;Sampled=1",
    }

    # when
    shop.cloud.client("events").put_events(Entries=[entry])

    # then
    lines = eventually(lambda: shop.log("NotificationFunction", order), len)
    assert {line["xray_trace_id"] for line in lines} == {root}


def test_a_rest_apis_functions_see_groups_joined_with_commas(cloud, shop):
    # given an operator who is in a second group
    cognito, pool = cloud.client("cognito-idp"), shop.stack.user_pool_id
    cognito.create_group(UserPoolId=pool, GroupName="auditors")
    auditor = sign_in(cognito, pool, shop.stack.client_id, "auditor@example.com", ("auditors", "operators"))

    # then the function finds "operators" among them
    path, delivery = "/inventory/mug/adjustments", {"by": 1, "reason": "delivery"}
    assert shop.call("POST", path, delivery, by=auditor, key="k1").status == 200


def test_an_alarm_watches_the_metric_with_its_own_dimensions_and_no_other_stacks(cloud):
    # given the same alarm of two stacks
    cloudwatch, stacks = cloud.client("cloudwatch"), ("gap-one", "gap-two")
    metric = {"Namespace": "gaps", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    for stack in stacks:
        cloudwatch.put_metric_alarm(
            AlarmName=stack,
            Dimensions=[{"Name": "Stack", "Value": stack}],
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            **metric,
        )

    # when one of them fails
    point = {"MetricName": "Errors", "Dimensions": [{"Name": "Stack", "Value": "gap-one"}], "Value": 1}
    cloudwatch.put_metric_data(Namespace="gaps", MetricData=[point])

    # then
    def on() -> list[str]:
        alarms = cloudwatch.describe_alarms(AlarmNames=list(stacks), StateValue="ALARM")["MetricAlarms"]
        return [alarm["AlarmName"] for alarm in alarms]

    assert eventually(on, len) == ["gap-one"]
    cloudwatch.delete_alarms(AlarmNames=list(stacks))


def test_a_function_that_raises_keeps_its_sandbox(shop):
    # given
    order = f"raises-{uuid.uuid4()}"
    event = {
        "id": "e",
        "source": "eventflow.orders",
        "detail-type": "OrderConfirmed",
        "detail": {"orderId": order, "version": "9.0"},
    }

    # when
    for _ in range(2):
        answer = shop.cloud.client("lambda").invoke(
            FunctionName=shop.resources["NotificationFunction"], Payload=json.dumps(event)
        )
        assert answer["FunctionError"]

    # then the second time it was there already
    lines = eventually(lambda: shop.log("NotificationFunction", order), lambda lines: len(lines) == 2)
    assert "cold_start" not in lines[-1]


def test_lambda_itself_logs_only_of_invocations_that_failed(shop):
    # given an event that is received, and one that is refused
    order, refused = str(uuid.uuid4()), str(uuid.uuid4())
    shop.put_event("eventflow.orders", "OrderConfirmed", {"orderId": order, "userId": "u"})
    shop.put_event("eventflow.orders", "OrderConfirmed", {"orderId": refused})

    # when both are logged
    (received, *_) = eventually(lambda: shop.log("NotificationFunction", order), len)
    failed = eventually(lambda: shop.log("NotificationFunction", refused), len)

    # then of the first Lambda says nothing, and of the other that it ended in an error
    def said_of(line):
        return shop.log("NotificationFunction", line["function_request_id"])

    assert not [line for line in said_of(received) if "record" in line]
    reports = eventually(lambda: [line for line in said_of(failed[0]) if "record" in line], len)
    assert [(line["type"], line["record"]["status"]) for line in reports] == [("platform.report", "error")]
