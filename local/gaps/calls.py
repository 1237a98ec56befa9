"""A record of every call that AWS would bill, for `make cost`: one JSON object a line, in the file $EVENTFLOW_CALLS.

It is written while that file exists: create the file to begin a record, and delete it to end.
"""

import json
import math
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ministack.services import apigateway_v1, dynamodb, eventbridge, lambda_svc, sqs, stepfunctions

from local.gaps.context import holding

Json = dict[str, Any]

VARIABLE = "EVENTFLOW_CALLS"

_writing = threading.Lock()


def record_calls() -> None:
    """Of each call what its price depends on: AWS's pricing pages, named in `cost/prices.py`."""
    _record_requests()
    _record_rows()
    _record_events()
    _record_invocations()
    _record_messages()
    _record_executions()


def _wanted() -> bool:
    return os.path.exists(os.environ.get(VARIABLE, ""))  # noqa: PTH110 (for each call: quicker than a Path)


def _record(service: str, operation: str, resource: str, **more: Any) -> None:
    line = json.dumps({"service": service, "operation": operation, "resource": resource, **more})
    # r+: if the file was taken away, nobody wants more
    with _writing, suppress(FileNotFoundError), Path(os.environ.get(VARIABLE, "")).open("r+") as file:
        file.seek(0, os.SEEK_END)
        file.write(f"{line}\n")


def _record_requests() -> None:
    """API Gateway bills each request, and what it answers as data that goes out."""
    invoke = apigateway_v1._invoke_lambda_proxy_v1

    async def invoke_lambda_proxy(*arguments: Any, **more: Any) -> Any:
        status, _, body, *_ = answer = await invoke(*arguments, **more)
        if not _wanted():
            return answer
        _, api_id, _, _, _, path, method, *_ = arguments
        sent = len(body if isinstance(body, bytes) else str(body).encode())
        _record("apigateway", method, apigateway_v1._rest_apis[api_id]["name"], path=path, status=status, bytes=sent)
        return answer

    apigateway_v1._invoke_lambda_proxy_v1 = invoke_lambda_proxy


# DynamoDB

WRITES = ("_put_item", "_update_item", "_delete_item", "_transact_write_items", "_batch_write_item")
READS = ("_get_item", "_batch_get_item", "_query", "_scan")


def _record_rows() -> None:
    """Units of tables and of their indexes. The emulator counts those of a write; those of a read it takes for one."""
    for name in WRITES:
        setattr(dynamodb, name, _counted_write(name, getattr(dynamodb, name)))
    for name in READS:
        setattr(dynamodb, name, _counted_read(name, getattr(dynamodb, name)))


def _counted_write(name: str, write: Callable[[Json], Any]) -> Callable[[Json], Any]:
    operation = "".join(part.title() for part in name.split("_"))

    def counted(data: Json) -> Any:
        if not _wanted():
            return write(data)
        status, headers, body = write({**data, "ReturnConsumedCapacity": "INDEXES"})
        answer = json.loads(body)
        if status != 200:
            _record_refused(operation, data, answer)
            return status, headers, body
        consumed, called = answer.pop("ConsumedCapacity", []), False
        for each in consumed if isinstance(consumed, list) else [consumed]:
            indexes = {index: units["CapacityUnits"] for index, units in each.get("GlobalSecondaryIndexes", {}).items()}
            units = each["CapacityUnits"] - sum(indexes.values())
            row = {"bytes": dynamodb._item_size_bytes(data["Item"])} if "Item" in data else {}
            _record("dynamodb", operation, each["TableName"], write=units, index=indexes, call=not called, **row)
            called = True
        return write_back(status, headers, answer, data, body)

    return counted


def write_back(status: int, headers: Json, answer: Json, data: Json, body: bytes) -> Any:
    """The answer as it would have been: with the capacity only where it was asked for."""
    if data.get("ReturnConsumedCapacity", "NONE") != "NONE":
        return status, headers, body
    return status, headers, json.dumps(answer).encode()


def _record_refused(operation: str, data: Json, answer: Json) -> None:
    """A write that its condition refuses is billed as the row that is there, one unit at least (DynamoDB Developer
    Guide, "Condition expressions"); so is each write of a transaction that is cancelled, twice.
    """
    kind = str(answer.get("__type", "")).rpartition("#")[2]
    if kind == "ConditionalCheckFailedException":
        units = max(1, math.ceil(dynamodb._item_size_bytes(answer.get("Item") or {}) / 1024))
        _record("dynamodb", operation, data["TableName"], write=units, index={}, refused=True)
    if kind == "TransactionCanceledException":
        for number, each in enumerate(data["TransactItems"]):
            (write,) = each.values()
            size = dynamodb._item_size_bytes(write.get("Item") or write.get("Key") or {})
            units = 2 * max(1, math.ceil(size / 1024))
            _record("dynamodb", operation, write["TableName"], write=units, index={}, call=number == 0, refused=True)


def _counted_read(name: str, read: Callable[[Json], Any]) -> Callable[[Json], Any]:
    operation = "".join(part.title() for part in name.split("_"))

    def counted(data: Json) -> Any:
        answer = read(data)
        if answer[0] == 200 and _wanted():
            # all that was read is billed, not only the part that was requested
            whole = {key: it for key, it in data.items() if key not in ("ProjectionExpression", "Select")}
            found = json.loads(read(whole)[2])
            for table, sizes, consistent in _sizes(data, found):
                units = sum(max(1, math.ceil(size / 4096)) for size in sizes) * (1.0 if consistent else 0.5)
                _record("dynamodb", operation, table, read=units, through=data.get("IndexName", ""))
        return answer

    return counted


