"""What functions may ask of AWS is what their clients know of: a call that is not in models/ fails here, not on AWS."""

import ast
import inspect
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency.persistence import dynamodb as powertools
from boto3.dynamodb.types import TypeSerializer
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from eventflow import aws
from eventflow.attributes import from_attributes, to_attributes
from ops import models

from ..sam_template import ALL_FUNCTIONS, ROOT, resources
from .test_house_rules import imports

SOURCES = ROOT / "functions"
SERVICE_OF = {service: service for service in models.OPERATIONS}
"""What a client is called, everywhere."""
CALLED = {(service, xform_name(operation)) for service, names in models.OPERATIONS.items() for operation in names}


def calls_of_clients(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Service and method of each call of a client."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in SERVICE_OF:
                yield SERVICE_OF[name], method


def made_by_code() -> set[tuple[str, str]]:
    trees = [ast.parse(module.read_text()) for module in SOURCES.rglob("*.py")]
    return {call for tree in trees for call in calls_of_clients(tree)}


def made_by_powertools() -> set[tuple[str, str]]:
    """What its layer of idempotency asks of its client."""
    tree = ast.parse(inspect.getsource(powertools))
    return {
        ("dynamodb", node.func.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "client"
    }


def allowed_by_policies() -> set[tuple[str, str]]:
    """What functions' own policies, and the managed ones that they share, let them call."""
    policies = [policy for function in ALL_FUNCTIONS.values() for policy in function.get("Policies", ())]
    policies += [it["PolicyDocument"] for it in resources("AWS::IAM::ManagedPolicy").values()]
    actions: set[str] = set()

    def gather(node: Any) -> None:
        if isinstance(node, dict):
            found = node.get("Action", ())
            actions.update([found] if isinstance(found, str) else found)
            for each in node.values():
                gather(each)
        elif isinstance(node, list):
            for each in node:
                gather(each)

    gather(policies)
    pairs = [action.split(":") for action in actions]
    streams = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")  # Lambda itself reads them
    return {(service, xform_name(call)) for service, call in pairs if service in SERVICE_OF and call not in streams}


# What is called is there


@pytest.mark.parametrize("asked", [made_by_code, made_by_powertools, allowed_by_policies])
def test_clients_have_every_operation_that_is(asked):
    calls = asked()
    assert calls
    assert calls <= CALLED, "name them in ops.models.OPERATIONS, and run `make models`"


def test_nothing_is_kept_that_nobody_calls():
    assert made_by_code() | made_by_powertools() == CALLED


@pytest.mark.parametrize("service", models.OPERATIONS)
def test_a_client_has_what_is_kept_and_no_more(service):
    client = aws.client(service)
    assert sorted(client.meta.service_model.operation_names) == sorted(models.OPERATIONS[service])
    assert all(hasattr(client, method) for of, method in CALLED if of == service)


def test_a_service_without_a_model_is_refused_by_name():
    with pytest.raises(UnknownServiceError, match=r"'s3'\. Valid service names are: dynamodb, events, sns, xray"):
        aws.client("s3")


def test_every_client_is_made_in_one_place():
    makers = {
        module.relative_to(SOURCES).as_posix()
        for module in SOURCES.rglob("*.py")
        for name in imports(module)
        if name.partition(".")[0] == "boto3" or name == "botocore.session"
    }
    assert makers == {"eventflow/aws.py"}


def test_the_files_are_what_make_models_writes():
    written = models.models(Loader())
    here = {path.relative_to(models.MODELS).as_posix() for path in models.MODELS.rglob("*.json")}
    assert here == set(written)
    drifted = [path for path, text in written.items() if Path(models.MODELS, path).read_text() != text]
    assert drifted == [], "run `make models`"


# Rows are written as boto3 writes them

numbers = st.integers(-(10**37), 10**37) | st.floats(allow_nan=False, allow_infinity=False, width=32)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def for_boto3(value: Any) -> Any:
    """It takes no float, and the shortest text that means it makes an exact Decimal."""
    match value:
        case float():
            return Decimal(repr(value))
        case list():
            return [for_boto3(each) for each in value]
        case dict():
            return {name: for_boto3(each) for name, each in value.items()}
    return value


def with_equal_numbers(attribute: Any) -> Any:
    """1E-7 and 1e-07 are one number to DynamoDB."""
    match attribute:
        case {"N": str(number)}:
            return {"N": Decimal(number)}
        case dict():
            return {name: with_equal_numbers(each) for name, each in attribute.items()}
        case list():
            return [with_equal_numbers(each) for each in attribute]
    return attribute


@given(st.dictionaries(st.text(min_size=1, max_size=5), plain, max_size=4))
def test_a_row_is_what_boto3_makes_of_it_and_comes_back(state):
    item = to_attributes(state)
    assert with_equal_numbers(item) == with_equal_numbers(
        {name: TypeSerializer().serialize(for_boto3(value)) for name, value in state.items()}
    )
    assert from_attributes(item, dict[str, Any]) == state
