"""A page of docs/ that is followed word by word: its files written, its edits made, its commands run.

- A block under a file's name (**`path`**) is that whole file, or stands above a line that is there.
- A block of `diff` is an edit of the file that was named last: what it shows of the file must be there once.
- A block of `bash` is run, in the shell in which those before it were; one of `text` below it is what is to be seen, a
  line after the other, in which `...` stands for what differs.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

NAMED = r"\*\*`(?P<path>[^`]+)`(?:, above the line that begins `(?P<above>[^`]+)`)?\*\*\n\n"
BLOCK = re.compile(rf"^(?:{NAMED})?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

LOOKING = re.compile(r'^(curl -s "|make (timeline|failed) )', re.MULTILINE)
"""Commands that change nothing: they may look again, for what takes a moment."""
LOOKS_FOR = 60
"""Seconds."""


@dataclass
class Commands:
    script: str
    seen: str = ""


@dataclass
class Change:
    """Of a file: what takes the place of `old`, which is there once; None: it is a new file."""

    path: str
    old: str | None
    new: str


def steps(page: str) -> Iterator[Commands | Change]:
    path, commands = "", None
    for block in BLOCK.finditer(page):
        path, text = block["path"] or path, block["text"]
        if block["kind"] == "text":
            assert commands, f"what is to be seen after no command: {text}"
            commands.seen = text
            continue
        if commands:
            yield commands
            commands = None
        match block["kind"]:
            case "bash":
                commands = Commands(text)
            case "diff":
                yield Change(path, _side(text, " -"), _side(text, " +"))
            case _ if block["above"]:
                yield Change(path, f"\n{block['above']}", f"\n{text}{block['above']}")
            case _:
                assert block["path"], f"a block without its file's name: {text[:100]}"
                yield Change(path, None, text)
    if commands:
        yield commands


def _side(diff: str, signs: str) -> str:
    return "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[0] in signs)


def make(change: Change, folder: Path) -> None:
    file = folder / change.path
    if change.old is None:
        assert not file.exists(), f"{change.path} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change.new)
        return
    text = file.read_text()
    assert text.count(change.old) == 1, f"{change.path} has this {text.count(change.old)} times: {change.old}"
    file.write_text(text.replace(change.old, change.new))


def follow(commands: Commands, run: Callable[[str], CompletedProcess[str]]) -> None:
    """Run it, and see what is to be seen. What only looks is run again until it is there."""
    deadline = time.monotonic() + (LOOKS_FOR if LOOKING.search(commands.script) else 0)
    while True:
        finished = run(commands.script)
        said = finished.stdout + finished.stderr
        missing = unseen(commands.seen, said)
        if finished.returncode == 0 and not missing:
            return
        if time.monotonic() > deadline:
            why = f"exit code {finished.returncode}" if finished.returncode else f"not seen: {missing}"
            raise AssertionError(f"{why}\n{commands.script}\n{said[-6000:]}")
        time.sleep(0.5)


def unseen(expected: str, said: str) -> str:
    """The first line that is expected and was not said, after those before it."""
    lines = iter(said.splitlines())
    for line in expected.splitlines():
        pattern = ".+".join(map(re.escape, line.removeprefix("...").removesuffix("...").split("...")))
        before, after = ".*" * line.startswith("..."), ".*" * line.endswith("...")
        if not any(re.fullmatch(f"{before}{pattern}{after}", it) for it in lines):
            return line
    return ""
