"""The story of `make sam-local`: samples through the real `sam local`, in containers, on the local cloud."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from local.cloud import ROOT, STATE, Cloud, CloudError
from local.demo import sell
from local.docker import daemon
from local.docker.daemon import Docker, NoDocker
from local.docker.doorway import doorway
from local.docker.image import home_made, pulled
from local.docker.sam import SamLocal, sam_local_on
from local.invoke import free_port
from local.people import sign_in_everyone
from local.stack import build, deploy, deployed
from ops import OpsError
from ops.api import Api

OPEN_ROUTE = "/products"  # only an open route: start-api leaves Cognito's authorizers out
INVOKED = (  # an order, and then events of it
    ("OrdersApiFunction", "events/orders/place-order.json"),
    ("PaymentFunction", "events/payment/order-created.json"),
    ("NotificationFunction", "events/notification/order-confirmed.json"),
)
FUNCTIONS = ("CatalogApiFunction", *(function for function, _ in INVOKED))

WIDTH = 72

console = Console(highlight=False)


def sam_local(unpack: bool) -> bool:
    """Run the samples. Returns whether all went well. Raises CloudError.

    Where no Docker runs that is an error, unless with `unpack`: then Debian's is unpacked for the time, and where
    that cannot be, nothing is run and it is said why.
    """
    with ExitStack() as until_the_end:
        try:
            docker = _docker(unpack, until_the_end)
            image = _image(docker)
            docker.try_out(image)
        except NoDocker as error:
            if not unpack:
                raise CloudError(f"{error}. Start Docker; or use `make invoke`, which needs none") from None
            console.print(f"sam local: skipped, because {error}", markup=False, soft_wrap=True)
            return True
        cloud = _cloud(until_the_end)
        folder = until_the_end.enter_context(TemporaryDirectory(prefix="eventflow-sam-"))
        endpoint = until_the_end.enter_context(doorway(docker.bridge, cloud.port))
        sam = sam_local_on(docker, image, cloud, endpoint, FUNCTIONS, Path(folder))
        checks = {f"start-api: GET {OPEN_ROUTE}": partial(_answers_as_deployed, sam, cloud)} | {
            f"invoke: {function}, {event}": partial(sam.invoke, function, ROOT / event) for function, event in INVOKED
        }
        outcomes = [_goes_well(title, check) for title, check in checks.items()]
        return all(outcomes)


def _docker(unpack: bool, until_the_end: ExitStack) -> Docker:
    """Raises NoDocker."""
    try:
        return daemon.that_runs()
    except NoDocker:
        if not unpack:
            raise
    with _step("Unpack and start Debian's Docker"):
        return until_the_end.enter_context(daemon.unpacked())


def _cloud(until_the_end: ExitStack) -> Cloud:
    """The one that runs, or a separate one that sells the demo's products. Raises CloudError."""
    running = Cloud.found(STATE)
    if running:
        return running
    state = until_the_end.enter_context(TemporaryDirectory(prefix="eventflow-cloud-", ignore_cleanup_errors=True))
    cloud = Cloud(Path(state), free_port())
    until_the_end.callback(cloud.stop)
    with _step("Start an embedded cloud, build and deploy"):
        cloud.start()
        stack = deploy(cloud, build(cloud))
        sell(stack, sign_in_everyone(cloud.client("cognito-idp"), stack.user_pool_id, stack.client_id))
    return cloud


def _image(docker: Docker) -> str:
    with _step("Pull AWS's image of Lambda's Python"):
        official = pulled(docker)
    if official:
        return official
    with _step("It cannot be pulled: make an image of this machine's Python"):
        return home_made(docker)


def _answers_as_deployed(sam: SamLocal, cloud: Cloud) -> None:
    """Raises OpsError."""
    there = Api(deployed(cloud).api_url, token="").call("GET", OPEN_ROUTE)
    with sam.api() as api:
        here = api.call("GET", OPEN_ROUTE)
        if here != there:
            raise CloudError(f"the deployed API answers {there}, and this {here}")


def _goes_well(title: str, check: Callable[[], None]) -> bool:
    started = time.monotonic()
    try:
        with console.status(title):
            check()
    except OpsError as error:
        console.print(f"  {title:{WIDTH}} failed: {error}", markup=False, soft_wrap=True)
        return False
    console.print(f"  {title:{WIDTH}} ok {time.monotonic() - started:6.1f} s", markup=False, soft_wrap=True)
    return True


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"  {title:{WIDTH}}    {time.monotonic() - started:6.1f} s", markup=False, soft_wrap=True)
