"""What is usual on a bus: every number against a naive count, written differently; and what must hold of any sagas."""

import json
import random
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeline import flow
from timeline.flow import Case, Sample
from timeline.paths import shape_of, variant_key
from timeline.sagas import Ending, PathStep, Vocabulary
from timeline.usual import usual

START = 1_900_000_000_000
ROLE = Vocabulary.of("OrderConfirmed", "OrderCancelled", "PaymentSucceeded=PaymentRefunded").role


def step(kind: str, at: int, *causes: int, lane: str = "") -> PathStep:
    return PathStep(lane or kind.rstrip("0123456789").lower(), kind, at, causes)


def saga(id_: str, path: list[PathStep], ending: Ending = Ending.SUCCEEDED, at: int = START, took: int = 100) -> Case:
    return Case(
        id=id_,
        path=tuple(path),
        ending=ending,
        started_at=at,
        duration_ms=took,
        last_type=path[-1].type if path else "",
    )


def told(cases: list[Case], against: list[Case] | None = None, **window: Any) -> dict[str, Any]:
    """The answer, as its reader gets it."""
    earlier = None if against is None else Sample(cases=against)
    answer: dict[str, Any] = json.loads(
        msgspec.json.encode(flow.flow(Sample(cases=cases, **window), earlier, ROLE)).decode()
    )
    return answer


# A shop's sagas: two branches in either order, failures, compensations, some that stop, some rare, some slow


def shops_saga(chance: random.Random, number: int) -> Case:
    fate = chance.choices(
        ["confirmed", "unpaid", "no stock", "veto", "stuck", "open", "twice"], [880, 50, 40, 3, 12, 10, 5]
    )[0]
    started = START + chance.randrange(3_600_000)
    slow = 50 if chance.random() < 0.01 else 1
    pay, keep = chance.randint(20, 90) * slow, chance.randint(10, 110)
    path = [PathStep("orders", "OrderCreated", 0, ())]
    paid = PathStep("payment", "PaymentFailed" if fate == "unpaid" else "PaymentSucceeded", pay, (0,))
    kept = PathStep("inventory", "InventoryFailed" if fate == "no stock" else "InventoryReserved", keep, (0,))
    branches = sorted([paid, kept], key=lambda it: it.offset_ms)
    if pay == keep and chance.random() < 0.5:
        branches.reverse()
    if fate == "open":
        path += branches[: chance.randint(0, 1)]
    elif fate == "stuck":
        path += [kept]
    else:
        path += branches
        last = path[-1].offset_ms
        where = {each.lane: index for index, each in enumerate(path)}
        if fate in ("confirmed", "veto", "twice"):
            causes = (1, 2) if chance.random() < 0.5 else (2, 1)
            path.append(PathStep("orders", "OrderConfirmed", last + chance.randint(1, 20), causes))
        if fate == "twice":
            path.append(PathStep("orders", "OrderConfirmed", last + 30, causes))
        if fate == "veto":
            path.append(PathStep("fraud", "FraudCheckFailed", last + 500, (3,)))
            path.append(PathStep("orders", "OrderCancelled", last + 600, (4,)))
            path.append(PathStep("payment", "PaymentRefunded", last + 700, (5,)))
        elif fate == "unpaid":
            path.append(PathStep("orders", "OrderCancelled", last + 9, (where["payment"],)))
        elif fate == "no stock":
            path.append(PathStep("orders", "OrderCancelled", last + 9, (where["inventory"],)))
            path.append(PathStep("payment", "PaymentRefunded", last + 40, (3,)))
    ending = {"confirmed": Ending.SUCCEEDED, "twice": Ending.SUCCEEDED, "stuck": Ending.STUCK, "open": Ending.OPEN}.get(
        fate, Ending.FAILED
    )
    return saga(f"o{number:05}", path, ending, started, path[-1].offset_ms + (77 if ending is Ending.OPEN else 0))


def shops_sagas(seed: int, number: int = 5_000) -> list[Case]:
    chance = random.Random(seed)
    return [shops_saga(chance, n) for n in range(number)]


# The same numbers, counted as a child would: each by a walk over all sagas


def history(case: Case, index: int) -> Any:
    """A step with all that led to it, which no order of writing changes."""
    it = case.path[index]
    return (it.lane, it.type, sorted(history(case, cause) for cause in it.causes))


