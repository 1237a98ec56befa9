"""make attach: what is proposed for buses of foreign shapes, and what the state machine makes of it."""

import io
import json
import random
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from rich.console import Console

from ops import OpsError, attach
from ops.attach import preview, sample
from ops.attach.machine import Machine, wrong
from ops.attach.proposal import NO_TYPE, propose
from timeline.sagas import Ending, Saga

from ..sam_template import ROOT

Event = dict[str, Any]


def event(source: str, kind: str, detail: Mapping[str, Any], at: int, number: int) -> Event:
    """As a rule's target gets it. `at` is in milliseconds; EventBridge's own time knows seconds."""
    return {
        "version": "0",
        "id": f"{number:08x}-1b2c-4d3e-8f90-0123456789ab",
        "source": source,
        "detail-type": kind,
        "account": "123456789012",
        "region": "eu-west-1",
        "time": f"2026-11-20T12:{at // 60_000:02}:{at // 1000 % 60:02}Z",
        "detail": dict(detail),
    }


def iso(at: int) -> str:
    return f"2026-11-20T12:{at // 60_000:02}:{at // 1000 % 60:02}.{at % 1000:03}Z"


def shipments() -> list[Event]:
    """No metadata, two spellings of the id, ids of events and of what led to them, in a way of their own."""
    found, chance = [], random.Random(1)
    for n in range(6):
        ref, at, before = f"S-{1000 + n}", n * 2_000 + chance.randint(0, 500), None
        lost = n == 5
        for kind in ("LabelPrinted", "ParcelPickedUp", "ParcelLost" if lost else "ParcelDelivered"):
            at += chance.randint(300, 900)
            own = f"ev-{len(found):04}"
            about = {"ref": ref, "carrier": "DHL"} if kind != "ParcelPickedUp" else {"carrier": "DHL"}
            detail: dict[str, Any] = {
                "shipment": about,
                "eventUid": own,
                "happenedAt": iso(at),
                "recipient": {"email": f"{n}@example.com"},
            }
            detail |= {"parcelRef": ref} if kind == "ParcelPickedUp" else {}
            detail |= {"causedBy": before} if before else {}
            detail |= {"reason": "The van was stolen"} if kind == "ParcelLost" else {}
            found.append(
                event("acme.shipping" if kind == "LabelPrinted" else "acme.courier", kind, detail, at, len(found))
            )
            before = own
    return found


def webhooks() -> list[Event]:
    """As GitHub's: a repository that all have in common, a commit that a pull request's events share, epoch seconds."""
    found: list[Event] = []
    for n in range(5):
        sha, at = f"{n}f3a9c0d1e2b4a5968778695a4b3c2d1e0f9a8{n}", n * 5_000
        common = {
            "repository": {"id": 4711, "full_name": "acme/shop"},
            "sender": {"login": f"dev{n % 2}", "id": 70 + n % 2},
        }
        request = {"number": 100 + n, "title": "Fix it", "merged": False}
        for kind, own in (
            ("pull_request.opened", {"pull_request": request, "head_sha": sha}),
            ("check_run.completed", {"check_run": {"id": 9000 + n, "conclusion": "success"}, "head_sha": sha}),
            ("pull_request.merged", {"pull_request": request, "head_sha": sha}),
        ):
            at += 700
            found.append(event("github.com", kind, {**own, **common, "action": kind.split(".")[1]}, at, len(found)))
    return found


def objects() -> list[Event]:
    """As S3's: source aws.s3, the object's key nested, names with hyphens."""
    found: list[Event] = []
    for n in range(4):
        key, at = f"uploads/2026/report-{n}.csv", n * 3_000
        for kind in ("Object Created", "Object Tags Added", "Object Deleted"):
            at += 1_000
            detail = {
                "version": "0",
                "bucket": {"name": "acme-reports"},
                "object": {"key": key, "size": 17, "etag": f"{n}a{len(found)}", "sequencer": f"00{len(found)}F"},
                "request-id": f"REQ{len(found):04}",
                "requester": "123456789012",
                "source-ip-address": "203.0.113.7",
            }
            found.append(event("aws.s3", kind, detail, at, len(found)))
    return found


