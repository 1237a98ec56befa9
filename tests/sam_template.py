"""template.yaml, and the add-on's, as their resources say it; `!GetAtt A.B` reads as `{"Fn::GetAtt": ["A", "B"]}`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
TIMELINE = yaml_parse((ROOT / "timeline" / "template.yaml").read_text())


def resources(kind: str, template: dict[str, Any] = TEMPLATE) -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    return {name: it.get("Properties", {}) for name, it in template["Resources"].items() if it["Type"] == kind}


FUNCTIONS = resources("AWS::Serverless::Function")
TIMELINE_FUNCTIONS = resources("AWS::Serverless::Function", TIMELINE)
STATE_MACHINES = resources("AWS::Serverless::StateMachine", TIMELINE)
ALL_FUNCTIONS = FUNCTIONS | TIMELINE_FUNCTIONS


def triggers(function: str, kind: str) -> dict[str, dict[str, Any]]:
    """A function's events of a kind: properties by name."""
    events = ALL_FUNCTIONS[function].get("Events", {})
    return {name: event["Properties"] for name, event in events.items() if event["Type"] == kind}


def environment(function: str) -> dict[str, Any]:
    return dict(ALL_FUNCTIONS[function]["Environment"]["Variables"])


def service_of(function: str) -> str:
    """Whose function it is; its code may be the kernel's. (The console's does not use Powertools.)"""
    return str(environment(function).get("POWERTOOLS_SERVICE_NAME", "timeline"))


def definition(machine: str) -> dict[str, Any]:
    """A state machine as its file says it, before anything is substituted."""
    file = ROOT / "timeline" / STATE_MACHINES[machine]["DefinitionUri"]
    return dict(json.loads(file.read_text()))


def kept_events(only_sources: str = TIMELINE["Parameters"]["OnlySources"]["Default"]) -> dict[str, Any]:
    """The pattern of the add-on's rule, as its parameter makes it."""
    _, of_some, of_all = STATE_MACHINES["Keeper"]["Events"]["AllEvents"]["Properties"]["Pattern"]["Fn::If"]
    if not only_sources:
        return dict(json.loads(of_all))
    template, joined = of_some["Fn::Sub"]
    separator, _ = joined["Prefixes"]["Fn::Join"]
    return dict(json.loads(template.replace("${Prefixes}", separator.join(only_sources.split(",")))))


def attribute(resource: str, name: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, name]}


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(inner)
