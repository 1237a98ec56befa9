"""The timelines over HTTP: whose they are, how they are listed, and what is refused."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import timeline.http
from eventflow import clock, store
from eventflow.attributes import from_attributes, to_attributes
from timeline import sagas, table
from timeline.paths import variant_key

from .api_gateway import ADA, BOB, OPERATOR, Answer, call
from .memory_dynamodb import MemoryDynamoDB

NOW = 1_900_000_000_000
STUCK = NOW - timeline.http.STUCK_AFTER - 1
"""The latest moment at which a saga that is stuck by now can have begun."""


@pytest.fixture(autouse=True)
def at_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timeline.http.TABLE, "_usual_since", 0)  # what another test's sagas say is usual is forgotten


def keeps_saga(
    db: MemoryDynamoDB,
    saga: str,
    started: int = NOW - 1000,
    status: str = "open",
    owner: str | None = "ada",
    path: str = "orders|OrderCreated|0||e-1234",
    **more: Any,
) -> None:
    """A saga of one event, as the state machine keeps it; `more` is what else its summary tells."""
    owned = {"userId": owner} if owner else {}
    event = {
        "position": f"{started:013}#e-{saga}#eventflow.orders#OrderCreated",
        "eventId": f"e-{saga}",
        "shortId": f"e-{saga}"[:6],
        "occurredAt": started,
        "arrivedAt": started,
        "source": "eventflow.orders",
        "lane": "orders",
        "type": "OrderCreated",
        "detail": json.dumps({"orderId": saga}),
    }
    summary = {
        "position": sagas.SUMMARY,
        "bucket": f"{status}#{len(saga) % timeline.http.BUCKETS}",
        "listing": sagas.listing_of(started, saga),
        "lastAt": started,
        "lastType": "OrderCreated",
        "events": 1,
        "path": path,
        **({"ending": "succeeded", "outcome": "OrderConfirmed"} if status == "done" else {}),
        **more,
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
        more = {"source": "s", "type": "t", "lane": "s", "shortId": f"e{n}", "arrivedAt": NOW, "detail": "{}"}
        db.keeps("TimelineTable", to_attributes({**event, **more}))

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
@pytest.mark.parametrize("to", [{}, {"to": "9126-08-09"}])
@pytest.mark.parametrize(
    "moment", ["now", "2286-11-20T17:46:39.999Z", "2286-11-21", "2300-01-01", "4742-02-08", "9999-12-31"]
)
def test_nothing_has_begun_since_now_or_later(db, status, to, moment):
    keeps_saga(db, "o1", started=STUCK)
    keeps_saga(db, "o2", started=STUCK, status="done")
    query = to | ({"status": status} if status else {})

    assert (
        listed({**query, "from": datetime.fromtimestamp(NOW / 1000, UTC).isoformat() if moment == "now" else moment})
        == []
    )


@pytest.mark.parametrize("moment", ["2286-11-20", "2286-11-21", "2300-01-01", "9999-12-31"])
def test_everything_has_begun_before_a_moment_far_ahead(db, moment):
    keeps_saga(db, "o1")
    assert listed({"to": moment}) == ["o1"]


# How much is read


@pytest.mark.parametrize("status", ["open", "stuck"])
def test_a_shopper_of_many_sagas_that_ended_is_answered_after_a_bounded_read(db, status, monkeypatch):
    # given a shopper of 250 sagas that are done, and one from before them that is not
    monkeypatch.setattr(table, "MOST_READ", 200)
    for n in range(250):
        keeps_saga(db, f"done{n}", started=STUCK - n, status="done")
    keeps_saga(db, "old", started=STUCK - 3000)

    # when she asks for the others, however few at a time
    query = {"status": status, "limit": "1"}
    first = call("GET", "/timelines", claims=ADA, query=query).body
    second = call("GET", "/timelines", claims=ADA, query={**query, "cursor": first["nextCursor"]}).body

    # then no answer takes more than it may, says how much it was, and the second has it
    assert (first["items"], first["read"]) == ([], 200)
    assert ([item["id"] for item in second["items"]], second["read"]) == (["old"], 51)
    assert "nextCursor" not in second


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
    until = data.draw(st.integers(0, 12) | st.none())
    limit = data.draw(st.integers(1, 3))
    query = {"limit": str(limit)} | ({"status": status} if status else {})
    for name, at in (("from", since), ("to", until)):
        if at is not None:
            query[name] = datetime.fromtimestamp((STUCK - 6 + at) / 1000, UTC).isoformat()
    with pytest.MonkeyPatch.context() as patch:
        # given some sagas, of which a request reads few
        db = MemoryDynamoDB()
        db.most_at_once = data.draw(st.integers(1, 3))
        patch.setattr(store, "dynamodb", db)
        patch.setattr(clock, "now", lambda: NOW)
        patch.setattr(table, "MOST_READ", data.draw(st.integers(1, 5)))
        for n, (at, ended, owner) in kept.items():
            keeps_saga(db, "x" * (n % 3) + f"o{n}", started=STUCK - 6 + at, status=ended, owner=owner)

        # when all pages are asked for
        told = []
        for page in pages(query, claims):
            assert len(page) <= limit
            told += page

    # then
    wanted = {
        "x" * (n % 3) + f"o{n}": STUCK - 6 + at
        for n, (at, ended, owner) in kept.items()
        if (claims is OPERATOR or owner == "ada")
        and (since is None or at >= since)
        and (until is None or at < until)
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
        ({"ending": "good"}, "ending"),
        ({"slowerThan": "fast"}, "slowerThan"),
        ({"slowerThan": "-1"}, "slowerThan"),
        ({"find": "12345"}, "find"),
        ({"to": "tomorrow"}, "to"),
        ({"colour": "red"}, "colour"),
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
    asked = []
    for claims, query in ((OPERATOR, {}), (OPERATOR, {"status": "stuck"}), (ADA, {})):
        db.asked.clear()
        call("GET", "/timelines", claims=claims, query=query or None)
        asked.append(Counter(db.asked))
    buckets, read = "Query TimelineTable.byBucket", {"BatchGetItem TimelineTable": 1}
    assert asked == [
        {buckets: 2 * timeline.http.BUCKETS, **read},
        {buckets: timeline.http.BUCKETS},
        {"Query TimelineTable.byUser": 1, **read},
    ]


# What is looked for


PATHS = {
    "confirmed": """orders|OrderCreated|0||aaaaaa
