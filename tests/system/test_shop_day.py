"""A day in the shop, only over HTTP: a shopper's, and an operator's."""

import uuid

from .waiting import eventually

SHIPPING = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada.lovelace@example.com",
    "address": "12 St James's Square, London",
}


def test_a_shoppers_day(shop):
    # given a shop with two products in a new category, and one elsewhere
    category = f"mugs-{uuid.uuid4()}"
    blue, red = (shop.stocked(9, category=category, name=name, unitPrice=1250) for name in ("Blue mug", "Red mug"))
    lamp = shop.stocked(9, name="Lamp", unitPrice=4000)
    shop.call("DELETE", "/basket")

    # when she browses by category, page by page
    first = shop.call("GET", f"/products?category={category}&limit=1", token="").body
    second = shop.call("GET", f"/products?category={category}&limit=1&cursor={first['nextCursor']}", token="").body
    assert {product["productId"] for product in first["items"] + second["items"]} == {blue, red}

    # and fills a basket, changes her mind about a quantity, and takes one thing out
    for product, quantity in ((blue, 1), (red, 2), (lamp, 1), (blue, 3)):
        assert shop.call("PUT", f"/basket/items/{product}", {"quantity": quantity}).status == 200
    basket = shop.call("DELETE", f"/basket/items/{lamp}").body
    assert [(line["name"], line["quantity"], line["lineTotal"]) for line in basket["items"]] == [
        ("Blue mug", 3, 3750),
        ("Red mug", 2, 2500),
    ]
    assert shop.call("GET", "/basket").body == basket
    assert (basket["totalPrice"], basket["currency"]) == (6250, "USD")

    # and checks out
    answer = shop.check_out(SHIPPING, **{blue: 3, red: 2})
    order = answer.body["orderId"]
    assert answer.headers["Location"] == f"/v1/orders/{order}"
    assert shop.call("GET", "/basket").body["items"] == []

    # then her order comes to its end, at the prices that she saw
    assert shop.until(order, "CONFIRMED")
    seen = shop.call("GET", f"/orders/{order}").body
    assert (seen["totalPrice"], seen["shipping"]) == (6250, SHIPPING)
    assert (shop.stock_of(blue), shop.stock_of(red), shop.stock_of(lamp)) == (6, 7, 9)
    heard = shop.until_heard(order, "OrderConfirmed")
    created = next(event["detail"] for event in heard if event["detail-type"] == "OrderCreated")
    assert (created["version"], created["totalPrice"]) == ("2.0", 6250)
    paid = next(event["detail"] for event in heard if event["detail-type"] == "PaymentSucceeded")
    assert (paid["amount"], paid["currency"]) == (6250, "USD")

    # and another one she cancels
    regretted = shop.place(lamp)
    assert shop.until(regretted, "CONFIRMED")
    assert shop.cancel(regretted).body["status"] == "CANCELLED"
    refund = next(
        event["detail"]
        for event in shop.until_heard(regretted, "PaymentRefunded", "InventoryReleased")
        if event["detail-type"] == "PaymentRefunded"
    )
    assert (refund["amount"], refund["currency"]) == (4000, "USD")
    assert shop.stock_of(lamp) == 9


def test_an_operators_day(shop):
    operator = shop.people.operator
    # given a product, new in the shop
    product = shop.stocked(1, name="Teapot", unitPrice=3000)
    path = f"/products/{product}"
    etag = shop.call("GET", path).headers["ETag"]
    body = {"name": "Teapot", "category": "tests", "unitPrice": 2500, "currency": "USD"}

    # when she reprices it, and a colleague who read it before her does, too
    assert shop.call("PUT", path, body, by=operator, headers={"If-Match": etag}).status == 200
    late = shop.call("PUT", path, body | {"unitPrice": 9900}, by=operator, headers={"If-Match": etag})

    # then the colleague's change is refused, and hers is what an order costs
    assert late.status == 412
    assert shop.call("PUT", path, body, by=operator).status == 428
    shop.until_priced(product, 2500)
    order = shop.place(product)
    assert shop.call("GET", f"/orders/{order}").body["totalPrice"] == 2500
    assert shop.until(order, "CONFIRMED")

    # when she restocks it
    shop.deliver(product, 5)
    # then it can be ordered again
    assert shop.until(shop.place(product), "CONFIRMED")

    # when she retires it, while it is in a basket
    assert shop.call("PUT", f"/basket/items/{product}", {"quantity": 1}, by=operator).status == 200
    assert shop.call("DELETE", path, by=operator).status == 204
    # then it is gone from the catalog, and soon nobody can order it
    assert shop.call("GET", path).status == 404
    items = [{"productId": product, "quantity": 1}]
    eventually(lambda: shop.call("POST", "/orders", {"items": items}).status, lambda status: status == 422)
    eventually(
        lambda: shop.call("POST", "/basket/checkout", SHIPPING, by=operator).status, lambda status: status == 422
    )
    shop.call("DELETE", "/basket", by=operator)


def test_only_an_operator_writes_the_catalog_and_nobody_sets_a_price_by_ordering(shop):
    product = shop.stocked(1)
    new = {"name": "Free mug", "category": "tests", "unitPrice": 0, "currency": "USD"}

    assert shop.call("POST", "/products", new).status == 403
    assert shop.call("DELETE", f"/products/{product}").status == 403
    assert shop.call("POST", "/products", new, token="").status == 401
    answer = shop.call("POST", "/orders", {"productId": product, "quantity": 1, "unitPrice": 1})
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, "unitPrice")


def test_orders_are_found_by_when_they_were_placed(shop):
    # given two orders
    product, someone = shop.stocked(9), shop.people.other_shopper
    body = {"productId": product, "quantity": 1}
    early, late = (shop.call("POST", "/orders", body, by=someone).body for _ in range(2))

    def found(query, by):
        return [order["orderId"] for order in shop.call("GET", f"/orders?{query}", by=by).body["items"]]

    # then
    from_late = f"from={late['createdAt'].replace('+', '%2B')}"
    assert found(from_late, someone) == [late["orderId"]]
    assert found(f"to={early['createdAt'].replace('+', '%2B')}&limit=1", someone) == [early["orderId"]]
    assert found(f"{from_late}&userId={someone.sub}", shop.people.operator) == [late["orderId"]]
    assert shop.call("GET", "/orders?from=yesterday", by=someone).body["errors"][0]["field"] == "from"
    assert shop.call("GET", f"/orders?userId={someone.sub}", by=shop.people.shopper).status == 404
