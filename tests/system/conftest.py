"""One embedded cloud and one deployed stack for all system tests (two where two processors run them).

Each test has its own orders and products.
"""

import os
import shutil
import socket
from collections.abc import Iterator

import pytest

from local.cloud import Cloud
from local.people import sign_in_everyone
from local.stack import TIMELINE_NAME, TIMELINE_TEMPLATE, Stack, attached_to, build, deploy

from .ear import Ear
from .shop import Shop
from .timelines import Timelines
from .waiting import SECONDS


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), port)
    cloud.start()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def stack(cloud: Cloud) -> Stack:
    return deploy(cloud, build(cloud))


@pytest.fixture(scope="session")
def ear(cloud: Cloud, stack: Stack) -> Ear:
    return Ear.at(cloud, stack.event_bus)


@pytest.fixture(scope="session")
def shop(cloud: Cloud, stack: Stack, ear: Ear) -> Shop:
    people = sign_in_everyone(cloud.client("cognito-idp"), stack.user_pool_id, stack.client_id)
    return Shop(cloud, stack, people, ear)


@pytest.fixture(scope="session")
def timeline(shop: Shop) -> Timelines:
    """The add-on, deployed with the shop."""
    template = build(shop.cloud, TIMELINE_TEMPLATE, TIMELINE_NAME)
    deploy(shop.cloud, template, TIMELINE_NAME, attached_to(shop.stack))
    return Timelines.at(shop, TIMELINE_NAME)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=SECONDS * 1000)
    chromium = shutil.which("chromium")
    if not chromium:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no chromium here")
    with sync_playwright() as playwright:
        # its sandbox does not let root in, which is who runs in a container
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        yield browser
        browser.close()
