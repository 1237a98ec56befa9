"""The simulator itself: the same schedule is the same run, a good one is right, and a planted bug is seen."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ..unit.sam_template import ROOT
from . import cloud
from .choices import Choices
from .clock import Clock, in_charge
from .explore import Simulator
from .mutants import MUTANTS, planted
from .scenarios import ALL
from .schedules import Schedule


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    clock = Clock()
    with in_charge(clock):
        yield Simulator(cloud.main(), clock)


@pytest.mark.parametrize("scenario", ALL)
def test_a_world_that_behaves_is_right(simulator, scenario):
    assert simulator.run(ALL[scenario], Choices()).wrong == []


def digest_of(schedule: str) -> str:
    """Of a run in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", "--seed", schedule]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": "functions", "PATH": ""}, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_one_schedule_is_one_run_to_the_last_call_in_any_process(simulator):
    schedule = Schedule.read("day-7")
    runs = [simulator.run(schedule.people(), schedule.choices(), schedule.scenario) for _ in range(2)]
    first, again = (run.world.digest.hexdigest() for run in runs)
    assert first == again
    assert first[:16] in digest_of("day-7")


def test_what_chance_did_can_be_run_again_from_its_departures(simulator):
    schedule = Schedule.read("day-11")
    by_chance = simulator.run(schedule.people(), schedule.choices(), schedule.scenario).world
    again = simulator.run(schedule.people(), Choices(by_chance.choices.departures), schedule.scenario).world
    assert by_chance.choices.departures
    assert again.digest.hexdigest() == by_chance.digest.hexdigest()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_still_be_planted_where_it_was(mutant):
    assert (ROOT / "functions" / mutant.file).read_text().count(mutant.old) == 1


def test_a_planted_bug_is_seen_and_its_schedule_cut_down():
    mutant = next(it for it in MUTANTS if it.name == "a release puts nothing back")
    clock = Clock()
    with planted(mutant) as source, in_charge(clock):
        simulator = Simulator(cloud.main(), clock, source)
        schedule = Schedule.read("day-8")
        run = simulator.run(schedule.people(), schedule.choices(), schedule.scenario)
        departures = run.world.choices.departures
        shorter = simulator.shortened(schedule.people(), departures, schedule.scenario)
    assert any("there should be" in each for each in run.wrong)
    assert len(shorter) < len(departures)


@pytest.mark.parametrize(
    "name", ["", "an_order", "day-", "day-x", "an_order_is_confirmed:1", "an_order_is_confirmed:a=b"]
)
def test_a_schedule_that_nobody_knows_is_refused_by_name(name):
    with pytest.raises(ValueError, match=r"no schedule is named|invalid literal"):
        Schedule.read(name)
