"""The story of `make up`, `make token` and `make down`, from top to bottom."""

import fcntl
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from local import demo, plans, xray
from local.cloud import ROOT, STATE, Cloud, CloudError
from local.people import People, sign_in_everyone
from local.plans import Order
from local.stack import (
    STACK_NAME,
    TIMELINE_NAME,
    TIMELINE_TEMPLATE,
    Stack,
    attached_to,
    build,
    delete,
    deploy,
    deployed,
    is_deployed,
)
from ops import OpsError
from orders.orders import order_id_for

DEFAULT_PORT = 4566
KEY = "my-first-order"
PUBLISHED = ("SHOPPER", "OPERATOR")
"""Whose passwords are in .local/env."""

console = Console(highlight=False)


def up(port: int | None, with_timeline: bool) -> None:
    """Start EventFlow, or bring the one that runs up to date, and show it at work. Raises OpsError.

    Without the timeline it takes that away where it was.
    """
    with _nobody_else_at_work():
        running = Cloud.found(STATE)
        cloud = Cloud(STATE, port or (running.port if running else DEFAULT_PORT))
        with _step("Start the embedded cloud"):
            cloud.start()
        try:
            _deploy_and_demonstrate(cloud, with_timeline)
        except BaseException as error:
            if not cloud.running:
                raise CloudError(f"the emulator has died (log: {cloud.log}): `make up` starts it again") from error
            if not running:
                cloud.stop()
                _remove_all_but_logs(cloud.state)
            elif isinstance(error, OpsError):
                raise CloudError(f"{error} (what ran before keeps running)") from None
            raise


def token() -> None:
    """Sign the people of the demo in again, and write .local/env. Nothing is deployed or ordered. Raises CloudError."""
    with _nobody_else_at_work():
        cloud = Cloud.found(STATE)
        if not cloud or not is_deployed(cloud, STACK_NAME):
            raise CloudError("EventFlow does not run here: make up")
        stack = deployed(cloud)
        timeline = deployed(cloud, TIMELINE_NAME) if is_deployed(cloud, TIMELINE_NAME) else None
        people = _sign_in(cloud, stack)
        _write_env(cloud, stack, timeline, people)
    about_console = _about_console(timeline, people) if timeline else ""
    console.print(f"New tokens, for an hour: . .local/env\n{about_console}".rstrip(), markup=False, soft_wrap=True)


def down() -> None:
    """Stop EventFlow and remove all that it wrote. Raises CloudError."""
    with _nobody_else_at_work():
        running = Cloud.found(STATE)
        (running or Cloud(STATE, DEFAULT_PORT)).stop()  # X-Ray may have outlived the emulator
        shutil.rmtree(STATE, ignore_errors=True)
    console.print("EventFlow is stopped." if running else "EventFlow was not running.")


@contextmanager
def _nobody_else_at_work() -> Iterator[None]:
    """One of `make up`, `make token` and `make down` at a time.

    The lock is on a file that is always there, and goes with the process.
    """
    with (ROOT / "Makefile").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CloudError(
                "another `make up`, `make token` or `make down` is at work here: wait for it to end"
            ) from None
        yield


def _deploy_and_demonstrate(cloud: Cloud, with_timeline: bool) -> None:
    with _step("Build: sam build"):
        template = build(cloud)
    with ThreadPoolExecutor() as meanwhile:  # a deployment is mostly waiting
        building = meanwhile.submit(build, cloud, TIMELINE_TEMPLATE, TIMELINE_NAME) if with_timeline else None
        with _step("Deploy: sam deploy"):
            stack = deploy(cloud, template)
        timeline = None
        if building:
            with _step("Deploy the timeline: sam deploy"):
                timeline = _deploy_timeline(cloud, building.result(), stack)
        elif is_deployed(cloud, TIMELINE_NAME):
            with _step("Take the timeline away: sam delete"):
                delete(cloud, TIMELINE_NAME)
    people = _sign_in(cloud, stack)
    _write_env(cloud, stack, timeline, people)
    with _step(f"Sell {len(plans.PRODUCTS)} products"):
        demo.sell(stack, people)
    console.print(f"  Place {len(plans.PLANS)} orders and follow their sagas")
    orders = demo.run(stack, people, console)
    _tell_how_to_go_on(stack, timeline, people, orders)


