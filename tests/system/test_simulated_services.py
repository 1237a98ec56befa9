"""The simulator's DynamoDB and EventBridge answer as the embedded cloud's do, story by story."""

import dataclasses
import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import EMULATOR_PYTHON
from ops.patterns import example, matches

from ..sam_template import ROOT
from ..simulation import cloud as simulated
from ..simulation.choices import Choices
from ..simulation.clock import Clock
from ..simulation.deliveries import record
from ..simulation.dynamodb import DynamoDB, Written
from ..simulation.stories import ENTRIES, ENTRY, FAILURES, FILTERS, ROWS, STORIES
from ..simulation.wire import Refused
from ..simulation.world import Sandboxes, World


def told(call: Any) -> Any:
    """What an answer says, or why it was refused."""
    try:
        answer = call()
    except Refused as error:
        code, more = error.code, error.more
    except ClientError as error:
        code, more = error.response["Error"]["Code"], error.response
    else:
        kept = ("Item", "Items", "Responses", "LastEvaluatedKey")
        return {name: answer[name] for name in kept if answer.get(name)}
    reasons = [
        {name: it[name] for name in ("Code", "Item") if it.get(name)} for it in more.get("CancellationReasons", [])
    ]
    return {"refused": code, **({"there": more["Item"]} if more.get("Item") else {}), "reasons": reasons}


@pytest.mark.parametrize("story", STORIES)
def test_the_simulated_dynamodb_answers_as_the_embedded_one(shop, story):
    mark, dynamodb, ours = uuid.uuid4().hex, shop.cloud.client("dynamodb"), DynamoDB(simulated.main().tables)
    for operation, request in STORIES[story]:
        text = json.dumps(request).replace("{}", mark)
        for table in ours.tables:
            text = text.replace(f'"{table}"', f'"{shop.resources[table]}"')
        there = told(lambda text=text, operation=operation: getattr(dynamodb, operation)(**json.loads(text)))
        name = "".join(part.capitalize() for part in operation.split("_"))
        asked = json.loads(json.dumps(request).replace("{}", mark))
        if name == "TransactWriteItems":
            asked.setdefault("ClientRequestToken", str(uuid.uuid4()))
        here = told(lambda name=name, asked=asked: ours.call(name, asked))
        for logical, physical in shop.resources.items():
            if logical in ours.tables:
                there = json.loads(json.dumps(there).replace(physical, logical))
        assert here == there, f"{operation}: {asked}"


ENVELOPE = {"version": "0", "id": "1", "account": "123456789012", "region": "us-east-1", "resources": []}
ENVELOPE["time"] = "2026-11-20T12:00:00Z"

ODD = (None, 7, True, "", ["text"], {"inside": "text"})
"""What a foreign event may hold where a text is expected."""


def events(patterns: list[Any]) -> Iterator[Any]:
    """The samples of events/, what each pattern takes, and both with an odd value in the place of each field."""
    samples = [json.loads(file.read_text()) for file in sorted(ROOT.glob("events/*/*.json"))]
    taken = [{"detail": {}, **example(pattern, "text")} for pattern in patterns]
    for number, event in enumerate([*(it for it in samples if "detail-type" in it), *taken]):
        whole = {"source": "any", "detail-type": "any", **ENVELOPE, **event}
        yield whole
        for name in whole["detail"]:
            yield {**whole, "detail": {**whole["detail"], name: ODD[number % len(ODD)]}}
            yield {**whole, "detail": {key: value for key, value in whole["detail"].items() if key != name}}


def test_an_event_matches_a_rule_as_on_the_embedded_bus(shop):
    # given
    main, bus = simulated.main(), shop.cloud.client("events")
    patterns = [*(rule.pattern for rule in main.rules), main.archived]
    answers = []

    # then
    for event in events(patterns):
        for pattern in patterns:
            there = bus.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]
            answers.append(there)
            assert matches(pattern, event) == there, f"{pattern}: {event}"
    assert set(answers) == {True, False}


# Streams


def test_a_streams_filter_takes_what_the_emulators_takes():
    # given the template's filters and others, each asked about each record
    main = simulated.main()
    records = [record(Written("ProductsTable", "mug", old, new)) for old, new in ROWS.values()]
    stream = next(iter(main.streams.values()))
    sources = [dataclasses.replace(stream, filters=filters) for filters in FILTERS.values()]
    sources += [source for source in main.streams.values() if source.filters]

    # when
    here = [[source.takes(it) for it in records] for source in sources]
    there = emulators_filter([[dict(it) for it in source.filters] for source in sources], records)

    # then, but for its known gap: of a row without the parts that lead to a field, that field is not there either
    # (Amazon EventBridge User Guide, "Exists matching")
    gap = list(FILTERS).index("there was no event")
    old_ones = [old for old, _ in ROWS.values()]
    assert here.pop(gap) == [not old or "event" not in old for old in old_ones]
    assert there.pop(gap) == [False] * len(records), "the emulator's gap is closed: compare this filter too"
    assert here == there
    assert {taken for each in here for taken in each} == {True, False}


