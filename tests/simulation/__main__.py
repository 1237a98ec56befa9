"""`make simulate`: the real handlers in a simulated AWS, under every fault, and by chance."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from . import cloud
from .clock import Clock, in_charge
from .crew import Broken, Crew, Findings
from .explore import Simulator
from .mutants import MUTANTS, Mutant, planted
from .scenarios import ALL
from .schedules import ORDERS_A_DAY, Schedule
from .world import ALL_LOST, LAGGING, LATE, LOST, REFUSING, fates_of

DAYS = 200
"""At random, of eight orders each."""

sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it tells of features that it does not have
console = Console(file=sys.stdout, highlight=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", help="run one schedule again, and tell its story", metavar="SCHEDULE")
    parser.add_argument("--depth", type=int, choices=(1, 2), default=1, help="how many departures from good behaviour")
    parser.add_argument("--scenario", choices=list(ALL), action="append", help="only this one, or these")
    parser.add_argument("--orders", type=int, help="so many orders by chance, and nothing else")
    parser.add_argument("--first", type=int, default=0, metavar="DAY", help="the first day at random")
    parser.add_argument("--mutants", action="store_true", help="plant bugs, and see that each is caught")
    asked = parser.parse_args()
    if asked.seed:
        try:
            return replay(Schedule.read(asked.seed))
        except ValueError as error:
            parser.error(str(error))
    if asked.mutants:
        return mutants()
    began = time.perf_counter()
    with Crew(tell=_progress()) as crew:
        if asked.orders:
            last = asked.first + -(-asked.orders // ORDERS_A_DAY)
            found = crew.work(Schedule(f"day-{day}", None) for day in range(asked.first, last))
        else:
            found = every_fault(crew, asked.scenario or list(ALL), asked.depth)
            if not asked.scenario:
                found += crew.work(Schedule(f"day-{day}", None) for day in range(DAYS))
    seconds = time.perf_counter() - began
    calls = found.calls.total()
    if not asked.orders:
        tabulate(found)
    console.print(
        f"{found.schedules:,} schedules, {found.orders:,} orders and {calls:,} calls of AWS in {seconds:.0f} s: "
        f"{found.schedules / seconds / (os.cpu_count() or 1):.0f} schedules and "
        f"{calls / seconds / (os.cpu_count() or 1):,.0f} calls a second and processor."
    )
    wrong = [*missing(found), *ungranted(found)] if not (asked.orders or asked.scenario) else []
    for each in wrong:
        console.print(each, style="red")
    tell_broken(found.broken)
    return 1 if found.broken or wrong else 0


def every_fault(crew: Crew, scenarios: list[str], depth: int) -> Findings:
    """Every schedule with one departure, or two; then what was not struck yet, where it was reached."""
    good = [Schedule(name) for name in scenarios]
    once = list(crew.departing(good))
    found = crew.work([*good, *once])
    if depth == 2:
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


def missing(found: Findings) -> Iterator[str]:
    for function, call in sorted({(function, call) for function, call, _ in found.calls}):
        for fate in fates_of(call.partition(" ")[0]):
            if not found.calls[function, call, fate]:
                yield f"{function}: {call} was never {fate}"


NOT_USED = {
    ("dynamodb:DescribeStream", "RelayFunction"): "Lambda's poller, which is not simulated call by call",
    ("dynamodb:GetRecords", "RelayFunction"): "Lambda's poller",
    ("dynamodb:GetShardIterator", "RelayFunction"): "Lambda's poller",
    ("dynamodb:ListStreams", "RelayFunction"): "Lambda's poller",
    ("dynamodb:GetItem", "IntakeFunction"): "after two lost races only",
    ("dynamodb:GetItem", "OrdersCheckoutsFunction"): "after two lost races only",
    ("sqs:ReceiveMessage", "OrdersCheckoutsFunction"): "Lambda's poller",
    ("sqs:DeleteMessage", "OrdersCheckoutsFunction"): "Lambda's poller",
    ("sqs:GetQueueAttributes", "OrdersCheckoutsFunction"): "Lambda's poller",
}
"""Grants that no handler uses itself, and who does."""


def ungranted(found: Findings) -> Iterator[str]:
    """Calls without a grant, and grants without a call."""
    granted = {(name, *grant) for name, it in cloud.main().functions.items() for grant in it.grants}
    for function, action, resource in sorted(found.used - granted):
        yield f"{function} calls {action} on {resource}, and may not"
    for function, action, resource in sorted(granted - found.used):
        to_give_up = (action, resource) == ("events:PutEvents", cloud.main().functions[function].on_failure)
        if not to_give_up and (action, function) not in NOT_USED:
            yield f"{function} may call {action} on {resource}, and never does"


SHORT = {
    "throttled": "throttled",
    "refused": "refused",
    LOST: "answer lost",
    ALL_LOST: "all lost",
    "killed before it": "killed before",
    "killed after it": "killed after",
    LATE: "timed out",
    "in conflict": "conflict",
    "done in part": "in part",
    "one entry refused": "entry refused",
    REFUSING: "... always",
    LAGGING: "index lags",
}


def tabulate(found: Findings) -> None:
    by_function: dict[str, Counter[str]] = {}
    for (function, _, fate), times in found.calls.items():
        by_function.setdefault(function, Counter())[fate] += times
    fates = sorted({fate for _, _, fate in found.calls}, key=lambda fate: (fate != "done", fate))
    table = Table("how often each fault struck", *(SHORT[fate] for fate in fates[1:]), box=None, padding=(0, 1))
    for function, counted in sorted(by_function.items()):
        table.add_row(function.removesuffix("Function"), *(str(counted[fate] or "-") for fate in fates[1:]))
    Console(file=sys.stdout, width=170).print(table)


def tell_broken(broken: list[Broken]) -> None:
    for each in sorted(broken, key=lambda it: len(it.schedule.departures or ()))[:10]:
        console.print(f"[red]{each.wrong[0]}[/red]")
        console.print(f'  make simulate SEED="{each.schedule}"')
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
        found = crew.work((Schedule(f"day-{day}", None) for day in range(DAYS)), until_broken=True)
        if not found.broken:
            found += crew.work(crew.departing(map(Schedule, ALL)), until_broken=True)
        return found


def _progress():  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    last = began

    def tell(done: int) -> None:
        nonlocal last
        if sys.stderr.isatty() and time.perf_counter() - last > 1:
            last = time.perf_counter()
            print(f"\r{done:,} schedules, {last - began:.0f} s ", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets are in another order in each process, else
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
