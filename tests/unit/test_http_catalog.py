"""The catalog over HTTP: open to anyone for reading, to operators for writing, and safe against lost updates."""

import json
import uuid
from collections.abc import Iterable
from typing import Any

import pytest

from catalog.http import PRODUCTS

from .api_gateway import ADA, OPERATOR, Answer, call
from .memory_dynamodb import MemoryDynamoDB

MUG = {
    "name": "Blue mug",
    "category": "mugs",
    "unitPrice": 1250,
    "currency": "USD",
    "description": "Holds 0.3 l.",
    "imageUrl": "https://example.com/blue-mug.jpg",
}


def create(product: str = "mug", **fields: Any) -> Answer:
    return call("POST", "/products", {**MUG, "productId": product, **fields}, claims=OPERATOR)


def replace(etag: str, product: str = "mug", **fields: Any) -> Answer:
    return call("PUT", f"/products/{product}", {**MUG, **fields}, claims=OPERATOR, headers={"If-Match": etag})


def remove(product: str = "mug", etag: str | None = None) -> Answer:
    return call("DELETE", f"/products/{product}", claims=OPERATOR, headers={"If-Match": etag} if etag else None)


def read(product: str = "mug") -> Answer:
    return call("GET", f"/products/{product}", claims=None)


def announced(db: MemoryDynamoDB) -> list[dict[str, Any]]:
    """The business fields of what was announced, with the detail-type."""
    details = [{"is": it.detail_type, **json.loads(it.detail)} for it in db.announcements]
    return [{name: it for name, it in d.items() if name not in ("timestamp", "metadata", "version")} for d in details]


# Creating, reading


def test_an_operator_creates_a_product_and_anyone_reads_it(db):
    created = create()

    assert created.status == 201
    assert created.location == "/products/mug"
    assert created.body == {**MUG, "productId": "mug", "revision": 1}
    seen = read()
    assert (seen.status, seen.body) == (200, created.body)
    assert seen.headers["ETag"] == created.headers["ETag"] == '"1"'
    assert announced(db) == [
        {
            "is": "ProductChanged",
            "productId": "mug",
            "name": "Blue mug",
            "category": "mugs",
            "unitPrice": 1250,
            "currency": "USD",
            "revision": 1,
        }
    ]


def test_a_product_that_is_given_no_id_gets_one_and_may_have_no_picture(db):
    body = {name: MUG[name] for name in ("name", "category", "unitPrice", "currency")}
    first, second = (call("POST", "/products", body, claims=OPERATOR) for _ in range(2))
    for answer in (first, second):
        assert uuid.UUID(answer.body["productId"])
        assert call("GET", answer.location, claims=None).body == answer.body
        assert answer.body.items() >= body.items()
        assert "imageUrl" not in answer.body
    assert len(db.rows["ProductsTable"]) == 2


def test_an_id_is_taken_once(db):
    create()
    again = create(name="Red mug")
    assert (again.status, again.body["title"]) == (409, "Already there")
    assert read().body["name"] == "Blue mug"
    assert len(db.told) == 1


def test_of_two_who_create_one_product_at_once_one_does(db):
    db.meanwhile = [lambda: create(name="Red mug")]
    assert create().status == 409
    assert (read().body["name"], len(db.told)) == ("Red mug", 1)


# Replacing


def test_a_product_is_replaced_whole_by_the_one_who_saw_it_last(db):
    etag = create().headers["ETag"]
    body = {"name": "Mug", "category": "cups", "unitPrice": 0, "currency": "EUR"}

    answer = call("PUT", "/products/mug", body, claims=OPERATOR, headers={"if-match": etag})

    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    assert answer.body == {**body, "productId": "mug", "revision": 2}
    assert read().body == answer.body
    assert announced(db)[1] == {"is": "ProductChanged", **body, "productId": "mug", "revision": 2}


def test_a_change_without_if_match_is_refused_before_anything_is_read(db):
    create()
    db.asked.clear()
    answer = call("PUT", "/products/mug", MUG, claims=OPERATOR)
    assert (answer.status, answer.wrong_fields, db.asked) == (428, ["If-Match"], [])


@pytest.mark.parametrize("etag", ['"1"', '"3"', "2", 'W/"2"', '""'])
def test_a_change_or_removal_of_what_is_another_by_now_is_refused(db, etag):
    create()
    replace('"1"', name="Green mug")
    for answer in (replace(etag, name="Red mug"), remove(etag=etag)):
        assert (answer.status, answer.body["title"]) == (412, "Outdated")
        assert '"2"' in answer.body["detail"]
    assert (read().body["name"], db.told) == ("Green mug", ["ProductChanged"] * 2)


