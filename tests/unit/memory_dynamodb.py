"""DynamoDB's client on the templates' tables, in memory: what the services ask of it, and nothing else.

Every request is checked against DynamoDB's own model, and refused as DynamoDB refuses it.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from eventflow.attributes import Attributes
from eventflow.outbox import Announcement
from eventflow.prices import Price
from eventflow.store import Table
from eventflow.store import dynamodb as client
from eventflow.transition import Stored
from relay.publish import announced

from ..sam_template import TIMELINE, resources
from ..simulation.expressions import fulfilled, updated

TABLES = resources("AWS::DynamoDB::Table") | resources("AWS::DynamoDB::Table", TIMELINE)


def key_names(schema: list[dict[str, str]]) -> list[str]:
    """The partition key, and the sort key if there is one."""
    return [part["AttributeName"] for part in sorted(schema, key=lambda part: part["KeyType"])]


KEYS = {name: key_names(table["KeySchema"]) for name, table in TABLES.items()}
INDEXES = {(name, None): keys for name, keys in KEYS.items()} | {
    (name, index["IndexName"]): key_names(index["KeySchema"])
    for name, table in TABLES.items()
    for index in table.get("GlobalSecondaryIndexes", [])
}
OF_KEYS = {
    (name, index["IndexName"])
    for name, table in TABLES.items()
    for index in table.get("GlobalSecondaryIndexes", [])
    if index["Projection"]["ProjectionType"] == "KEYS_ONLY"
}

SORT_KEYS = {keys[1] for keys in INDEXES.values() if len(keys) > 1}
LONGEST = {name: 1024 if name in SORT_KEYS else 2048 for keys in INDEXES.values() for name in keys}
"""Bytes of a key's value (DynamoDB Developer Guide, "Constraints")."""


