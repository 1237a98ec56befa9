"""Small stories of DynamoDB calls, as the functions make them: the simulated one must answer as the emulator does.

`{}` in a key is a text of the story's own, so that stories do not meet in one table.
"""

from __future__ import annotations

from typing import Any

Call = tuple[str, dict[str, Any]]

ORDERS = {"TableName": "OrdersTable"}
NOTES = {"TableName": "NotificationsTable"}
RECORDS = {"TableName": "IdempotencyTable"}
STOCK = {"TableName": "InventoryTable"}
ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def order(name: str, **attributes: Any) -> dict[str, Any]:
    return {"orderId": {"S": f"{{}}-{name}"}, **attributes}


def put(item: dict[str, Any], condition: str | None = None, **values: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"Item": item}
    if condition:
        asked |= {"ConditionExpression": condition, **ALL_OLD}
    if values:
        asked["ExpressionAttributeValues"] = {f":{name}": {"N": value} for name, value in values.items()}
    return asked


def moved(product: str, by: int, needed: int | None = None) -> dict[str, Any]:
    values = {":by": {"N": str(by)}, ":now": {"N": "1"}}
    asked: dict[str, Any] = {
        **STOCK,
        "Key": {"productId": {"S": f"{{}}-{product}"}},
        "UpdateExpression": "ADD availableQty :by SET updatedAt = :now",
        **ALL_OLD,
    }
    if needed is not None:
        asked["ConditionExpression"] = "availableQty >= :needed"
        values[":needed"] = {"N": str(needed)}
    return asked | {"ExpressionAttributeValues": values}


def got(table: dict[str, str], **key: str) -> Call:
    return "get_item", {**table, "Key": {name: {"S": value} for name, value in key.items()}, "ConsistentRead": True}


NEW = "attribute_not_exists(orderId)"
ONE, TWO = {"N": "1"}, {"N": "2"}
LISTED = {
    **ORDERS,
    "IndexName": "byUser",
    "ExpressionAttributeNames": {"#p": "userId"},
    "KeyConditionExpression": "#p = :p",
    "Limit": 2,
}
CLAIM = (
    "attribute_not_exists(orderId) OR occurredAt < :occurredAt OR (occurredAt = :occurredAt AND "
    "(attribute_not_exists(claimedUntil) OR eventId <> :eventId OR claimedUntil < :now))"
)


def of_ada(name: str, at: str) -> Call:
    return "put_item", {**ORDERS, "Item": order(name, userId={"S": "{}-ada"}, createdAt={"S": at})}


def told(event: str, at: str, now: str, until: str) -> Call:
    row = order("told", occurredAt={"N": at}, eventId={"S": event}, claimedUntil={"N": until})
    values = {":occurredAt": {"N": at}, ":eventId": {"S": event}, ":now": {"N": now}}
    asked = {**NOTES, "Item": row, **ALL_OLD, "ConditionExpression": CLAIM}
    return "put_item", asked | {"ExpressionAttributeValues": values}


STORIES: dict[str, list[Call]] = {
    "a row is written once": [
        ("put_item", ORDERS | put(order("a", revision=ONE), NEW)),
        ("put_item", ORDERS | put(order("a", revision=TWO), NEW)),
        got(ORDERS, orderId="{}-a"),
        got(ORDERS, orderId="{}-nobody"),
    ],
    "a revision is written over the one before": [
        ("put_item", ORDERS | put(order("a", revision=ONE))),
        ("put_item", ORDERS | put(order("a", revision=TWO), "revision = :seen", seen="1")),
        ("put_item", ORDERS | put(order("a", revision=TWO), "revision = :seen", seen="1")),
        ("put_item", ORDERS | put(order("nobody", revision=TWO), "revision = :seen", seen="1")),
        got(ORDERS, orderId="{}-a"),
    ],
    "stock is added to, and taken from while there is some": [
        ("update_item", moved("mug", 3)),
        ("update_item", moved("mug", -2, needed=2)),
        ("update_item", moved("mug", -2, needed=2)),
        ("update_item", moved("lamp", -1, needed=1)),
        got(STOCK, productId="{}-mug"),
        got(STOCK, productId="{}-lamp"),
    ],
    "a transaction is made whole": [
        ("update_item", moved("mug", 3)),
        (
            "transact_write_items",
            {"TransactItems": [{"Put": ORDERS | put(order("a"), NEW)}, {"Update": moved("mug", -2, needed=2)}]},
        ),
        got(ORDERS, orderId="{}-a"),
        got(STOCK, productId="{}-mug"),
    ],
    "or not at all, and each write tells why": [
        ("update_item", moved("mug", 1)),
        ("put_item", ORDERS | put(order("a"))),
        (
            "transact_write_items",
            {
                "TransactItems": [
                    {"Put": ORDERS | put(order("a"), NEW)},
                    {"Update": moved("mug", -2, needed=2)},
                    {"Update": moved("lamp", 1)},
                ]
            },
        ),
        got(STOCK, productId="{}-mug"),
        got(STOCK, productId="{}-lamp"),
    ],
    "a transaction is known by its token": [
        ("transact_write_items", {"ClientRequestToken": "{}", "TransactItems": [{"Update": moved("mug", 1)}]}),
        ("transact_write_items", {"ClientRequestToken": "{}", "TransactItems": [{"Update": moved("mug", 1)}]}),
        ("transact_write_items", {"ClientRequestToken": "{}", "TransactItems": [{"Update": moved("mug", 2)}]}),
        got(STOCK, productId="{}-mug"),
    ],
    "what was told is claimed for a while, and gives way to what is newer": [
        ("put_item", {**NOTES, "Item": order("told", occurredAt={"N": "100"})}),  # of a release before
        told("e1", at="100", now="1000", until="2000"),
        told("e1", at="100", now="1999", until="2999"),
        told("e1", at="100", now="2001", until="3001"),
        told("e2", at="100", now="2002", until="3002"),
        told("e3", at="200", now="2003", until="3003"),
        told("e2", at="100", now="9000", until="9999"),
        got(NOTES, orderId="{}-told"),
    ],
    "a record of Powertools' is written once": [
        ("get_item", {**RECORDS, "Key": {"id": {"S": "{}-record"}}}),
        *(
            (
                "update_item",
                {
                    **RECORDS,
                    "Key": {"id": {"S": "{}-record"}},
                    "UpdateExpression": "SET #status = :status, #expiry = :expiry",
                    "ExpressionAttributeNames": {"#status": "status", "#expiry": "expiration"},
                    "ExpressionAttributeValues": {":status": {"S": "COMPLETED"}, ":expiry": {"N": expiry}},
                },
            )
            for expiry in ("7", "8")
        ),
        got(RECORDS, id="{}-record"),
        ("delete_item", {**RECORDS, "Key": {"id": {"S": "{}-record"}}}),
        got(RECORDS, id="{}-record"),
    ],
    "a list has pages, both ways": [
        *(of_ada(name, f"2026-01-0{number}") for number, name in enumerate("abcd", start=1)),
        ("query", LISTED | {"ExpressionAttributeValues": {":p": {"S": "{}-ada"}}}),
        ("query", LISTED | {"ExpressionAttributeValues": {":p": {"S": "{}-ada"}}, "ScanIndexForward": False}),
        (
            "query",
            LISTED
            | {
                "ExpressionAttributeValues": {":p": {"S": "{}-ada"}},
                "ScanIndexForward": False,
                "ExclusiveStartKey": order("c", userId={"S": "{}-ada"}, createdAt={"S": "2026-01-03"}),
            },
        ),
        (
            "query",
            LISTED
            | {
                "KeyConditionExpression": "#p = :p AND #s BETWEEN :from AND :to",
                "ExpressionAttributeNames": {"#p": "userId", "#s": "createdAt"},
                "ExpressionAttributeValues": {
                    ":p": {"S": "{}-ada"},
                    ":from": {"S": "2026-01-02"},
                    ":to": {"S": "2026-01-03"},
                },
                "Limit": 9,
            },
        ),
    ],
    "several rows are read at once, those that are there": [
        ("put_item", ORDERS | put(order("a"))),
        (
            "batch_get_item",
            {"RequestItems": {"OrdersTable": {"Keys": [order("a"), order("nobody")], "ConsistentRead": True}}},
        ),
    ],
}

