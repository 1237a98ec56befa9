"""State in DynamoDB: each write is guarded by what its decision saw, and brings back what it lost to.

botocore's Stubber checks every request against DynamoDB's own model, and against what the test expects of it.
"""

from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from eventflow.attributes import from_attributes, to_attributes
from eventflow.events import Line, OrderConfirmed, ShortLine
from eventflow.outbox import Announcement, announce
from eventflow.store import Table, dynamodb
from eventflow.transition import Busy, Change, Contended, LostRace, Stored, transition
from inventory.stock import OutOfStock, Reservation, Status
from inventory.warehouse import Warehouse


class Cart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    cart_id: str
    pieces: int
    note: str | None = None


CARTS = Table("carts", "cartId", Cart)
ONE = Cart(cart_id="c1", pieces=1)
TWO = Cart(cart_id="c1", pieces=2, note="gift")
CONFIRMED = OrderConfirmed(order_id="o1", user_id="ada")


def row(cart: Cart, revision: int) -> dict[str, Any]:
    note = {"note": {"S": cart.note}} if cart.note else {}
    return {"cartId": {"S": cart.cart_id}, "pieces": {"N": str(cart.pieces)}, "revision": {"N": str(revision)}, **note}


@pytest.fixture
def database():
    with Stubber(dynamodb) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def lost_to(database: Stubber, item: dict[str, Any] | None, request: dict[str, Any] | None = None) -> None:
    there = {"Item": item} if item else {}
    database.add_client_error(
        "put_item", "ConditionalCheckFailedException", expected_params=request, modeled_fields=there
    )


# Table


def test_a_first_write_wants_no_row_and_a_later_one_the_row_that_was_seen(database):
    put = {"TableName": "carts", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    first = {**put, "Item": row(ONE, 1), "ConditionExpression": "attribute_not_exists(cartId)"}
    later = {
        **put,
        "Item": row(TWO, 8),
        "ConditionExpression": "revision = :seen",
        "ExpressionAttributeValues": {":seen": {"N": "7"}},
    }
    database.add_response("put_item", {}, first)
    database.add_response("put_item", {}, later)

    CARTS.write("c1", ONE, 1, None)
    CARTS.write("c1", TWO, 8, None)


def test_a_row_carries_the_event_that_announces_it_in_the_same_write(database):
    announcement = announce(CONFIRMED)
    written = {**row(ONE, 1), "event": {"M": to_attributes(announcement)}}
    database.add_response(
        "put_item",
        {},
        dict.fromkeys(("TableName", "ConditionExpression", "ReturnValuesOnConditionCheckFailure"), ANY)
        | {"Item": written},
    )

    CARTS.write("c1", ONE, 1, announcement)

    assert from_attributes(written["event"]["M"], Announcement) == announcement
    assert CARTS.stored(written) == Stored(ONE, 1, announcement.id)


def test_a_lost_race_brings_back_the_row_that_won(database):
    lost_to(database, row(TWO, 3))
    with pytest.raises(LostRace) as race:
        CARTS.write("c1", ONE, 1, None)
    assert race.value.current == Stored(TWO, 3)


def test_a_race_can_be_lost_to_a_removal(database):
    lost_to(database, None)
    with pytest.raises(LostRace) as race:
        CARTS.write("c1", ONE, 2, None)
    assert race.value.current is None


def test_a_write_that_is_refused_because_it_was_made_already_is_made(database):
    """The SDK repeats a request whose answer was lost."""
    announcement = announce(CONFIRMED)
    lost_to(database, {**row(ONE, 1), "event": {"M": to_attributes(announcement)}})
    CARTS.write("c1", ONE, 1, announcement)


def test_a_write_is_not_made_by_another_event_of_the_same_state(database):
    lost_to(database, {**row(ONE, 1), "event": {"M": to_attributes(announce(CONFIRMED))}})
    with pytest.raises(LostRace):
        CARTS.write("c1", ONE, 1, announce(CONFIRMED))


def test_a_row_that_a_transaction_has_in_hand_is_busy(database):
    database.add_client_error("put_item", "TransactionConflictException")
    with pytest.raises(Busy):
        CARTS.write("c1", ONE, 1, None)


def test_any_other_refusal_is_no_race(database):
    database.add_client_error("put_item", "ProvisionedThroughputExceededException")
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        CARTS.write("c1", ONE, 1, None)


def test_a_read_sees_the_latest_write(database):
    request = {"TableName": "carts", "Key": {"cartId": {"S": "c1"}}, "ConsistentRead": True}
    database.add_response("get_item", {"Item": {**row(TWO, 3), "addedLater": {"BOOL": True}}}, request)
    database.add_response("get_item", {}, request)
    assert CARTS.read("c1") == Stored(TWO, 3)
    assert CARTS.read("c1") is None


def test_a_page_goes_on_after_the_last_key_of_the_one_before(database):
    request = {
        "TableName": "carts",
        "IndexName": "byUser",
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "userId"},
        "ExpressionAttributeValues": {":p": {"S": "ada"}},
        "ScanIndexForward": True,
        "Limit": 2,
    }
    key = {"cartId": {"S": "c1"}, "createdAt": {"S": "then"}}
    database.add_response("query", {"Items": [row(ONE, 1)], "LastEvaluatedKey": key}, request)
    # whose list it is, is not the caller's to say: not in the key that comes back either
    after = {"ExclusiveStartKey": {**key, "userId": {"S": "ada"}}}
    database.add_response("query", {"Items": [row(TWO, 1)]}, {**request, **after, "ScanIndexForward": False})

    whose = ("userId", "ada")
    assert CARTS.page("byUser", 2, partition=whose) == ([ONE], True)
    of_eve = {**key, "userId": {"S": "eve"}}
    assert CARTS.page("byUser", 2, partition=whose, after=of_eve, descending=True) == ([TWO], False)


