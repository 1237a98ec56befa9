"""The last record of `make cost` still shows what an order causes."""

import pytest

from benchmarks.cost.recording import Recorder
from cost.bill import bill, by_guarantee, without_timeline
from cost.records import recorded_tallies
from local.stack import TIMELINE_NAME, deployed

KEPT = recorded_tallies()["confirmed"]


@pytest.fixture(scope="module")
def confirmed(shop, timeline):
    recorder = Recorder(shop.cloud, shop.stack, deployed(shop.cloud, TIMELINE_NAME), shop.people, lambda _: None)
    try:
        return recorder.outcomes(orders=1, only=["confirmed"])["confirmed"]
    finally:
        recorder.close()


def test_a_confirmed_order_is_as_many_calls_as_when_it_was_recorded(confirmed):
    assert confirmed.requests == 1
    assert confirmed.entries == KEPT.entries
    assert confirmed.invocations == KEPT.invocations
    assert confirmed.executions == KEPT.executions
    # two writers of one row may be refused once more, or once less
    assert confirmed.writes == pytest.approx(KEPT.writes, abs=1)
    assert confirmed.writes["IdempotencyTable"] == KEPT.writes["IdempotencyTable"]
    assert confirmed.writes["OrdersTable/byUser"] == 1


def test_and_so_it_costs_as_much(confirmed):
    now, then = (by_guarantee(without_timeline(bill(tally))) for tally in (confirmed, KEPT))
    assert now == pytest.approx(then, rel=0.1), "run `make cost KEEP=1`"
    # the emulator ends an invocation's log after 5 ms of silence: on a busy machine a line comes with the next one
    assert confirmed.log_lines == pytest.approx(KEPT.log_lines, abs=1)
