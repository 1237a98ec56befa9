"""Tables that programs write into documents, between two comments, so that the prose around them stays a person's.

<!-- NAME: written by `make ...` -->
...
<!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown. The first column is text, the others are numbers where they begin with a digit."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(document: str, tables: Mapping[str, str]) -> str:
    """The document, with these tables in their places. Raises KeyError for one that has no place."""
    for name, text in tables.items():
        place = re.compile(rf"(<!-- {re.escape(name)}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(document):
            raise KeyError(f"the document has no place for the table {name!r}")
        document = place.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", document)  # type: ignore[misc]
    return document


def write(name: str, tables: Mapping[str, str]) -> Path:
    """Write the tables into docs/<name>."""
    path = DOCS / name
    path.write_text(with_tables(path.read_text(), tables))
    return path
