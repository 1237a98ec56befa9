"""`make simulate`: the real handlers in a simulated AWS, under every fault, and by chance."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice

from rich.console import Console

from . import cloud, enumerated, grants
from .clock import Clock, in_charge
from .crew import Broken, Crew, Findings
from .explore import Simulator
from .fates import fates_of
from .mutants import MUTANTS, Mutant, planted
from .scenarios import ALL
from .schedules import Schedule, days
from .soak import soak

DAYS = 200
"""At random, of eight orders each."""

sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it tells of features that it does not have
console = Console(file=sys.stdout, highlight=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument(
        "--seed",
        metavar="SCHEDULE|WORD",
        help="a schedule (day-42, an_order_is_confirmed:7=3): run it again, and tell its story; with --orders any word "
        "or number: the days at random of that name",
    )
    parser.add_argument("--depth", type=int, choices=(1, 2), default=1, help="how many departures from good behaviour")
    parser.add_argument("--scenario", choices=list(ALL), action="append", help="only this one, or these")
    parser.add_argument("--orders", type=int, help="a soak: so many orders on days at random. Once stopped, it goes on")
    parser.add_argument("--mutants", action="store_true", help="plant bugs, and see that each is caught")
    asked = parser.parse_args()
    if asked.orders:
        if asked.seed and not re.fullmatch(r"\w+", asked.seed):
            parser.error(f"a soak's seed is a word or a number, not {asked.seed}")
        return soak(asked.orders, asked.seed or "")
    if asked.seed:
        try:
            return replay(Schedule.read(asked.seed))
        except ValueError as error:
            parser.error(str(error))
    if asked.mutants:
        return mutants()
    return everything(asked.scenario or list(ALL), asked.depth)


def everything(scenarios: list[str], depth: int) -> int:
    """Every fault, and days at random; of some scenarios only, every fault."""
    began = time.perf_counter()
    whole = len(scenarios) == len(ALL)
    with Crew(tell=_progress()) as crew:
        found = every_fault(crew, scenarios, depth)
        if whole:
            found += crew.work(islice(days(), DAYS))
    seconds = time.perf_counter() - began
    calls, processors = found.calls.total(), os.cpu_count() or 1
    Console(file=sys.stdout, width=210).print(enumerated.tabulated(found.calls))
    for fate, why in enumerated.CANNOT.items():
        console.print(f". {enumerated.SHORT[fate]}: {why}")
    console.print(
        f"{found.schedules:,} schedules, {found.orders:,} orders and {calls:,} calls of AWS in {seconds:.0f} s: "
        f"{found.schedules / seconds / processors:.0f} schedules and "
        f"{calls / seconds / processors:,.0f} calls a second and processor. All of it is {found.digest}."
    )
    wrong = [*enumerated.missing(found.calls), *grants.wrong(cloud.main(), found.used)] if whole else []
    for each in wrong:
        console.print(each, style="red", markup=False)
    tell_broken(found.broken)
    return 1 if found.broken or wrong else 0


def every_fault(crew: Crew, scenarios: list[str], depth: int) -> Findings:
    """Every schedule with one departure, or two; then what was not struck yet, where it was reached."""
    good = [Schedule(name) for name in scenarios]
    found = crew.work(chain(good, crew.departing(good)))
    if depth == 2:
        once = list(found.shapes.values())
        console.print(
            f"{found.schedules - len(once):,} of {found.schedules:,} schedules cannot differ from another one."
        )
        found += crew.work(crew.departing(once))
    found += crew.work(_unstruck(found))
    return found


def _unstruck(found: Findings) -> Iterator[Schedule]:
    """Calls that only a fault leads to: each fault on them, after that one."""
    struck = set(found.calls)
    for (function, call), (schedule, number) in sorted(found.reached.items(), key=str):
        for option, fate in enumerate(fates_of(call.partition(" ")[0])):
            if option and (function, call, fate) not in struck:
                yield Schedule(schedule.scenario, (*(schedule.departures or ()), (number, option)))


def tell_broken(broken: list[Broken]) -> None:
    """The shortest schedule as a story, and how to see the others."""
    shortest = sorted(broken, key=lambda it: len(it.schedule.departures or ()))
    for number, each in enumerate(shortest[:10]):
        if not number:
            replay(each.schedule)
        else:
            console.print(each.wrong[0], style="red", markup=False)
        console.print(f'  make simulate SEED="{each.schedule}"', markup=False)
    if len(broken) > 10:
        console.print(f"... and {len(broken) - 10} more.")


def replay(schedule: Schedule) -> int:
    clock = Clock()
    with in_charge(clock):
        run = Simulator(cloud.main(), clock).run(schedule.people(), schedule.choices(), schedule.scenario)
    for line in run.world.story:
        console.print(line, style="yellow" if " - " in line else None, markup=False)
    console.print(f"{run.world.calls.total()} calls; the run's digest is {run.world.digest.hexdigest()[:16]}.")
    for each in run.wrong:
        console.print(each, style="red")
    return 1 if run.wrong else 0


def mutants() -> int:
    survivors = []
    for number, mutant in enumerate(MUTANTS, start=1):
        began = time.perf_counter()
        found = hunted(mutant)
        if found.broken:
            first = min(found.broken, key=lambda it: len(it.schedule.departures or ()))
            said = f"caught after {found.schedules} schedules, by {first.schedule}: {first.wrong[0]}"
        else:
            survivors.append(mutant.name)
            said = f"[red]SURVIVES {found.schedules} schedules[/red]"
        console.print(f"{number:2} {mutant.name}: {said[:200]} ({time.perf_counter() - began:.0f} s)")
    console.print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} were caught.")
    return 1 if survivors else 0


def hunted(mutant: Mutant) -> Findings:
    """Days at random first, which find most; then every single fault."""
    with planted(mutant) as source, Crew(source) as crew:
        found = crew.work(islice(days(), DAYS), until_broken=True)
        if not found.broken:
            found += crew.work(crew.departing(map(Schedule, ALL)), until_broken=True)
        return found


def _progress():  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    last = began

    begin, end, pause = ("\r", "", 1) if sys.stderr.isatty() else ("", "\n", 60)

    def tell(done: int) -> None:
        nonlocal last
        if time.perf_counter() - last > pause:
            last = time.perf_counter()
            print(f"{begin}{done:,} schedules, {last - began:.0f} s ", end=end, file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
