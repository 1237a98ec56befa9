"""make attach, on a bus of its own that nobody has described: from the first event heard to a console that shows it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud import ROOT, Cloud
from local.stack import deployed, is_deployed
from ops.api import Api
from ops.attach.sample import PREFIX

from .copies import delete_again
from .waiting import eventually


@pytest.fixture
def bus(cloud: Cloud) -> Iterator[str]:
    name = f"b{uuid.uuid4().hex[:8]}"
    cloud.client("events").create_event_bus(Name=name)
    yield name
    delete_again(cloud, f"{name}-timeline")
    cloud.client("events").delete_event_bus(Name=name)


def attach(cloud: Cloud, bus: str, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ops", "attach", bus, *options],
        cwd=ROOT,
        env=cloud.environment() | {"PYTHONPATH": "functions", "COLUMNS": "160", "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs this in the background has it ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def put(cloud: Cloud, bus: str, shipment: str, *types: str) -> None:
    """Events of a shipment, in a shape that is nobody's but this test's."""
    entries = [
        {
            "EventBusName": bus,
            "Source": "acme.courier",
            "DetailType": kind,
            "Detail": json.dumps({"shipment": {"ref": shipment}, "step": number, "recipient": "Ada"}),
        }
        for number, kind in enumerate(types)
    ]
    assert cloud.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def ears(cloud: Cloud, bus: str) -> list[str]:
    """What listens to the bus for `make attach`."""
    rules = cloud.client("events").list_rules(EventBusName=bus, NamePrefix=PREFIX)["Rules"]
    return [rule["Name"] for rule in rules] + cloud.client("sqs").list_queues(QueueNamePrefix=PREFIX).get(
        "QueueUrls", []
    )


def test_a_timeline_is_attached_to_a_bus_that_it_listened_to(cloud, bus):
    # given a bus on which shipments go on
    running = attach(cloud, bus, "--seconds", "6", "--operator", "olga", "--yes")
    quiet = threading.Event()

    def ship() -> None:
        for number in range(60):
            if quiet.wait(0.2):
                return
            put(cloud, bus, f"S-{number}", "LabelPrinted", "ParcelPickedUp", "ParcelDelivered")

    shipping = threading.Thread(target=ship)
    shipping.start()

    # when it has listened, proposed, drawn and deployed
    try:
        said, complaints = running.communicate(timeout=240)
    finally:
        quiet.set()
        shipping.join()
    assert running.returncode == 0, f"{complaints}\n{said}"

    # then it says what it took the bus for
    assert re.search(r"CorrelationId +detail\.shipment\.ref", said), said
    assert re.search(r"GoodOutcomes +ParcelDelivered", said), said
    assert re.search(r"With these, (\d+) of \1 events are placed", said), said
    assert ears(cloud, bus) == []

    # and its address and its operator's password work
    address = re.search(rf"The timeline of {bus}: (\S+)", said)
    password = re.search(r"Sign in as olga, password (\S+)", said)
    assert address, said
    assert password, said
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert b"<html" in no_proxy.open(address[1], timeout=30).read()
    timeline = deployed(cloud, f"{bus}-timeline")
    clients = cloud.client("cognito-idp").list_user_pool_clients(
        UserPoolId=timeline.outputs["UserPoolId"], MaxResults=5
    )
    signed_in = cloud.client("cognito-idp").initiate_auth(
        ClientId=clients["UserPoolClients"][0]["ClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "olga", "PASSWORD": password[1]},
    )
    api = Api(timeline.outputs["TimelineApiUrl"], signed_in["AuthenticationResult"]["IdToken"])

    # and what goes on from now on is on it, without what looks like personal data
    put(cloud, bus, "S-new", "LabelPrinted", "ParcelPickedUp", "ParcelDelivered")

    def told() -> Any:
        (saga,) = [it for it in api.call("GET", "/timelines")["items"] if it["id"] == "S-new"] or [{}]
        return saga.get("ending"), saga.get("eventCount")

    eventually(told, lambda seen: seen == ("succeeded", 3))
    details = [event["detail"] for event in api.call("GET", "/timelines/S-new")["events"]]
    assert all("recipient" not in detail for detail in details)
    assert api.call("GET", "/flow")["window"]["endings"]["succeeded"] >= 1


def test_who_interrupts_it_leaves_nothing_behind(cloud, bus):
    running = attach(cloud, bus, "--seconds", "60", "--yes")
    eventually(lambda: ears(cloud, bus), lambda seen: len(seen) == 2)

    running.send_signal(signal.SIGINT)

    _, complaints = running.communicate(timeout=60)
    assert (running.returncode, "interrupted" in complaints) == (1, True), complaints
    assert ears(cloud, bus) == []
    assert not is_deployed(cloud, f"{bus}-timeline")


def test_a_bus_that_is_not_there_is_named(cloud):
    running = attach(cloud, "no-such-bus", "--yes")
    _, complaints = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "there is no bus no-such-bus in us-east-1" in complaints