payment|PaymentSucceeded|40|0|bbbbbb
inventory|InventoryReserved|50|0|cccccc
orders|OrderConfirmed|70|2|dddddd""",
    "declined": """orders|OrderCreated|0||eeeeee
payment|PaymentFailed|40|0|ffffff
orders|OrderCancelled|70|1|gggggg""",
}


@pytest.fixture
def two_endings(db: MemoryDynamoDB) -> MemoryDynamoDB:
    """An order that was confirmed after 70 ms, one whose payment was declined, one called off, two still open."""
    start = NOW - 10_000
    keeps_saga(db, "confirmed-1", start, "done", path=PATHS["confirmed"], lastAt=start + 70, traceId="5759e988" * 4)
    failed = {"ending": "failed", "outcome": "OrderCancelled", "failedStep": "PaymentFailed", "reason": "declined"}
    keeps_saga(db, "declined-1", start + 1, "done", "bob", PATHS["declined"], lastAt=start + 801, **failed)
    keeps_saga(db, "regretted-1", start + 2, "done", ending="calledOff", outcome="OrderCancelled")
    keeps_saga(db, "open-1", start + 3, giveUps=1, gaveUp=1, events=2)
    keeps_saga(db, "stuck-1", STUCK)
    return db


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"ending": "succeeded"}, ["confirmed-1"]),
        ({"ending": "failed"}, ["declined-1"]),
        ({"ending": "calledOff"}, ["regretted-1"]),
        ({"ending": "open"}, ["open-1"]),
        ({"ending": "stuck"}, ["stuck-1"]),
        ({"status": "open"}, ["open-1", "stuck-1"]),
        ({"status": "done", "ending": "open"}, []),
        ({"type": "PaymentFailed"}, ["declined-1"]),
        ({"service": "inventory"}, ["confirmed-1"]),
        ({"lastType": "OrderCreated", "ending": "stuck"}, ["stuck-1"]),
        ({"slowerThan": "100", "status": "done"}, ["declined-1"]),
        ({"slowerThan": "60", "fasterThan": "71", "status": "done"}, ["confirmed-1"]),
        ({"edge": "PaymentFailed>OrderCancelled"}, ["declined-1"]),
        # a confirmation follows what it names, and what led to nothing else
        ({"edge": "PaymentSucceeded>OrderConfirmed"}, ["confirmed-1"]),
        ({"edge": "OrderCreated>OrderConfirmed"}, []),
        ({"variant": "none"}, []),
        # by what an id begins with
        ({"find": "declin"}, ["declined-1"]),
        ({"find": "declined-1"}, ["declined-1"]),
        ({"find": "1-5759e988-5759e9885759e9885759e988"}, ["confirmed-1"]),
        ({"find": "5759e9885759"}, ["confirmed-1"]),
        ({"find": "declined-2"}, []),
    ],
    ids=lambda it: "&".join(f"{name}={value}" for name, value in it.items()) if isinstance(it, dict) else "",
)
def test_sagas_are_found_by_what_happened_to_them(two_endings, query, found):
    answer = call("GET", "/timelines", claims=OPERATOR, query=query).body
    assert [item["id"] for item in answer["items"]] == found
    assert "nextCursor" not in answer


def test_an_events_id_finds_its_saga_if_it_is_really_its(two_endings):
    # given an event, of which the summary knows six characters
    keeps_saga(two_endings, "of-event", path="orders|OrderCreated|0||e-of-e")
    assert listed({"find": "e-of-event"}) == listed({"find": "e-of-e"}) == ["of-event"]
    assert listed({"find": "e-of-evening"}) == []


def test_every_saga_of_a_path_is_found_by_the_paths_key(two_endings):
    key = variant_key(sagas.path_of(summary_of(two_endings, "confirmed-1"), timeline.http.VOCABULARY))
    assert listed({"variant": key}) == ["confirmed-1"]


def summary_of(db: MemoryDynamoDB, saga: str) -> sagas.Summary:
    return from_attributes(db.rows["TimelineTable"][f"saga#{saga}|summary"], sagas.Summary)


def test_how_a_saga_ended_and_why_is_in_the_list(two_endings):
    declined, opened = (
        next(item for item in call("GET", "/timelines", claims=OPERATOR).body["items"] if item["id"] == saga)
        for saga in ("declined-1", "open-1")
    )
    assert {name: declined[name] for name in ("status", "ending", "failedStep", "reason", "durationMs")} == {
        "status": "done",
        "ending": "failed",
        "failedStep": "PaymentFailed",
        "reason": "declined",
        "durationMs": 800,
    }
    # what a consumer gave up on is no event of the saga
    assert (opened["ending"], opened["giveUps"], opened["eventCount"]) == ("open", 1, 1)


def test_what_consumers_gave_up_on_is_for_operators(two_endings):
    (opened,) = call("GET", "/timelines", claims=ADA, query={"ending": "open"}).body["items"]
    assert "giveUps" not in opened
    assert listed({"find": "declined-1"}, ADA) == []


def test_a_gap_is_told_beside_what_it_usually_is_and_an_open_saga_beside_what_usually_comes_next(two_endings):
    # given an order that waits for its confirmation, and takes its time
    keeps_saga(two_endings, "slow-1")
    paid = {"eventId": "e-paid", "type": "PaymentSucceeded", "lane": "payment", "causationId": "e-slow-1"}
    (row,) = (
        row
        for row in two_endings.rows["TimelineTable"].values()
        if row["sagaId"]["S"] == "saga#slow-1" and row["position"]["S"] != sagas.SUMMARY
    )
    event = {**from_attributes(row, dict[str, Any]), **paid, "occurredAt": NOW - 100, "shortId": "e-paid"}
    two_endings.keeps("TimelineTable", to_attributes({**event, "position": f"{NOW - 100:013}#e-paid#s#t"}))

    operators, own = read("slow-1").body, read("slow-1", ADA).body

    assert (operators["events"][1]["gapMs"], operators["events"][1]["usualMs"]) == (900, 40)
    assert operators["waitsFor"] == [{"lane": "inventory", "type": "InventoryReserved", "usualMs": 50}]
    # a shopper is not told of others' sagas
    assert "usualMs" not in own["events"][1]
    assert "waitsFor" not in own
