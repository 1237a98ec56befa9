"""The simulator's DynamoDB and EventBridge answer as the embedded cloud's do, story by story."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.patterns import example, matches

from ..simulation import cloud as simulated
from ..simulation.dynamodb import DynamoDB
from ..simulation.stories import STORIES
from ..simulation.wire import Refused
from ..unit.sam_template import ROOT


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
