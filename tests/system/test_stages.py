"""Two stages in one account, side by side: neither sees anything of the other, and each goes without a trace."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud
from local.people import sign_in_everyone
from local.stack import attached_to, build_dir, delete, deploy

from .copies import changed, delete_again, deployed_again
from .ear import Ear
from .shop import ENDED, Shop
from .test_timeline import CONFIRMED, everything_of
from .timelines import Timelines

KINDS = {
    *("get_rest_apis", "describe_stacks", "describe_alarms", "list_dashboards", "list_user_pools", "list_tables"),
    *("list_archives", "list_event_buses", "list_rules", "list_policies", "list_roles", "list_functions"),
    *("list_layers", "describe_log_groups", "list_topics", "list_queues", "list_state_machines"),
    "list_event_source_mappings",
}
"""The kinds of things that a stage has, by the operation that lists them."""


def everything_named(cloud: Cloud, stage: str) -> set[tuple[str, str]]:
    """Whatever there is in the account that is named after the stage, by the operation that lists it."""
    found: set[tuple[str, str]] = set()

    def look(service: str, operation: str, items: str, name: str, **request: object) -> None:
        client = cloud.client(service)
        pages = (
            client.get_paginator(operation).paginate(**request)
            if client.can_paginate(operation)
            else [getattr(client, operation)(**request)]
        )
        listed = [item for page in pages for item in page.get(items, [])]
        names = [item if isinstance(item, str) else item.get(name, "") for item in listed]
        found.update((operation, it) for it in names if re.search(rf"(^|[:/]){stage}($|[-/:])", it))

    look("apigateway", "get_rest_apis", "items", "name", limit=500)
    look("cloudformation", "describe_stacks", "Stacks", "StackName")
    look("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName")
    look("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName")
    look("cognito-idp", "list_user_pools", "UserPools", "Name", MaxResults=60)
    look("dynamodb", "list_tables", "TableNames", "")
    look("events", "list_archives", "Archives", "ArchiveName")
    look("events", "list_event_buses", "EventBuses", "Name")
    look("events", "list_rules", "Rules", "Name")
    look("iam", "list_policies", "Policies", "PolicyName", Scope="Local")
    look("iam", "list_roles", "Roles", "RoleName", MaxItems=1000)
    look("lambda", "list_functions", "Functions", "FunctionName")
    look("lambda", "list_layers", "Layers", "LayerName")
    look("logs", "describe_log_groups", "logGroups", "logGroupName")
    look("sns", "list_topics", "Topics", "TopicArn")
    look("sqs", "list_queues", "QueueUrls", "")
    look("stepfunctions", "list_state_machines", "stateMachines", "name")
    mappings = cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    found.update(("list_event_source_mappings", it["UUID"]) for it in mappings if f":{stage}-" in it["FunctionArn"])
    return found


def physical_ids(shop: Shop) -> set[str]:
    return set(shop.resources.values())


def kept_in_tables(shop: Shop) -> str:
    """All rows of all its tables, as text."""
    dynamodb = shop.cloud.client("dynamodb")
    tables = [physical for logical, physical in shop.resources.items() if logical.endswith("Table")]
    return json.dumps([dynamodb.scan(TableName=table)["Items"] for table in tables])


def logged(shop: Shop) -> list[str]:
    """All lines of all its functions' logs."""
    logs = shop.cloud.client("logs")
    groups = [physical for logical, physical in shop.resources.items() if logical.endswith("Log")]
    pages = [page for group in groups for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)]
    return [event["message"] for page in pages for event in page["events"]]


def namespaces_of(lines: list[str]) -> set[str]:
    """Where what is counted in these lines is counted."""
    metrics = [json.loads(line) for line in lines if '"_aws"' in line]
    return {it["Namespace"] for metric in metrics for it in metric["_aws"]["CloudWatchMetrics"]}


@pytest.fixture
def stages(cloud, stack, timeline):
    """dev and prod, each with its timeline: the shop and the timelines of each."""
    with ExitStack() as running:

        def opened(stage: str) -> tuple[Shop, Timelines]:
            name = f"eventflow-{stage}"
            main = running.enter_context(deployed_again(cloud, stack, name, {"Stage": stage}))
            given = {**attached_to(main), "Stage": stage}
            running.enter_context(deployed_again(cloud, timeline.stack, f"{name}-timeline", given))
            people = sign_in_everyone(cloud.client("cognito-idp"), main.user_pool_id, main.client_id)
            shop = Shop(cloud, main, people, Ear.at(cloud, main.event_bus))
            return shop, Timelines.at(shop, f"{name}-timeline")

        yield opened("dev"), opened("prod")
        for stage in ("dev", "prod"):
            stop_listening(cloud, f"eventflow-{stage}")


