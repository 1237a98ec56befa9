"""`make load`: how does this deployed stack do under load? Its steps, and how a run ends."""

from __future__ import annotations

import math
import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cost.bill import bill, dollars
from cost.prices import MILLION, PRICES
from cost.records import recorded_tallies
from ops import OpsError
from ops.load.driver import LOOK_EVERY, Drive
from ops.load.figures import summed_up
from ops.load.picture import draw
from ops.load.rules import broken_rules
from ops.load.shop import SHOPPERS, Shop
from ops.smoke.deployed import Deployed

LONGEST_SECONDS = 3000
"""A shopper's token is good for an hour."""

READ_WHILE_OPEN = 5
"""How often an order is read until it has ended, about: a saga takes a second or two."""

MOST_ORDERS = 200_000
"""Each is kept in memory, and each row is read again at the end."""


@dataclass(frozen=True)
class Wanted:
    """Orders a second, for a number of seconds, with at most `in_flight` requests at once."""

    rate: float
    seconds: float
    in_flight: int

    def __post_init__(self) -> None:
        """Raises OpsError."""
        if not (0 < self.rate < math.inf and 0 < self.seconds < math.inf and self.in_flight > 0):
            raise OpsError("RATE, SECONDS and --in-flight are numbers above 0")
        if self.seconds > LONGEST_SECONDS:
            raise OpsError(f"SECONDS is {LONGEST_SECONDS} at most: a token is good for an hour")
        if self.orders > MOST_ORDERS:
            raise OpsError(f"{self.orders} orders are more than one run takes ({MOST_ORDERS}): lower RATE or SECONDS")

    @property
    def orders(self) -> int:
        return max(1, round(self.rate * self.seconds))


def plan(at: Deployed, wanted: Wanted) -> str:
    """What a run does to the stack, and what that costs."""
    tallies = recorded_tallies()
    dearest = max(dollars(bill(tallies[outcome])) for outcome in ("confirmed", "payment declined"))
    looks = SHOPPERS * wanted.seconds / LOOK_EVERY
    looking = PRICES["API request"].of(looks) + PRICES["invocation"].of(looks)
    looking += PRICES["read unit"].of(READ_WHILE_OPEN * wanted.orders)
    cost = dearest * wanted.orders / MILLION + looking
    mail = at.shop.parameters.get("NotificationEmail")
    told = f" {mail} gets {2 * wanted.orders} e-mails." if mail else ""
    return (
        f"In stack {at.name} ({at.cloudformation.meta.region_name}) it makes users and products, places "
        f"{wanted.orders} orders, {wanted.rate:g} a second, and deletes users and products; the orders and their "
        f"events stay. That costs about ${cost:.2f}, by the table of `make cost`: the orders, their timeline, and to "
        f"look at them every second.{told}"
    )


def load(at: Deployed, wanted: Wanted, picture: Path, console: Console) -> bool:
    """Place the orders, follow them to their ends, and check the saga's rules over all of them.

    Returns whether all rules hold. Users and products are deleted, even if someone interrupts the run.
    """
    run = f"load-{secrets.token_hex(4)}"

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    where = "the embedded cloud" if at.here else "AWS"
    say(f"{wanted.rate:g} orders a second for {wanted.seconds:g} s to {at.name} ({where}, run {run})")
    with ExitStack() as afterwards:
        shop = Shop(at, run)
        afterwards.callback(shop.take_away)
        with console.status("  Sign in shoppers, put products on sale"):
            shop.open(pieces=wanted.orders)
        before = {queue.service: at.waiting_in(queue) for queue in at.queues}
        drive = Drive(shop, wanted.rate, wanted.orders, wanted.in_flight, console)
        afterwards.callback(lambda: say(f"Orders of run {run} that stay, with their events: {len(shop.accepted)}."))
        orders = drive.run()
        with console.status("  Check the saga's rules"):
            broken = broken_rules(shop, orders, before)
    for line in summed_up(orders, wanted.rate):
        say(line)
    picture.write_text(draw(orders, f"{at.name}: {wanted.rate:g} orders a second for {wanted.seconds:g} s"))
    say(f"Latency over time: {picture}")
    for rule in broken:
        say(f"✗ {rule}")
    if not broken:
        say(f"All rules of the saga hold for all {len(orders)} orders.")
    return not broken