def route(case: Case) -> str:
    return repr(sorted(history(case, index) for index in range(len(case.path))))


def smallest_that_covers(values: list[int], per_cent: int) -> int:
    covered, counts = 0, Counter(values)
    for value in sorted(counts):
        covered += counts[value]
        if covered * 100 >= per_cent * len(values):
            return value
    raise AssertionError(f"nothing covers {per_cent} % of {values}")


def has_node(case: Case, key: str) -> bool:
    return any(f"{it.lane}/{it.type}" == key for it in case.path)


def arrows(case: Case) -> list[tuple[str, str, int]]:
    path = case.path
    return [
        (f"{path[cause].lane}/{path[cause].type}", f"{it.lane}/{it.type}", it.offset_ms - path[cause].offset_ms)
        for it in path
        for cause in it.causes
    ]


def longest_way(edges: set[tuple[str, str]], node: str) -> int:
    return max([1 + longest_way(edges, start) for start, end in edges if end == node], default=0)


ENDED = (Ending.SUCCEEDED, Ending.FAILED, Ending.CALLED_OFF)


def test_every_number_over_5000_sagas_is_that_of_a_naive_count():
    cases = shops_sagas(seed=12)
    window = told(cases)["window"]
    total = len(cases)
    ended = [case for case in cases if case.ending in ENDED]
    took = [case.duration_ms for case in ended]

    assert window["sagas"] == total == 5_000
    assert window["endings"] == {
        ending.value: number for ending in Ending if (number := sum(case.ending is ending for case in cases))
    }
    assert window["durations"] == {
        "p50": smallest_that_covers(took, 50),
        "p95": smallest_that_covers(took, 95),
        "p99": smallest_that_covers(took, 99),
        "max": max(took),
    }

    # the histogram has every ended saga once, in the bar that its duration lies in
    for bar in window["histogram"]:
        assert bar["count"] == sum(bar["from"] <= it < bar.get("to", 10**12) for it in took), bar
    assert sum(bar["count"] for bar in window["histogram"]) == len(took)

    # throughput
    for bucket in window["minutes"]:
        begin = datetime.fromisoformat(bucket["minute"]).timestamp() * 1000
        here = [case for case in cases if begin <= case.started_at < begin + window["bucketMs"]]
        assert bucket["endings"] == {
            ending.value: number for ending in Ending if (number := sum(case.ending is ending for case in here))
        }
    assert sum(sum(bucket["endings"].values()) for bucket in window["minutes"]) == total

    # the map
    keys = {f"{it.lane}/{it.type}" for case in cases for it in case.path}
    drawn = {case.id: arrows(case) for case in cases}
    pairs = {(start, end) for own in drawn.values() for start, end, _ in own}
    assert {f"{node['lane']}/{node['type']}" for node in window["nodes"]} == keys
    for node in window["nodes"]:
        key = f"{node['lane']}/{node['type']}"
        count = sum(has_node(case, key) for case in cases)
        assert (node["count"], node["share"]) == (count, count / total)
        assert node["role"] == ROLE(node["type"])
        assert node["column"] == longest_way(pairs, key)
        stops = [case for case in cases if case.ending not in ENDED and case.path[-1].type == node["type"]]
        assert node["stops"] == len(stops)
    assert {(edge["from"], edge["to"]) for edge in window["edges"]} == pairs
    for edge in window["edges"]:
        ends = edge["from"], edge["to"]
        count = sum(any(it[:2] == ends for it in own) for own in drawn.values())
        gaps = [gap for own in drawn.values() for start, end, gap in own if (start, end) == ends]
        assert (edge["count"], edge["share"]) == (count, count / total)
        assert (edge["p50"], edge["p95"]) == (smallest_that_covers(gaps, 50), smallest_that_covers(gaps, 95))

    # the variants
    by_route: dict[str, list[Case]] = {}
    for case in cases:
        by_route.setdefault(route(case), []).append(case)
    assert len(window["variants"]) == len(by_route)
    assert "otherVariants" not in window
    expected_unusual = {}
    for variant in window["variants"]:
        own = by_route[route(next(case for case in cases if case.id == variant["examples"][0]))]
        durations = [case.duration_ms for case in own if case.ending in ENDED]
        newest = sorted(own, key=lambda case: (case.started_at, case.id))[::-1]
        assert (variant["count"], variant["share"]) == (len(own), len(own) / total)
        assert variant["examples"] == [case.id for case in newest[:3]]
        assert sorted((it["lane"], it["type"]) for it in variant["steps"]) == sorted(
            (it.lane, it.type) for it in own[0].path
        )
        if durations:
            p99 = smallest_that_covers(durations, 99)
            assert [variant[it] for it in ("p50", "p95", "p99")] == [
                smallest_that_covers(durations, it) for it in (50, 95, 99)
            ]
            slow = [case for case in own if case.ending in ENDED and case.duration_ms > p99]
            assert variant["slow"] == len(slow)
        else:
            assert "p50" not in variant
            slow = []
        rare = [case for case in own if len(own) / total < 0.01 and case.ending is not Ending.OPEN]
        expected_unusual |= {case.id: "slow" for case in slow} | {case.id: "rare" for case in rare}
    assert {variant["ending"] for variant in window["variants"]} == {"succeeded", "failed", "stuck", "open"}

    # what is unusual: the newest fifty of them
    newest = [case.id for case in sorted(cases, key=lambda case: -case.started_at) if case.id in expected_unusual]
    assert len(newest) > flow.MOST_UNUSUAL
    assert [(it["id"], it["why"]) for it in window["unusual"]] == [(it, expected_unusual[it]) for it in newest[:50]]

    # the oldest that are open
    still = sorted([case for case in cases if case.ending not in ENDED], key=lambda case: case.started_at)
    assert [it["id"] for it in window["oldestOpen"]] == [case.id for case in still[:10]]