def bare() -> list[Event]:
    """A ticket desk that says next to nothing: one id, and nothing else."""
    found: list[Event] = []
    for n in range(4):
        for step, kind in enumerate(("TicketOpened", "TicketAssigned", "TicketClosed")):
            found.append(
                event("desk", kind, {"ticketId": 31 + n, "agent": "ann"}, n * 9_000 + step * 2_000, len(found))
            )
    return found


def eventflows() -> list[Event]:
    """EventFlow's own, whose parameters are the defaults."""
    found: list[Event] = []
    for n in range(3):
        order, before = f"0000000{n}-aaaa-4bbb-8ccc-dddddddddddd", ""
        for step, (service, kind) in enumerate(
            [("orders", "OrderCreated"), ("payment", "PaymentSucceeded"), ("orders", "OrderConfirmed")]
        ):
            own = f"1111111{n}-{step:04}-4bbb-8ccc-dddddddddddd"
            at = n * 4_000 + step * 100
            metadata = {
                "eventId": own,
                "occurredAt": 1_795_176_000_000 + at,
                "correlationId": order,
                **({"causationId": before} if before else {}),
            }
            detail = {"orderId": order, "userId": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "metadata": metadata}
            found.append(event(f"eventflow.{service}", kind, detail, at, len(found)))
            before = own
    return found


def proposed(events: Sequence[Event]) -> dict[str, str]:
    return {name: guess.value for name, guess in propose(events).items()}


def kept(events: Sequence[Event]) -> dict[str, Saga]:
    """The sagas that the state machine makes with what is proposed, by id."""
    return {saga.summary.id: saga for saga in Machine(proposed(events)).sagas(events)}


def test_shipments_are_found_by_either_spelling_of_their_id_and_told_with_their_causes():
    guesses = proposed(shipments())
    assert guesses["CorrelationId"] == "detail.shipment.ref ? detail.shipment.ref : detail.parcelRef"
    assert (guesses["EventId"], guesses["CausationId"]) == ("detail.eventUid", "detail.causedBy")
    assert guesses["OccurredAt"] == "detail.happenedAt"
    assert (guesses["Noun"], guesses["Reason"]) == ("shipment", "detail.reason")
    assert (guesses["GoodOutcomes"], guesses["BadOutcomes"]) == ("ParcelDelivered", "ParcelLost")
    assert set(guesses["OmittedFields"].split(",")) == {"recipient", "email"}

    sagas = kept(shipments())

    assert sorted(sagas) == [f"S-{1000 + n}" for n in range(6)]
    assert sagas["S-1000"].summary.ending is Ending.SUCCEEDED
    lost = sagas["S-1005"]
    assert (lost.summary.ending, lost.summary.reason) == (Ending.CALLED_OFF, "The van was stolen")
    assert [it.lane for it in lost.events] == ["shipping", "courier", "courier"]
    assert all("example.com" not in it.detail for it in lost.events)
    assert [it.causation_id for it in lost.events] == [None, "ev-0015", "ev-0016"]


def test_a_webhooks_saga_is_what_few_events_share_and_not_what_all_have_in_common():
    guesses = proposed(webhooks())
    assert guesses["CorrelationId"] == "detail.head_sha"
    assert guesses["EventId"] == "id"
    assert guesses["OccurredAt"] == "time"
    assert guesses["GoodOutcomes"] == "pull_request.merged"
    sagas = kept(webhooks())
    assert len(sagas) == 5
    assert {saga.summary.ending for saga in sagas.values()} == {Ending.SUCCEEDED}


def test_events_of_aws_are_kept_only_where_that_is_said_and_names_are_quoted():
    guesses = proposed(objects())
    assert guesses["CorrelationId"] == "detail.object.key"
    assert (guesses["OnlySources"], guesses["Noun"]) == ("aws.s3", "object")
    assert sorted(kept(objects())) == [f"uploads/2026/report-{n}.csv" for n in range(4)]

    hyphens = [{**it, "detail": {"trip-no": it["detail"]["object"]["key"]}} for it in objects()]
    assert proposed(hyphens)["CorrelationId"] == "detail.`trip-no`"
    assert len(kept(hyphens)) == 4


