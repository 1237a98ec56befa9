"""Runs of worlds, one by one: a scenario, under a schedule; what was wrong, and the shortest schedule that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..sam_template import ROOT
from . import rules, wire
from .choices import Choices
from .clock import Clock
from .cloud import Cloud
from .people import People
from .sandboxes import Sandbox
from .scenarios import Scenario
from .world import NeverAtRest, Sandboxes, World

REDRIVES = 4


@dataclass(frozen=True)
class Run:
    """A world that came to rest, and what was wrong with it."""

    world: World
    wrong: list[str]


class Simulator:
    """Of this process: it keeps the sandboxes that it has made."""

    def __init__(self, cloud: Cloud, clock: Clock, source: Path = ROOT / "functions") -> None:
        self.cloud, self.clock = cloud, clock
        self.sandboxes = Sandboxes(source)
        self.sandboxes.adapt = _refunds_by_the_world

    def run(self, scenario: Scenario, choices: Choices, seed: str = "") -> Run:
        """Until it is at rest, with everything redriven that had failed: the first time in the same bad weather."""
        world = World(self.cloud, self.sandboxes, choices, self.clock, seed)
        world.watch = lambda written: rules.always(world, written)
        people = People(world)
        scenario(world, people)
        try:
            world.run()
            for _ in range(REDRIVES):
                if not world.deliveries.redrive():
                    break
                world.run()
                choices.calm = True
        except NeverAtRest as error:
            return Run(world, [str(error)])
        return Run(world, list(rules.at_rest(world, people)))

    def shortened(self, scenario: Scenario, departures: Mapping[int, int], seed: str = "") -> dict[int, int]:
        """As few of these departures as still fail: halves first, then one after the other."""
        kept = dict(departures)
        size = len(kept) // 2
        while size:
            numbers = sorted(kept)
            for start in range(0, len(numbers), size):
                fewer = {
                    each: kept[each] for each in numbers if each in kept and each not in numbers[start : start + size]
                }
                if len(fewer) < len(kept) and self.run(scenario, Choices(fewer), seed).wrong:
                    kept = fewer
            size //= 2
        return kept


def _refunds_by_the_world(sandbox: Sandbox) -> None:
    """The simulated provider takes refunds and does nothing: here they go to the world, which can lose them."""
    if sandbox.function.module == "payment.consumer":

        def refund(payment: str, total: object, *, idempotency_key: str) -> None:
            sandbox.ask(wire.provider("Refund", payment=payment, key=idempotency_key))

        sandbox.module("payment.consumer").GATEWAY.refund = refund
