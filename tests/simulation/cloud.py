"""What the templates deploy, as the world needs it: functions and who calls them, tables, rules, queues, grants.

All of it is read from the template that SAM's translator makes, so a change of the template changes the world.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.patterns import matches

from ..transformed import Resources, deployed, of_kind

Json = dict[str, Any]

PARAMETERS = {"NotificationEmail": "shoppers@example.com", "PaymentFailureRate": "10"}


@dataclass(frozen=True)
class Function:
    name: str
    module: str
    """Of its handler, which is that module's `handler`."""
    environment: Mapping[str, str]
    timeout: int
    """Seconds."""
    retries: int
    """After a failed asynchronous invocation."""
    on_failure: str | None
    """The bus or the queue that gets what it gave up."""
    grants: frozenset[tuple[str, str]]
    """(action, resource), a resource by its logical id; an index as Table/index/name."""


@dataclass(frozen=True)
class Table:
    name: str
    key: str
    indexes: Mapping[str, tuple[str, str]]
    """Partition and sort key by name."""
    of_keys: frozenset[str]
    """The indexes that have no more than keys."""
    stream: bool
    expires_by: str | None


@dataclass(frozen=True)
class Rule:
    name: str
    pattern: Json
    function: str | None
    queue: str | None
    part: str
    """Of the event, what the target gets: `detail`, or all."""


@dataclass(frozen=True)
class Queue:
    name: str
    visibility: int
    """Seconds."""
    dead_letters: str | None = None
    receives: int = 0


@dataclass(frozen=True)
class Source:
    """An event source mapping: a table's stream or a queue, and the function that gets it in batches."""

    of: str
    function: str
    batch: int
    filters: Sequence[Json] = ()
    reports_failures: bool = False

    def takes(self, record: Json) -> bool:
        """Whether the function is handed this record; without a filter it is handed all."""
        return not self.filters or any(matches(each, record) for each in self.filters)


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    function: str


@dataclass(frozen=True)
class Cloud:
    functions: Mapping[str, Function]
    tables: Mapping[str, Table]
    rules: Sequence[Rule]
    queues: Mapping[str, Queue]
    streams: Mapping[str, Source]
    """By table."""
    pollers: Mapping[str, Source]
    """By queue."""
    archived: Json
    """The pattern of what the archive keeps."""
    routes: Sequence[Route] = field(default=())

    @property
    def failed_queues(self) -> set[str]:
        """Where what was given up lies."""
        given_up = {it.queue for it in self.rules if it.part} | {it.dead_letters for it in self.queues.values()}
        return {queue for queue in given_up if queue}

    def route(self, method: str, path: str) -> Route:
        wanted = path.strip("/").split("/")
        for route in self.routes:
            parts = route.path.strip("/").split("/")
            fits = zip(parts, wanted, strict=False)
            if route.method == method and len(parts) == len(wanted) and all(p == w or p[0] == "{" for p, w in fits):
                return route
        raise LookupError(f"{method} {path} has no route in the template")


@functools.cache
def main() -> Cloud:
    """The main template's, with a shopper's e-mail address, so that messages are sent."""
    return read(deployed(**PARAMETERS))


def read(resources: Resources) -> Cloud:
    functions = of_kind("AWS::Lambda::Function", resources)
    given_up = {_name(it["FunctionName"]): it for it in of_kind("AWS::Lambda::EventInvokeConfig", resources).values()}
    mappings = of_kind("AWS::Lambda::EventSourceMapping", resources).values()
    tables = {name: _table(name, it) for name, it in of_kind("AWS::DynamoDB::Table", resources).items()}
    queues = {name: _queue(name, it) for name, it in of_kind("AWS::SQS::Queue", resources).items()}
    aliases = {name: _name(it["FunctionName"]) for name, it in of_kind("AWS::Lambda::Alias", resources).items()}
    sources = [_source(it, aliases) for it in mappings]
    (archive,) = of_kind("AWS::Events::Archive", resources).values()
    return Cloud(
        functions={
            name: _function(name, it, given_up.get(name, {}), _grants(_name(it["Role"]), resources))
            for name, it in sorted(functions.items())
        },
        tables=tables,
        rules=[
            _rule(name, it, target, aliases)
            for name, it in sorted(of_kind("AWS::Events::Rule", resources).items())  # SAM keeps no order
            for target in it["Targets"]
        ],
        queues=queues,
        streams={it.of: it for it in sources if it.of in tables},
        pollers={it.of: it for it in sources if it.of in queues},
        archived=archive["EventPattern"],
        routes=_routes(resources, aliases),
    )