def test_if_match_with_a_star_is_a_change_of_whatever_is_there(db):
    create()
    assert replace("*", name="Red mug").headers["ETag"] == '"2"'
    assert replace("*", name="Green mug").headers["ETag"] == '"3"'


def test_of_two_who_change_what_they_both_saw_exactly_one_wins(db):
    etag = create().headers["ETag"]
    others: list[Answer] = []
    db.meanwhile = [lambda: others.append(replace(etag, unitPrice=1100))]  # between our read and our write

    ours = replace(etag, unitPrice=1400)

    assert [answer.status for answer in (*others, ours)] == [200, 412]
    assert (read().body["unitPrice"], read().headers["ETag"]) == (1100, '"2"')
    assert [it["unitPrice"] for it in announced(db)] == [1250, 1100]


def test_a_star_that_loses_the_race_still_changes_what_is_there_by_then(db):
    create()
    db.meanwhile = [lambda: replace("*", unitPrice=1100)]
    assert replace("*", unitPrice=1400).headers["ETag"] == '"3"'
    assert [it["revision"] for it in announced(db)] == [1, 2, 3]


# Removing, and selling again


@pytest.mark.parametrize("etag", [None, "*", '"2"'])
def test_a_removed_product_is_gone_and_says_what_it_was(db, etag):
    create()
    replace('"1"', unitPrice=1300)

    removed = remove(etag=etag)

    assert (removed.status, removed.text) == (204, "")
    last = announced(db)[-1]
    assert (last["is"], last["productId"], last["unitPrice"], last["revision"]) == ("ProductRemoved", "mug", 1300, 3)
    for answer in (read(), remove(), replace("*"), replace('"3"')):
        assert (answer.status, answer.body["title"]) == (404, "No such product")
    assert call("GET", "/products", claims=None).body == {"items": []}
    assert len(db.told) == 3


def test_a_product_that_never_was_is_not_there_to_be_changed_or_removed(db):
    assert [answer.status for answer in (read(), replace("*"), remove())] == [404, 404, 404]
    assert db.rows["ProductsTable"] == {}


def test_a_product_that_is_sold_again_counts_on_from_where_it_left_off(db):
    create()
    remove()

    again = create(name="Red mug", unitPrice=1500)

    assert (again.status, again.headers["ETag"], again.body["revision"]) == (201, '"3"', 3)
    assert (read().body["name"], [it["revision"] for it in announced(db)]) == ("Red mug", [1, 2, 3])
    assert replace('"1"').status == 412
    assert replace('"3"').status == 200


def test_the_etag_counts_the_rows_writes(db):
    create()
    replace("*")
    remove()
    create()
    stored = db.stored(PRODUCTS, "mug")
    assert stored.revision == stored.state.revision == 4  # they share an attribute of the row


# Browsing


def browse(**query: str) -> Any:
    return call("GET", "/products", claims=None, query=query).body


def pages(**query: str) -> list[list[str]]:
    """The product ids of each page, as someone sees them who goes on as long as there is a cursor."""
    page = browse(**query)
    found = [page["items"]]
    while "nextCursor" in page:
        page = browse(**query, cursor=page["nextCursor"])
        found.append(page["items"])
        assert len(found) <= 10, "the list never ends"
    return [[product["productId"] for product in items] for items in found]


def all_of(found: Iterable[list[str]]) -> list[str]:
    return [product for page in found for product in page]


@pytest.fixture
def shelves(db):
    for n in range(5):
        create(f"mug-{n}", category="mugs")
        create(f"lamp-{n}", category="lamps")
    db.asked.clear()
    return db


def test_a_category_is_asked_of_the_index_a_page_at_a_time(shelves):
    found = pages(category="mugs", limit="2")
    assert all_of(found) == [f"mug-{n}" for n in range(5)]
    assert [len(page) for page in found] == [2, 2, 1]
    assert shelves.asked == ["Query ProductsTable.byCategory"] * 3


def test_everything_is_what_the_index_holds_a_page_at_a_time(shelves):
    found = pages(limit="4")
    assert sorted(all_of(found)) == sorted(f"{kind}-{n}" for kind in ("mug", "lamp") for n in range(5))
    assert [len(page) for page in found] == [4, 4, 2]
    assert shelves.asked == ["Scan ProductsTable.byCategory"] * 3


def test_a_product_shown_in_a_list_is_as_it_is_shown_by_itself(db):
    create()
    assert browse()["items"] == browse(category="mugs")["items"] == [read().body]
    assert browse(category="lamps") == {"items": []}


