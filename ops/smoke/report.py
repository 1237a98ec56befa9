"""What the steps found: a tick each for the terminal, JUnit's XML for a pipeline, and the one thing to look at next."""

import os
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.status import Status
from rich.text import Text

from ops import OpsError
from ops.failed import in_a_line
from ops.plain import plain
from ops.smoke.waiting import Skip, Wrong

WIDTH = 66
"""Columns of a step's name: the longest is a little shorter."""

LONG_SECONDS = 5
"""Without a terminal, a step that takes longer says what it waits for."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_RUN = "not run"


MARKS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FAILED: ("✗", "bold red"),
    Outcome.SKIPPED: ("-", "yellow"),
    Outcome.NOT_RUN: (" ", "dim"),
}


@dataclass(frozen=True)
class Result:
    """How a step went; if it failed, `why`, and what to `look_at` next."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    why: str = ""
    look_at: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


@dataclass
class Report:
    """`advise` says what to look at next after an exception that is not Wrong."""

    console: Console
    advise: Callable[[Exception], str]
    results: list[Result] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _status: Status | None = None
    _step: tuple[str, float] = "", 0.0
    _told: str = ""

    def step(self, name: str, run: Callable[[], object], needs: Sequence[Result] = ()) -> Result:
        """Run a step, if all that it needs passed, and show how it went. Raises KeyboardInterrupt, once it is kept."""
        started = time.monotonic()
        missing = next((each for each in needs if not each.passed), None)
        if missing:
            return self._keep(Result(name, Outcome.NOT_RUN, why=f"it needs: {missing.name}"))
        outcome, why, look_at = Outcome.PASSED, "", ""
        try:
            with self.console.status(f"  {name}") if self.console.is_terminal else nullcontext() as self._status:
                self._step, self._told = (name, started), ""
                run()
        except KeyboardInterrupt:
            self._keep(Result(name, Outcome.FAILED, time.monotonic() - started, "interrupted"))
            raise
        except Skip as reason:
            outcome, why = Outcome.SKIPPED, str(reason)
        except Exception as error:  # a broken stack may raise anything; the next steps and the clean-up follow
            if os.environ.get("EVENTFLOW_DEBUG"):
                traceback.print_exc()
            kind = "" if str(error) and not isinstance(error, LookupError) else f"{type(error).__name__}: "
            outcome, why = Outcome.FAILED, f"{kind}{error}"
            look_at = error.look_at if isinstance(error, Wrong) else self.advise(error)
        finally:
            self._status = None
        return self._keep(Result(name, outcome, time.monotonic() - started, in_a_line(why), look_at))

    def tell(self, progress: str) -> None:
        """Show how far the current step is: next to the spinner; without a terminal, in a line if it takes long."""
        name, started = self._step
        if self._status:
            self._status.update(Text(f"  {name}: {in_a_line(progress)}"))
        elif progress != self._told and time.monotonic() - started > LONG_SECONDS:
            self._told = progress
            self.console.print(Text(f"      {in_a_line(progress)}"), soft_wrap=True)

    def _keep(self, result: Result) -> Result:
        self.results.append(result)
        mark, style = MARKS[result.outcome]
        ran = result.outcome in (Outcome.PASSED, Outcome.FAILED)
        line = Text("  ").append(mark, style).append(f" {result.name:{WIDTH}} ")
        line.append(f"{result.seconds:6.1f} s" if ran else str(result.outcome), style="" if ran else "dim")
        self.console.print(line, soft_wrap=True)
        if result.why and result.outcome is not Outcome.NOT_RUN:
            self.console.print(Text(f"      {result.why}", "dim" if not result.look_at else ""), soft_wrap=True)
        return result

    @property
    def well(self) -> bool:
        return all(result.outcome in (Outcome.PASSED, Outcome.SKIPPED) for result in self.results)

    @property
    def look_at(self) -> str:
        """What the first step that failed says: causes are checked before their effects."""
        return next((result.look_at for result in self.results if result.outcome is Outcome.FAILED), "")

    def summed_up(self) -> str:
        counts = {outcome: sum(result.outcome is outcome for result in self.results) for outcome in Outcome}
        return ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)


def refuse_unwritable(file: Path) -> None:
    """Before anything is ordered. Raises OpsError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise OpsError(f"the results cannot be written to {file}: {error.strerror}") from None


def write_junit(results: Sequence[Result], stack: str, started: datetime, file: Path) -> None:
    """In JUnit's format (https://github.com/testmoapp/junitxml). A step that was not run counts as skipped."""
    left_out = [result for result in results if result.outcome in (Outcome.SKIPPED, Outcome.NOT_RUN)]
    suite = ElementTree.Element(
        "testsuite",
        name=f"smoke {stack}",
        tests=str(len(results)),
        failures=str(sum(result.outcome is Outcome.FAILED for result in results)),
        errors="0",
        skipped=str(len(left_out)),
        time=f"{sum(result.seconds for result in results):.3f}",
        timestamp=f"{started:%Y-%m-%dT%H:%M:%S}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"smoke.{stack}", name=result.name, time=f"{result.seconds:.3f}"
        )
        if result.outcome is Outcome.FAILED:
            failure = ElementTree.SubElement(case, "failure", message=plain(result.why))
            failure.text = f"look at next: {plain(result.look_at)}"
        elif result in left_out:
            ElementTree.SubElement(case, "skipped", message=plain(f"{result.outcome}: {result.why}"))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
