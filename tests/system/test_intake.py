"""Orders of a partner system, put on the bus as any client does."""

import uuid

from .waiting import eventually


def partner_order(**fields):
    body = {"OrderId": str(uuid.uuid4()), "Item": "a book", "Amount": 3, "IsMember": True, "ShippingMethod": "air"}
    return {"body": body | fields}


def put(shop, detail):
    return shop.put_event("microservice_x", "microservice_x_test_event", detail)


def read(shop, detail):
    return shop.call("GET", f"/partner-orders/{detail['body']['OrderId']}", by=shop.people.operator)


def test_a_partners_order_is_taken_exactly_once(shop):
    # given an order with an amount that is no whole number
    detail = partner_order(Amount=12.5)
    order = detail["body"]["OrderId"]

    # when it comes twice
    first = put(shop, detail)
    (received,) = shop.until_heard(order, "PartnerOrderReceived")
    second = put(shop, detail)
    eventually(
        lambda: [shop.received("IntakeFunction", event) for event in (first, second)], lambda seen: seen == [1, 1]
    )

    # then it is there, once
    expected = {"orderId": order, "item": "a book", "amount": 12.5, "isMember": True, "shippingMethod": "air"}
    assert read(shop, detail).body == expected
    assert expected.items() <= received["detail"].items()
    assert shop.ear.types_about(order) == ["PartnerOrderReceived"]


def test_the_same_order_id_with_other_content_is_refused_into_the_queue(shop):
    # given
    detail = partner_order()
    put(shop, detail)
    eventually(lambda: read(shop, detail).status, lambda status: status == 200)

    # when
    other = partner_order(OrderId=detail["body"]["OrderId"], Amount=99)
    put(shop, other)

    # then
    def kept():
        return [record for record in shop.messages("IntakeFailedEvents") if record["requestPayload"]["detail"] == other]

    (record,) = eventually(kept, len)
    assert record["responsePayload"]["errorType"] == "ContentDiffers"
    assert read(shop, detail).body["amount"] == 3


def test_a_malformed_partner_order_ends_in_the_queue_by_the_name_of_its_field(shop):
    detail = partner_order(IsMember="yes")
    put(shop, detail)

    def kept():
        return [
            record for record in shop.messages("IntakeFailedEvents") if record["requestPayload"]["detail"] == detail
        ]

    (record,) = eventually(kept, len)
    assert "`$.detail.body.IsMember`" in record["responsePayload"]["errorMessage"]
    assert read(shop, detail).status == 404


def test_only_an_operator_reads_partner_orders(shop):
    assert shop.call("GET", "/partner-orders/any").status == 403
    assert shop.call("GET", "/partner-orders/any", by=shop.people.operator).status == 404
