"""What the templates say: which functions there are, what each is called for, and which events each is sent."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from ops.patterns import matches
from ops.reading import FUNCTIONS

Json = dict[str, Any]

ROOT = FUNCTIONS.parent


@dataclass(frozen=True)
class Route:
    """Of an API: `path` as API Gateway writes it (`/orders/{orderId}`)."""

    method: str
    path: str
    is_open: bool
    """Whether it takes anyone, signed in or not."""
    function: Function


@dataclass(frozen=True)
class Rule:
    """Of a bus: what it lets through, to which function or state machine. `queue` is between them, if there is one."""

    pattern: Json
    listener: str
    service: str
    function: Function | None
    queue: str | None = None

    def lets_through(self, event: Json) -> bool:
        return matches(self.pattern, event)


@dataclass(frozen=True)
class Function:
    name: str
    """Its logical id."""
    template: Path
    properties: Json

    @property
    def service(self) -> str:
        variables = self.properties.get("Environment", {}).get("Variables", {})
        return str(variables.get("POWERTOOLS_SERVICE_NAME") or self.template.parent.name)

    @property
    def is_ours(self) -> bool:
        """Whether its code is in functions/, and not the add-on's or the example's own."""
        globals_ = _template(self.template).get("Globals", {}).get("Function", {})
        code = self.properties.get("CodeUri") or globals_.get("CodeUri", ".")
        return bool((self.template.parent / code).resolve() == FUNCTIONS)

    @property
    def module(self) -> ModuleType:
        """Of its handler, imported under an environment in which nothing is set that could be called."""
        for name in (*self.properties["Environment"]["Variables"], "POWERTOOLS_METRICS_NAMESPACE"):
            os.environ.setdefault(name, "0")
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
        return importlib.import_module(self.properties["Handler"].rpartition(".")[0])


def templates() -> list[Path]:
    """The shop's, the add-on's, and those of the services that show how one joins."""
    return [ROOT / "template.yaml", ROOT / "timeline" / "template.yaml", *sorted(ROOT.glob("examples/*/template.yaml"))]


@cache
def _template(path: Path) -> Json:
    return dict(yaml_parse(path.read_text()))


def _resources(path: Path, kind: str) -> Json:
    return {name: it.get("Properties", {}) for name, it in _template(path)["Resources"].items() if it["Type"] == kind}


def functions(path: Path) -> list[Function]:
    return [Function(name, path, it) for name, it in _resources(path, "AWS::Serverless::Function").items()]


def routes(path: Path) -> Iterator[Route]:
    """Those that code in functions/ answers."""
    for function in functions(path):
        for event in function.properties.get("Events", {}).values():
            if event["Type"] in ("Api", "HttpApi") and function.is_ours:
                route = event["Properties"]
                is_open = route.get("Auth", {}).get("Authorizer") == "NONE"
                yield Route(route["Method"].upper(), route["Path"], is_open, function)


def rules(path: Path) -> Iterator[Rule]:
    """Those that bring what services announce to a function or a state machine; not those that carry failures."""
    for function in functions(path):
        for event in function.properties.get("Events", {}).values():
            if event["Type"] == "EventBridgeRule":
                yield Rule(event["Properties"]["Pattern"], function.name, function.service, function)
    for name, machine in _resources(path, "AWS::Serverless::StateMachine").items():
        for event in machine.get("Events", {}).values():
            if event["Type"] == "EventBridgeRule":
                yield Rule(_pattern(path, event["Properties"]["Pattern"]), name, path.parent.name, None)
    fed = {
        mapping["EventSourceArn"]["Fn::GetAtt"][0]: mapping["FunctionName"]["Ref"].removesuffix(".Alias")
        for mapping in _resources(path, "AWS::Lambda::EventSourceMapping").values()
    }
    by_name = {function.name: function for function in functions(path)}
    for rule in _resources(path, "AWS::Events::Rule").values():
        for target in rule["Targets"]:
            queue = target["Arn"]["Fn::GetAtt"][0]
            if queue in fed:
                function = by_name[fed[queue]]
                yield Rule(rule["EventPattern"], function.name, function.service, function, queue)


def _pattern(path: Path, pattern: Any) -> Json:
    """A pattern, which may depend on a parameter: as the parameter's default makes it."""
    match pattern:
        case {"Fn::If": [_, {"Fn::Sub": [text, parts]}, otherwise]}:
            for name, part in parts.items():
                separator, given = part["Fn::Join"]
                default = _template(path)["Parameters"][given["Fn::Split"][1]["Ref"]]["Default"]
                text = text.replace(f"${{{name}}}", separator.join(default.split(",")))
            return dict(json.loads(text if default else otherwise))
        case str():
            return dict(json.loads(pattern))
    return dict(pattern)
