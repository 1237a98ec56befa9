"""The simulator's DynamoDB answers as the embedded cloud's does, story by story."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ..simulation import cloud as simulated
from ..simulation.dynamodb import DynamoDB
from ..simulation.stories import STORIES
from ..simulation.wire import Refused


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