def emulators_filter(filters: list[Any], records: list[Any]) -> list[list[bool]]:
    """Which records each of these event source mappings hands on, by the emulator's own code."""
    asks = """
import json, sys
from ministack.services.lambda_svc import _apply_filter_criteria
filters, records = json.load(sys.stdin)
mappings = [{"FilterCriteria": {"Filters": [{"Pattern": json.dumps(it) } for it in each]}} for each in filters]
print(json.dumps([[bool(_apply_filter_criteria([it], mapping)) for it in records] for mapping in mappings]))
"""
    asked = subprocess.run(
        [EMULATOR_PYTHON, "-c", asks], input=json.dumps([filters, records]), capture_output=True, text=True, check=True
    )
    return list(json.loads(asked.stdout.splitlines()[-1]))


# The bus


def a_world(**changed: Any) -> World:
    """One in which no function runs."""
    return World(dataclasses.replace(simulated.main(), **changed), Sandboxes(ROOT), Choices(), Clock())


TAKEN_HERE_ONLY = {
    "with a broken detail": "MalformedDetail",
    "with a detail that is no object": "MalformedDetail",
    "without a detail": "MalformedDetail",
    "without a detail-type": "InvalidArgument",
    "without a source": "InvalidArgument",
}
"""What the emulator takes and EventBridge does not (API Reference, "PutEventsRequestEntry", "PutEventsResultEntry")."""


@pytest.mark.parametrize("odd", ENTRIES)
def test_entries_are_refused_one_by_one_as_on_the_embedded_bus(shop, odd):
    # given an odd entry between two good ones
    mark = uuid.uuid4().hex
    entries = [ENTRY | {"Detail": json.dumps({"orderId": mark})}, ENTRIES[odd], ENTRY]

    # when
    world = a_world()
    here = world.deliveries.put_events(entries, refusing=False)
    on_bus = [{**entry, "EventBusName": shop.stack.event_bus} for entry in entries]
    there = shop.cloud.client("events").put_events(Entries=on_bus)

    # then
    codes, said = ([it.get("ErrorCode") for it in answer["Entries"]] for answer in (here, there))
    assert here["FailedEntryCount"] == sum(code is not None for code in codes)
    assert there["FailedEntryCount"] == sum(code is not None for code in said)
    assert codes == [None, TAKEN_HERE_ONLY.get(odd, said[1]), None]
    assert odd not in TAKEN_HERE_ONLY or said[1] is None, "the emulator's gap is closed: compare this entry too"
    assert len(world.deliveries.published) == 3 - here["FailedEntryCount"]


def test_more_entries_than_ten_are_refused_together(shop):
    entries = [{**ENTRY, "EventBusName": shop.stack.event_bus}] * 11
    here = told(lambda: a_world().deliveries.put_events(entries, refusing=False))
    assert here == told(lambda: shop.cloud.client("events").put_events(Entries=entries))


# Queues

RECEIVES = 3


@pytest.mark.parametrize("story", FAILURES)
def test_a_message_comes_again_and_is_given_up_as_from_the_embedded_queue(cloud, story):
    assert simulated_queue(FAILURES[story]) == embedded_queue(cloud, FAILURES[story])


def simulated_queue(fails: dict[str, int]) -> tuple[list[tuple[str, int]], list[str]]:
    """Which messages a consumer was handed, the how-manieth time; and which were given up."""
    queues = {"Work": simulated.Queue("Work", 30, "Failed", RECEIVES), "Failed": simulated.Queue("Failed", 30)}
    poller = simulated.Source("Work", "Consumer", 10, reports_failures=True)
    world, received = a_world(queues=queues, pollers={"Work": poller}), []

    def invoke(function: str, cause: str, event: Any, ended: Any, trace: str | None = None) -> None:
        failed = []
        for it in event["Records"]:
            name, times = json.loads(it["body"])["id"], int(it["attributes"]["ApproximateReceiveCount"])
            received.append((name, times))
            if times <= fails[name]:
                failed.append({"itemIdentifier": it["messageId"]})
        ended("done", {"batchItemFailures": failed})

    world.invoke = invoke  # type: ignore[method-assign]
    for name in fails:
        world.deliveries.send_message("Work", {"id": name})
    world.run()
    assert world.deliveries.queues["Work"] == []
    return sorted(received), [it.body["id"] for it in world.deliveries.queues["Failed"]]


def embedded_queue(cloud: Any, fails: dict[str, int]) -> tuple[list[tuple[str, int]], list[str]]:
    sqs, mark, received = cloud.client("sqs"), uuid.uuid4().hex, []
    failed = sqs.create_queue(QueueName=f"failed-{mark}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=failed, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES})
    work = sqs.create_queue(QueueName=f"work-{mark}", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    for name in fails:
        sqs.send_message(QueueUrl=work, MessageBody=name)

    def taken(queue: str) -> list[Any]:
        about = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "AttributeNames": ["ApproximateReceiveCount"]}
        return list(sqs.receive_message(QueueUrl=queue, **about).get("Messages", []))

    while messages := taken(work):
        for it in messages:
            name, times = it["Body"], int(it["Attributes"]["ApproximateReceiveCount"])
            received.append((name, times))
            if times > fails[name]:
                sqs.delete_message(QueueUrl=work, ReceiptHandle=it["ReceiptHandle"])
    return sorted(received), [it["Body"] for it in taken(failed)]
