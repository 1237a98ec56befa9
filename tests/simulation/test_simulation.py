"""The simulator itself: the same schedule is the same run, a good one is right, and a planted bug is seen."""

import copy
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from ..sam_template import ROOT, TEMPLATE
from ..transformed import deployed
from . import cloud, enumerated, grants, rules, soak
from .choices import Choices
from .clock import Clock, in_charge
from .dynamodb import Written
from .explore import Simulator
from .fates import LOST, REFUSING
from .mutants import MUTANTS, planted
from .scenarios import ALL
from .schedules import Schedule, days
from .shapes import shape_of
from .world import Step


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    clock = Clock()
    with in_charge(clock):
        yield Simulator(cloud.main(), clock)


@pytest.mark.parametrize("scenario", ALL)
def test_a_world_that_behaves_is_right(simulator, scenario):
    assert simulator.run(ALL[scenario], Choices()).wrong == []


def digest_of(schedule: str, hash_seed: str) -> str:
    """Of a run in a process of its own, in which sets have an order of their own."""
    command = [sys.executable, "-m", "tests.simulation", "--seed", schedule]
    environment = {"PYTHONPATH": "functions", "PATH": os.environ["PATH"], "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_one_schedule_is_one_run_to_the_last_call_in_any_process(simulator):
    schedule = Schedule.read("day-7")
    runs = [simulator.run(schedule.people(), schedule.choices(), schedule.scenario) for _ in range(2)]
    first, again = (run.world.digest.hexdigest() for run in runs)
    assert first == again
    for hash_seed in ("1", "2"):
        assert first[:16] in digest_of("day-7", hash_seed)


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


def test_two_deliveries_that_both_tell_a_shopper_are_seen_among_whatever_other_faults():
    mutant = next(it for it in MUTANTS if it.name == "a claim keeps nobody out")
    clock, day = Clock(), Schedule.read("day-1")
    with planted(mutant) as source, in_charge(clock):
        run = Simulator(cloud.main(), clock, source).run(day.people(), day.choices(), day.scenario)
    assert run.world.faults
    assert any("two deliveries told the same" in each for each in run.wrong)


@pytest.mark.parametrize(
    "name", ["", "an_order", "day-", "day-x", "an_order_is_confirmed:1", "an_order_is_confirmed:a=b"]
)
def test_a_schedule_that_nobody_knows_is_refused_by_name(name):
    with pytest.raises(ValueError, match=r"no schedule is named|invalid literal"):
        Schedule.read(name)


def a_template_that_has_more() -> dict:
    """The main template's resources, and with them a rule that leads to a queue of its own."""
    resources = copy.deepcopy(deployed(**cloud.PARAMETERS))
    resources["Audit"] = {"Type": "AWS::SQS::Queue", "Properties": {}}
    target = {"Id": "Audit", "Arn": {"Fn::GetAtt": ["Audit", "Arn"]}}
    pattern = {"detail-type": ["OrderConfirmed"]}
    resources["AuditRule"] = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": pattern, "Targets": [target]}}
    return resources


def test_what_a_template_adds_is_in_the_world():
    # given
    clock = Clock()
    with in_charge(clock):
        simulator = Simulator(cloud.read(a_template_that_has_more()), clock)

        # when
        run = simulator.run(ALL["an_order_is_confirmed"], Choices())

    # then
    assert [message.body["detail-type"] for message in run.world.deliveries.queues["Audit"]] == ["OrderConfirmed"]


def test_a_replay_brings_every_consumer_its_events_again_and_nobody_else(simulator):
    # given
    def delivered(world):
        return Counter(step.cause.rpartition(" ")[0] for step in world.steps if "sandbox" in step.what)

    once = delivered(simulator.run(ALL["an_order_is_confirmed"], Choices()).world)
    again = delivered(simulator.run(ALL["all_that_was_announced_is_replayed"], Choices()).world)

    # then
    consumers = ("PaymentFunction", "InventorySagaFunction", "OrdersSagaFunction", "NotificationFunction")
    for cause in once:  # what was published between the two replays came once more, all else twice
        assert again[cause] in ((2, 3) if cause.startswith(consumers) else (1,)), cause


def test_what_has_expired_goes_after_a_month_or_is_still_there(simulator, monkeypatch):
    # given
    scenario = ALL["a_delivery_and_a_month_later_one_under_the_same_key"]
    written: list[Written] = []
    monkeypatch.setattr(rules, "always", lambda world, it: written.append(it) or ())
    made = simulator.run(scenario, Choices()).world.choices.made
    (number,) = [number for number, choice in enumerate(made) if "it is still there" in choice.options]

    def first_uses(departures):
        """Whether each use of the key found no row of an earlier one."""
        written.clear()
        simulator.run(scenario, Choices(departures))
        return [it.old is None for it in written if it.table == "IdempotencyTable"]

    # then
    assert first_uses({}) == [True, True]
    assert first_uses({number: 1}) == [True, False]


def test_a_call_without_a_grant_and_a_grant_without_a_call_are_told():
    # given
    main = cloud.main()
    used = {it for it in grants.of(main) if (it[1], it[0]) not in grants.NOT_USED}
    of_payment = ("PaymentFunction", "dynamodb:PutItem", "PaymentsTable")
    assert of_payment in used

    # then
    assert list(grants.wrong(main, used)) == []
    assert list(grants.wrong(main, used - {of_payment})) == [
        "PaymentFunction may call dynamodb:PutItem on PaymentsTable, and never does"
    ]
    assert list(grants.wrong(main, used | {("PaymentFunction", "dynamodb:Scan", "PaymentsTable")})) == [
        "PaymentFunction calls dynamodb:Scan on PaymentsTable, and may not"
    ]


def of_payment(statements: list) -> cloud.Cloud:
    """The cloud of a copy of the template in which PaymentFunction may do this, beside what all functions may."""
    template = copy.deepcopy(TEMPLATE)
    policies = template["Resources"]["PaymentFunction"]["Properties"]["Policies"]
    (own,) = [policy for policy in policies if "Statement" in policy]
    own["Statement"] = statements
    return cloud.read(deployed(template, **cloud.PARAMETERS))


def test_a_statement_that_is_dropped_from_the_template_is_missed_and_one_too_many_is_told(simulator):
    # given what an order that is confirmed calls
    (policy,) = [it for it in TEMPLATE["Resources"]["PaymentFunction"]["Properties"]["Policies"] if "Statement" in it]
    rows, books = policy["Statement"]
    used = simulator.run(ALL["an_order_is_confirmed"], Choices()).world.used
    scan = {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": {"Fn::GetAtt": ["PaymentsTable", "Arn"]}}

    def wrong(*statements):
        return [it for it in grants.wrong(of_payment(list(statements)), used) if it.startswith("PaymentFunction")]

    # then
    as_it_is = wrong(rows, books)
    assert not any("may not" in it for it in as_it_is)
    assert "PaymentFunction calls dynamodb:PutItem on PaymentsTable, and may not" in wrong(books)
    assert set(wrong(rows)) - set(as_it_is) == {
        "PaymentFunction calls dynamodb:PutItem on SimulatedGatewayTable, and may not"
    }
    assert set(wrong(rows, books, scan)) - set(as_it_is) == {
        "PaymentFunction may call dynamodb:Scan on PaymentsTable, and never does"
    }


def test_an_empty_cell_of_the_table_of_faults_is_told():
    fates = [fate for fate in enumerated.SHORT if fate not in enumerated.CANNOT]
    struck = {("PaymentFunction", "GetItem PaymentsTable", fate): 1 for fate in ("done", *fates)}
    assert list(enumerated.missing(struck)) == []
    assert list(enumerated.missing({it: 1 for it in struck if it[2] != LOST})) == [
        f"PaymentFunction: GetItem PaymentsTable was never {LOST}"
    ]
    assert enumerated.CANNOT.keys() >= {REFUSING}


def steps(*order: str) -> list[Step]:
    """Of two invocations that write a row each, and one row that both read."""
    rows = {"own": lambda cause: f"Rows {cause}", "common": lambda cause: "Rows common"}
    return [Step(cause, what, (rows[what](cause),)) for cause, _, what in (each.partition(" ") for each in order)]


def test_calls_on_different_rows_may_change_places_and_calls_on_one_row_may_not():
    run = steps("ada own", "bob own", "ada common", "bob common")
    assert shape_of(run) == shape_of(steps("bob own", "ada own", "ada common", "bob common"))
    assert shape_of(run) != shape_of(steps("ada own", "bob own", "bob common", "ada common"))
    assert shape_of(run) != shape_of(run[:3])


def test_a_search_of_a_table_keeps_its_place_among_the_writes_of_any_row():
    search = Step("eve", "search", ("Rows *",))
    ada, bob = steps("ada own", "bob own")
    assert shape_of([ada, search, bob]) != shape_of([ada, bob, search])


def test_a_soak_goes_on_where_it_was_stopped_and_only_with_the_same_seed_and_code(tmp_path, monkeypatch):
    # given
    monkeypatch.setattr(soak, "ROOT", tmp_path)
    monkeypatch.setattr(soak, "_code", lambda: "one")
    state, said = tmp_path / "soaks" / "soak.json", []
    soak.Soak(seed="blue", code="one", day=300, orders=2_400, broken=[("blue-day-7", "it broke")]).keep(state)

    # then
    again = soak.Soak.gone_on_with("blue", said.append, state)
    assert (again.day, again.broken) == (300, [("blue-day-7", "it broke")])
    assert soak.Soak.gone_on_with("red", said.append, state).day == 0
    monkeypatch.setattr(soak, "_code", lambda: "another")
    assert soak.Soak.gone_on_with("blue", said.append, state).day == 0
    assert [line.partition(" ")[0] for line in said] == ["Goes", "Begins", "Begins"]


def test_a_seed_names_days_of_its_own():
    assert [str(next(days(seed))) for seed in ("", "blue")] == ["day-0", "blue-day-0"]
    assert Schedule.read("blue-day-0") == next(days("blue"))
