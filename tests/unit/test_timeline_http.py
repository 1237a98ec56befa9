"""The timelines over HTTP: whose they are, how they are listed, and what is refused."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import timeline.http
from eventflow import clock, store
from eventflow.attributes import to_attributes
from timeline import sagas

from .api_gateway import ADA, BOB, OPERATOR, Answer, call
from .memory_dynamodb import MemoryDynamoDB

NOW = 1_900_000_000_000
STUCK = NOW - timeline.http.STUCK_AFTER - 1
"""The latest moment at which a saga that is stuck by now can have begun."""


@pytest.fixture(autouse=True)
def at_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def keeps_saga(
    db: MemoryDynamoDB, saga: str, started: int = NOW - 1000, status: str = "open", owner: str | None = "ada"
) -> None:
    """A saga of one event, as the state machine keeps it."""
    owned = {"userId": owner} if owner else {}
    event = {
        "position": f"{started:013}#e-{saga}#eventflow.orders#OrderCreated",
        "eventId": f"e-{saga}",
        "occurredAt": started,
        "source": "eventflow.orders",
        "type": "OrderCreated",
        "detail": json.dumps({"orderId": saga}),
    }
    summary = {
        "position": sagas.SUMMARY,
        "status": status,
        "listing": sagas.listing_of(started, saga),
        "startedAt": started,
        "lastAt": started,
        "lastType": "OrderCreated",
        "events": 1,
        **({"endedAt": started, "outcome": "OrderConfirmed"} if status == "done" else {}),
    }
    for row in (event, summary):
        db.keeps("TimelineTable", to_attributes({"sagaId": sagas.key_of(saga), **owned, **row}))


def pages(query: dict[str, str] | None = None, claims: Any = OPERATOR) -> Iterator[list[str]]:
    """The ids of each page of a list."""
    query, seen = dict(query or {}), set()
    while query.get("cursor") not in seen:
        seen.add(query.get("cursor"))
        answer = call("GET", "/timelines", claims=claims, query=query or None)
        assert answer.status == 200, answer.text
        yield [item["id"] for item in answer.body["items"]]
        if "nextCursor" not in answer.body:
            return
        query["cursor"] = answer.body["nextCursor"]
    raise AssertionError(f"it goes round in circles: {seen}")


def listed(query: dict[str, str] | None = None, claims: Any = OPERATOR) -> list[str]:
    """The ids of a list, all pages of it."""
    return [saga for page in pages(query, claims) for saga in page]


def put_detail(db: MemoryDynamoDB, saga: str, detail: str) -> None:
    """What the event of that saga says."""
    for row in db.rows["TimelineTable"].values():
        if row["sagaId"]["S"] == sagas.key_of(saga) and "detail" in row:
            row["detail"]["S"] = detail


def read(saga: str, claims: Any = OPERATOR) -> Answer:
    """A REST API hands a path on as it is in the URL."""
    return call("GET", f"/timelines/{quote(saga, safe='')}", claims=claims)


# One saga


def test_a_timeline_is_its_shoppers_own_and_every_operators(db):
    keeps_saga(db, "o1", owner="ada")
    keeps_saga(db, "nobodys", owner=None)

    assert [read("o1", claims).status for claims in (ADA, OPERATOR, BOB)] == [200, 200, 404]
    assert [read("nobodys", claims).status for claims in (ADA, OPERATOR, BOB)] == [404, 200, 404]
    assert read("o2", ADA).body.keys() == read("o1", BOB).body.keys()


def test_a_timeline_is_told_before_it_has_a_summary(db):
    keeps_saga(db, "o1")
    del db.rows["TimelineTable"]["saga#o1|summary"]

    told = read("o1", ADA).body

    assert (told["id"], told["status"], told["eventCount"], len(told["events"])) == ("o1", "open", 1, 1)


def test_events_of_no_saga_are_no_timeline(db):
    keeps_saga(db, "o1")
    for row in list(db.rows["TimelineTable"].values()):
        db.keeps("TimelineTable", {**row, "sagaId": {"S": "unplaced#2030-03-17"}})
    for id_ in ("unplaced#2030-03-17", "2030-03-17"):
        assert read(id_).status == 404


def test_of_a_saga_too_long_the_newest_events_are_told(db):
    keeps_saga(db, "o1")
    first = db.rows["TimelineTable"]["saga#o1|summary"]
    db.keeps("TimelineTable", {**first, "events": {"N": str(sagas.MOST_EVENTS)}, "lastAt": {"N": str(NOW)}})
    for n in range(sagas.MOST_EVENTS + 1):
        event = {"sagaId": "saga#o1", "position": f"{NOW + n:013}#e{n}#s#t", "eventId": f"e{n}", "occurredAt": NOW + n}
        db.keeps("TimelineTable", to_attributes({**event, "source": "s", "type": "t", "detail": "{}"}))

    told = read("o1").body

    assert [event["eventId"] for event in told["events"]] == [f"e{n}" for n in range(1, sagas.MOST_EVENTS + 1)]
    assert told["truncated"]


def test_what_only_operators_may_see_of_a_detail_no_shopper_is_shown(db):
    # given an event that says how much there was in stock, at the top, in a list and below
    keeps_saga(db, "o1")
    short = {"productId": "mug", "quantity": 7}
    detail = {**short, "items": [short, [{"by": short}]], "reason": "out of stock", "availableQty2": 1}
    stock = {"availableQty": 3}
    whole = {**detail, **stock, "items": [{**short, **stock}, [{"by": {**short, "availableQty": {"is": "3"}}}]]}
    put_detail(db, "o1", json.dumps(whole).replace("{", '{"available\\u0051ty": 3, ', 1))

    # when
    own, operators = read("o1", ADA).body["events"], read("o1", OPERATOR).body["events"]

    # then
    assert [event["detail"] for event in own] == [detail]
    assert [event["detail"] for event in operators] == [whole]


@pytest.mark.parametrize("detail", ['"availableQty": 3', '{"availableQty": 3, "half": "\\ud800"}', "[" * 100_000])
def test_a_detail_that_cannot_be_read_is_shown_to_operators_only(db, detail):
    keeps_saga(db, "o1")
    put_detail(db, "o1", detail)

    (own,), (operators) = read("o1", ADA).body["events"], read("o1", OPERATOR).body["events"]

    assert (own["detail"], operators[0]["detail"]) == (sagas.NOT_SHOWN, detail)


def test_of_a_bus_whose_shoppers_may_see_all_they_are_shown_text_too(db, monkeypatch):
    keeps_saga(db, "o1")
    put_detail(db, "o1", "no JSON")
    monkeypatch.setattr(timeline.http, "OPERATOR_FIELDS", frozenset())

    assert read("o1", ADA).body == read("o1", OPERATOR).body


@given(st.text(min_size=1, max_size=300) | st.integers(250, 260).map("😀".__mul__))
@example("\0")
@example("/../")
@example("x" * 257)
@example("\r\n")
def test_whatever_id_is_asked_for_is_told_or_refused(saga):
    with pytest.MonkeyPatch.context() as patch:
        db = MemoryDynamoDB()
        patch.setattr(store, "dynamodb", db)
        if len(saga) <= 256:
            keeps_saga(db, saga)

        answer = read(saga)

    assert answer.status == (200 if len(saga) <= 256 else 400), answer.text
    assert answer.status == 400 or answer.body["id"] == saga


@pytest.mark.parametrize(
    "saga", ["a#b", 'say "a"', "a?b=c&d", "a\\b", "arn:aws:s3:::a/b", "`ü` 100%", "%27", "<b>", "+"]
)
def test_a_foreign_id_may_be_any_text(db, saga):
    keeps_saga(db, saga)
    assert read(saga).body["id"] == saga


# Many


@pytest.mark.parametrize("limit", ["1", "2", "3", "100", None])
@pytest.mark.parametrize("claims", [OPERATOR, ADA])
def test_sagas_are_listed_newest_first_page_by_page(db, claims, limit):
    for n in range(7):
        keeps_saga(db, f"o{n}", started=NOW - 1000 + n // 2, status=("open", "done")[n % 2])
    query = {"limit": limit} if limit else {}

    assert listed(query, claims) == [f"o{n}" for n in reversed(range(7))]
    assert listed(query, BOB) == []


@pytest.mark.parametrize("claims", [OPERATOR, ADA])
@pytest.mark.parametrize("limit", ["1", "2", "100"])
def test_sagas_are_listed_by_status(db, claims, limit):
    for n in range(6):
        keeps_saga(db, f"stuck{n}", started=STUCK - n)
        keeps_saga(db, f"done{n}", started=STUCK - n, status="done")
        keeps_saga(db, f"open{n}", started=STUCK + 1 + n)

    assert listed({"status": "stuck", "limit": limit}, claims) == [f"stuck{n}" for n in range(6)]
    assert listed({"status": "done", "limit": limit}, claims) == [f"done{n}" for n in range(6)]
    # one that is stuck is open, too
    assert set(listed({"status": "open", "limit": limit}, claims)) == {
        f"{status}{n}" for status in ("open", "stuck") for n in range(6)
    }
    statuses = {
        item["id"]: item["status"]
        for item in call("GET", "/timelines", claims=claims, query={"limit": "100"}).body["items"]
    }
    assert statuses == {f"{status}{n}": status for status in ("open", "stuck", "done") for n in range(6)}


@pytest.mark.parametrize("status", [None, "open", "stuck", "done"])
def test_sagas_are_listed_from_a_moment_on(db, status):
    keeps_saga(db, "before", started=STUCK - 2, status="done" if status == "done" else "open")
    keeps_saga(db, "then", started=STUCK - 1, status="done" if status == "done" else "open")
    moment = datetime.fromtimestamp((STUCK - 1) / 1000, UTC).isoformat()

    query = {"status": status} if status else {}

    assert listed({**query, "from": moment}) == ["then"]
    assert listed({**query, "from": "1970-01-01"}) == listed({**query, "from": "0001-01-01"}) == ["then", "before"]


@pytest.mark.parametrize("status", [None, "open", "stuck", "done"])
@pytest.mark.parametrize("moment", ["now", "2286-11-20T17:46:39.999Z", "2286-11-21", "2300-01-01", "9999-12-31"])
def test_nothing_has_begun_since_now_or_later(db, status, moment):
    keeps_saga(db, "o1", started=STUCK)
    keeps_saga(db, "o2", started=STUCK, status="done")
    query = {"status": status} if status else {}

    assert (
        listed({**query, "from": datetime.fromtimestamp(NOW / 1000, UTC).isoformat() if moment == "now" else moment})
        == []
    )


# How much is read


@pytest.mark.parametrize("status", ["open", "stuck"])
def test_a_shopper_of_many_sagas_that_ended_is_answered_after_a_few_reads(db, status):
    # given a shopper of 1,500 sagas that are done, and one from before them that is not
    for n in range(1500):
        keeps_saga(db, f"done{n}", started=STUCK - n, status="done")
    keeps_saga(db, "old", started=STUCK - 2000)

    # when she asks for the others, however few at a time
    found, reads = [], []
    for page in pages({"status": status, "limit": "1"}, ADA):
        found.append(page)
        reads.append(len(db.asked))

    # then no answer takes more than a few reads, and the second has it
    assert found[:2] == [[], ["old"]]
    assert [saga for page in found for saga in page] == ["old"]
    assert max(after - before for before, after in pairwise([0, *reads])) <= timeline.http.MOST_READS


@pytest.mark.parametrize("status", [None, "open", "stuck", "done"])
@pytest.mark.parametrize("claims", [OPERATOR, ADA], ids=["operator", "shopper"])
@settings(max_examples=30)
@given(data=st.data())
def test_whatever_is_in_the_table_a_page_takes_a_few_reads_and_all_pages_tell_each_saga_once(claims, status, data):
    kinds = st.tuples(
        st.integers(0, 12), st.sampled_from(["done", "done", "open"]), st.sampled_from(["ada", "ada", "bob"])
    )
    kept = dict(enumerate(data.draw(st.lists(kinds, min_size=8, max_size=25) | st.just([]))))
    since = data.draw(st.integers(0, 12) | st.none())
    limit = data.draw(st.integers(1, 3))
    query = {"limit": str(limit)} | ({"status": status} if status else {})
    if since is not None:
        query["from"] = datetime.fromtimestamp((STUCK - 6 + since) / 1000, UTC).isoformat()
    with pytest.MonkeyPatch.context() as patch:
        # given some sagas, of which a request reads few
        db = MemoryDynamoDB()
        db.most_at_once = data.draw(st.integers(1, 3))
        patch.setattr(store, "dynamodb", db)
        patch.setattr(clock, "now", lambda: NOW)
        patch.setattr(timeline.http, "SIFTED", data.draw(st.integers(1, 3)))
        patch.setattr(timeline.http, "MOST_READS", data.draw(st.integers(1, 2)))
        for n, (at, ended, owner) in kept.items():
            keeps_saga(db, f"o{n}", started=STUCK - 6 + at, status=ended, owner=owner)

        # when all pages are asked for
        told = []
        for page in pages(query, claims):
            assert len(page) <= limit
            # an operator's list is of two partitions
            assert len(db.asked) <= timeline.http.MOST_READS * (2 if claims is OPERATOR else 1)
            db.asked.clear()
            told += page

    # then
    wanted = {
        f"o{n}": STUCK - 6 + at
        for n, (at, ended, owner) in kept.items()
        if (claims is OPERATOR or owner == "ada")
        and (since is None or at >= since)
        and (status is None or ended == ("done" if status == "done" else "open"))
        and (status != "stuck" or at <= 6)
    }
    assert told == sorted(wanted, key=lambda saga: sagas.listing_of(wanted[saga], saga), reverse=True)


def cursor(listing: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"listing": listing}).encode()).decode()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "over"}, "status"),
        ({"status": ""}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": cursor("no listing")}, "cursor"),
        ({"cursor": cursor("9" * 13 + "#" + "x" * 300)}, "cursor"),
        ({"cursor": cursor("1" * 13 + "#" + "😀" * 260)}, "cursor"),
        ({"cursor": cursor("\u0661" * 13 + "#x")}, "cursor"),
        ({"cursor": cursor("1" * 13 + "#\ud800")}, "cursor"),
        ({"cursor": cursor(sagas.listing_of(STUCK - 1, "o1")), "from": "2030-03-17T17:46:40Z"}, "cursor"),
        ({"cursor": cursor(sagas.listing_of(NOW, "o1")), "status": "stuck"}, "cursor"),
    ],
    ids=lambda it: str(it)[:60],
)
def test_a_wrong_query_is_refused_by_the_name_of_its_field(db, query, field):
    keeps_saga(db, "o1")
    answer = call("GET", "/timelines", claims=OPERATOR, query=query)
    assert (answer.status, answer.wrong_fields) == (400, [field]), answer.text


def test_a_list_reads_the_index_of_the_one_who_asks_and_no_saga_events(db):
    keeps_saga(db, "o1")
    for claims, query in ((OPERATOR, {}), (OPERATOR, {"status": "stuck"}), (ADA, {})):
        call("GET", "/timelines", claims=claims, query=query or None)
    assert db.asked == [
        *("Query TimelineTable.byStatus", "Query TimelineTable.byStatus"),
        *("Query TimelineTable.byStatus", "Query TimelineTable.byUser"),
    ]
