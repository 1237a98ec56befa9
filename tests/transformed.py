"""A template as CloudFormation gets it: transformed by SAM's own translator, its intrinsic functions resolved."""

import copy
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

from samtranslator.translator.transform import transform

from .sam_template import TEMPLATE, walk

Template = dict[str, Any]
Resources = dict[str, dict[str, Any]]

BUILT = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}
"""What `sam build` and `sam package` put into S3."""

STACK_ID = "c1a1b2c3-0000-11ee-8222-333344445555"

PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": f"arn:aws:cloudformation:us-east-1:123456789012:stack/eventflow/{STACK_ID}",
    "AWS::StackName": "eventflow",
    "AWS::URLSuffix": "amazonaws.com",
}

NO_VALUE = {"Ref": "AWS::NoValue"}


def packaged(template: Template) -> Template:
    """As `sam package` leaves it: code, layers and definitions are in S3. Those that are there already stay."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        uri = BUILT.get(resource["Type"])
        if uri and not resource["Properties"].get(uri, "").startswith("s3://"):
            resource["Properties"][uri] = "s3://bucket/built"
    return template


def deployed(template: Template | None = None, **parameters: object) -> Resources:
    """What a stack of this template would hold, by logical id. Parameters that are not given have their defaults;
    so have pseudo parameters, `AWS::StackName` among them.

    `Ref` and `Fn::GetAtt` of a resource stay as they are: what they are worth is known when it has been made.
    """
    defaults = {name: it.get("Default", "given") for name, it in (template or TEMPLATE)["Parameters"].items()}
    values = tuple((defaults | parameters).items())
    return _deployed(template, values) if template else _of_the_main_template(values)


def _deployed(template: Template, values: Iterable[tuple[str, object]]) -> Resources:
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}):
        made = transform(packaged(template), {name: str(it) for name, it in values}, NoManagedPolicies())
    return Resolver(made, {**PSEUDO_PARAMETERS, **dict(values)}).resources()


@functools.cache
def _of_the_main_template(values: Iterable[tuple[str, object]]) -> Resources:
    return _deployed(TEMPLATE, values)


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


class Resolver:
    """CloudFormation's intrinsic functions, of those that the templates use."""

    def __init__(self, template: Template, values: Mapping[str, Any]) -> None:
        self.template, self.values = template, values

    def resources(self) -> Resources:
        """Those that are made under the given parameters."""
        return {
            name: self.resolved(resource)
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, condition: str) -> bool:
        return bool(self.resolved(self.template["Conditions"][condition]))

    def resolved(self, node: Any) -> Any:
        match node:
            case list():
                return [it for it in map(self.resolved, node) if it != NO_VALUE]
            case {"Ref": name}:
                return self.values.get(name, node)
            case {"Fn::If": [condition, then, otherwise]}:
                return self.resolved(then if self.holds(condition) else otherwise)
            case {"Condition": str(condition), **rest} if not rest:
                return self.holds(condition)
            case {"Fn::Not": [condition]}:
                return not self.resolved(condition)
            case {"Fn::And": conditions}:
                return all(map(self.resolved, conditions))
            case {"Fn::Or": conditions}:
                return any(map(self.resolved, conditions))
            case {"Fn::Equals": [first, second]}:
                return str(self.resolved(first)) == str(self.resolved(second))
            case {"Fn::FindInMap": [name, first, second]}:
                return self.template["Mappings"][name][self.resolved(first)][self.resolved(second)]
            case {"Fn::Join": [separator, parts]}:
                return _text(self.resolved(parts), separator)
            case {"Fn::Split": [separator, text]}:
                return self.resolved(text).split(separator)
            case {"Fn::Select": [index, parts]}:
                return self.resolved(parts)[int(index)]
            case {"Fn::Sub": [str(text), given]} | {"Fn::Sub": str(text) as given}:
                return self._substituted(text, self.resolved(given) if isinstance(given, dict) else {})
            case dict():
                found = {name: self.resolved(it) for name, it in node.items()}
                return {name: it for name, it in found.items() if it != NO_VALUE}
        return node

    def _substituted(self, text: str, given: Mapping[str, Any]) -> Any:
        parts: list[Any] = re.split(r"\$\{([^}]+)\}", text)
        parts[1::2] = [given.get(name) or self._named(name) for name in parts[1::2]]
        return _text(parts)

    def _named(self, name: str) -> Any:
        resource, _, attribute = name.partition(".")
        return {"Fn::GetAtt": [resource, attribute]} if attribute else self.resolved({"Ref": name})


def _text(parts: list[Any], separator: str = "") -> Any:
    """Parts that are all known make a text; others stay, in one order, as what they are."""
    if any(isinstance(part, dict | list) for part in parts):
        return {"Fn::Join": [separator, parts]}
    return separator.join(map(str, parts))


def rendered(node: Any) -> str:
    """A resolved text, in which the resources that it refers to stand as <logical id>."""
    match node:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(rendered, parts))
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return f"<{name}>"
    return str(node)


# What depends on what


def named_in(node: Any, resources: Resources) -> set[str]:
    """The resources that a resolved node refers to."""
    referred = {it["Ref"] for it in walk(node) if isinstance(it.get("Ref"), str)}
    attributes = {it["Fn::GetAtt"][0] for it in walk(node) if "Fn::GetAtt" in it}
    return (referred | attributes) & resources.keys()


def made_before(name: str, resources: Resources) -> set[str]:
    """All resources that are there before CloudFormation makes this one."""

    def direct(each: str) -> Iterator[str]:
        depends = resources[each].get("DependsOn", [])
        yield from named_in(resources[each].get("Properties", {}), resources)
        yield from named_in(resources[each].get("UpdatePolicy", {}), resources)
        yield from [depends] if isinstance(depends, str) else depends

    found: set[str] = set()
    open_ = [name]
    while open_:
        fresh = set(direct(open_.pop())) - found
        found |= fresh
        open_ += fresh
    return found


def of_kind(kind: str, resources: Resources) -> Resources:
    """Properties by logical id."""
    return {name: it.get("Properties", {}) for name, it in resources.items() if it["Type"] == kind}
