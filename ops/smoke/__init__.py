"""`make smoke`: is this deployed stack right? Its steps in order, which step needs which, and how a run ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from ops.api import ErrorAnswer
from ops.smoke import before
from ops.smoke.before import RUNBOOK
from ops.smoke.deployed import Deployed
from ops.smoke.orders import Shopping
from ops.smoke.poison import Poison
from ops.smoke.report import Report, Result, refuse_unwritable, write_junit
from ops.stack import Stack

BEFORE: dict[str, Callable[[Deployed], None]] = {
    "Each alias has the configuration of $LATEST": before.aliases,
    "Each rule is on and its targets exist": before.rules,
    "Each event source mapping is on and its source exists": before.mappings,
    "The payment gateway takes some orders": before.gateway,
    "The failed queues are empty": before.queues,
    "No alarm is on": before.alarms,
}
"""Causes before their effects."""


def poisons(asked: bool | None, here: bool, stack: Stack) -> bool:
    """Whether to put malformed events on the bus: as asked for; by default where their alarms page nobody."""
    return asked if asked is not None else here or stack.parameters.get("Stage") == "dev"


def plan(at: Deployed, with_poison: bool) -> str:
    """What a run does to the stack, and what it costs."""
    mail = at.shop.parameters.get("NotificationEmail")
    told = f" {mail} gets about a dozen e-mails." if mail else ""
    poison = (
        " Then it puts malformed events on the bus, waits until each failed queue has one, and takes them out. That "
        "takes about ten minutes and another cent at most. Alarms go off, and page the people who get them."
        if with_poison
        else ""
    )
    return (
        f"In stack {at.name} ({at.cloudformation.meta.region_name}) it makes three users and a product, places four "
        "orders, and deletes users and product; the orders and their events stay. It costs a cent at most: about "
        f"200 calls of functions, and 1000 of the services that they use.{told}{poison}"
    )


def smoke(at: Deployed, with_poison: bool, junit: Path | None, console: Console) -> bool:
    """Run all steps; returns whether all is right. Users and product are deleted, and the JUnit report is written,
    even if a step fails or someone interrupts the run.
    """
    if junit:
        refuse_unwritable(junit)
    run = f"smoke-{secrets.token_hex(4)}"
    report = Report(console, partial(_advice, at))
    shopping, poison = Shopping(at, run, report.tell), Poison(at, run, report.tell)
    console.print(f"Is {at.name} right? ({'the embedded cloud' if at.here else 'AWS'}, run {run})")
    try:
        checks = [report.step(name, partial(check, at)) for name, check in BEFORE.items()]
        try:
            _shop(report, shopping, checks)
            if with_poison:
                report.step("A malformed event reaches each failed queue, and is taken out", poison.try_out, [*checks])
        finally:
            if all(check.passed for check in checks):
                report.step("Its users and its product are deleted", shopping.take_away)
    finally:
        if junit:
            write_junit(report.results, at.name, report.started, junit)
        _tell_what_stays(console, shopping, poison)
    seconds = (datetime.now(UTC) - report.started).total_seconds()
    _say(console, f"{report.summed_up()}, in {seconds:.0f} s.")
    _say(console, f"{at.name} is right." if report.well else f"look at next: {report.look_at}")
    return report.well


def _shop(report: Report, shopping: Shopping, checks: list[Result]) -> None:
    people = report.step("Two shoppers and an operator sign in", shopping.sign_in, checks)
    product = report.step("A product is on sale, in stock and in the price lists", shopping.sell, [people])
    report.step("Its category lists it", shopping.browse, [product])
    confirmed = report.step("An order is confirmed", shopping.confirm, [product])
    sold_out = report.step("An order of more than the stock is cancelled and undone", shopping.sell_out, [confirmed])
    cancelled = report.step("An order is confirmed, then cancelled and undone", shopping.cancel, [confirmed])
    basket = report.step("A basket becomes an order", shopping.check_out, [confirmed])
    report.step("One Idempotency-Key used twice is one order", shopping.repeat, [confirmed])
    report.step("Another shopper does not see the order", shopping.pry, [confirmed])
    report.step("The shopper's list has all orders", shopping.list_orders, [confirmed, sold_out, cancelled, basket])
    report.step("A partner's order is taken", shopping.take_a_partners_order, [people])
    report.step("An event put twice more changes nothing", shopping.repeat_an_event, [cancelled])
    report.step("The trace of the order has every service", shopping.trace, [confirmed])
    report.step("The timeline shows the same", shopping.timelines, [confirmed, sold_out, cancelled, basket])


def _advice(at: Deployed, error: Exception) -> str:
    """What to look at after an exception of the AWS APIs, of the HTTP API, or any other that is not Wrong."""
    if isinstance(error, ErrorAnswer) and error.status >= 500:
        return f'sam logs --stack-name {at.name} --filter ERROR (docs/runbook.md, "The API fails")'
    if isinstance(error, ClientError) and "AccessDenied" in error.response["Error"]["Code"]:
        return f"{RUNBOOK}: the rights that it needs"
    return RUNBOOK


def _tell_what_stays(console: Console, shopping: Shopping, poison: Poison) -> None:
    if shopping.orders:
        _say(console, f"Orders of run {shopping.run} that stay, with their events: {len(shopping.orders)}.")
    if poison.put and poison.missing:
        find = f"make failed ORDER={poison.mark} STACK_NAME={poison.at.name}"
        _say(console, f"Malformed events of this run may still arrive in the failed queues: {find}")


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