def test_2000_sagas_are_counted_well_within_a_second():
    cases = shops_sagas(seed=3, number=2_000)
    started = time.process_time()
    told(cases, shops_sagas(seed=4, number=2_000))
    assert time.process_time() - started < 2  # both windows, and on a slow machine


# Paths


@given(st.data())
def test_a_path_is_one_variant_in_whatever_order_its_branches_were_written(data):
    # given any path, of which each event has up to two causes among those before it
    size = data.draw(st.integers(1, 9))
    causes = [
        data.draw(st.lists(st.integers(0, index - 1), max_size=2, unique=True) if index else st.just([]))
        for index in range(size)
    ]
    kinds = [data.draw(st.sampled_from("AB")) for _ in range(size)]
    path = [step(kind, index, *own) for index, (kind, own) in enumerate(zip(kinds, causes, strict=True))]

    # when its events are written in any other order
    order = data.draw(st.permutations(range(size)))
    place = {old: new for new, old in enumerate(order)}
    other = [step(kinds[old], new, *[place[cause] for cause in causes[old]]) for new, old in enumerate(order)]

    # then
    assert shape_of(path) == shape_of(other)
    assert variant_key(path) == variant_key(other)
    assert all(cause < index for index, (_, _, own) in enumerate(shape_of(path)) for cause in own)


@given(st.data())
def test_paths_that_causality_tells_apart_are_two_variants(data):
    def drawn() -> Case:
        size = data.draw(st.integers(1, 6))
        return saga(
            "o1",
            [
                step(
                    data.draw(st.sampled_from("AB")), index, *([data.draw(st.integers(0, index - 1))] if index else [])
                )
                for index in range(size)
            ],
        )

    def tree(case: Case, index: int = 0) -> Any:
        below = [other for other, it in enumerate(case.path) if index in it.causes]
        return (case.path[index].type, sorted(tree(case, other) for other in below))

    one, other = drawn(), drawn()
    assert (variant_key(one.path) == variant_key(other.path)) == (tree(one) == tree(other))


def test_of_a_claim_to_have_led_to_itself_nothing_is_kept():
    knot = [step("A", 0), step("B", 1, 0, 2), step("C", 2, 1), step("D", 3, 3)]
    assert shape_of(knot) == (("a", "A", ()), ("c", "C", ()), ("d", "D", ()), ("b", "B", (0,)))


def test_a_key_is_the_same_on_every_machine():
    path = [step("OrderCreated", 0, lane="orders"), step("PaymentFailed", 9, 0, lane="payment")]
    assert variant_key(path) == "2e76e9edf5"


# Windows


