"""A service in its own stack takes part in the saga, and no existing one changes."""

import pytest

from local.cloud import ROOT
from local.stack import HOST, build, delete, deploy

from .waiting import eventually

TEMPLATE = ROOT / "examples" / "fraud-detection" / "template.yaml"


@pytest.fixture
def fraud_detection(shop):
    name = "fraud-detection"
    built = build(shop.cloud, TEMPLATE, name)
    yield deploy(shop.cloud, built, name, {**HOST, "EventBusName": shop.stack.event_bus})
    delete(shop.cloud, name)


def everything_of(shop):
    """What the main stack consists of, and the code and configuration of its functions."""
    functions = [physical for logical, physical in shop.resources.items() if logical.endswith("Function")]
    lambdas = shop.cloud.client("lambda")
    resources = shop.cloud.client("cloudformation").list_stack_resources(StackName=shop.stack.name)
    return resources["StackResourceSummaries"], [
        {k: v for k, v in lambdas.get_function_configuration(FunctionName=name).items() if k != "ResponseMetadata"}
        for name in functions
    ]


def test_a_new_service_vetoes_orders_with_no_change_to_an_existing_one(shop, request):
    # given
    before = everything_of(shop)
    request.getfixturevalue("fraud_detection")
    product = shop.stocked(50)

    # when
    honest, greedy = shop.place(product, 10), shop.place(product, 11)
    greedy_by_lines = shop.place_lines({product: 10, shop.stocked(5): 1})

    # then
    for order in (greedy, greedy_by_lines):
        assert shop.until(order, "CANCELLED")
        heard = shop.until_heard(order, "FraudCheckFailed", "OrderCancelled")
        cancelled = next(event["detail"] for event in heard if event["detail-type"] == "OrderCancelled")
        assert cancelled["reason"] == "11 pieces, 10 at most"
        assert shop.rows(order)["OrdersTable"]["status"]["S"] == "CANCELLED"
    assert shop.until(honest, "CONFIRMED")
    # and what was done for them is undone
    eventually(lambda: shop.stock_of(product), lambda pieces: pieces == 40)
    for order in (greedy, greedy_by_lines):
        eventually(
            lambda order=order: shop.row("PaymentsTable", order)["status"]["S"],
            lambda status: status in ("REFUNDED", "CANCELLED"),
        )
    assert everything_of(shop) == before
