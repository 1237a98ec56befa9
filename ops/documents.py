"""`make schemas`: writes schemas/, and the documents that are made from the code and the templates.

docs/api/ describes the HTTP APIs and the bus, docs/events/ each event. All of it is generated, and none edited.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ops import OpsError, asyncapi, catalogue, openapi, schemas
from ops.pages import asyncapi_page, openapi_page
from ops.templates import ROOT

FOLDERS = {"docs/api": "*.json", "docs/events": "*.md"}
"""Where the documents are, and which files there are ours: one that is no longer made is removed."""


def generated() -> dict[str, str]:
    """Every document, by its path in the repository. Raises OpsError where something is not described."""
    of_http, of_the_bus = openapi.document(), asyncapi.document()
    return {
        "docs/api/openapi.json": _json(of_http),
        "docs/api/openapi.html": openapi_page(of_http),
        "docs/api/asyncapi.json": _json(of_the_bus),
        "docs/api/asyncapi.html": asyncapi_page(of_the_bus),
        **catalogue.pages(),
    }


def strays(documents: dict[str, str], root: Path = ROOT) -> list[str]:
    there = [path for folder, ours in FOLDERS.items() for path in (root / folder).glob(ours)]
    return sorted(str(path.relative_to(root)) for path in there if str(path.relative_to(root)) not in documents)


def _json(document: schemas.Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    schemas.main()
    try:
        documents = generated()
    except OpsError as error:
        sys.exit(f"error: {error}")
    schemas.write(ROOT, documents, strays(documents))
    print(f"docs/api/ and docs/events/ are up to date: {len(documents)} documents.")


if __name__ == "__main__":
    main()
