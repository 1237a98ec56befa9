"""A service in its own stack takes part in the saga, and no existing one changes."""

import uuid

import pytest

from local.cloud import ROOT
from local.stack import HOST, build, delete, deploy

from .shop import Shop
from .waiting import eventually

TEMPLATE = ROOT / "examples" / "fraud-detection" / "template.yaml"


@pytest.fixture(scope="module")
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


def test_an_order_that_it_cannot_read_is_in_its_queue_with_the_field_that_is_wrong(shop, fraud_detection):
    # given orders of both versions, each wrong in one place
    order = {"orderId": str(uuid.uuid4()), "userId": "ada"}
    wrong = {
        "$.detail.quantity": {"version": "1.0", "productId": "mug", "quantity": "two"},
        "$.detail.items": {"version": "2.0", "items": None},
        "$.detail.items[1].quantity": {
            "version": "2.0",
            "items": [{"productId": "mug", "quantity": 2}, {"quantity": "two"}],
        },
    }

    # when
    sent = {shop.put_event("eventflow.orders", "OrderCreated", order | it): field for field, it in wrong.items()}

    # then
    example = Shop(shop.cloud, fraud_detection, shop.people, shop.ear)
    records = eventually(lambda: example.messages("FraudDetectionFailedEvents"), lambda seen: len(seen) == len(sent))
    for record in records:
        assert f"at `{sent[record['requestPayload']['id']]}`" in record["responsePayload"]["errorMessage"]