class MemoryDynamoDB:
    exceptions = client.exceptions

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Attributes]] = {name: {} for name in TABLES}
        self.announcements: list[Announcement] = []
        """What relay would publish."""
        self.meanwhile: list[Callable[[], object]] = []
        """What others do between a read and the write that follows it; each once."""
        self.broken: Callable[[str, str], bool] = lambda operation, key: False
        """Which requests it refuses for its own reasons."""
        self.most_at_once = 1_000_000
        """Items that an answer holds, whatever the Limit: DynamoDB ends a page at 1 MB."""
        self.asked: list[str] = []
        """Operations, and the table or index each was on."""
        self.conflicts = 0
        """How many transactions it refuses, because others have their rows in hand."""
        self.tokens: set[str] = set()
        """Of the transactions that were made: one that is repeated with its token is not made again."""

    # What tests ask of it

    def keeps(self, table: str, item: Attributes) -> None:
        """A row that another writes than the services: a state machine."""
        self.rows[table]["|".join(item[name]["S"] for name in KEYS[table])] = item

    def has(self, table: Table[Any], key: str, state: Any, revision: int = 1) -> None:
        self.rows[table.name][key] = table.put(state, revision, None)["Item"]

    def stored(self, table: Table[Any], key: str) -> Stored[Any] | None:
        return table.stored(self.rows[table.name].get(key))

    def sells(self, product: str, unit_price: int, currency: str = "USD", *, sold: bool = True, as_of: int = 1) -> None:
        """Both price lists know this of a product."""
        price = Price(
            product_id=product,
            name=f"A {product}",
            unit_price=unit_price,
            currency=currency,
            as_of=as_of,
            sold=sold,
        )
        for name in ("BasketPricesTable", "OrdersPricesTable"):
            self.has(Table(name, "productId", Price), product, price, as_of)

    @property
    def told(self) -> list[str]:
        """The detail-type of every announcement."""
        return [announcement.detail_type for announcement in self.announcements]

    # What services ask of it

    def get_item(self, **request: Any) -> dict[str, Any]:
        table = self._checked("GetItem", request)
        ((name, key),) = request["Key"].items()
        assert ([name], request["ConsistentRead"]) == (KEYS[request["TableName"]], True)
        found = table.get(self._key("GetItem", key["S"]))
        return {"Item": found} if found else {}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        validate(request, "BatchGetItem")
        ((name, wanted),) = request["RequestItems"].items()
        assert wanted["ConsistentRead"] or name.endswith("PricesTable"), "a price list lags behind anyway"
        self.asked.append(f"BatchGetItem {name}")
        assert all(key.keys() == set(KEYS[name]) for key in wanted["Keys"])
        keys = ["|".join(self._key("BatchGetItem", key[each]["S"]) for each in KEYS[name]) for key in wanted["Keys"]]
        if not 1 <= len(keys) <= 100 or len(set(keys)) < len(keys):
            raise refused("BatchGetItem", "ValidationException")
        return {
            "Responses": {name: [self.rows[name][key] for key in keys if key in self.rows[name]]},
            "UnprocessedKeys": {},
        }

    def put_item(self, **request: Any) -> dict[str, Any]:
        self._checked("PutItem", request)
        self._let_others_run()
        if (reason := self._why_not(request)) is not None:
            raise refused("PutItem", "ConditionalCheckFailedException", reason)
        self._commit(request, request["Item"])
        return {}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        validate(request, "TransactWriteItems")
        writes = [(kind, write) for each in request["TransactItems"] for kind, write in each.items()]
        self.asked.append("TransactWriteItems " + " ".join(write["TableName"] for _, write in writes))
        self._let_others_run()
        if self.conflicts:
            self.conflicts -= 1
            reasons = [{"Code": "None"}] * (len(writes) - 1) + [{"Code": "TransactionConflict"}]
            raise refused("TransactWriteItems", "TransactionCanceledException", {"CancellationReasons": reasons})
        if (token := request.get("ClientRequestToken")) in self.tokens:
            return {}
        whys = [self._why_not(write) for _, write in writes]
        if any(why is not None for why in whys):
            reasons = [{"Code": "None"} if why is None else {"Code": "ConditionalCheckFailed", **why} for why in whys]
            raise refused("TransactWriteItems", "TransactionCanceledException", {"CancellationReasons": reasons})
        for kind, write in writes:
            table, key = self._place(write)
            self._commit(write, write["Item"] if kind == "Put" else updated(write, table.get(key, write["Key"])))
        self.tokens |= {token} - {None}
        return {}

    def _let_others_run(self) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def _place(self, write: dict[str, Any]) -> tuple[dict[str, Attributes], str]:
        """The table that a write is on, and the key of its row."""
        name = write["TableName"]
        (key_name,) = KEYS[name]
        return self.rows[name], self._key("PutItem", (write.get("Item") or write["Key"])[key_name]["S"])

    def _why_not(self, write: dict[str, Any]) -> dict[str, Any] | None:
        """None where the write's condition is fulfilled, else the row, which DynamoDB tells if it is asked to."""
        table, key = self._place(write)
        there = table.get(key)
        if fulfilled(write, there):
            return None
        assert write["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        return {"Item": there} if there else {}

    def _commit(self, write: dict[str, Any], item: Attributes) -> None:
        table, key = self._place(write)
        images = {"NewImage": item} | ({"OldImage": table[key]} if key in table else {})
        table[key] = item
        self.announcements += announced([{"dynamodb": images}])

    def query(self, **request: Any) -> dict[str, Any]:
        self._checked("Query", request)
        names, values = dict(request["ExpressionAttributeNames"]), dict(request["ExpressionAttributeValues"])
        partition, sort = INDEXES[request["TableName"], request.get("IndexName")]
        assert names.pop("#p") == partition
        value, first, last = values.pop(":p"), "", "\U0010ffff"
        match request["KeyConditionExpression"].removeprefix("#p = :p"):
            case "":
                pass
            case condition:
                assert condition == " AND #s BETWEEN :from AND :to"
                assert names.pop("#s") == sort
                first, last = values.pop(":from")["S"], values.pop(":to")["S"]
        assert not names | values, "DynamoDB wants each of them used"
        after = request.get("ExclusiveStartKey")
        keys = [{partition: value}, *([{sort: {"S": first}}, {sort: {"S": last}}] if first else []), after or {}]
        if any(len(it["S"].encode()) > LONGEST[name] for key in keys for name, it in key.items()):
            raise refused("Query", "ValidationException")
        if first > last or (after and (after[partition] != value or not first <= after[sort]["S"] <= last)):
            raise refused("Query", "ValidationException")
        found = [row for row in self._indexed(request) if row[partition] == value and first <= row[sort]["S"] <= last]
        backwards = not request.get("ScanIndexForward", True)
        return self._page(request, sorted(found, key=self._order(request), reverse=backwards))

    def scan(self, **request: Any) -> dict[str, Any]:
        self._checked("Scan", request)
        return self._page(request, sorted(self._indexed(request), key=self._order(request)))

    def _checked(self, operation: str, request: dict[str, Any]) -> dict[str, Attributes]:
        validate(request, operation)
        index = f".{request['IndexName']}" if "IndexName" in request else ""
        self.asked.append(f"{operation} {request['TableName']}{index}")
        return self.rows[request["TableName"]]

    def _key(self, operation: str, key: str) -> str:
        if not 1 <= len(key.encode()) <= 2048:
            raise refused(operation, "ValidationException")
        if self.broken(operation, key):
            raise refused(operation, "InternalServerError")
        return key

    @staticmethod
    def _keys(request: dict[str, Any]) -> list[str]:
        """What an item of an index is known by: the index's keys and the table's."""
        table = request["TableName"]
        return list(dict.fromkeys([*INDEXES[table, request.get("IndexName")], *KEYS[table]]))

    def _indexed(self, request: dict[str, Any]) -> list[Attributes]:
        """The rows that are in an index: those that have its keys."""
        keys = self._keys(request)
        return [row for row in self.rows[request["TableName"]].values() if row.keys() >= set(keys)]

    def _order(self, request: dict[str, Any]) -> Callable[[Attributes], list[str]]:
        keys = self._keys(request)
        return lambda row: [row[name]["S"] for name in keys]

    def _page(self, request: dict[str, Any], found: list[Attributes]) -> dict[str, Any]:
        """As DynamoDB does, says that there may be more when it stopped because of the limit."""
        order, keys = self._order(request), self._keys(request)
        if after := request.get("ExclusiveStartKey"):
            if after.keys() != set(keys):
                raise refused("Query", "ValidationException")
            backwards = not request.get("ScanIndexForward", True)
            found = [row for row in found if (order(row) < order(after) if backwards else order(row) > order(after))]
        limit = min(request.get("Limit", self.most_at_once), self.most_at_once)
        page = found[:limit]
        more = {"LastEvaluatedKey": {name: page[-1][name] for name in keys}} if len(page) == limit else {}
        if (request["TableName"], request.get("IndexName")) in OF_KEYS:
            page = [{name: row[name] for name in keys} for row in page]
        return {"Items": page, **more}


def validate(request: dict[str, Any], operation: str) -> None:
    validate_parameters(request, client.meta.service_model.operation_model(operation).input_shape)


def refused(operation: str, code: str, more: dict[str, Any] | None = None) -> ClientError:
    kind = getattr(client.exceptions, code, ClientError)
    error: ClientError = kind({"Error": {"Code": code, "Message": "refused"}, **(more or {})}, operation)
    return error
