"""What the timeline costs per million events, computed from the rows in its table: `make timeline-cost`.

Against it, a Lambda that would make the same three calls. Prices are AWS's list prices for us-east-1 as of 2026, in
dollars; sizes and counts are those of the rows that are there, so place some orders first (`make up` does).
"""

import math
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import boto3

from ops import OpsError
from ops.stack import Stack

MILLION = 1_000_000

# https://aws.amazon.com/dynamodb/pricing/on-demand/
WRITE_UNIT, READ_UNIT = 0.625 / MILLION, 0.125 / MILLION
# https://aws.amazon.com/step-functions/pricing/: 64 MB and 100 ms are the least that is billed
EXPRESS_REQUEST, EXPRESS_GB_SECOND = 1.00 / MILLION, 0.06 / 3600
EXPRESS_GB, EXPRESS_SECONDS = 64 / 1024, 0.1
# https://aws.amazon.com/lambda/pricing/ (arm64); its three log lines at CloudWatch's $0.50 per GB
LAMBDA_REQUEST, LAMBDA_GB_SECOND = 0.20 / MILLION, 0.0000133334
LAMBDA_GB, LAMBDA_SECONDS, LAMBDA_LOG_GB, LOG_GB = 0.5, 0.03, 400 / 1e9, 0.50

Item = Mapping[str, Mapping[str, Any]]


def size(item: Item) -> int:
    """Bytes, as DynamoDB counts them: names and text in UTF-8, two digits of a number to a byte."""
    total = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        total += len(name.encode()) + (len(content) // 2 + 2 if kind == "N" else len(content.encode()))
    return total


def units(size_in_bytes: int, unit_in_bytes: int) -> int:
    return math.ceil(size_in_bytes / unit_in_bytes)


def main() -> None:
    timeline = Stack.timeline(os.environ.get("STACK_NAME"), boto3.client("cloudformation"))
    table = timeline.table("TimelineTable")
    sagas: dict[str, list[Item]] = defaultdict(list)
    summaries: dict[str, Item] = {}
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if item["position"]["S"] == "summary":
                summaries[item["sagaId"]["S"]] = item
            elif item["sagaId"]["S"].startswith("saga#"):
                sagas[item["sagaId"]["S"]].append(item)
    events = sum(len(rows) for rows in sagas.values())
    if not events:
        sys.exit(f"error: nothing is in {table} yet: place an order")

    rows = [row for saga in sagas.values() for row in saga]
    event_writes = sum(units(size(row), 1024) for row in rows)
    summary_writes = sum(units(size(summaries[saga]), 1024) * len(rows) for saga, rows in sagas.items())
    # the indexes hold only keys, which change as a saga begins and as it ends: then it moves from one partition to
    # another, which is a deletion and a write
    index_writes = sum(1 + 2 * ("ending" in summary) + ("userId" in summary) for summary in summaries.values())
    reads = sum(units(sum(map(size, rows[:seen])), 4096) for rows in sagas.values() for seen in range(1, len(rows) + 1))

    table_dollars = ((event_writes + summary_writes + index_writes) * WRITE_UNIT + reads * READ_UNIT) / events
    express = EXPRESS_REQUEST + EXPRESS_GB * EXPRESS_SECONDS * EXPRESS_GB_SECOND
    function = LAMBDA_REQUEST + LAMBDA_GB * LAMBDA_SECONDS * LAMBDA_GB_SECOND + LAMBDA_LOG_GB * LOG_GB
    print(f"{events} events of {len(sagas)} sagas: {events / len(sagas):.1f} a saga, {size_of(rows):.0f} bytes a row")
    print("per event: 1 execution, 2 writes and 1 read requested; in units billed:")
    print(f"  {event_writes / events:5.2f} writes of the event, {summary_writes / events:.2f} of the summary,", end=" ")
    print(f"{index_writes / events:.2f} of the two indexes, {reads / events:.2f} reads")
    print("per million events:            Express   Lambda")
    print(f"  requests                     {EXPRESS_REQUEST * MILLION:7.2f}  {LAMBDA_REQUEST * MILLION:7.2f}")
    duration = EXPRESS_GB * EXPRESS_SECONDS * EXPRESS_GB_SECOND, LAMBDA_GB * LAMBDA_SECONDS * LAMBDA_GB_SECOND
    print(f"  duration                     {duration[0] * MILLION:7.2f}  {duration[1] * MILLION:7.2f}")
    print(f"  logs                         {0:7.2f}  {LAMBDA_LOG_GB * LOG_GB * MILLION:7.2f}")
    print(f"  the table's writes and reads {table_dollars * MILLION:7.2f}  {table_dollars * MILLION:7.2f}")
    print(f"  dollars                      {(express + table_dollars) * MILLION:7.2f}", end="")
    print(f"  {(function + table_dollars) * MILLION:7.2f}")


def size_of(rows: list[Item]) -> float:
    return sum(map(size, rows)) / len(rows)


if __name__ == "__main__":
    try:
        main()
    except OpsError as error:
        sys.exit(f"error: {error}")