def test_of_a_bus_without_any_metadata_eventbridges_own_time_and_id_are_taken():
    guesses = proposed(bare())
    assert (guesses["CorrelationId"], guesses["EventId"], guesses["OccurredAt"]) == ("detail.ticketId", "id", "time")
    assert (guesses["Noun"], guesses["GoodOutcomes"], guesses["BadOutcomes"]) == ("ticket", "TicketClosed", "")
    assert sorted(kept(bare())) == ["31", "32", "33", "34"]


def test_eventflows_own_bus_is_read_as_the_defaults_read_it():
    guesses = proposed(eventflows())
    assert guesses["CorrelationId"] == "detail.metadata.correlationId"
    assert guesses["EventId"] == "detail.metadata.eventId"
    assert guesses["CausationId"] == "detail.metadata.causationId"
    assert guesses["OccurredAt"] == "detail.metadata.occurredAt"
    assert guesses["GoodOutcomes"] == "OrderConfirmed"


@pytest.mark.parametrize("bus", [shipments, webhooks, objects, bare, eventflows])
def test_what_is_proposed_is_what_the_template_takes_and_does_not_depend_on_the_order_of_the_events(bus):
    events = bus()
    assert wrong(proposed(events)) is None
    mixed = random.Random(7).sample(events, len(events))
    assert proposed(mixed) == proposed(events)


@pytest.mark.parametrize("bus", [shipments, webhooks, objects, bare, eventflows])
def test_one_event_is_enough_for_a_proposal(bus):
    (one, *_) = bus()
    guesses = proposed([one])
    assert wrong(guesses) is None
    assert len(kept([one])) == 1


@pytest.mark.parametrize(
    "detail", [{}, {"a": None}, {"": 1}, {"a": [1, 2]}, {'q"uote': "x-1234567", "b\\s": "y-1234567"}]
)
def test_events_that_say_nothing_get_a_proposal_that_the_template_takes(detail):
    events = [event("s", "T", detail, 0, 0), event("s", "U", detail, 0, 1)]
    assert wrong(proposed(events)) is None
    assert proposed(events)["GoodOutcomes"] == NO_TYPE
    assert kept(events) == {}


def test_seconds_since_1970_become_milliseconds():
    events = [{**it, "detail": {**it["detail"], "ts": 1_795_176_000 + n}} for n, it in enumerate(bare())]
    assert proposed(events)["OccurredAt"] == "detail.ts * 1000"
    (first, *_) = Machine(proposed(events)).sagas(events)
    assert first.events[0].occurred_at == 1_795_176_000_000


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"Nuon": "parcel"}, "Nuon is no parameter of a timeline; there are .*Noun"),
        ({"Noun": "Parcel!"}, "Noun=Parcel! must be of the form"),
        ({"CorrelationId": "detail.(("}, r"CorrelationId=detail.\(\( is no JSONata"),
    ],
)
def test_what_the_template_would_refuse_is_said_before_it_is_deployed(parameters, why):
    assert re.match(why, wrong(parameters) or "")


def test_the_preview_draws_the_saga_that_tells_most_and_says_how_many_were_placed():
    said = io.StringIO()
    events = [*shipments(), event("acme.other", "Heartbeat", {"n": 1}, 0, 99)]
    preview(events, proposed(events), Console(file=said, width=100))
    drawn = said.getvalue()
    assert "With these, 18 of 19 events are placed, in 6 shipments." in drawn
    assert "ParcelPickedUp" in drawn
    assert "courier" in drawn


