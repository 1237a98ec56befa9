"""What of a JSON Schema's change breaks those who know the schema as it was: its readers, or its writers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SHAPES = ("pattern", "format", "multipleOf", "uniqueItems", "const")


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Each in words that begin with the field's path. Empty means that the change is compatible."""
    return list(_of_value("", _without_refs(old, old), _without_refs(new, new)))


def _without_refs(node: Any, root: Json) -> Any:
    """The schema written out, so that two can be compared whatever their definitions are called."""
    if isinstance(node, list):
        return [_without_refs(each, root) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _without_refs(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    return {name: _without_refs(value, root) for name, value in node.items()}


def _of_value(path: str, old: Json, new: Json) -> Iterator[str]:
    before, after = _alternatives(old), _alternatives(new)
    if [kind for kind, _ in before] != [kind for kind, _ in after]:
        was, is_now = (" or ".join(kind for kind, _ in each) for each in (before, after))
        yield f"{path or 'the event'} was {was}, is {is_now}"
        return
    for (_, was_schema), (_, is_schema) in zip(before, after, strict=True):
        yield from _of_constraints(path or "the event", was_schema, is_schema)
        yield from _of_fields(path, was_schema, is_schema)
        for inner, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(was_schema.get(inner), dict) and isinstance(is_schema.get(inner), dict):
                yield from _of_value(path + suffix, was_schema[inner], is_schema[inner])


def _alternatives(schema: Json) -> list[tuple[str, Json]]:
    """What a value may be, by type."""
    return sorted(
        ((kind, each) for each in schema.get("anyOf", [schema]) for kind in _types(each)), key=lambda pair: pair[0]
    )


def _types(schema: Json) -> list[str]:
    named = schema.get("type")
    if named:
        return named if isinstance(named, list) else [named]
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return sorted({type(value).__name__ for value in values}) or ["anything"]


def _of_fields(path: str, old: Json, new: Json) -> Iterator[str]:
    was, now = old.get("properties", {}), new.get("properties", {})
    always, always_now = set(old.get("required", [])), set(new.get("required", []))
    for name in [*was, *(added for added in now if added not in was)]:
        field = f"{path}.{name}".lstrip(".")
        if name not in now:
            yield f"{field} is removed"
            continue
        if name in always_now - always:
            yield f"{field} is required now, and older events lack it"
        if name in always - always_now:
            yield f"{field} is no longer always there, and readers rely on it"
        if name in was:
            yield from _of_value(field, was[name], now[name])


def _of_constraints(path: str, old: Json, new: Json) -> Iterator[str]:
    """Looser is compatible: all that was allowed still is."""
    for name in (*LOWER_BOUNDS, *UPPER_BOUNDS):
        was, now = old.get(name), new.get(name)
        if now is not None and (was is None or (now > was if name in LOWER_BOUNDS else now < was)):
            yield f"{path}: {name} was {'open' if was is None else was}, is {now}"
    for name in SHAPES:
        if name in new and new[name] != old.get(name):
            yield f"{path}: {name} was {old.get(name, 'open')}, is {new[name]}"
    if "enum" in new:
        lost = [value for value in old["enum"] if value not in new["enum"]] if "enum" in old else ["anything else"]
        if lost:
            yield f"{path}: no longer {', '.join(map(str, lost))}"