def test_a_product_is_listed_where_it_is_by_now_and_nowhere_once_removed(shelves):
    replace("*", "mug-1", category="lamps")
    remove("mug-3")
    assert all_of(pages(category="mugs")) == ["mug-0", "mug-2", "mug-4"]
    assert "mug-1" in all_of(pages(category="lamps"))
    assert "mug-3" not in all_of(pages())


@pytest.mark.parametrize(
    ("query", "field_named"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "e30="}, "cursor"),
        ({"category": "c" * 65}, "category"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_its_parameter(db, query, field_named):
    answer = call("GET", "/products", claims=None, query=query)
    assert (answer.status, answer.wrong_fields) == (400, [field_named])


# Who may, and what may be said of a product


def test_a_shopper_changes_nothing(db):
    create()
    refused = [
        call("POST", "/products", {**MUG, "productId": "lamp"}, claims=ADA),
        call("PUT", "/products/mug", {**MUG, "unitPrice": 1}, claims=ADA, headers={"If-Match": "*"}),
        call("DELETE", "/products/mug", claims=ADA),
    ]
    assert [answer.status for answer in refused] == [403] * 3
    assert (read().body["unitPrice"], list(db.rows["ProductsTable"])) == (1250, ["mug"])


WRONG = [
    ({"name": ""}, "name"),
    ({"name": "n" * 201}, "name"),
    ({"name": None}, "name"),
    ({"category": ""}, "category"),
    ({"category": "c" * 65}, "category"),
    ({"unitPrice": 19.99}, "unitPrice"),
    ({"unitPrice": -1}, "unitPrice"),
    ({"unitPrice": 1_000_000_001}, "unitPrice"),
    ({"unitPrice": 10**30}, "unitPrice"),
    ({"unitPrice": "1999"}, "unitPrice"),
    ({"unitPrice": True}, "unitPrice"),
    ({"currency": "usd"}, "currency"),
    ({"currency": "US"}, "currency"),
    ({"currency": "USD\n"}, "currency"),
    ({"description": "d" * 2001}, "description"),
    ({"description": None}, "description"),
    ({"imageUrl": "http://example.com/mug.jpg"}, "imageUrl"),
    ({"imageUrl": "javascript:alert(1)"}, "imageUrl"),
    ({"imageUrl": "https://example.com/a mug.jpg"}, "imageUrl"),
    ({"imageUrl": "https://example.com/mug.jpg\n"}, "imageUrl"),
    ({"imageUrl": ""}, "imageUrl"),
    ({"colour": "blue"}, "colour"),
    ({"revision": 7}, "revision"),
    ({"listedIn": "mugs"}, "listedIn"),
]


@pytest.mark.parametrize(("fields", "field_named"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_product_is_refused_by_the_name_of_its_field(db, fields, field_named):
    create("lamp")
    for answer in (create(**fields), replace("*", "lamp", **fields)):
        assert (answer.status, answer.wrong_fields) == (400, [field_named]), answer.text
    assert [row["revision"] for row in db.rows["ProductsTable"].values()] == [{"N": "1"}]


@pytest.mark.parametrize("name", ["name", "category", "unitPrice", "currency"])
def test_a_product_without_one_of_these_is_none(db, name):
    incomplete = {field: value for field, value in MUG.items() if field != name}
    assert call("POST", "/products", incomplete, claims=OPERATOR).wrong_fields == [name]


@pytest.mark.parametrize("product", ["", "a mug", "m" * 65, "mug\n", None, 7, ".", ".."])
def test_an_id_that_none_can_have_is_refused(db, product):
    assert create(product).wrong_fields == ["productId"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_id_that_none_can_have_is_not_looked_for(db, method):
    path = f"/products/{'m' * 65}"
    answer = call(method, path, MUG, claims=OPERATOR, headers={"If-Match": "*"})
    assert (answer.status, answer.wrong_fields, db.asked) == (400, ["productId"], [])


def test_an_id_is_its_paths_and_not_its_bodys(db):
    create()
    answer = call("PUT", "/products/mug", {**MUG, "productId": "lamp"}, claims=OPERATOR, headers={"If-Match": "*"})
    assert (answer.status, answer.wrong_fields) == (400, ["productId"])


def test_a_product_may_be_as_dear_and_as_long_as_the_contract_allows(db):
    fields = {"unitPrice": 1_000_000_000, "name": "n" * 200, "category": "c" * 64, "description": "d" * 2000}
    assert create(**fields).body.items() >= fields.items()
