"""What the timeline's state machine would keep of events: its own expressions, evaluated here."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonata import JException, Jsonata
from samtranslator.yaml_helper import yaml_parse

from eventflow.attributes import Attributes, from_attributes
from ops import OpsError
from timeline import sagas
from timeline.sagas import Saga

ROOT = Path(__file__).resolve().parent.parent.parent
DEFINITION = ROOT / "statemachines" / "order_timeline.asl.json"
TEMPLATE = ROOT / "timeline" / "template.yaml"


class Machine:
    """`parameters` are those of timeline/template.yaml; what is not given has its default."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.parameters = {**_defaults(), **parameters}
        (branch,) = json.loads(DEFINITION.read_text())["States"]["Try"]["Branches"]
        self._states: dict[str, Any] = branch["States"]

    def sagas(self, events: Iterable[Mapping[str, Any]]) -> list[Saga]:
        """Those that the events make, in the order in which their first ones came. Events of none are left out.

        Raises OpsError if an expression fails on one of them.
        """
        rows: dict[str, dict[str, Attributes]] = defaultdict(dict)
        for event in events:
            row = self._row(event)
            saga_id = row["sagaId"]["S"]
            if saga_id.startswith("saga#"):
                rows[saga_id].setdefault(row["position"]["S"], row)
        found = []
        for own in rows.values():
            in_order = [own[position] for position in sorted(own)]
            items = [from_attributes(item, dict[str, Any]) for item in (*in_order, self._summary(in_order))]
            saga = sagas.read(items)
            if saga:
                found.append(saga)
        return found

    def _row(self, event: Mapping[str, Any]) -> Attributes:
        """As the state Keep writes it where there is none."""
        execution = {"Id": "preview", "StartTime": event["time"]}
        bindings: dict[str, Any] = {"states": {"input": event, "context": {"Execution": execution}}}
        try:
            self._assign(bindings, "Event or failure?", "Read", "Place")
            return row_of(evaluated(self._states["Keep"]["Arguments"], self.parameters, bindings))
        except (JException, ValueError) as error:
            raise OpsError(
                f"an expression fails on the event {event['detail-type']} ({event['id']}): {error}"
            ) from None

    def _summary(self, rows: list[Attributes]) -> Attributes:
        saga_id = rows[0]["sagaId"]["S"]
        bindings: dict[str, Any] = {
            "sagaId": saga_id,
            "correlationId": saga_id.partition("#")[2],
            "states": {"result": {"Items": rows}},
        }
        self._assign(bindings, "Look", "Order", "Steps", "Judge", "Has it ended?")
        return dict(evaluated(self._states["Summarise"]["Arguments"]["Item"], self.parameters, bindings))

    def _assign(self, bindings: dict[str, Any], *states: str) -> None:
        """What these states assign. All assignments of a state see what was before it."""
        for state in states:
            assigned = self._states[state]["Assign"]
            bindings |= {name: evaluated(it, self.parameters, bindings) for name, it in assigned.items()}


def row_of(update: Mapping[str, Any]) -> Attributes:
    """The item that an UpdateItem of these arguments makes where there is none."""
    names, values = update["ExpressionAttributeNames"], update["ExpressionAttributeValues"]
    row: Attributes = dict(update["Key"])
    for name, value in re.findall(r"(#?\w+) = (?:if_not_exists\(\w+, )?(:\w+)", update["UpdateExpression"]):
        row[names.get(name, name)] = values[value]
    return row


def evaluated(node: Any, parameters: Mapping[str, str], bindings: Mapping[str, Any]) -> Any:
    """A part of a state machine's file, with its substitutions made and its JSONata evaluated; `bindings` are the
    variables. Raises JException. A substitution that `parameters` does not have stays its name: the physical ones.
    """
    if isinstance(node, dict):
        return {name: evaluated(it, parameters, bindings) for name, it in node.items()}
    if not isinstance(node, str):
        return node
    text = re.sub(r"\$\{(\w+)\}", lambda name: parameters.get(name[1], name[1]), node)
    if not text.startswith("{%"):
        return text
    return _compiled(text.removeprefix("{%").removesuffix("%}")).evaluate(None, dict(bindings))


@cache
def _compiled(text: str) -> Jsonata:
    expression = Jsonata(text)
    # one that Step Functions adds to JSONata
    expression.register_lambda("hash", lambda value, _: hashlib.sha256(value.encode()).hexdigest())
    return expression


@cache
def _defaults() -> dict[str, str]:
    parameters = yaml_parse(TEMPLATE.read_text())["Parameters"]
    return {name: str(parameter.get("Default", "")) for name, parameter in parameters.items()}


def wrong(parameters: Mapping[str, str]) -> str | None:
    """What the template would refuse of these, or an expression that cannot be read; None if all is well."""
    known = yaml_parse(TEMPLATE.read_text())["Parameters"]
    for name, value in parameters.items():
        if name not in known:
            return f"{name} is no parameter of a timeline; there are {', '.join(known)}"
        pattern = known[name].get("AllowedPattern")
        if pattern and not re.search(pattern, value):
            return f"{name}={value} must be of the form {pattern}"
        if "JSONata" in str(known[name].get("Description")):
            try:
                Jsonata(value)
            except JException as error:
                return f"{name}={value} is no JSONata: {error}"
    return None
