"""What may become of a call of AWS."""

from __future__ import annotations

import functools

from .wire import Json, Request

LOST, ALL_LOST = "done, its answer lost", "done, all answers lost"
"""The SDK repeats the first. After the second it gives up."""
LATE = "done, and out of time"
REFUSING = "one entry refused each time"
LAGGING = "done, on an index that lags behind"


@functools.cache
def fates_of(operation: str, rows: int = 2) -> tuple[str, ...]:
    """What may become of a call, one that asks for so many rows. The first is what should."""
    fates = ["done", "throttled", "refused", LOST, ALL_LOST, "killed before it", "killed after it", LATE]
    if operation == "TransactWriteItems":
        fates.append("in conflict")
    if operation == "BatchGetItem" and rows > 1:
        fates.append("done in part")
    if operation == "PutEvents":
        fates += ["one entry refused", REFUSING]
    if operation in ("Query", "Scan"):
        fates.append(LAGGING)
    return tuple(fates)


def in_part(request: Request, answer: Json) -> Json:
    """All but the last: it is to be asked for again."""
    ((table, wanted),) = request.about["RequestItems"].items()
    later = wanted["Keys"][-1]
    found = [row for row in answer["Responses"][table] if not later.items() <= row.items()]
    return {"Responses": {table: found}, "UnprocessedKeys": {table: {**wanted, "Keys": [later]}}}
