"""What the timeline's state machine makes of one event, up to its first write: its expressions, really evaluated."""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonata import Jsonata

from .sam_template import TIMELINE, definition

(BRANCH,) = definition("Keeper")["States"]["Try"]["Branches"]


def kept(event: Mapping[str, Any], **parameters: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables, and the arguments of the write. Parameters that are not given have their defaults."""
    defaults = {name: str(it.get("Default", name)) for name, it in TIMELINE["Parameters"].items()}
    given = {"Table": "TimelineTable", **defaults, **parameters}
    bindings: dict[str, Any] = {"states": {"input": event}}
    for state in ("Read", "Place"):
        # all assignments of a state see what was before it
        assigned = BRANCH["States"][state]["Assign"]
        bindings |= {name: _evaluated(it, given, bindings) for name, it in assigned.items()}
    arguments = _evaluated(BRANCH["States"]["Keep"]["Arguments"], given, bindings)
    return {name: it for name, it in bindings.items() if name != "states"}, arguments


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


def status_after(*detail_types: str) -> str:
    """The status that a saga of these events has, the last one latest: "open" or "done"."""
    parameters = {name: str(it.get("Default", name)) for name, it in TIMELINE["Parameters"].items()}
    bindings: dict[str, Any] = {"events": [{"at": at, "type": it} for at, it in enumerate(detail_types)]}
    for state in ("Judge", "Has it ended?"):
        assigned = BRANCH["States"][state]["Assign"]
        bindings |= {name: _evaluated(it, parameters, bindings) for name, it in assigned.items()}
    return "done" if bindings["done"] else "open"
