"""The documents lead where they say: links, files, statuses, and how each of them is reached."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from orders.orders import Status

from ..sam_template import ROOT

LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
DOCUMENTS = [name for name in LISTED.split("\n") if name and (ROOT / name).is_file()]
LINKS = [
    (document, link)
    for document in DOCUMENTS
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / document).read_text())
    if not re.match(r"https?:|mailto:", link)
]
PLACES = (
    r"(?:\.ci|\.devcontainer|\.github|benchmarks|docs|events|examples|functions|layer|local|ops|schemas|tests|timeline)"
)


@cache
def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings; a heading that comes again has a number."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("document", "link"), LINKS)
def test_a_link_leads_to_a_file_and_a_heading(document, link):
    path, _, anchor = link.partition("#")
    target = (ROOT / document).parent / path if path else ROOT / document
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in ("CHANGELOG.md", "docs/tutorial.md")])
def test_files_that_a_document_names_are_there(document):
    named = re.findall(rf"`({PLACES}/[\w./-]+)`", (ROOT / document).read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_document_is_linked_from_the_readme():
    linked = {link.partition("#")[0] for document, link in LINKS if document == "README.md"}
    assert {name for name in DOCUMENTS if re.fullmatch(r"docs/[\w-]+\.md", name)} <= linked


def test_each_status_of_an_order_has_a_row_with_the_consoles_words():
    table = (ROOT / "docs" / "how-it-works.md").read_text().partition("| `status` of the API |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([A-Z_]+) \| [^|]+ \| ([^|]+) \|", table, re.MULTILINE)
    assert [*dict(rows)] == list(Status)
    (endings,) = re.findall(r"ENDINGS = \{(.*?)\}", (ROOT / "timeline/console/ending.js").read_text(), re.DOTALL)
    words = re.findall(r'"([^"]+)"', endings)
    assert len(words) == 5
    assert [word for word in words if not any(word in said for _, said in rows)] == []


def test_the_glossary_is_in_the_order_of_the_alphabet_and_has_each_word_once():
    words = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert words == sorted(set(words), key=str.lower)
