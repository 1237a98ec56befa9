"""The event catalogue, docs/events/: a page for each event on the bus, and a map of them all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ops.bus import Announcer, Event, Listener, on_the_bus, sample
from ops.schemas import ANYONE, Json
from ops.templates import ROOT

FOLDER = Path("docs/events")

MADE = "<!-- Made by `make schemas`: edit the contract, the template or the code that this is read from. -->\n"


def pages() -> dict[str, str]:
    """Every page by its path in the repository. Raises OpsError where an event is not described."""
    events = on_the_bus()
    made = {str(FOLDER / f"{event.name}.md"): _page(event) for event in events}
    return {str(FOLDER / "README.md"): _index(events)} | made


def _index(events: tuple[Event, ...]) -> str:
    rows = "\n".join(
        f"| [{event.name}]({event.name}.md) | {_cell(event.meaning)} | {_services(event.announcers)} "
        f"| {_services(_in_the_shop(event))} |"
        for event in events
    )
    return f"""\
{MADE}
# Events

Every event on the bus: what it means, who announces it, who listens. Each has a page with its fields, a sample, and
what follows from it. [asyncapi.json](../api/asyncapi.json) says the same to machines.

## The map

From left to right: who announces an event, and which services listen. The timeline listens to all of them, and is not
drawn. [StepFailed](StepFailed.md) is any service's own event whose type ends in `Failed` and that has an `orderId`:
orders takes it as a veto of that order, as it does `PaymentFailed`.

```mermaid
flowchart LR
{chr(10).join(_map(events))}
```

## All of them

| event | what it means | announced by | heard by |
|---|---|---|---|
{rows}
"""


def _map(events: tuple[Event, ...]) -> Iterator[str]:
    for event in events:
        yield f'  {event.name}{{{{"{event.name}"}}}}'
        for service in dict.fromkeys(it.service for it in event.announcers):
            yield f'  from_{_id(service)}(["{service}"]) --> {event.name}'
        for service in dict.fromkeys(it.service for it in _in_the_shop(event)):
            yield f'  {event.name} --> to_{_id(service)}(["{service}"])'


def _in_the_shop(event: Event) -> list[Listener]:
    """Those that act on it: all but the timeline, which keeps everything."""
    return [it for it in event.listeners if it.rule.function]


def _page(event: Event) -> str:
    return f"""\
{MADE}
# {event.name}

{event.meaning}

{_names(event)}

## Who announces it

{chr(10).join(f"- {_announcer(it)}" for it in event.announcers)}

## Who listens

{chr(10).join(f"- {_listener(it)}" for it in event.listeners) or "Nobody."}

## What follows from it

{_consequences(event)}
{"".join(_version(event, version) for version in event.schemas)}"""


def _names(event: Event) -> str:
    if event.source == ANYONE:
        example = event.example
        return (
            f"- source: any, such as `{example['source']}`\n"
            f"- detail-type: the service's own, such as `{example['detail-type']}`\n"
            "- version: any"
        )
    versions = ", ".join(f"[{version}]({_link(_schema_of(event, version))})" for version in event.schemas)
    return f"- source: `{event.source}`\n- detail-type: `{event.name}`\n- versions: {versions}"


def _announcer(it: Announcer) -> str:
    if it.event:
        return f"{it.service}, after [{it.event.detail_type()}]({it.event.detail_type()}.md)"
    return f"{it.service}, {it.why}"


def _listener(it: Listener) -> str:
    by = f"{it.service}, by `{it.rule.listener}`"
    by += f", through the queue `{it.rule.queue}`" if it.rule.queue else ""
    return by + (", of another stack" if it.is_add_on else "")


def _consequences(event: Event) -> str:
    edges = [
        f'  {event.name}{{{{"{event.name}"}}}} --> {_id(listener.service)}(["{listener.service}"])'
        + (f' --> {fact.detail_type()}{{{{"{fact.detail_type()}"}}}}' if fact else "")
        for listener in _in_the_shop(event)
        for fact in (listener.announces or (None,))
    ]
    if not edges:
        return "No service acts on it.\n"
    told = sorted({fact.detail_type() for it in event.listeners for fact in it.announces})
    links = ", ".join(f"[{name}]({name}.md)" for name in told) or "no other event"
    return "\n".join(("```mermaid", "flowchart LR", *edges, "```", "", f"What may follow: {links}.", ""))


def _version(event: Event, version: str) -> str:
    schema = event.schemas[version]
    rows = "\n".join(_rows(schema, schema))
    example = json.dumps(sample(event.fact, version)["detail"], indent=2, ensure_ascii=False)
    return f"""
## {"Fields" if event.source == ANYONE else f"Version {version}"}

| field | type | always there | meaning |
|---|---|---|---|
{rows}

A sample of `detail`:

```json
{example}
```
"""


def _rows(node: Json, root: Json, prefix: str = "") -> Iterator[str]:
    for name, field in node["properties"].items():
        always = "yes" if name in node.get("required", []) else ""
        yield f"| `{prefix}{name}` | {_cell(_type(field))} | {always} | {_cell(field['description'])} |"
        inner = field.get("items", field)
        if reference := inner.get("$ref"):
            kind = root["$defs"][reference.rpartition("/")[2]]
            suffix = "[]." if "items" in field else "."
            yield from _rows(kind, root, f"{prefix}{name}{suffix}")


def _type(field: Json) -> str:
    if "anyOf" in field:
        return " or ".join(_type(it) for it in field["anyOf"])
    if "items" in field and isinstance(field["items"], dict):
        return "list, " + _bounds(field, "minItems", "maxItems", " items")
    if "$ref" in field:
        return "object"
    if "const" in field:
        return f'`"{field["const"]}"`'
    length, size = _bounds(field, "minLength", "maxLength", " characters"), _bounds(field, "minimum", "maximum")
    shape = f"`{field['pattern']}`" if "pattern" in field else field.get("format", "")
    return ", ".join(filter(None, [field["type"], length, size, shape]))


def _bounds(field: Json, least: str, most: str, unit: str = "") -> str:
    if least not in field and most not in field:
        return ""
    if most not in field:
        return f"{field[least]} or more{unit}"
    return f"{field.get(least, 0)} to {field[most]}{unit}"


def _services(them: tuple[Announcer, ...] | list[Listener]) -> str:
    return ", ".join(dict.fromkeys(it.service for it in them))


def _schema_of(event: Event, version: str) -> Path:
    return ROOT / "schemas" / event.source / f"{event.name}-{version}.json"


def _link(path: Path) -> str:
    return os.path.relpath(path, ROOT / FOLDER)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _id(service: str) -> str:
    return re.sub(r"\W", "_", service)
