"""Lambda's runtime brings its own botocore, and AWS updates it: the models that we put in front must suit each."""

import json
import os
import shutil
import subprocess

import pytest

from local.cloud import EMULATOR_PYTHON, ROOT

OLDER_PYTHON = ROOT / ".venvs" / "older" / "bin" / "python"  # tests/system/older-runtime.txt

PROBE = """
import json, sys
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from eventflow import aws

ITEM = {"orderId": {"S": "o"}, "revision": {"N": "1"}, "items": {"L": [{"M": {"quantity": {"N": "2"}}}]}}
KEY = {"orderId": {"S": "o"}}
CALLS = [
    ("dynamodb", "put_item", {"TableName": "t", "Item": ITEM, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
    ("dynamodb", "get_item", {"TableName": "t", "Key": KEY, "ConsistentRead": True}),
    ("dynamodb", "delete_item", {"TableName": "t", "Key": KEY}),
    ("dynamodb", "update_item", {"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = :a",
                                 "ExpressionAttributeValues": {":a": {"N": "1"}}}),
    ("dynamodb", "batch_get_item", {"RequestItems": {"t": {"Keys": [KEY]}}}),
    ("dynamodb", "query", {"TableName": "t", "KeyConditionExpression": "a = :a",
                           "ExpressionAttributeValues": {":a": {"S": "1"}}}),
    ("dynamodb", "scan", {"TableName": "t", "Limit": 1}),
    ("dynamodb", "transact_write_items", {"TransactItems": [{"Put": {"TableName": "t", "Item": ITEM}}],
                                          "ClientRequestToken": "t"}),
    ("events", "put_events", {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}", "TraceHeader": "h"}]}),
    ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": "m", "Subject": "s"}),
]
REFUSAL = b'{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no", "Item": {}}'

class Body:
    def stream(self, **_):
        return [REFUSAL]

def told(session, service, region):
    client = session.create_client(service, region_name=region)
    model, sent = client.meta.service_model, []
    def refuse(request, **_):
        sent.append([request.method, request.url, str(request.body), str(request.headers.get("X-Amz-Target"))])
        return AWSResponse(request.url, 400, {}, Body())
    client.meta.events.register("before-send", refuse)
    for of, method, parameters in CALLS:
        if of == service:
            try:
                getattr(client, method)(**parameters)
            except ClientError as error:
                sent.append([type(error).__name__, str(error), sorted(error.response)])
            except Exception as error:  # SNS speaks XML
                sent.append(type(error).__name__)
    errors = sorted(shape.name for shape in model.error_shapes)
    return [client.meta.endpoint_url, model.signing_name, model.metadata, errors, sent]

whole = botocore.session.Session()
answers = {}
for service in ("dynamodb", "events", "sns"):
    for region in ("us-east-1", "eu-central-1", "ap-southeast-2", "cn-north-1", "us-gov-west-1", "xx-nowhere-1"):
        ours, theirs = told(aws._session, service, region), told(whole, service, region)
        answers[service, region] = ours == theirs or [ours, theirs]
print(json.dumps({"compared": len(answers), "differ": {" ".join(k): v for k, v in answers.items() if v is not True}}))
"""

CUT = """
import json
from botocore.loaders import Loader
from ops.models import models
print(json.dumps(models(Loader())))
"""


def run(python, program, *path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path))} | {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    done = subprocess.run([python, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cut_a_year_ago(tmp_path_factory):
    """What `make models` would have cut out of the older botocore, beside today's code."""
    package = tmp_path_factory.mktemp("older") / "eventflow"
    package.mkdir()
    for name in ("__init__.py", "aws.py"):
        shutil.copy(ROOT / "functions" / "eventflow" / name, package)
    for path, text in run(OLDER_PYTHON, CUT, ROOT).items():
        (package / "models" / path).parent.mkdir(parents=True, exist_ok=True)
        (package / "models" / path).write_text(text)
    return package.parent


def test_the_two_runtimes_are_not_one():
    version = "import json, botocore; print(json.dumps(botocore.__version__))"
    assert run(OLDER_PYTHON, version) < run(EMULATOR_PYTHON, version)


@pytest.mark.parametrize("runtime", [EMULATOR_PYTHON, OLDER_PYTHON], ids=["this boto3", "a year older"])
@pytest.mark.parametrize("models", ["of today", "of a year ago"])
def test_a_client_of_cut_models_asks_and_understands_as_one_of_whole_ones(runtime, models, request):
    functions = ROOT / "functions" if models == "of today" else request.getfixturevalue("cut_a_year_ago")

    found = run(runtime, PROBE, functions)

    assert found == {"compared": 18, "differ": {}}