def test_a_page_may_be_of_a_range_of_the_sort_key(database):
    request = {
        "TableName": "carts",
        "IndexName": "byUser",
        "KeyConditionExpression": "#p = :p AND #s BETWEEN :from AND :to",
        "ExpressionAttributeNames": {"#p": "userId", "#s": "createdAt"},
        "ExpressionAttributeValues": {":p": {"S": "ada"}, ":from": {"S": "then"}, ":to": {"S": "thereafter"}},
        "ScanIndexForward": True,
        "Limit": 2,
    }
    database.add_response("query", {"Items": [row(ONE, 1)]}, request)
    between = ("createdAt", "then", "thereafter")
    assert CARTS.page("byUser", 2, partition=("userId", "ada"), between=between) == ([ONE], False)


def test_of_an_index_that_has_no_more_than_keys_the_rows_are_read_by_them(database):
    # given
    keys = [{"cartId": {"S": key}, "userId": {"S": "ada"}} for key in ("c2", "gone", "c1")]
    database.add_response("query", {"Items": keys, "LastEvaluatedKey": keys[-1]})
    # the answer has no order, and what was deleted since is not in it
    rows = [row(ONE, 1), {**row(TWO, 1), "cartId": {"S": "c2"}}]
    database.add_response("batch_get_item", {"Responses": {"carts": rows}, "UnprocessedKeys": {}})

    # when
    page, more = CARTS.page("byUser", 3, partition=("userId", "ada"), of_keys=True)

    # then they come as the index has them
    assert ([cart.cart_id for cart in page], more) == (["c2", "c1"], True)


def test_a_page_of_keys_without_any_asks_for_no_rows(database):
    database.add_response("query", {"Items": []})
    assert CARTS.page("byUser", 3, partition=("userId", "ada"), of_keys=True) == ([], False)


def test_a_page_of_no_partition_is_of_the_whole_index(database):
    request = {"TableName": "carts", "IndexName": "byUser", "Limit": 2}
    key = {"cartId": {"S": "c1"}, "userId": {"S": "ada"}}
    database.add_response("scan", {"Items": [row(ONE, 1)], "LastEvaluatedKey": key}, request)
    database.add_response("scan", {"Items": [row(TWO, 1)]}, {**request, "ExclusiveStartKey": key})
    assert CARTS.page("byUser", 2) == ([ONE], True)
    assert CARTS.page("byUser", 2, after=key) == ([TWO], False)


def test_every_row_of_a_partition_is_read_page_by_page_and_no_page_too_early(database):
    # given two pages, as DynamoDB ends one at 1 MB
    query = {
        "TableName": "carts",
        "IndexName": "byUser",
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "userId"},
        "ExpressionAttributeValues": {":p": {"S": "ada"}},
    }
    last = {"userId": {"S": "ada"}, "cartId": {"S": "c1"}}
    database.add_response("query", {"Items": [row(ONE, 1)], "LastEvaluatedKey": last}, query)
    carts = CARTS.every("byUser", "userId", "ada")

    # then the second is asked for only when it is wanted
    assert next(carts) == ONE
    database.assert_no_pending_responses()
    database.add_response("query", {"Items": [row(TWO, 2)]}, {**query, "ExclusiveStartKey": last})
    assert list(carts) == [TWO]


