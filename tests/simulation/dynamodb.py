"""DynamoDB as the functions use it. What it does not know it refuses loudly, with an error that no test forgives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import expressions
from .cloud import Table
from .wire import Json, Refused


@dataclass(frozen=True)
class Written:
    """A row that a write left, for its table's stream."""

    table: str
    key: str
    old: Json | None
    new: Json


@dataclass
class DynamoDB:
    tables: Mapping[str, Table]
    rows: dict[str, dict[str, Json]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """The request of each transaction that was made, by its token."""
    written: Callable[[Written], None] = lambda written: None
    """Told of each row that is written."""

    def __post_init__(self) -> None:
        self.rows = {name: {} for name in self.tables}

    def call(self, operation: str, request: Json) -> Json:
        """Raises Refused."""
        return {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "PutItem": lambda it: self._write("Put", it),
            "UpdateItem": lambda it: self._write("Update", it),
            "DeleteItem": lambda it: self._write("Delete", it),
            "TransactWriteItems": self._transact,
            "Query": self._query,
            "Scan": self._query,
        }[operation](request)

    def expire(self, now: float) -> None:
        """Take out the rows that have expired by then."""
        for name, table in self.tables.items():
            if table.expires_by:
                for key, row in list(self.rows[name].items()):
                    if float(row.get(table.expires_by, {"N": "inf"})["N"]) <= now:
                        del self.rows[name][key]

    def _get(self, request: Json) -> Json:
        found = self.rows[request["TableName"]].get(self._key(request["TableName"], request["Key"]))
        return {"Item": found} if found else {}

    def _batch_get(self, request: Json) -> Json:
        return {
            "Responses": {
                name: [
                    self.rows[name][key]
                    for key in (self._key(name, each) for each in wanted["Keys"])
                    if key in self.rows[name]
                ]
                for name, wanted in request["RequestItems"].items()
            },
            "UnprocessedKeys": {},
        }

    def _write(self, kind: str, request: Json) -> Json:
        there = self._there(request)
        if not expressions.fulfilled(request, there):
            raise Refused("ConditionalCheckFailedException", **self._told(request, there))
        self._commit(kind, request)
        return {}

    def _transact(self, request: Json) -> Json:
        token, said = request["ClientRequestToken"], json.dumps(request["TransactItems"], sort_keys=True)
        if token in self.tokens:
            if self.tokens[token] != said:
                raise Refused("IdempotentParameterMismatchException")
            return {}
        writes = [(kind, it) for each in request["TransactItems"] for kind, it in each.items()]
        keys = [(it["TableName"], self._key_of(it)) for _, it in writes]
        if len(set(keys)) < len(keys) or len(keys) > 100:
            raise Refused("ValidationException")
        reasons = [
            {"Code": "None"}
            if expressions.fulfilled(it, there := self._there(it))
            else {"Code": "ConditionalCheckFailed", **self._told(it, there)}
            for _, it in writes
        ]
        if any(reason["Code"] != "None" for reason in reasons):
            raise Refused("TransactionCanceledException", CancellationReasons=reasons)
        for kind, it in writes:
            self._commit(kind, it)
        self.tokens[token] = said
        return {}

    def _query(self, request: Json) -> Json:
        table, index = self.tables[request["TableName"]], request.get("IndexName")
        if index is None:
            raise expressions.Unknown("a query without an index")
        partition, sort = table.indexes[index]
        rows = [row for row in self.rows[table.name].values() if partition in row and sort in row]
        if condition := request.get("KeyConditionExpression"):
            names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
            if condition not in ("#p = :p", "#p = :p AND #s BETWEEN :from AND :to") or names["#p"] != partition:
                raise expressions.Unknown(condition)
            rows = [row for row in rows if row[partition] == values[":p"]]
            if ":from" in values:
                rows = [row for row in rows if values[":from"]["S"] <= row[sort]["S"] <= values[":to"]["S"]]
        order = [sort, table.key] if condition else [partition, sort, table.key]
        descending = not request.get("ScanIndexForward", True)
        rows.sort(key=lambda row: [row[name]["S"] for name in order], reverse=descending)
        if after := request.get("ExclusiveStartKey"):
            last = [after[name]["S"] for name in order]
            places = [[row[name]["S"] for name in order] for row in rows]
            beyond = [it < last if descending else it > last for it in places]
            rows = [row for row, ours in zip(rows, beyond, strict=True) if ours]
        page = rows[: request["Limit"]]
        known_by = dict.fromkeys([partition, sort, table.key])
        # as DynamoDB does, it says that there may be more when it stopped because of the limit
        full = len(page) == request["Limit"]
        more = {"LastEvaluatedKey": {name: page[-1][name] for name in known_by}} if full else {}
        items = [{name: row[name] for name in known_by} for row in page] if index in table.of_keys else page
        return {"Items": items, "Count": len(items), **more}

    # Rows

    def _key(self, table: str, key: Json) -> str:
        ((name, value),) = key.items()
        if name != self.tables[table].key or not 1 <= len(value["S"].encode()) <= 2048:
            raise Refused("ValidationException")
        return str(value["S"])

    def _key_of(self, write: Json) -> str:
        name = self.tables[write["TableName"]].key
        return self._key(write["TableName"], write.get("Key") or {name: write["Item"][name]})

    def _there(self, write: Json) -> Json | None:
        return self.rows[write["TableName"]].get(self._key_of(write))

    @staticmethod
    def _told(write: Json, there: Json | None) -> Json:
        wanted = write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return {"Item": there} if wanted and there else {}

    def _commit(self, kind: str, write: Json) -> None:
        table, key, there = write["TableName"], self._key_of(write), self._there(write)
        if kind == "Delete":
            self.rows[table].pop(key, None)
            return
        new = write["Item"] if kind == "Put" else expressions.updated(write, there or write["Key"])
        self.rows[table][key] = new
        self.written(Written(table, key, there, new))