@given(st.integers(0, 100), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_in_which_sagas_are_read_changes_no_number(seed, chance):
    cases, against = shops_sagas(seed, 60), shops_sagas(seed + 1, 60)
    mixed, mixed_against = (chance.sample(them, len(them)) for them in (cases, against))
    assert told(mixed, mixed_against) == told(cases, against)


def test_of_nothing_nothing_is_told():
    empty = told([], [])
    assert empty["window"] == empty["against"]
    assert empty["window"] == {
        "sagas": 0,
        "bucketMs": 60_000,
        "endings": {},
        **{part: [] for part in ("histogram", "minutes", "nodes", "edges", "variants", "unusual", "oldestOpen")},
    }
    assert empty["compared"] == {"variants": [], "edges": []}


def test_however_many_kinds_of_events_there_are_the_answer_is_bounded():
    # given a bus on which no two sagas are alike, each of 24 events
    cases = [
        saga(f"o{n}", [step(f"T{n}x{i}", i, *([i - 1] if i else [])) for i in range(24)], at=START + n * 86_400_000)
        for n in range(300)
    ]

    # when
    started = time.process_time()
    answer = told(cases, cases[:150])
    assert time.process_time() - started < 10
    window = answer["window"]

    # then it is cut, says so, and what it draws hangs together
    assert (len(window["nodes"]), window["otherNodes"]) == (100, 300 * 24 - 100)
    assert len(window["edges"]) + window["otherEdges"] == 300 * 23
    shown = {f"{node['lane']}/{node['type']}" for node in window["nodes"]}
    assert {end for edge in window["edges"] for end in (edge["from"], edge["to"])} <= shown
    assert (len(window["variants"]), window["otherVariants"]) == (50, 250)
    assert len(window["unusual"]) == 50
    assert len(window["minutes"]) <= 60
    assert len(json.dumps(answer)) < 500_000


@given(st.integers(0, 10**10), st.integers(0, 10**11))
def test_throughput_is_in_sixty_buckets_at_most_and_each_saga_is_in_one(first, span):
    path = [step("A", 0)]
    window = told([saga("o1", path, at=first), saga("o2", path, at=first + span)])["window"]
    assert 1 <= len(window["minutes"]) <= 60
    assert sum(sum(bucket["endings"].values()) for bucket in window["minutes"]) == 2
    begins = [datetime.fromisoformat(bucket["minute"]).timestamp() * 1000 for bucket in window["minutes"]]
    assert all(after - before == window["bucketMs"] for before, after in pairwise(begins))


def test_a_silence_up_to_the_end_of_the_window_shows():
    minute = 60_000
    window = told([saga("o1", [step("A", 0)])], since=START - minute, until=START + 10 * minute)["window"]
    assert [len(bucket["endings"]) for bucket in window["minutes"]] == [1, *[0] * 10]  # the bucket of the end, too
    assert (window["from"], window["to"]) == ("2030-03-17T17:45:40.000+00:00", "2030-03-17T17:56:40.000+00:00")


def test_where_there_are_more_than_were_read_the_window_begins_at_the_oldest_that_was():
    window = told([saga("o1", [step("A", 0)])], since=0, until=START + 1, more=True)["window"]
    assert (window["from"], window["more"]) == ("2030-03-17T17:46:40.000+00:00", True)


def test_a_duration_is_in_the_bar_that_begins_with_it():
    path = [step("A", 0)]
    bars = told([saga(f"o{n}", path, took=took) for n, took in enumerate([0, 1, 14, 15, 19, 20, 10**10])])["window"]
    counted = {(bar["from"], bar.get("to")): bar["count"] for bar in bars["histogram"] if bar["count"]}
    assert counted == {(0, 1): 1, (1, 2): 1, (10, 15): 1, (15, 20): 2, (20, 30): 1, (700_000_000, None): 1}


def test_a_saga_that_is_under_way_is_not_unusual_and_one_that_stopped_there_is():
    usual_path = [step("A", 0), step("B", 10, 0)]
    cases = [saga(f"o{n:03}", usual_path, at=START + n) for n in range(200)]
    cases += [saga("open", [step("A", 0)], Ending.OPEN), saga("stuck", [step("C", 0)], Ending.STUCK)]
    assert [(it["id"], it["why"]) for it in told(cases)["window"]["unusual"]] == [("stuck", "rare")]


def test_circles_do_not_make_the_map_endless():
    there, back = [step("A", 0), step("B", 1, 0), step("B", 2, 1)], [step("B", 0), step("A", 1, 0)]
    window = told([saga("o1", there), saga("o2", there), saga("o3", back)])["window"]
    assert {node["type"]: node["column"] for node in window["nodes"]} == {"A": 0, "B": 1}
    assert {(edge["from"], edge["to"]): edge["count"] for edge in window["edges"]} == {
        ("a/A", "b/B"): 2,
        ("b/B", "b/B"): 2,
        ("b/B", "a/A"): 1,
    }


# Two windows


def test_what_became_rarer_slower_faster_new_and_gone_is_told():
    # given a path that became slower on one edge and faster on another, one that went, and one that came
    def path(paid: int, kept: int, *more: PathStep) -> list[PathStep]:
        return [step("Created", 0), step("Paid", paid, 0), step("Kept", paid + kept, 1), *more]

    before = [saga(f"o{n}", path(40, 90)) for n in range(9)] + [saga("gone", [step("Created", 0), step("Old", 9, 0)])]
    after = [saga(f"o{n}", path(80, 50)) for n in range(6)]
    after += [saga(f"n{n}", path(80, 50, step("New", 150, 2))) for n in range(4)]

    # when
    compared = told(after, before)["compared"]

    # then
    edges = {f"{edge['from']} > {edge['to']}": edge for edge in compared["edges"]}
    assert {name: edge["change"] for name, edge in edges.items()} == {
        "created/Created > paid/Paid": "slower",
        "paid/Paid > kept/Kept": "faster",
        "kept/Kept > new/New": "new",
        "created/Created > old/Old": "gone",
    }
    assert compared["edges"][0] == {
        "from": "created/Created",
        "to": "paid/Paid",
        "p50": 80,
        "againstP50": 40,
        "change": "slower",
    }
    shares = [(len(it["steps"]), it["share"], it["againstShare"]) for it in compared["variants"]]
    assert shares == [(4, 0.4, 0.0), (3, 0.6, 0.9), (2, 0.0, 0.1)]


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [
        (125, 100, "same"),
        (126, 100, "slower"),
        (9, 0, "same"),
        (10, 0, "slower"),
        (0, 10, "faster"),
        (100, 125, "same"),
    ],
)
def test_a_change_is_more_than_a_quarter_and_ten_milliseconds(now, before, change):
    one, other = (saga("o1", [step("A", 0), step("B", gap, 0)]) for gap in (now, before))
    assert [edge["change"] for edge in told([one], [other])["compared"]["edges"]] == [change]


