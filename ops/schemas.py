"""`make schemas`: writes the JSON Schema of every event and version, and refuses to break a published one.

A published version is one that is committed. Fields may be added to it; whatever its readers or writers would trip
over takes a new major version, and leaves the old one to `OLDER` in `eventflow.events`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import msgspec.inspect

from eventflow import events
from eventflow.contracts import Fact, Metadata
from ops import OpsError
from ops.compatibility import breaking_changes
from ops.reading import meanings
from ops.registry import registry_template

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"

Json = dict[str, Any]


def generated() -> dict[str, str]:
    """Every file of schemas/, by its path in there."""
    schemas = {f"{source}/{name}.json": schema for source, name, schema in sorted(_schemas(), key=lambda it: it[:2])}
    files = {path: json.dumps(schema, indent=2) + "\n" for path, schema in schemas.items()}
    return files | {"template.yaml": registry_template(schemas)}


ANYONE = "any"
"""The source of a fact that every service may announce, under a name and in a version of its own."""


def source_of(fact: type[Fact]) -> str:
    return getattr(fact, "SOURCE", ANYONE)


def facts() -> list[type[Fact]]:
    """Everything that is announced in a name of its own."""
    named = [it for it in vars(events).values() if isinstance(it, type) and issubclass(it, Fact)]
    return [it for it in named if hasattr(it, "SOURCE")]


def shapes_of(fact: type[Fact]) -> dict[str, type[msgspec.Struct]]:
    """Of each version, the oldest first."""
    return {f"{major}.0": shape for major, shape in fact.OLDER.items()} | {fact.VERSION: fact}


def schemas_of(fact: type[Fact]) -> dict[str, Json]:
    """Of each version, the oldest first."""
    return {version: _detail(fact, version, shape) for version, shape in shapes_of(fact).items()}


def _schemas() -> Iterator[tuple[str, str, Json]]:
    for fact in facts():
        for version, schema in schemas_of(fact).items():
            yield fact.SOURCE, f"{fact.detail_type()}-{version}", schema


def components_of(kinds: Sequence[Any], ref_template: str) -> tuple[list[Json], dict[str, Json]]:
    """msgspec's schemas of these types, and of what they are made of by name: each field with what it means.

    That is the docstring under the field, or the description of its type. Raises OpsError where it has neither.
    """
    shapes, components = msgspec.json.schema_components(kinds, ref_template=ref_template)
    structs: dict[str, type[msgspec.Struct]] = {}
    for struct in _structs_in(msgspec.inspect.multi_type_info(kinds)):
        if structs.setdefault(struct.__name__, struct) is not struct:
            raise OpsError(f"{struct.__module__}.{struct.__name__}: there is another of this name; rename one")
    for component in components.values():
        if "description" in component:  # until Python 3.13 a docstring has its indentation
            component["description"] = " ".join(component["description"].split())
        for name, field in component.get("properties", {}).items():
            struct = structs[component["title"].partition("[")[0]]
            inner = [it["description"] for it in field.get("anyOf", []) if "description" in it]
            said = [meanings(struct).get(name), field.get("description"), *inner]
            meaning = next(filter(None, said), None)
            if meaning is None:
                raise OpsError(f"{struct.__module__}.{struct.__name__}: say in a docstring what `{name}` means")
            field["description"] = meaning
    return list(shapes), components


def _structs_in(node: Any) -> Iterator[type[msgspec.Struct]]:
    """Every Struct of what `msgspec.inspect` says of types."""
    if isinstance(node, msgspec.inspect.StructType):
        yield typing.get_origin(node.cls) or node.cls
    if isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from _structs_in(getattr(node, name))
    elif isinstance(node, (list, tuple)):
        for each in node:
            yield from _structs_in(each)


def _detail(fact: type[Fact], version: str, shape: type[msgspec.Struct]) -> Json:
    """The schema of an event's whole `detail`. Fields that it does not name are allowed: readers ignore them."""
    _, definitions = components_of([shape, Metadata], "#/$defs/{name}")
    business = definitions.pop(shape.__name__)
    source = source_of(fact)
    standard = {
        "timestamp": {"type": "string", "format": "date-time", "description": "When it occurred."},
        "version": {"type": "string", "const": version, "description": "The version of this shape."},
        "metadata": {"$ref": "#/$defs/Metadata", "description": "Which event it is, and what led to it."},
    }
    # Another producer need not say when and in which version; without a version it is the first.
    said_by_us = ["timestamp", "version"] if source.startswith("eventflow.") else []
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eventflow:{source}:{fact.detail_type()}:{version}",
        "title": f"{fact.detail_type()} {version}",
        "description": " ".join((fact.__doc__ or "").split()),
        "type": "object",
        "properties": business["properties"] | ({} if source == ANYONE else standard),
        "required": [*business["required"], *said_by_us],
        "$defs": dict(sorted(definitions.items())),
    }


def published(path: str) -> str | None:
    """The file of schemas/ as it was committed last; without git, as it is now."""
    committed = _git("show", f"HEAD:./{path}")
    if committed is not None:
        return committed
    file = SCHEMAS / path
    return file.read_text() if _git("rev-parse", "--git-dir") is None and file.exists() else None


def _git(*arguments: str) -> str | None:
    """What git says in schemas/; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=SCHEMAS, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def refusals(files: dict[str, str]) -> Iterator[str]:
    """What writing `files` would break, a line each."""
    for path, text in files.items():
        before = published(path) if path.endswith(".json") else None
        for change in breaking_changes(json.loads(before), json.loads(text)) if before else ():
            yield f"schemas/{path}: {change}: give it a new major version"
    for path in strays(files):
        if published(path):
            yield f"schemas/{path}: eventflow.events has it no longer; delete it if no archive holds such events"


def strays(files: dict[str, str]) -> list[str]:
    there = sorted(str(path.relative_to(SCHEMAS)) for path in SCHEMAS.glob("*/*.json"))
    return [path for path in there if path not in files]


def write(folder: Path, files: Mapping[str, str], gone: Iterable[str], named: str = "") -> None:
    """Make `folder` hold these files, by their paths in it, and none of those that are `gone`.

    `named` is what stands before a path where it says what it did.
    """
    for path in gone:
        (folder / path).unlink()
        print(f"  removed {named}{path}")
    for path, text in files.items():
        file = folder / path
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            print(f"  wrote {named}{path}")


def main() -> None:
    files = generated()
    refused = [f"error: {refusal}" for refusal in refusals(files)]
    if refused:
        sys.exit("\n".join(refused))
    write(SCHEMAS, files, strays(files), "schemas/")
    print(f"schemas/ is up to date: {len(files) - 1} versions of events, and the template of their registry.")


if __name__ == "__main__":
    main()
