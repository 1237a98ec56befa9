"""GET /flow: who may ask, for which time, and how much is read for it."""

from typing import Any

import pytest

import timeline.http
from eventflow import clock
from eventflow.attributes import to_attributes
from timeline import sagas, table

from .api_gateway import ADA, OPERATOR, Answer, call
from .memory_dynamodb import MemoryDynamoDB

NOW = 1_900_000_000_000
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def at_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def keeps(db: MemoryDynamoDB, saga: str, started: int, ending: str = "succeeded", took: int = 50) -> None:
    """The summary of a saga of two events, or of one that is open."""
    is_open = ending == "open"
    path = "orders|OrderCreated|0||e-0" + ("" if is_open else f"\norders|OrderConfirmed|{took}|0|e-1")
    summary: dict[str, Any] = {
        "sagaId": sagas.key_of(saga),
        "position": sagas.SUMMARY,
        "bucket": f"{'open' if is_open else 'done'}#{sum(saga.encode()) % timeline.http.BUCKETS}",
        "listing": sagas.listing_of(started, saga),
        "lastAt": started if is_open else started + took,
        "lastType": "OrderCreated" if is_open else "OrderConfirmed",
        "events": 1 if is_open else 2,
        "path": path,
        **({} if is_open else {"ending": ending, "outcome": "OrderConfirmed"}),
    }
    db.keeps("TimelineTable", to_attributes(summary))


def ask(claims: Any = OPERATOR, **query: str) -> Answer:
    return call("GET", "/flow", claims=claims, query={name.rstrip("_"): it for name, it in query.items()} or None)


def test_what_is_usual_is_for_operators(db):
    assert ask(ADA).status == 403
    assert ask().status == 200


def test_an_unknown_parameter_is_named(db):
    refused = ask(status="done")
    assert (refused.status, refused.wrong_fields) == (400, ["status"])


@pytest.mark.parametrize(("given", "missing"), [("againstFrom", "againstTo"), ("againstTo", "againstFrom")])
def test_another_window_has_a_beginning_and_an_end(db, given, missing):
    refused = ask(**{given: "2030-03-17"})
    assert (refused.status, refused.wrong_fields) == (400, [missing])
    assert ask(from_="yesterday").wrong_fields == ["from"]


def test_without_a_window_it_is_about_the_newest_sagas_and_says_so(db, monkeypatch):
    # given more than one look is about, and one that is open for longer than all of them
    monkeypatch.setattr(table, "MOST_READ", 5)
    for n in range(7):
        keeps(db, f"o{n}", NOW - 1_000 + n)
    keeps(db, "forgotten", NOW - 9 * HOUR, "open")

    # when
    window = ask().body["window"]

    # then
    assert (window["sagas"], window["more"], window["endings"]) == (5, True, {"succeeded": 5})
    assert window["from"] == clock.iso(NOW - 1_000 + 2)
    assert [it["id"] for it in window["oldestOpen"]] == ["forgotten"]
    assert window["oldestOpen"][0]["ending"] == "stuck"


def test_two_windows_stand_side_by_side(db):
    for n in range(4):
        keeps(db, f"before-{n}", NOW - 2 * HOUR + n)
        keeps(db, f"after-{n}", NOW - HOUR + n, took=500)

    answer = ask(
        from_=clock.iso(NOW - HOUR).replace("+00:00", "Z"),
        againstFrom=clock.iso(NOW - 2 * HOUR).replace("+00:00", "Z"),
        againstTo=clock.iso(NOW - HOUR).replace("+00:00", "Z"),
    ).body

    assert (answer["window"]["sagas"], answer["against"]["sagas"]) == (4, 4)
    (edge,) = answer["compared"]["edges"]
    assert (edge["p50"], edge["againstP50"], edge["change"]) == (500, 50, "slower")
    assert answer["against"]["to"] == clock.iso(NOW - HOUR)


def test_a_window_that_is_empty_or_in_the_future_has_no_sagas(db):
    keeps(db, "o1", NOW - 1)
    for window in ({"from_": "2300-01-01"}, {"from_": "2030-01-02", "to": "2030-01-01"}, {"to": "1970-01-02"}):
        answer = ask(**window)
        assert (answer.status, answer.body["window"]["sagas"]) == (200, 0), window


def test_a_window_of_2000_sagas_is_read_by_a_bounded_number_of_calls(db):
    for n in range(2_100):
        keeps(db, f"o{n:05}", NOW - 3_000 + n)
    db.asked.clear()
    answer = ask()
    assert answer.body["window"]["sagas"] == 2_000
    assert len(answer.text) < 100_000
    reads = [it for it in db.asked if it.startswith("BatchGetItem")]
    assert len(reads) <= 22  # 2,001 summaries by hundreds, and the oldest open
    assert len(db.asked) <= 80