def _deploy_timeline(cloud: Cloud, template: Path, stack: Stack) -> Stack:
    """The timeline of the stack's bus, for the users of its pool. Raises CloudError."""
    traces = xray.endpoint(cloud.state)
    links = {"TraceUrl": f"{traces}/traces/{{traceId}}"} if traces else {}
    return deploy(cloud, template, TIMELINE_NAME, attached_to(stack) | links)


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    columns = SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(title, total=None)
        yield
    console.print(f"  {title:40} {time.monotonic() - started:5.1f} s")


def _sign_in(cloud: Cloud, stack: Stack) -> People:
    """With the passwords of .local/env, where it has some: they are those that somebody may use at the console."""
    known = _read_env(cloud)
    passwords = {known[f"{who}_EMAIL"]: known[f"{who}_PASSWORD"] for who in PUBLISHED if f"{who}_PASSWORD" in known}
    with _step("Sign in two shoppers and an operator"):
        return sign_in_everyone(cloud.client("cognito-idp"), stack.user_pool_id, stack.client_id, passwords)


def _read_env(cloud: Cloud) -> dict[str, str]:
    """What `_write_env` wrote, if it did."""
    file = cloud.state / "env"
    lines = file.read_text().splitlines() if file.exists() else []
    exports = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    return dict(export.split("=", 1) for export in exports)


def _write_env(cloud: Cloud, stack: Stack, timeline: Stack | None, people: People) -> None:
    """.local/env, for the user's shell: where the cloud is, and who may do what there."""
    timeline_urls = {"CONSOLE_URL": "ConsoleUrl", "TIMELINE_API_URL": "TimelineApiUrl"}
    variables = cloud.coordinates() | {
        "API_URL": stack.api_url,
        "STACK_NAME": stack.name,
        "SHOPPER_TOKEN": people.shopper.token,
        "OTHER_SHOPPER_TOKEN": people.other_shopper.token,
        "OPERATOR_TOKEN": people.operator.token,
        "SHOPPER_EMAIL": people.shopper.username,
        "SHOPPER_PASSWORD": people.shopper.password,
        "OPERATOR_EMAIL": people.operator.username,
        "OPERATOR_PASSWORD": people.operator.password,
        "DEMO_PRODUCT": plans.ESPRESSO.product_id,
    }
    if timeline:
        variables |= {name: timeline.outputs[output] for name, output in timeline_urls.items()}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"']
    lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN"]  # of the user's own, stronger than the keys above
    lines += [] if timeline else [f"unset {' '.join(timeline_urls)}"]  # of an earlier `make up`, in the same shell
    file = cloud.state / "env"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")


def _tell_how_to_go_on(stack: Stack, timeline: Stack | None, people: People, orders: list[Order]) -> None:
    order_id = order_id_for(people.shopper.sub, KEY)
    console.print(
        f"""
EventFlow runs. Its API: {stack.api_url}{_about_console(timeline, people) if timeline else ""}

  . .local/env          # API_URL, tokens for an hour (`make token` renews them), and `sam` pointed at this cloud

  # Place an order. Its id follows from the Idempotency-Key: send this twice, and it is still one order.
  curl -s "$API_URL/orders" -H "Authorization: $SHOPPER_TOKEN" -H "Idempotency-Key: {KEY}" \\
    -d "{{\\"productId\\": \\"$DEMO_PRODUCT\\", \\"quantity\\": 1}}"

  # Read it.
  curl -s "$API_URL/orders/{order_id}" -H "Authorization: $SHOPPER_TOKEN"
{_about_drawing(orders) if timeline else ""}
  # Follow every function's log.
  sam logs --stack-name "$STACK_NAME" --tail

  make down             # stop it, and leave nothing behind""",
        markup=False,
        soft_wrap=True,
    )


def _about_console(timeline: Stack, people: People) -> str:
    return f"""
Its console, which shows what happened to each order: {timeline.outputs["ConsoleUrl"]}
  Every order: sign in as {people.operator.username}, password {people.operator.password}
  One shopper's: as {people.shopper.username}, password $SHOPPER_PASSWORD of .local/env"""


def _about_drawing(orders: list[Order]) -> str:
    telling = next((order for order in orders if order.plan is plans.NO_STOCK), orders[0])
    return f"""
  # Draw what happened to an order. The story of this one: {telling.plan.story}.
  make timeline ORDER={telling.order_id}
"""


def _remove_all_but_logs(state: Path) -> None:
    for path in state.iterdir() if state.exists() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink()