def stop_listening(cloud: Cloud, bus: str) -> None:
    """A bus goes when it has no rules."""
    events = cloud.client("events")
    try:
        events.remove_targets(EventBusName=bus, Rule="ear", Ids=["ear"])
        events.delete_rule(EventBusName=bus, Name="ear")
    except ClientError:
        pass  # it is gone


def test_two_stages_side_by_side_see_nothing_of_each_other_and_leave_nothing_behind(cloud, stages):
    (dev, dev_timeline), (prod, prod_timeline) = stages

    # when each has an order of the same product
    with ThreadPoolExecutor(2) as pool:
        dev_order, prod_order = pool.map(lambda shop: shop.place(shop.stocked(5, productId="mug"), 2), (dev, prod))
    dev_timeline.until_told(dev_order, *CONFIRMED)
    prod_timeline.until_told(prod_order, *CONFIRMED)

    # then they share no resource, and neither has anything of the other
    shared = (physical_ids(dev) | physical_ids(dev_timeline)) & (physical_ids(prod) | physical_ids(prod_timeline))
    assert shared <= {"operators", "v1"}, "names within a user pool and within an API"
    for shop, timeline, own, others, stage in (
        (dev, dev_timeline, dev_order, prod_order, "prod"),
        (prod, prod_timeline, prod_order, dev_order, "dev"),
    ):
        assert shop.status(own) == "CONFIRMED"
        assert shop.status(others) == "HTTP 404"
        assert shop.stock_of("mug") == 3
        assert timeline.ask(others).status == 404
        assert (shop.ear.types_about(own).count("OrderConfirmed"), shop.ear.about(others)) == (1, [])
        rows, lines = kept_in_tables(shop) + kept_in_tables(timeline), logged(shop) + logged(timeline)
        for text in (rows, "\n".join(lines)):
            assert own in text
            assert others not in text
        assert namespaces_of(lines) == {shop.stack.name}
        dashboard = cloud.client("cloudwatch").get_dashboard(DashboardName=shop.stack.name)["DashboardBody"]
        assert f"eventflow-{stage}" not in dashboard

    # when a parameter of one changes
    changed(cloud, dev.stack, PaymentFailureRate="100")

    # then an order that would have been paid before is not: the alias points to a version with the new value
    assert dev.until(dev.place("mug"), *ENDED) == "PAYMENT_FAILED"
    payments = cloud.client("lambda").get_function_configuration(
        FunctionName=dev.resources["PaymentFunction"], Qualifier="live"
    )
    assert payments["Environment"]["Variables"]["PAYMENT_FAILURE_RATE"] == "100"
    assert payments["Version"] == "2"

    # when one is deleted, its add-on first, while the other works
    assert {kind for kind, _ in everything_named(cloud, "eventflow-dev")} == KINDS
    before = everything_of(prod)
    meanwhile = prod.place("mug")
    stop_listening(cloud, "eventflow-dev")
    delete_again(cloud, "eventflow-dev-timeline")
    delete_again(cloud, "eventflow-dev")

    # then the other does not notice
    assert everything_named(cloud, "eventflow-dev") == set()
    assert everything_of(prod) == before
    prod_timeline.until_told(meanwhile, *CONFIRMED)

    # when prod's protection is taken off, as the runbook says
    dynamodb = cloud.client("dynamodb")
    tables = [it for it in dynamodb.list_tables()["TableNames"] if it.startswith("eventflow-prod-")]
    assert len(tables) == 13
    for table in tables:
        with pytest.raises(ClientError, match="protected"):
            dynamodb.delete_table(TableName=table)
    assert protection_of_users(prod) == "ACTIVE"
    deploy(cloud, build_dir(cloud) / "template.yaml", "eventflow-prod", {"Stage": "dev"})
    changed(cloud, prod_timeline.stack, Stage="dev")
    protected = [dynamodb.describe_table(TableName=it)["Table"]["DeletionProtectionEnabled"] for it in tables]
    assert set(protected) == {False}
    assert protection_of_users(prod) == "INACTIVE"

    # and it is deleted
    stop_listening(cloud, "eventflow-prod")
    delete_again(cloud, "eventflow-prod-timeline")
    delete(cloud, "eventflow-prod")

    # then nothing is left
    assert everything_named(cloud, "eventflow-prod") == set()


def protection_of_users(shop: Shop) -> str:
    pools = shop.cloud.client("cognito-idp")
    return str(pools.describe_user_pool(UserPoolId=shop.stack.user_pool_id)["UserPool"]["DeletionProtection"])
