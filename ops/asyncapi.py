"""The document of the bus, in AsyncAPI: a channel per event, and who sends and receives on it."""

from __future__ import annotations

import json
from typing import Any

from ops.bus import Event, on_the_bus, sample
from ops.schemas import ANYONE, Json

INTRODUCTION = """\
What the services tell each other, by one bus of Amazon EventBridge. An event may come twice, late, or before one \
that led to it: `metadata.eventId` names the fact, and stays the same however often it is sent. A reader ignores \
fields that it does not know, and refuses a major version that it does not know. docs/events/ says what each event \
means, and what follows from it.
"""


def document() -> Json:
    """Raises OpsError where an event has no sample, or nobody announces it."""
    channels: Json = {}
    operations: Json = {}
    schemas: Json = {}
    for event in on_the_bus():
        channel = event.name
        messages = {version: _message(event, version, schema, schemas) for version, schema in event.schemas.items()}
        channels[channel] = {
            "address": None if event.source == ANYONE else f"{event.source}/{event.name}",
            "title": event.name,
            "description": event.meaning,
            "messages": {_name(event, version): message for version, message in messages.items()},
        }
        reference = {"channel": {"$ref": f"#/channels/{channel}"}}
        for service in dict.fromkeys(it.service for it in event.announcers):
            why = " or ".join(it.why for it in event.announcers if it.service == service)
            said = {"summary": f"{service} announces it.", "description": f"{why[0].upper()}{why[1:]}."}
            operations[f"{service}.announces.{channel}"] = {"action": "send", **reference, **said}
        for listener in event.listeners:
            follows = ", ".join(it.detail_type() for it in listener.announces)
            said = {"summary": f"{listener.service} listens, by {listener.rule.listener}."}
            said |= {"description": f"It may announce then: {follows}."} if follows else {}
            operations[f"{listener.service}.hears.{channel}"] = {"action": "receive", **reference, **said}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "EventFlow's bus",
            "version": "1.0.0",
            "description": INTRODUCTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": {
                "host": "events.{region}.amazonaws.com",
                "protocol": "eventbridge",
                "description": "The stack's output EventBusName is the bus.",
                "variables": {"region": {"default": "us-east-1"}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _name(event: Event, version: str, between: str = "-") -> str:
    return event.name if event.source == ANYONE else f"{event.name}{between}{version}"


def _message(event: Event, version: str, schema: Json, schemas: Json) -> Json:
    """A message of one version; what its schema defines goes into `schemas`."""
    moved: Json = json.loads(json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/'))
    schemas.update(moved.pop("$defs"))
    schemas[_name(event, version)] = {name: it for name, it in moved.items() if not name.startswith("$")}
    sent = sample(event.fact, version)
    names = {name: sent[name] for name in ("source", "detail-type")}
    # what any service may announce has the names that this service gives it
    fixed = {} if event.source == ANYONE else {name: {"const": it} for name, it in names.items()}
    said: dict[str, Any] = sent["detail"]
    return {
        "name": event.name,
        "title": _name(event, version, " "),
        "summary": event.meaning,
        "headers": {
            "type": "object",
            "description": "Beside `detail`, which is the payload, in what EventBridge delivers.",
            "properties": {name: {"type": "string"} | fixed.get(name, {}) for name in names},
        },
        "payload": {"$ref": f"#/components/schemas/{_name(event, version)}"},
        **({"correlationId": {"location": "$message.payload#/metadata/correlationId"}} if "metadata" in said else {}),
        "examples": [{"payload": said, "headers": names}],
    }
