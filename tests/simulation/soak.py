"""Days at random until so many orders were placed: with progress, on all processors, and to be gone on with."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..sam_template import ROOT
from .crew import Crew
from .schedules import days

STATE = ROOT / ".simulation" / "soak.json"

TOLD_EVERY_SECONDS = 10


class Soak(msgspec.Struct, kw_only=True):
    """How far one came."""

    seed: str
    code: str
    """`_code` of it."""
    day: int = 0
    """The next one."""
    orders: int = 0
    calls: int = 0
    seconds: float = 0.0
    broken: list[tuple[str, str]] = []
    """Schedules, and the first rule that each broke."""

    @classmethod
    def gone_on_with(cls, seed: str, tell: Callable[[str], None], state: Path = STATE) -> Soak:
        """The one that was stopped, if it was of this seed and this code; else a new one."""
        code = _code()
        if state.exists():
            there = msgspec.json.decode(state.read_bytes(), type=Soak)
            if (there.seed, there.code) == (seed, code):
                tell(f"Goes on after {there.orders:,} orders. (To begin again: rm {state.relative_to(ROOT)})")
                return there
            tell("Begins with the first day: the last soak had another seed, or another version of the code.")
        return cls(seed=seed, code=code)

    def keep(self, state: Path = STATE) -> None:
        state.parent.mkdir(exist_ok=True)
        whole = state.with_suffix(".new")
        whole.write_bytes(msgspec.json.encode(self))
        whole.replace(state)


def soak(wanted: int, seed: str) -> int:
    """Whether any rule was broken, as an exit code. Ctrl-C ends it: the same command goes on."""
    it = Soak.gone_on_with(seed, print)
    known = len(it.broken)
    for schedule, wrong in it.broken:
        _tell(schedule, wrong)
    with Crew() as crew:
        try:
            began = told = time.perf_counter()
            for found in crew.in_order(days(seed, it.day)) if it.orders < wanted else ():
                now = time.perf_counter()
                it.day += found.schedules
                it.orders += found.orders
                it.calls += found.calls.total()
                it.seconds += now - began
                began = now
                it.broken += [(str(each.schedule), each.wrong[0]) for each in found.broken]
                it.keep()
                for schedule, wrong in it.broken[known:]:
                    _tell(schedule, wrong)
                known = len(it.broken)
                if it.orders >= wanted:
                    break
                if now - told > TOLD_EVERY_SECONDS:
                    told = now
                    _progress(it, wanted)
        except KeyboardInterrupt:
            print(f"\nStopped after {it.orders:,} orders; the same command goes on from there.")
            return 130
    print(
        f"{it.day:,} days, {it.orders:,} orders and {it.calls:,} calls of AWS in {it.seconds:,.0f} s of this machine's "
        f"{os.cpu_count()} processors: {len(it.broken)} schedules broke a rule."
    )
    return 1 if it.broken else 0


def _tell(schedule: str, wrong: str) -> None:
    print(f'{wrong}\n  make simulate SEED="{schedule}"')


def _progress(it: Soak, wanted: int) -> None:
    rate = it.orders / it.seconds
    left = max(0.0, wanted - it.orders) / rate
    print(
        f"{it.orders:,} of {wanted:,} orders, {rate:.0f} a second, {left / 60:,.0f} min left, {len(it.broken)} broken",
        file=sys.stderr,
    )


def _code() -> str:
    """What is simulated: the commit, and a digest of what differs from it."""

    def git(*command: str) -> bytes:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, check=False).stdout

    differs = git("diff", "HEAD")
    return git("rev-parse", "HEAD").decode().strip() + (hashlib.sha256(differs).hexdigest() if differs else "")
