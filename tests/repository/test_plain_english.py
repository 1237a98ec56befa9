"""Everything is written in plain English: this holds a list of words that many readers would have to look up.

Half of the readers are not native speakers. The right column is what to write instead.
"""

import re
import subprocess

import pytest

from ..sam_template import ROOT

INSTEAD = {
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again",
    r"upon": "on, after, by",
    r"suffic(e|es|ed|ing)": "is enough, there is enough",
    r"alone": "only",
    r"who(m|so)?ever": "anyone who, everyone who, the one who",
    r"whichever|wherever": "any, where, when",
    r"bear(s|ing)?|bore|borne": "has",
    r"reckon(s|ed|ing)?": "estimate, count",
    r"abide(s)?|abiding": "stays, follows",
    r"lest": "so that ... not",
    r"nought|naught|aught": "nothing, anything",
    r"whither|thither|hither": "where, there, here",
    r"whence|thence|hence(forth)?": "from where, from there, so",
    r"thus|(here|there|where)(by|in|of|upon)": "so, by this, in it",
    r"beneath": "under",
    r"unto|amid(st)?|betwixt|amongst|whilst": "to, in, between, among, while",
    r"for ever|evermore": "without an end, always",
    r"of late": "recently",
    r"at hand": "available, installed, that runs",
    r"nonetheless|notwithstanding|albeit": "still, although",
    r"unawares": "without knowing",
    r"shall|shalt": "must, will",
    r"oft|ere|nigh|fain|akin": "often, before, nearly, gladly, like",
    r"forthwith|heretofore|inasmuch|withal|behold|hearken|betake": "at once, until now, because, with it, see",
    r"save (for|that|where|when|in)": "except",
    r"must needs|in vain|amiss": "must, without success, wrong",
}
WORDS = re.compile(rf"\b(?:{'|'.join(f'(?:{words})' for words in INSTEAD)})\b", re.IGNORECASE)

NOT_OURS = re.compile(r"LICENSE|\.(png|svg|ico)$|^cost/.*\.json$|^docs/api/(renderers/|.*\.html$)")

MEANT = {
    "tests/repository/test_plain_english.py": None,
    # "alone": by itself, not in a batch
    "benchmarks/cost/document.py": {"alone"},
    "benchmarks/scale.py": {"alone"},
    "docs/performance.md": {"alone"},
    "docs/scale.md": {"alone"},
}
"""Files in which some of the words are right, and which; None is all of them."""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and not NOT_OURS.search(name) and (ROOT / name).is_file()]


def prose(text: str) -> str:
    """With names of several words apart: `alone_in_it` and `wantsAnew` are words, too."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))


def found_in(name: str) -> list[str]:
    meant = MEANT.get(name, set())
    if meant is None:
        return []
    lines = prose((ROOT / name).read_text(encoding="utf-8")).split("\n")
    return [
        f"{name}:{number}: {word.group()}"
        for number, line in enumerate(lines, 1)
        for word in WORDS.finditer(line)
        if word.group().lower() not in meant
    ]


@pytest.mark.parametrize(
    "word", ["mended", "Anew", "whoever", "for ever", "save for", "bears", "Thus", "at hand", "Upon", "suffices"]
)
def test_a_word_of_the_list_is_found(word):
    assert WORDS.search(f"and {word} it")


@pytest.mark.parametrize(
    "text", ["recommended", "a bearer", "saved for later", "besides", "everywhere", "Bearer token"]
)
def test_a_word_that_only_looks_like_one_is_not_found(text):
    assert not WORDS.search(text)


def test_every_tracked_text_is_in_plain_english():
    names = tracked()
    assert len(names) > 300
    assert [found for name in names for found in found_in(name)] == []
