"""docs/tutorial.md fits the files that are there, and is followed as it is meant.

tests/clone/test_tutorial.py follows it.
"""

import subprocess
from pathlib import Path

import pytest

from ..clone import followed
from ..clone.followed import Change, Commands, follow, make, steps, unseen
from ..sam_template import ROOT

PAGE = (ROOT / "docs" / "tutorial.md").read_text()


@pytest.mark.skipif((ROOT / "functions" / "loyalty").exists(), reason="someone has followed it here")
def test_its_edits_fit_the_files_that_are_there(tmp_path):
    changes = [step for step in steps(PAGE) if isinstance(step, Change)]
    for path in {change.path for change in changes if change.old is not None}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    for change in changes:
        assert change.old is not None or not (ROOT / change.path).exists()
        make(change, tmp_path)
    # and no existing service is among them
    edited = {change.path for change in changes if change.old is not None}
    assert edited == {"functions/eventflow/events/__init__.py", "template.yaml", "docs/how-it-works.md"}


def test_every_command_of_it_says_what_is_to_be_seen_but_for_those_that_print_nothing():
    silent = [step.script for step in steps(PAGE) if isinstance(step, Commands) and not step.seen]
    assert [script.partition("\n")[0] for script in silent] == ["mkdir -p events/loyalty"]


EXAMPLE = """
**`a.txt`**

```python
one
two
```

**`b.txt`, above the line that begins `end`**

```yaml
more
```

**`c.txt`**

```diff
 kept
-gone
+come
```

```bash
echo hello
```

```text
he...o
```

```bash
true
```
"""


def test_a_page_is_files_edits_and_commands_with_what_they_print(tmp_path):
    (tmp_path / "b.txt").write_text("begin\nend of b\n")
    (tmp_path / "c.txt").write_text("kept\ngone\n")
    *changes, hello, true = steps(EXAMPLE)
    for change in changes:
        make(change, tmp_path)
    assert [(tmp_path / name).read_text() for name in ("a.txt", "b.txt", "c.txt")] == [
        "one\ntwo\n",
        "begin\nmore\nend of b\n",
        "kept\ncome\n",
    ]
    assert (hello, true) == (Commands("echo hello\n", "he...o\n"), Commands("true\n"))


def test_an_edit_of_what_is_not_there_and_a_file_that_is_are_said_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("twice\ntwice\n")
    with pytest.raises(AssertionError, match=r"a.txt has this 0 times"):
        make(Change("a.txt", "never\n", ""), tmp_path)
    with pytest.raises(AssertionError, match=r"a.txt has this 2 times"):
        make(Change("a.txt", "twice\n", ""), tmp_path)
    with pytest.raises(AssertionError, match=r"a.txt is there already"):
        make(Change("a.txt", None, ""), tmp_path)


@pytest.mark.parametrize(
    ("expected", "missing"),
    [
        ("", ""),
        ("first\nthird\n", ""),
        ("third\nfirst\n", "first"),
        ("...ir...\n", ""),
        ("se...nd 2\n", ""),
        ("second 2...\n", ""),
        ("second...2\n", ""),
        ("secon\n", "secon"),
        ("sec...ond 2\n", "sec...ond 2"),  # it stands for something
    ],
)
def test_what_is_to_be_seen_is_there_line_by_line_in_this_order(expected, missing):
    assert unseen(expected, "first\nsecond 2\nthird\n") == missing


def shell(folder: Path):
    return lambda script: subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)


def test_a_command_that_fails_or_prints_another_thing_stops_it_with_what_was_said(tmp_path):
    with pytest.raises(AssertionError, match=r"exit code 3[\s\S]*why"):
        follow(Commands("echo why >&2; exit 3\n", "x\n"), shell(tmp_path))
    with pytest.raises(AssertionError, match=r"not seen: other[\s\S]*this"):
        follow(Commands("echo this\n", "other\n"), shell(tmp_path))


def test_what_changes_something_is_run_once_and_what_only_looks_until_it_sees(tmp_path, monkeypatch):
    monkeypatch.setattr(followed.time, "sleep", lambda _: None)
    count = "echo >> times\n"
    with pytest.raises(AssertionError):
        follow(Commands(count, "x\n"), shell(tmp_path))
    assert (tmp_path / "times").read_text() == "\n"

    look = f"make() {{ {count} grep -c ^ times; }}\nmake timeline ORDER=o1\n"
    follow(Commands(look, "4\n"), shell(tmp_path))
    assert (tmp_path / "times").read_text() == "\n" * 4
