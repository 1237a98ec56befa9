"""The APIs, asked for a while whatever can be asked: `.ci/run` does it for a minute, `make fuzz` for ten."""

import io
import json
import os
import random
import uuid
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from schemathesis.core.failures import FailureGroup
from urllib3 import HTTPResponse

from local.cloud import ROOT
from ops.people import sign_in

from .fuzz import NOBODY, REFUSED_BY_THE_GATEWAY, Fuzz, is_open

DOCUMENT = json.loads((ROOT / "docs" / "api" / "openapi.json").read_text())

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
        document=DOCUMENT,
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
    print(f"\n  {fuzz.answers.total()} requests, {fuzz.refused.total()} refused by the gateway, FUZZ_SEED={SEED}")
    print("  documented, and answered to nobody this time:", ", ".join(fuzz.never_answered()) or "nothing")


def test_every_answer_is_documented_no_matter_who_asks_what(fuzz):
    fuzz.for_seconds(SECONDS)

    # then nobody was left out
    asked = {(label, role) for label, role, _ in fuzz.answers}
    assert asked >= {(operation.label, role) for operation, role in fuzz.to_ask}
    # and it was not all refused
    done = {label for label, _, status in fuzz.answers if status < 300}
    assert len(done) > len(fuzz.operations) / 2, sorted(done)


def test_every_answer_is_documented_along_the_links_from_one_to_the_next(fuzz):
    fuzz.along_links(walks=max(3, int(SECONDS / 5)))


def test_a_stranger_is_answered_only_where_the_document_asks_for_no_sign_in(fuzz):
    for operation in fuzz.operations:
        existing = {name: values[0] for name, values in fuzz.known.items()}
        answer = fuzz.call(operation.Case(path_parameters=existing), NOBODY)
        assert (answer.status_code == 401) != is_open(operation), (operation.label, answer.status_code)


# The checks themselves


class Says(HTTPAdapter):
    """An API that gives everyone the same answer."""

    def __init__(self, status: int, content_type: str, body: bytes) -> None:
        super().__init__()
        self.answer = {"status": status, "headers": {"Content-Type": content_type}, "body": body}

    def send(self, request: PreparedRequest, **_: Any) -> Response:
        body = io.BytesIO(self.answer["body"])
        return self.build_response(request, HTTPResponse(**{**self.answer, "body": body}, preload_content=False))


def asked(route: str, role: str, *answer: Any) -> Fuzz:
    """After this role has asked an API that answers so."""
    fuzz = Fuzz(DOCUMENT, "http://api", "http://api", {"shopper": "token"}, {}, first_seed=1)
    fuzz.session.mount("http://", Says(*answer))
    (operation,) = (it for it in fuzz.operations if it.label == route)
    fuzz.call(operation.Case(path_parameters={"productId": "mug"}), role)
    return fuzz


PROBLEM = b'{"title":"Not possible","status":404,"detail":"Not found"}'


@pytest.mark.parametrize(
    ("route", "role", "answer"),
    [
        # ours, in another type or shape than is documented
        ("GET /products/{productId}", "shopper", (404, "application/json", PROBLEM)),
        ("GET /products/{productId}", NOBODY, (404, "application/json", b'{"message":"Not Found"}')),
        ("GET /products/{productId}", "shopper", (400, "text/plain", b"no")),
        ("GET /products/{productId}", "shopper", (400, "application/problem+json", b'{"message":"no"}')),
        ("GET /basket", NOBODY, (401, "application/json", b'{"message":"no"}')),
        ("GET /basket", "shopper", (403, "application/problem+json", PROBLEM)),
        # the gateway's, to those whom it should have let in
        ("GET /basket", "shopper", (401, "application/json", REFUSED_BY_THE_GATEWAY[1])),
        ("GET /products/{productId}", NOBODY, (401, "application/json", REFUSED_BY_THE_GATEWAY[1])),
    ],
)
def test_a_refusal_that_is_not_as_documented_is_found(route, role, answer):
    with pytest.raises(FailureGroup):
        asked(route, role, *answer)


def test_the_gateways_own_refusal_is_counted_and_not_held_to_our_shape():
    status, body = REFUSED_BY_THE_GATEWAY
    assert asked("GET /basket", NOBODY, status, "application/json", body).refused == {NOBODY: 1}
    assert asked("GET /products/{productId}", NOBODY, 404, "application/problem+json", PROBLEM).refused.total() == 0
