"""The APIs, asked for a while whatever can be asked: `make fuzz` does it for longer, and says what was answered."""

import json
import os
import random
import uuid

import pytest

from local.cloud import ROOT
from ops.people import sign_in

from .fuzz import Fuzz

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 15)
SEED = int(os.environ.get("FUZZ_SEED") or random.randrange(10**6))


@pytest.fixture(scope="module")
def fuzz(shop, timeline):
    products = [shop.stocked(50) for _ in range(3)]
    # shoppers of its own: whatever it leaves in their baskets, no other test checks out
    cognito = shop.cloud.client("cognito-idp")
    shopper, other = (
        sign_in(cognito, shop.stack.user_pool_id, shop.stack.client_id, f"fuzz-{uuid.uuid4()}@example.com")
        for _ in range(2)
    )
    order = shop.place(products[0], by=shopper)
    fuzz = Fuzz(
        document=json.loads((ROOT / "docs" / "api" / "openapi.json").read_text()),
        address=shop.stack.api_url,
        other_address=timeline.stack.api_url,
        tokens={
            "shopper": shopper.token,
            "other": other.token,
            "operator": shop.people.operator.token,
        },
        known={"productId": products, "orderId": [order], "sagaId": [order]},
        first_seed=SEED,
    )
    yield fuzz
    print(f"\n  {sum(fuzz.answers.values())} requests, FUZZ_SEED={SEED}")
    print("  documented, and answered to nobody this time:", ", ".join(fuzz.never_answered()) or "nothing")


def test_every_answer_is_documented_no_matter_who_asks_what(fuzz):
    fuzz.for_seconds(SECONDS)

    # then nobody was left out
    asked = {(label, role) for label, role, _ in fuzz.answers}
    assert asked == {(operation.label, role) for operation in fuzz.operations for role in fuzz.tokens}
    # and it was not all refused
    done = {label for label, _, status in fuzz.answers if status < 300}
    assert len(done) > len(fuzz.operations) / 2, sorted(done)


def test_every_answer_is_documented_along_the_links_from_one_to_the_next(fuzz):
    fuzz.along_links(walks=max(3, int(SECONDS / 5)))