def test_many_rows_are_read_at_once_each_key_once_and_those_that_are_not_there_left_out(database):
    asked: dict[str, Any] = {}

    def remember(params: dict[str, Any], **_: Any) -> None:
        asked.update(params["RequestItems"]["carts"])

    dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", remember)
    try:
        database.add_response("batch_get_item", {"Responses": {"carts": [row(ONE, 1)]}, "UnprocessedKeys": {}})
        assert CARTS.read_many(["c1", "c2", "c1"]) == {"c1": ONE}
    finally:
        dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", remember)
    assert sorted(key["cartId"]["S"] for key in asked["Keys"]) == ["c1", "c2"]
    assert asked["ConsistentRead"] is True


def test_rows_that_dynamodb_did_not_get_round_to_are_asked_for_again(database):
    two = {"carts": {"Keys": [{"cartId": {"S": "c2"}}], "ConsistentRead": True}}
    other = Cart(cart_id="c2", pieces=2)
    database.add_response("batch_get_item", {"Responses": {"carts": [row(ONE, 1)]}, "UnprocessedKeys": two})
    database.add_response(
        "batch_get_item", {"Responses": {"carts": [row(other, 1)]}, "UnprocessedKeys": {}}, {"RequestItems": two}
    )
    assert CARTS.read_many(["c1", "c2"]) == {"c1": ONE, "c2": other}


# transition


def one_more(cart: Cart | None) -> Change[Cart] | None:
    pieces = cart.pieces if cart else 0
    return Change(Cart(cart_id="c1", pieces=pieces + 1)) if pieces < 5 else None


def wrote(pieces: int, revision: int) -> dict[str, Any]:
    request = {"Item": row(Cart(cart_id="c1", pieces=pieces), revision)}
    request |= dict.fromkeys(("TableName", "ConditionExpression", "ReturnValuesOnConditionCheckFailure"), ANY)
    return request | ({"ExpressionAttributeValues": {":seen": {"N": str(revision - 1)}}} if revision > 1 else {})


def test_a_lost_race_is_decided_again_on_the_row_that_won(database):
    database.add_response("get_item", {"Item": row(ONE, 1)})
    lost_to(database, row(Cart(cart_id="c1", pieces=3), 2), wrote(pieces=2, revision=2))
    database.add_response("put_item", {}, wrote(pieces=4, revision=3))

    assert transition(CARTS, "c1", one_more) == Cart(cart_id="c1", pieces=4)


def test_a_row_that_is_probably_new_is_not_read_first(database):
    lost_to(database, row(ONE, 1), wrote(pieces=1, revision=1))
    database.add_response("put_item", {}, wrote(pieces=2, revision=2))
    assert transition(CARTS, "c1", one_more, probably_new=True) == Cart(cart_id="c1", pieces=2)


def test_a_decision_for_nothing_writes_nothing_and_answers_with_the_row(database):
    full = Cart(cart_id="c1", pieces=5)
    database.add_response("get_item", {"Item": row(full, 9)})
    lost_to(database, row(full, 9))
    assert transition(CARTS, "c1", one_more) == full
    assert transition(CARTS, "c1", one_more, probably_new=True) == full


def test_after_a_second_lost_race_it_pauses_and_reads_the_row_again(database, pauses):
    database.add_response("get_item", {})
    lost_to(database, row(ONE, 1))
    lost_to(database, row(ONE, 2), wrote(pieces=2, revision=2))
    database.add_response("get_item", {"Item": row(Cart(cart_id="c1", pieces=3), 9)})
    database.add_response("put_item", {}, wrote(pieces=4, revision=10))

    assert transition(CARTS, "c1", one_more) == Cart(cart_id="c1", pieces=4)
    assert len(pauses) == 1


def test_a_busy_row_is_read_again_after_a_pause(database, pauses):
    database.add_client_error("put_item", "TransactionConflictException")
    database.add_response("get_item", {"Item": row(ONE, 1)})
    database.add_response("put_item", {}, wrote(pieces=2, revision=2))
    assert transition(CARTS, "c1", one_more, probably_new=True) == Cart(cart_id="c1", pieces=2)
    assert len(pauses) == 1


def test_a_row_that_never_holds_still_is_given_up_by_name_while_there_is_time_to_say_so(monkeypatch):
    class Restless:
        """Another writer is always faster."""

        def read(self, key: str) -> Stored[Cart] | None:
            return Stored(ONE, 1)

        def write(self, *_: Any) -> None:
            raise LostRace(Stored(ONE, 2))

    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("eventflow.transition.sleep", sleep)
    monkeypatch.setattr("eventflow.transition.monotonic", lambda: now)
    with pytest.raises(Contended, match="others change c1 all the time"):
        transition(Restless(), "c1", one_more)
    assert 6 < now <= 8, "most of its patience, and no more"


