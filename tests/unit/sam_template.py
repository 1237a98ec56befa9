"""template.yaml, as its resources say it; `!GetAtt A.B` reads as `{"Fn::GetAtt": ["A", "B"]}`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    return {name: it.get("Properties", {}) for name, it in TEMPLATE["Resources"].items() if it["Type"] == kind}


FUNCTIONS = resources("AWS::Serverless::Function")


def triggers(function: str, kind: str) -> dict[str, dict[str, Any]]:
    """A function's events of a kind: properties by name."""
    events = FUNCTIONS[function].get("Events", {})
    return {name: event["Properties"] for name, event in events.items() if event["Type"] == kind}


def environment(function: str) -> dict[str, Any]:
    return dict(FUNCTIONS[function]["Environment"]["Variables"])


def service_of(function: str) -> str:
    """Whose function it is; its code may be the kernel's."""
    return str(environment(function)["POWERTOOLS_SERVICE_NAME"])


def attribute(resource: str, name: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, name]}


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(inner)