def _function(name: str, it: Json, given_up: Json, grants: frozenset[tuple[str, str]]) -> Function:
    destination = given_up.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    return Function(
        name=name,
        module=it["Handler"].rpartition(".")[0],
        environment={key: text(value) for key, value in it["Environment"]["Variables"].items()},
        timeout=it["Timeout"],
        retries=given_up.get("MaximumRetryAttempts", 2),
        on_failure=_name(destination) if destination else None,
        grants=grants,
    )


def _table(name: str, it: Json) -> Table:
    ((key),) = [part["AttributeName"] for part in it["KeySchema"]]
    expiry = it.get("TimeToLiveSpecification", {})
    return Table(
        name=name,
        key=key,
        indexes={
            index["IndexName"]: tuple(part["AttributeName"] for part in index["KeySchema"])  # type: ignore[misc]
            for index in it.get("GlobalSecondaryIndexes", [])
        },
        of_keys=frozenset(
            index["IndexName"]
            for index in it.get("GlobalSecondaryIndexes", [])
            if index["Projection"]["ProjectionType"] == "KEYS_ONLY"
        ),
        stream="StreamSpecification" in it,
        expires_by=expiry.get("AttributeName"),
    )


def _queue(name: str, it: Json) -> Queue:
    redrive = it.get("RedrivePolicy")
    if not redrive:
        return Queue(name, it.get("VisibilityTimeout", 30))
    return Queue(name, it["VisibilityTimeout"], _name(redrive["deadLetterTargetArn"]), redrive["maxReceiveCount"])


def _source(it: Json, aliases: Mapping[str, str]) -> Source:
    filters = it.get("FilterCriteria", {}).get("Filters", [])
    return Source(
        of=_name(it["EventSourceArn"]),
        function=aliases[_name(it["FunctionName"])],
        batch=it.get("BatchSize", 100),
        filters=[json.loads(each["Pattern"]) for each in filters],
        reports_failures="ReportBatchItemFailures" in it.get("FunctionResponseTypes", []),
    )


def _rule(name: str, it: Json, target: Json, aliases: Mapping[str, str]) -> Rule:
    to = _name(target["Arn"])
    part = target.get("InputPath", "").removeprefix("$.")
    pattern = json.loads(json.dumps(it["EventPattern"]), object_hook=_named)
    return Rule(name, pattern, aliases.get(to), None if to in aliases else to, part)


def _routes(resources: Resources, aliases: Mapping[str, str]) -> list[Route]:
    (api,) = of_kind("AWS::ApiGateway::RestApi", resources).values()
    found = []
    for path, methods in api["Body"]["paths"].items():
        for method, it in methods.items():
            if "x-amazon-apigateway-integration" in it:
                (alias,) = {name for name in aliases if name in json.dumps(it["x-amazon-apigateway-integration"])}
                found.append(Route(method.upper(), path, aliases[alias]))
    return found


def _grants(role: str, resources: Resources) -> frozenset[tuple[str, str]]:
    """What the role's own policies allow, those that are attached to it, and managed ones of the template."""
    it = resources[role]["Properties"]
    documents = [policy["PolicyDocument"] for policy in it.get("Policies", [])]
    of_the_template = [_name(arn) for arn in it.get("ManagedPolicyArns", []) if isinstance(arn, dict)]
    documents += [resources[name]["Properties"]["PolicyDocument"] for name in of_the_template]
    attached = of_kind("AWS::IAM::Policy", resources).values()
    documents += [policy["PolicyDocument"] for policy in attached if role in map(_name, policy["Roles"])]
    return frozenset(
        (action, text(resource))
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _several(statement["Action"])
        for resource in _several(statement["Resource"])
    )


def _named(node: Json) -> Any:
    """A pattern's reference to a resource, as its logical id."""
    return text(node) if node.keys() & {"Ref", "Fn::GetAtt", "Fn::Join"} else node


def _several(it: Any) -> list[Any]:
    return it if isinstance(it, list) else [it]


def _name(node: Any) -> str:
    """The logical id that a Ref or GetAtt names."""
    match node:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            return name
    raise LookupError(f"no resource is named by {node}")


def text(node: Any) -> str:
    """A resolved value as text, in which a resource is its logical id: so are tables, queues and topics named here."""
    match node:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return str(name)
    return str(node)