# A sample


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(bare()[0]),
        json.dumps([bare()[0]]),
        json.dumps(bare()[0]) + "\n\n" + json.dumps(bare()[1]) + "\n",
        json.dumps({"Source": "desk", "DetailType": "TicketOpened", "Detail": json.dumps({"ticketId": 31})}),
    ],
)
def test_a_sample_is_an_event_or_several_in_any_of_their_forms(tmp_path, text):
    (file := tmp_path / "event.json").write_text(text)
    (first, *_) = sample.read(file)
    assert (first["source"], first["detail-type"], first["detail"]["ticketId"]) == ("desk", "TicketOpened", 31)
    assert first["id"]
    assert first["time"]


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", "3", '{"detail": {}}', '{"Source": "s", "DetailType": "t", "Detail": "{"}']
)
def test_a_sample_that_is_no_event_is_refused(tmp_path, text):
    (file := tmp_path / "event.json").write_text(text)
    with pytest.raises(OpsError, match=r"event.json"):
        sample.read(file)
    with pytest.raises(OpsError, match="cannot be read"):
        sample.read(tmp_path / "nothing.json")


def test_a_time_that_is_no_date_is_one_clear_line():
    events = [{**event, "detail": {**event["detail"], "at": "2026-02-30T12:00:00Z"}} for event in bare()]
    with pytest.raises(OpsError, match="an expression fails on the event"):
        preview(events, proposed(events) | {"OccurredAt": "detail.at"}, Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("outputs", "pool", "said"),
    [
        ({"ApiUrl"}, "", "the stack shop-timeline is no timeline: name another by STACK_NAME="),
        ({"TimelineApiUrl"}, "theirs", "a timeline of the users of theirs already: .* say POOL=theirs"),
        ({"TimelineApiUrl"}, "", None),
        ({"TimelineApiUrl"}, "ours", None),
    ],
)
def test_a_stack_of_that_name_that_is_somebody_elses_is_left_as_it_is(outputs, pool, said):
    stack = {
        "StackName": "shop-timeline",
        "Outputs": [{"OutputKey": name} for name in outputs],
        "Parameters": [{"ParameterKey": "UserPoolId", "ParameterValue": pool}],
    }
    pages = SimpleNamespace(paginate=lambda: [{"Stacks": []}, {"Stacks": [stack]}])
    cloudformation: Any = SimpleNamespace(get_paginator=lambda _: pages)
    with pytest.raises(OpsError, match=said) if said else nullcontext():
        attach._refuse_another("shop-timeline", "ours" if pool == "ours" else "", cloudformation)


@pytest.mark.parametrize("error", ["ResourceNotFoundException", "InvalidParameterException"])
def test_a_pool_that_is_none_is_refused_before_anything_is_built(error):
    with Stubber(cognito := boto3.client("cognito-idp")) as stubber:
        stubber.add_client_error("describe_user_pool", error)
        with pytest.raises(OpsError, match="there is no user pool nowhere: POOL is EventFlow's output UserPoolId"):
            attach._require("nowhere", cognito)


def test_the_readmes_sample_is_shown_as_two_shipments_that_end():
    events = sample.read(ROOT / "examples" / "shipments.json")
    sagas = kept(events)
    assert {id_: saga.summary.ending for id_, saga in sagas.items()} == {
        "S-1": Ending.SUCCEEDED,
        "S-2": Ending.CALLED_OFF,
    }
    assert [it.type for it in sagas["S-1"].events] == ["LabelPrinted", "ParcelPickedUp", "ParcelDelivered"]
    assert "ada@example.com" not in sagas["S-1"].events[0].detail


# Listening

RULE = "arn:aws:events:us-east-1:123456789012:rule/acme/"


@pytest.fixture
def cloud():
    """EventBridge and SQS, which must be asked for just what a test says."""
    with Stubber(boto3.client("events")) as events, Stubber(boto3.client("sqs")) as sqs:
        yield events, sqs
        events.assert_no_pending_responses()
        sqs.assert_no_pending_responses()


def will_be_taken_away(events: Stubber, sqs: Stubber) -> None:
    events.add_response("remove_targets", {}, {"Rule": ANY, "EventBusName": "acme", "Ids": ["ear"]})
    events.add_response("delete_rule", {}, {"Name": ANY, "EventBusName": "acme"})
    sqs.add_response("delete_queue", {}, {"QueueUrl": "https://queue"})


