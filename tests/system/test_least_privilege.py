"""Each function may do what it does and nothing else: tried with the function's own role, with IAM enforced."""

import pytest
from botocore.exceptions import ClientError

STOCK = {"TableName": "InventoryTable", "Key": {"productId": {"S": "mug"}}}
ORDER = {"TableName": "OrdersTable", "Key": {"orderId": {"S": "none"}}}
PAYMENT = {"TableName": "PaymentsTable", "Key": {"orderId": {"S": "none"}}}
ANSWER = {"TableName": "SimulatedGatewayTable", "Key": {"idempotencyKey": {"S": "none"}}}
KEY = {"TableName": "IdempotencyTable", "Key": {"id": {"S": "none"}}}
PRICE = {"productId": {"S": "mug"}}
BASKET_PRICE = {"TableName": "BasketPricesTable", "Key": PRICE}
ORDERS_PRICE = {"TableName": "OrdersPricesTable", "Key": PRICE}
BASKET = {"TableName": "BasketsTable", "Key": {"userId": {"S": "none"}}}
PRODUCT = {"TableName": "ProductsTable", "Key": PRICE}
PARTNER_ORDER = {"TableName": "PartnerOrdersTable", "Key": {"orderId": {"S": "none"}}}
TOLD = {"TableName": "NotificationsTable", "Item": {"orderId": {"S": "none"}}}
LAST_TOLD = {"TableName": "NotificationsTable", "Key": {"orderId": {"S": "none"}}}
RESERVATION = {"TableName": "ReservationsTable", "Key": {"orderId": {"S": "none"}}}


def attempt(shop, function, operation, request):
    """ "allowed", or the error's code."""
    request = {**request, "TableName": shop.resources[request["TableName"]]}
    try:
        getattr(shop.as_role_of(function, "dynamodb"), operation)(**request)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


@pytest.mark.parametrize(
    ("function", "operation", "request_"),
    [
        ("OrdersApiFunction", "get_item", ORDER),
        ("OrdersSagaFunction", "get_item", ORDER),
        ("PaymentFunction", "get_item", PAYMENT),
        ("InventorySagaFunction", "get_item", RESERVATION),
        ("InventoryApiFunction", "get_item", STOCK),
        ("CatalogApiFunction", "get_item", PRODUCT),
        ("BasketApiFunction", "get_item", BASKET),
        ("BasketPricesFunction", "get_item", BASKET_PRICE),
        ("OrdersCheckoutsFunction", "get_item", ORDER),
        ("IntakeApiFunction", "get_item", PARTNER_ORDER),
        ("NotificationFunction", "put_item", TOLD),
        ("BasketApiFunction", "get_item", KEY),
        ("PaymentFunction", "get_item", KEY),
    ],
)
def test_a_function_reads_or_writes_its_own_table(shop, function, operation, request_):
    assert attempt(shop, function, operation, request_) == "allowed"


@pytest.mark.parametrize(
    ("function", "operation", "request_"),
    [
        ("InventoryApiFunction", "get_item", KEY),
        ("OrdersApiFunction", "get_item", KEY),
        ("NotificationFunction", "get_item", ORDER),
        ("NotificationFunction", "get_item", PAYMENT),
        ("NotificationFunction", "get_item", LAST_TOLD),
        ("OrdersSagaFunction", "put_item", TOLD),
        ("PaymentFunction", "get_item", STOCK),
        ("PaymentFunction", "get_item", RESERVATION),
        ("PaymentFunction", "get_item", ORDER),
        ("PaymentFunction", "update_item", STOCK),
        ("PaymentFunction", "delete_item", PAYMENT),
        ("PaymentFunction", "delete_item", ANSWER),
        ("PaymentFunction", "delete_item", KEY),
        ("InventorySagaFunction", "get_item", STOCK),
        ("InventorySagaFunction", "get_item", PAYMENT),
        ("InventoryApiFunction", "get_item", RESERVATION),
        ("OrdersApiFunction", "get_item", PAYMENT),
        ("OrdersApiFunction", "delete_item", ORDER),
        ("RelayFunction", "get_item", ORDER),
        ("CatalogApiFunction", "get_item", ORDERS_PRICE),
        ("BasketApiFunction", "get_item", ORDERS_PRICE),
        ("BasketApiFunction", "get_item", PRODUCT),
        ("BasketApiFunction", "delete_item", BASKET_PRICE),
        ("OrdersPricesFunction", "get_item", BASKET_PRICE),
        ("OrdersPricesFunction", "get_item", ORDER),
        ("OrdersCheckoutsFunction", "get_item", BASKET),
        ("IntakeApiFunction", "delete_item", PARTNER_ORDER),
        ("IntakeFunction", "get_item", ORDER),
    ],
)
def test_a_function_does_not_touch_what_it_has_no_business_with(shop, function, operation, request_):
    assert attempt(shop, function, operation, request_) == "AccessDeniedException"


@pytest.mark.parametrize(
    "function",
    [
        *("OrdersApiFunction", "OrdersSagaFunction", "OrdersPricesFunction", "BasketPricesFunction"),
        *("PaymentFunction", "InventorySagaFunction", "NotificationFunction", "IntakeFunction"),
    ],
)
def test_nobody_but_relay_publishes(shop, function):
    entry = {"EventBusName": shop.stack.event_bus, "Source": "forged", "DetailType": "Forged", "Detail": "{}"}

    with pytest.raises(ClientError) as refused:
        shop.as_role_of(function, "events").put_events(Entries=[entry])

    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    relay = shop.as_role_of("RelayFunction", "events").put_events(Entries=[entry])
    assert relay["FailedEntryCount"] == 0
