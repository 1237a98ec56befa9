"""What the timeline's state machine makes of one event: its expressions up to its first write, and those by which it
gives an event up, really evaluated.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonata import JException, Jsonata

from .sam_template import TIMELINE, definition

STATES = definition("Keeper")["States"]
(BRANCH,) = STATES["Try"]["Branches"]

DEFAULTS = {name: str(it.get("Default", name)) for name, it in TIMELINE["Parameters"].items()}


def kept(event: Mapping[str, Any], **parameters: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables, and the arguments of the write. Parameters that are not given have their defaults."""
    given = {"Table": "TimelineTable", **DEFAULTS, **parameters}
    bindings: dict[str, Any] = {"states": {"input": event}}
    for state in ("Read", "Place"):
        # all assignments of a state see what was before it
        assigned = BRANCH["States"][state]["Assign"]
        bindings |= {name: _evaluated(it, given, bindings) for name, it in assigned.items()}
    arguments = _evaluated(BRANCH["States"]["Keep"]["Arguments"], given, bindings)
    return {name: it for name, it in bindings.items() if name != "states"}, arguments


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
        whole = _evaluated(STATES["Give up"]["Arguments"], given, bindings)
    except (JException, RecursionError):
        refused = "States.QueryEvaluationError"
    if not refused:
        return dict(whole)
    (caught,) = STATES["Give up"]["Catch"]
    bindings["states"]["errorOutput"] = {"Error": refused, "Cause": ""}
    bindings |= _evaluated(caught["Assign"], given, bindings)
    return dict(_evaluated(STATES[caught["Next"]]["Arguments"], given, bindings))


def _evaluated(node: Any, parameters: Mapping[str, str], bindings: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {name: _evaluated(it, parameters, bindings) for name, it in node.items()}
    text = re.sub(r"\$\{(\w+)\}", lambda name: parameters[name[1]], node)
    if not text.startswith("{%"):
        return text
    expression = Jsonata(text.removeprefix("{%").removesuffix("%}"))
    for name, value in bindings.items():
        expression.assign(name, value)
    return expression.evaluate(None)


def size(value: Any) -> int:
    """Bytes as Step Functions counts them: of the JSON, in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def judged(*detail_types: str) -> dict[str, Any]:
    """The variables of the summary of a saga of these events, the last one latest: they occurred at 0, 1, 2 ..."""
    parameters = {name: str(it.get("Default", name)) for name, it in TIMELINE["Parameters"].items()}
    bindings: dict[str, Any] = {"events": [{"at": at, "type": it} for at, it in enumerate(detail_types)]}
    for state in ("Judge", "Has it ended?"):
        assigned = BRANCH["States"][state]["Assign"]
        bindings |= {name: _evaluated(it, parameters, bindings) for name, it in assigned.items()}
    return bindings


def status_after(*detail_types: str) -> str:
    """The status that a saga of these events has: "open" or "done"."""
    return "done" if judged(*detail_types)["done"] else "open"