# What a saga waits for


CREATED, PAID, KEPT = step("Created", 0), step("Paid", 46, 0), step("Kept", 22, 0)
SHOP = usual(
    [
        *[saga(f"o{n}", [CREATED, KEPT, PAID, step("Confirmed", 50 + n, 1, 2)]) for n in range(9)],
        saga("failed", [CREATED, step("Kept", 30, 0), step("Unpaid", 90, 0), step("Cancelled", 95, 2)], Ending.FAILED),
        saga("never ended", [CREATED, step("Other", 1, 0)], Ending.STUCK),
    ]
)


@pytest.mark.parametrize(
    ("path", "awaited"),
    [
        ([CREATED], {"Kept": 22, "Paid": 46}),
        ([CREATED, PAID], {"Kept": 22}),
        ([CREATED, KEPT, PAID], {"Confirmed": 8}),
        ([CREATED, step("Unpaid", 9, 0)], {"Cancelled": 5, "Kept": 22}),
        ([CREATED, KEPT, PAID, step("Confirmed", 60, 1, 2)], {}),
        ([step("Unheard", 0)], {}),
    ],
)
def test_a_saga_waits_for_what_most_that_came_this_far_had_next(path, awaited):
    assert {it.type: it.usual_ms for it in SHOP.waits_for(path)} == awaited


def test_a_gap_is_usual_by_the_median_from_the_later_cause():
    assert SHOP.gap(CREATED, KEPT) == 22
    assert SHOP.gap(PAID, step("Confirmed", 0)) == 8
    assert SHOP.gap(KEPT, step("Confirmed", 0)) is None
    assert SHOP.gap(CREATED, step("Other", 0)) is None