NO_EVENT = {"productId": {"S": "mug"}, "revision": {"N": "1"}}
EVENT = {**NO_EVENT, "event": {"M": {"id": {"S": "e-1"}}}}

ROWS: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "a first row": (None, NO_EVENT),
    "a first row with an event": (None, EVENT),
    "an event is added": (NO_EVENT, EVENT),
    "an event goes": (EVENT, NO_EVENT),
    "an event without an id": (NO_EVENT, {**NO_EVENT, "event": {"M": {}}}),
    "an id of another type": (NO_EVENT, {**NO_EVENT, "event": {"M": {"id": {"N": "7"}}}}),
    "an event that is a text": (NO_EVENT, {**NO_EVENT, "event": {"S": "e-1"}}),
    "an empty id": (NO_EVENT, {**NO_EVENT, "event": {"M": {"id": {"S": ""}}}}),
}
"""What writes leave in a stream: the row before and after."""


def of_new(name: str, *rules: Any) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": {name: {"S": list(rules)}}}}


FILTERS: dict[str, list[dict[str, Any]]] = {
    "an equal text": [of_new("productId", "mug")],
    "another text": [of_new("productId", "lamp")],
    "one of two": [of_new("productId", "lamp", "mug")],
    "a start": [of_new("productId", {"prefix": "mu"})],
    "an end": [of_new("productId", {"suffix": "lamp"})],
    "anything but": [of_new("productId", {"anything-but": ["lamp"]})],
    "anything but that": [of_new("productId", {"anything-but": "mug"})],
    "there was no event": [{"dynamodb": {"OldImage": {"event": {"M": {"id": {"S": [{"exists": False}]}}}}}}],
    "two fields": [{"dynamodb": {**of_new("productId", "mug")["dynamodb"], "OldImage": {"revision": {"N": ["1"]}}}}],
    "either of two filters": [of_new("productId", "lamp"), {"dynamodb": {"OldImage": {"revision": {"N": ["1"]}}}}],
}
"""Of event source mappings, beside those of the template."""

ENTRY = {"Source": "stories", "DetailType": "Told", "Detail": "{}"}

ENTRIES: dict[str, dict[str, Any]] = {
    "one like any other": ENTRY,
    "of AWS's own": {**ENTRY, "Source": "aws.ec2"},
    "with a broken detail": {**ENTRY, "Detail": "{"},
    "with a detail that is no object": {**ENTRY, "Detail": "[]"},
    "without a detail": {"Source": "stories", "DetailType": "Told"},
    "without a detail-type": {"Source": "stories", "Detail": "{}"},
    "without a source": {"DetailType": "Told", "Detail": "{}"},
}
"""Of PutEvents, each among good ones."""

FAILURES: dict[str, dict[str, int]] = {
    "handled at once": {"a": 0},
    "handled the second time": {"a": 1},
    "handled the last time": {"a": 2},
    "given up": {"a": 3},
    "one of a batch is given up, one comes again": {"a": 9, "b": 1, "c": 0},
}
"""How often the consumer fails on each message of a queue that hands it out three times."""
