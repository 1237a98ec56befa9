"""The digests of an Idempotency-Key are kept for a month. Code changes in that time, and the digests must not."""

from basket.baskets import CheckoutRequest
from eventflow.keys import Use
from inventory.stock import Adjustment

SHIPPING = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "address": "12 St James's"}


def test_a_repetition_is_known_by_code_that_is_newer_than_the_request():
    checkout = Use.of("checkout", "ada", "k1", CheckoutRequest(**SHIPPING), answer="o1", now=0)
    adjustment = Use.of("adjustment", "mug", "k1", Adjustment(by=12, reason="delivery"), answer="mug", now=0)
    assert [(it.id[-8:], it.asked[-8:]) for it in (checkout, adjustment)] == DIGESTS


DIGESTS = [("f7927059", "5ff6de8e"), ("942eea83", "71b59a52")]


def test_nothing_of_a_key_or_a_request_is_in_its_row():
    row = str(Use.of("checkout", "ada", "ada@example.com", CheckoutRequest(**SHIPPING), answer="o1", now=0))
    assert not [value for value in SHIPPING.values() if value in row]
