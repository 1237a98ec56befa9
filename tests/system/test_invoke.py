"""`make invoke`: one deployed function on one sample, under Amazon's own Lambda runtime."""

import json

import pytest

from local.cloud import ROOT, CloudError
from local.invoke import invoke

EVENTS = ROOT / "events"


@pytest.mark.parametrize(
    ("function", "sample"),
    [
        ("OrdersApiFunction", "orders/place-order.json"),
        ("PaymentFunction", "payment/order-created.json"),
        ("InventoryApiFunction", "inventory/adjust-stock.json"),
        ("InventorySagaFunction", "inventory/order-created.json"),
        ("NotificationFunction", "notification/order-confirmed.json"),
        ("RelayFunction", "relay/orders-stream.json"),
    ],
)
def test_a_function_takes_its_sample(shop, function, sample):
    assert invoke(shop.cloud, function, EVENTS / sample)


def test_a_function_that_raises_is_a_failure(shop, tmp_path, capfd):
    # given a sample of an event that the function cannot read
    sample = json.loads((EVENTS / "payment" / "order-created.json").read_text())
    sample["detail"]["quantity"] = "two"
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(sample))

    # then
    assert not invoke(shop.cloud, "PaymentFunction", broken)
    assert "`$.detail.quantity`" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("function", "event", "said"),
    [
        ("PaymentFuntion", "payment/order-created.json", "FUNCTION is one of: .*PaymentFunction"),
        ("PaymentFunction", "payment/none.json", "cannot read .*none.json"),
    ],
)
def test_a_slip_of_the_pen_is_named(shop, function, event, said):
    with pytest.raises(CloudError, match=said):
        invoke(shop.cloud, function, EVENTS / event)
