"""What the timeline's state machine makes of one event: its expressions up to its first write, and those by which it
gives an event up, really evaluated.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jsonata import JException

from ops.attach.machine import evaluated, row_of

from ..sam_template import TIMELINE, definition

__all__ = ["MOST_BYTES", "bucket_of", "given_up", "judged", "kept", "row_of", "size", "status_after", "summed_up"]

State = dict[str, Any]

STATES = definition("Keeper")["States"]
(BRANCH,) = STATES["Try"]["Branches"]

DEFAULTS = {name: str(it.get("Default", name)) for name, it in TIMELINE["Parameters"].items()}


def kept(event: Mapping[str, Any], arrived: str = "2026-11-20T12:00:01Z", **parameters: str) -> tuple[State, State]:
    """The variables, and the arguments of the write. Parameters that are not given have their defaults."""
    given = {"Table": "TimelineTable", **DEFAULTS, **parameters}
    execution = {"Id": "execution-1", "StartTime": arrived}
    bindings: State = {"states": {"input": event, "context": {"Execution": execution}}}
    assign(bindings, given, "Event or failure?", "Read", "Place")
    arguments = evaluated(BRANCH["States"]["Keep"]["Arguments"], given, bindings)
    return {name: it for name, it in bindings.items() if name != "states"}, arguments


def summed_up(rows: Sequence[State], cut: Sequence[State] = (), **parameters: str) -> State:
    """The summary that it writes of a saga of these rows, in order of their positions; of `cut` it reads only these of
    the rows that follow.
    """
    given = {"Table": "TimelineTable", **DEFAULTS, **parameters}
    saga_id = rows[0]["sagaId"]["S"]
    more = {"LastEvaluatedKey": {"position": rows[-1]["position"]}} if cut else {}
    bindings: State = {
        "sagaId": saga_id,
        "correlationId": saga_id.partition("#")[2],
        "states": {"result": {"Items": list(rows), **more}},
    }
    assign(bindings, given, "Look")
    if cut:
        bindings["states"]["result"] = {"Items": [{}, *reversed(cut)]}
        assign(bindings, given, "Look at the newest")
    assign(bindings, given, "Order", "Steps", "Judge", "Has it ended?")
    return dict(evaluated(BRANCH["States"]["Summarise"]["Arguments"], given, bindings))


def assign(bindings: State, parameters: Mapping[str, str], *states: str) -> None:
    """What these states assign, one after another. All assignments of a state see what was before it."""
    for state in states:
        assigned = BRANCH["States"][state]["Assign"]
        made = {name: evaluated(it, parameters, bindings) for name, it in assigned.items()}
        undefined = [name for name, it in made.items() if it is None]
        assert not undefined, f"{state} assigns nothing to {undefined}, on which Step Functions fails"
        largest = size(made)
        assert largest <= MOST_BYTES, f"{state} assigns {largest} bytes"
        bindings |= made


def bucket_of(correlation_id: str, buckets: int) -> str:
    """The number of the index's partition in which a saga is listed."""
    expression = BRANCH["States"]["Has it ended?"]["Assign"]["bucket"]
    return str(evaluated(expression, {"Buckets": str(buckets)}, {"correlationId": correlation_id}))


MOST_BYTES = 256 * 1024
"""Of what a task is given, of one variable, and of all that one state assigns. Beyond it Step Functions raises
States.DataLimitExceeded, which States.ALL does not catch (Step Functions Developer Guide, "Service quotas", "Handling
errors").
"""


def given_up(
    event: Mapping[str, Any], cause: str | None = "why", refused: str = "", **parameters: str
) -> dict[str, Any]:
    """The message for the failed-events queue, as the state machine makes it of an event on which it failed.

    `refused` is the error for which SQS refuses the event as a whole. (It takes the second message.)
    """
    execution = {"Id": "execution-1", "Input": event}
    bindings: dict[str, Any] = {
        "states": {"context": {"Execution": execution, "StateMachine": {"Id": "keeper-1"}}},
        "error": {"Error": "DynamoDB.Throttled"} | ({} if cause is None else {"Cause": cause}),
    }
    given = {"FailedEvents": "queue", **DEFAULTS, **parameters}
    try:
        whole = evaluated(STATES["Give up"]["Arguments"], given, bindings)
    except (JException, RecursionError):
        refused = "States.QueryEvaluationError"
    if not refused:
        return dict(whole)
    (caught,) = STATES["Give up"]["Catch"]
    bindings["states"]["errorOutput"] = {"Error": refused, "Cause": ""}
    bindings |= evaluated(caught["Assign"], given, bindings)
    return dict(evaluated(STATES[caught["Next"]]["Arguments"], given, bindings))


def size(value: Any) -> int:
    """Bytes as Step Functions counts them: of the JSON, in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def judged(*detail_types: str) -> State:
    """The summary of a saga of these events, the last one latest: they occurred at 0, 1, 2 ..."""
    rows = []
    for at, detail_type in enumerate(detail_types):
        metadata = {"eventId": f"e-{at}", "occurredAt": at, "correlationId": "o"}
        event = {"id": f"id-{at}", "source": "eventflow.orders", "detail-type": detail_type, "time": TIME}
        rows.append(row_of(kept({**event, "detail": {"metadata": metadata}})[1]))
    return dict(summed_up(rows)["Item"])


TIME = "2026-11-20T12:00:00Z"


def status_after(*detail_types: str) -> str:
    """The status that a saga of these events has: "open" or "done"."""
    return str(judged(*detail_types)["bucket"]["S"]).partition("#")[0]