def _sizes(data: Json, found: Json) -> list[tuple[str, list[int], bool]]:
    """Of each table that was read: how many bytes each reading of it took, and whether it was consistent."""
    size = dynamodb._item_size_bytes
    if "RequestItems" in data:  # each row is rounded up; one that is not there counts as well
        return [
            (
                table,
                [size(item) for item in found["Responses"].get(table, [])]
                + [0] * (len(asked["Keys"]) - len(found["Responses"].get(table, []))),
                asked.get("ConsistentRead", False),
            )
            for table, asked in data["RequestItems"].items()
        ]
    if "Items" in found:  # a page is added up, then rounded
        return [(data["TableName"], [sum(map(size, found["Items"]))], data.get("ConsistentRead", False))]
    return [(data["TableName"], [size(found.get("Item", {}))], data.get("ConsistentRead", False))]


# EventBridge, Lambda, SQS, Step Functions


def _record_events() -> None:
    put, archive, to_queue = eventbridge._put_events, eventbridge._archive_event, eventbridge._dispatch_to_sqs

    def put_events(data: Json, *more: Any, **named: Any) -> Any:
        for entry in data.get("Entries", []) if _wanted() else []:
            size = 14 + sum(len(str(entry.get(part, "")).encode()) for part in ("Source", "DetailType", "Detail"))
            bus = entry.get("EventBusName", "default")
            _record("events", "PutEvents", bus, bytes=size, type=entry.get("DetailType", ""))
        return put(data, *more, **named)

    def archive_event(event: Json, *more: Any) -> None:
        before = {name: it.get("EventCount", 0) for name, it in eventbridge._archives.items()}
        archive(event, *more)
        for name, it in eventbridge._archives.items() if _wanted() else ():
            if it.get("EventCount", 0) > before.get(name, 0):
                _record("events", "Archive", event.get("EventBusName", "default"), bytes=len(json.dumps(event)))

    def dispatch_to_sqs(queue: Any, payload: str, *more: Any) -> None:
        if _wanted():
            _record("sqs", "SendMessage", str(queue).rpartition(":")[2], bytes=len(payload.encode()))
        to_queue(queue, payload, *more)

    eventbridge._put_events = put_events
    eventbridge._archive_event = archive_event
    eventbridge._dispatch_to_sqs = dispatch_to_sqs


NAMES_TRACE = '"xray_trace_id":'
"""What lines of an invocation have that is sampled: here all are."""


def _record_invocations() -> None:
    """What a function printed is billed by CloudWatch Logs; what Lambda adds to it, `cost/` knows."""
    emit, mapped = lambda_svc._emit_lambda_logs, ContextVar("mapped", default=False)
    execute = lambda_svc._execute_function

    def execute_function(function: Json, event: Any) -> Any:
        records = event.get("Records", [{}]) if isinstance(event, dict) else [{}]
        of_a_batch = any("eventSource" in record for record in records)
        if not _wanted():
            return execute(function, event)
        name, mark = (function.get("config") or function)["FunctionName"], lambda_svc.new_uuid()
        _record("lambda", "Begin", name, mark=mark)  # and waits for its turn
        try:
            with holding(mapped, of_a_batch):
                return execute(function, event)
        finally:
            _record("lambda", "End", name, mark=mark)

    def emit_logs(function: Json, request_id: str, text: str, error: bool, ms: int, **named: Any) -> None:
        config = function.get("config") or function
        printed = [line for line in text.splitlines() if line]
        logging = config.get("LoggingConfig") or {}
        if _wanted():
            _record(
                *("lambda", "Invoke", config["FunctionName"]),
                memory=config["MemorySize"],
                error=error,
                traced=mapped.get() and (config.get("TracingConfig") or {}).get("Mode") == "Active",
                lines=[len(line.encode()) for line in printed],
                naming_traces=sum(NAMES_TRACE in line for line in printed),
                platform=logging.get("LogFormat") != "JSON" or logging.get("SystemLogLevel", "INFO") != "WARN",
            )
        emit(function, request_id, text, error, ms, **named)

    lambda_svc._execute_function = execute_function
    lambda_svc._emit_lambda_logs = emit_logs


def _record_messages() -> None:
    """Lambda receives and deletes messages on the account of who owns the queue."""
    receive, delete = sqs._receive_messages_for_esm, sqs._delete_messages_for_esm

    def receive_messages(queue_url: str, number: int) -> Any:
        found = receive(queue_url, number)
        if found and _wanted():
            _record("sqs", "ReceiveMessage", queue_url.rpartition("/")[2], bytes=sum(len(it["body"]) for it in found))
        return found

    def delete_messages(queue_url: str, handles: Any) -> None:
        if handles and _wanted():
            _record("sqs", "DeleteMessageBatch", queue_url.rpartition("/")[2], bytes=0)
        delete(queue_url, handles)

    sqs._receive_messages_for_esm = receive_messages
    sqs._delete_messages_for_esm = delete_messages


def _record_executions() -> None:
    run = stepfunctions._run_execution

    def run_execution(arn: str) -> None:
        run(arn)
        if not _wanted():
            return
        execution = stepfunctions._executions.get(arn) or {}
        entered = sum(event["type"].endswith("StateEntered") for event in execution.get("events", []))
        machine = str(execution.get("stateMachineArn", "")).rpartition(":")[2]
        _record("states", "StartExecution", machine, states=entered, bytes=len(execution.get("input", "")))

    stepfunctions._run_execution = run_execution