# Warehouse

WAREHOUSE = Warehouse("reservations", "inventory")
MUGS, LAMP = Line(product_id="mug", quantity=2), Line(product_id="lamp", quantity=1)
RESERVED = Reservation(order_id="o1", user_id="ada", status=Status.RESERVED, items=(MUGS, LAMP))
RELEASED = msgspec.structs.replace(RESERVED, status=Status.RELEASED)
CANCELLED = Reservation(order_id="o1", user_id="ada", status=Status.CANCELLED)
NOT_THIS = {"Code": "None"}
TAKEN = {"Code": "ConditionalCheckFailed"}
BUSY = {"Code": "TransactionConflict"}


def cancelled_for(database: Stubber, *reasons: dict[str, Any]) -> None:
    database.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": list(reasons)},
    )


def moves(product: str, values: dict[str, str], **condition: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "inventory",
            "Key": {"productId": {"S": product}},
            "UpdateExpression": "ADD availableQty :by SET updatedAt = :now",
            "ExpressionAttributeValues": {name: {"N": value} for name, value in (values | {":now": "7000"}).items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **condition,
        }
    }


def test_a_reservation_and_all_that_it_takes_out_of_stock_are_one_transaction(database, monkeypatch):
    monkeypatch.setattr("eventflow.clock.now", lambda: 7000)
    enough = {"ConditionExpression": "availableQty >= :needed"}
    database.add_response(
        "transact_write_items",
        {},
        {
            "TransactItems": [
                {"Put": WAREHOUSE.put(RESERVED, 1, None)},
                moves("mug", {":by": "-2", ":needed": "2"}, **enough),
                moves("lamp", {":by": "-1", ":needed": "1"}, **enough),
            ]
        },
    )
    WAREHOUSE.write("o1", RESERVED, 1, None)


def test_a_release_puts_back_what_was_taken_whatever_there_is(database, monkeypatch):
    monkeypatch.setattr("eventflow.clock.now", lambda: 7000)
    back = [moves("mug", {":by": "2"}), moves("lamp", {":by": "1"})]
    put = {"Put": WAREHOUSE.put(RELEASED, 2, None)}
    database.add_response("transact_write_items", {}, {"TransactItems": [put, *back]})
    WAREHOUSE.write("o1", RELEASED, 2, None)


def test_what_moves_no_stock_is_a_plain_write(database):
    database.add_response("put_item", {}, WAREHOUSE.put(CANCELLED, 1, None))
    WAREHOUSE.write("o1", CANCELLED, 1, None)


def test_short_lines_are_told_with_what_there_is_of_them(database):
    cancelled_for(database, NOT_THIS, {**TAKEN, "Item": {"availableQty": {"N": "1"}}}, TAKEN)
    with pytest.raises(OutOfStock, match="mug: 1 of 2, lamp: 0 of 1") as out:
        WAREHOUSE.write("o1", RESERVED, 1, None)
    assert out.value.short == (
        ShortLine(product_id="mug", quantity=2, available_qty=1),
        ShortLine(product_id="lamp", quantity=1, available_qty=0),
    )


def test_a_line_with_enough_stock_is_not_short(database):
    cancelled_for(database, NOT_THIS, NOT_THIS, TAKEN)
    with pytest.raises(OutOfStock) as out:
        WAREHOUSE.write("o1", RESERVED, 1, None)
    assert [line.product_id for line in out.value.short] == ["lamp"]


def test_a_reservation_that_exists_wins_over_short_stock(database):
    cancelled_for(database, {**TAKEN, "Item": to_attributes(CANCELLED) | {"revision": {"N": "1"}}}, TAKEN, NOT_THIS)
    with pytest.raises(LostRace) as race:
        WAREHOUSE.write("o1", RESERVED, 1, None)
    assert race.value.current == Stored(CANCELLED, 1)


def test_a_reservation_that_another_transaction_is_in_the_way_of_is_made_after_a_pause(database, pauses):
    for refusal in ((NOT_THIS, BUSY, NOT_THIS), (NOT_THIS, BUSY, TAKEN)):
        cancelled_for(database, *refusal)
        database.add_response("get_item", {})
    database.add_response("transact_write_items", {})

    assert transition(WAREHOUSE, "o1", lambda seen: None if seen else Change(RESERVED), probably_new=True) == RESERVED

    assert len(pauses) == 2


def test_a_transaction_refused_for_another_reason_is_neither_a_race_nor_short_stock(database):
    cancelled_for(database, NOT_THIS, {"Code": "ItemCollectionSizeLimitExceeded"}, TAKEN)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        WAREHOUSE.write("o1", RESERVED, 1, None)
