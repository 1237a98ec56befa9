"""`make models`: cuts out of botocore's data what the functions' clients read of it (`eventflow.aws`).

The operations are those that functions call, with the shapes that they need; errors are kept whole, for an exception's
class comes from there. Documentation goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

MODELS = Path(__file__).resolve().parent.parent / "functions" / "eventflow" / "models"

OPERATIONS = {
    "dynamodb": (
        "BatchGetItem",
        "DeleteItem",  # Powertools takes back the record of an event that failed
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "events": ("PutEvents",),
    "sns": ("Publish",),
    "xray": ("PutTraceSegments",),
}
"""What functions call, by botocore's name of the service. `tests/repository/test_models.py` holds it to the code."""

Json = dict[str, Any]


def models(loader: Loader) -> dict[str, str]:
    """Every file of models/, by its path in there."""
    files: dict[str, Json] = {"endpoints.json": _endpoints(loader.load_data("endpoints"))}
    for service, operations in OPERATIONS.items():
        version = loader.determine_latest_version(service, "service-2")
        model = loader.load_service_model(service, "service-2", version)
        files[f"{service}/{version}/service-2.json"] = _service(model, operations)
    return {path: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for path, content in files.items()}


def _endpoints(every: Json) -> Json:
    """Each partition's regions and rules, and of its services ours."""
    partitions = [
        {**partition, "services": {name: it for name, it in partition["services"].items() if name in OPERATIONS}}
        for partition in every["partitions"]
    ]
    return {**every, "partitions": partitions}


def _service(model: Json, operations: Iterable[str]) -> Json:
    kept = {name: model["operations"][name] for name in operations}
    shapes: Json = {}
    wanted = [name for name, shape in model["shapes"].items() if shape.get("exception")] + list(_shapes_in(kept))
    while wanted:
        name = wanted.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            wanted += _shapes_in(shapes[name])
    whole: Json = {"version": model["version"], "metadata": model["metadata"], "operations": kept}
    cut: Json = _undocumented({**whole, "shapes": {name: shapes[name] for name in sorted(shapes)}})
    return cut


def _shapes_in(node: Any) -> Iterable[str]:
    """Names of the shapes that it refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        for each in node.values():
            yield from _shapes_in(each)
    elif isinstance(node, list):
        for each in node:
            yield from _shapes_in(each)


def _undocumented(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _undocumented(each)
            for name, each in node.items()
            if not (name == "documentation" and isinstance(each, str))  # a member may have that name, too
        }
    if isinstance(node, list):
        return [_undocumented(each) for each in node]
    return node


def main() -> None:
    for path, text in models(Loader()).items():
        file = MODELS / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(f"  {file.relative_to(MODELS.parent.parent.parent)}: {len(text) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