def test_whatever_ends_it_the_rule_and_its_queue_go(cloud, monkeypatch):
    events, sqs = cloud
    monkeypatch.setattr(sample.secrets, "token_hex", lambda _: "abc")
    monkeypatch.setattr(sample.time, "time", lambda: 1_800_000_000.5)
    name = "eventflow-attach-1800000000-abc"
    pattern = json.dumps({"source": [{"anything-but": {"prefix": "aws."}}]})
    about = {"Name": name, "EventBusName": "acme", "EventPattern": pattern, "Description": ANY}
    events.add_response("put_rule", {"RuleArn": RULE + name}, about)
    policies = []
    sqs.add_response("create_queue", {"QueueUrl": "https://queue"}, {"QueueName": name, "Attributes": ANY})
    sqs.client.meta.events.register(
        "provide-client-params.sqs.CreateQueue", lambda params, **_: policies.append(params["Attributes"]["Policy"])
    )
    target = {"Id": "ear", "Arn": f"arn:aws:sqs:us-east-1:123456789012:{name}"}
    events.add_response(
        "put_targets",
        {"FailedEntryCount": 0, "FailedEntries": []},
        {"Rule": name, "EventBusName": "acme", "Targets": [target]},
    )
    will_be_taken_away(events, sqs)

    with pytest.raises(KeyboardInterrupt), sample.listening("acme", [], events.client, sqs.client):
        raise KeyboardInterrupt

    # then only that rule may have sent to it
    (statement,) = json.loads(policies[0])["Statement"]
    assert statement["Resource"] == target["Arn"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE + name}}


def test_where_the_queue_could_not_be_made_the_rule_goes(cloud):
    events, sqs = cloud
    events.add_response("put_rule", {"RuleArn": RULE + "it"})
    sqs.add_client_error("create_queue", "AccessDenied")
    events.add_client_error("remove_targets", "ResourceNotFoundException")
    events.add_response("delete_rule", {})
    with pytest.raises(Exception, match="AccessDenied"), sample.listening("acme", [], events.client, sqs.client):
        pass


def test_what_cannot_be_removed_is_named(cloud):
    events, sqs = cloud
    events.add_response("put_rule", {"RuleArn": RULE + "it"})
    sqs.add_response("create_queue", {"QueueUrl": "https://queue"})
    events.add_response("put_targets", {"FailedEntryCount": 0, "FailedEntries": []})
    events.add_response("remove_targets", {})
    events.add_client_error("delete_rule", "AccessDenied")
    sqs.add_response("delete_queue", {})
    left = "the rule eventflow-attach-.* of the bus acme"
    with pytest.raises(OpsError, match=left), sample.listening("acme", [], events.client, sqs.client):
        pass


def test_a_bus_that_is_not_there_is_named(cloud):
    events, sqs = cloud
    events.add_client_error("put_rule", "ResourceNotFoundException")
    events.add_client_error("remove_targets", "ResourceNotFoundException")
    events.add_client_error("delete_rule", "ResourceNotFoundException")
    with pytest.raises(OpsError, match="there is no bus acme"), sample.listening("acme", [], events.client, sqs.client):
        pass


def test_what_an_earlier_crash_left_is_removed_and_who_listens_now_stays(cloud, monkeypatch):
    events, sqs = cloud
    monkeypatch.setattr(sample.time, "time", lambda: 1_800_000_000.0)
    old, new = "eventflow-attach-1799990000-a", "eventflow-attach-1799999000-b"
    events.add_response("list_rules", {"Rules": [{"Name": old}, {"Name": new}]})
    sqs.add_response("list_queues", {"QueueUrls": [f"https://sqs/1/{old}", f"https://sqs/1/{new}"]})
    events.add_response("remove_targets", {}, {"Rule": old, "EventBusName": "acme", "Ids": ["ear"]})
    events.add_response("delete_rule", {}, {"Name": old, "EventBusName": "acme"})
    sqs.add_response("delete_queue", {}, {"QueueUrl": f"https://sqs/1/{old}"})
    assert sample.take_away_stale("acme", events.client, sqs.client) == [old]
