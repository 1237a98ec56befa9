"""What a deployment changes reaches the alias `live`: a function gets another version if and only if it changed.

If none were published, `live` would stay as it was, and the deployment would say that all is well. If one were to be
published of an unchanged function, Lambda would publish nothing, and CloudFormation would fail ("A version for this
Lambda function exists. Modify the function to create a new version."). A version is published when its resource is
made: under another logical id, or under the same one with another Description, which "requires replacement"
(CloudFormation Template Reference, "AWS::Lambda::Version").
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ..sam_template import FUNCTIONS, TEMPLATE, triggers
from ..transformed import BUILT, Resources, Template, deployed, of_kind, packaged

NOT_IN_A_VERSION = {"Tags", "ReservedConcurrentExecutions"}
"""Properties of AWS::Lambda::Function, of those used here, that are the function's and not a version's."""

ALL = set(FUNCTIONS)

OTHER_VALUES: dict[str, list[tuple[object, object, set[str]]]] = {
    "Stage": [("dev", "staging", set()), ("staging", "prod", set())],
    "Rollout": [("Gradual", "AtOnce", set())],
    "PythonRuntime": [("python3.13", "python3.12", ALL)],
    "Architecture": [("arm64", "x86_64", ALL)],
    "PaymentFailureRate": [(10, 0, {"PaymentFunction"}), (0, 100, {"PaymentFunction"})],
    "NotificationEmail": [
        ("", "ada@example.com", {"NotificationFunction"}),
        ("ada@example.com", "grace@example.com", set()),
    ],
    "PartnerAccount": [("", "123456789012", set())],
    "ArchiveDays": [(14, 7, set())],
    "AlarmEmail": [("", "ada@example.com", set()), ("ada@example.com", "grace@example.com", set())],
    "PlatformLogLevel": [("WARN", "INFO", ALL)],
    "RelayConcurrency": [(0, 5, set()), (5, 6, set())],
    "RelayParallelization": [(1, 10, set())],
    "RelayBatchSeconds": [(0, 1, set())],
    "ConsumerConcurrency": [(0, 5, set()), (5, 6, set())],
}
"""For each parameter two values, and the functions that see which it is."""


def versions(resources: Resources) -> dict[str, Any]:
    """What each function's version is made as, by the function."""
    found = of_kind("AWS::Lambda::Version", resources)
    return {version["FunctionName"]["Ref"]: (name, version) for name, version in found.items()}


def contents(resources: Resources) -> dict[str, Any]:
    """What a version of each function would hold: code and configuration, and the layer, which is never changed in
    place: another content is another layer.
    """
    layers = of_kind("AWS::Lambda::LayerVersion", resources)
    return {
        name: {key: it for key, it in function.items() if key not in NOT_IN_A_VERSION}
        | {"Layers": [(layer["Ref"], layers[layer["Ref"]]) for layer in function["Layers"]]}
        for name, function in of_kind("AWS::Lambda::Function", resources).items()
    }


def differing(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    assert before.keys() == after.keys() == ALL
    return {name for name in ALL if before[name] != after[name]}


def published(before: Resources, after: Resources) -> set[str]:
    """The functions that get another version, which are those that changed."""
    new = differing(versions(before), versions(after))
    assert new == differing(contents(before), contents(after))
    return new


def test_every_parameter_is_tried():
    assert OTHER_VALUES.keys() == TEMPLATE["Parameters"].keys()


@pytest.mark.parametrize(
    ("parameter", "before", "after", "functions"),
    [(name, *case) for name, cases in OTHER_VALUES.items() for case in cases],
)
def test_another_value_of_a_parameter_is_another_version_of_whom_it_reaches(parameter, before, after, functions):
    assert published(deployed(**{parameter: before}), deployed(**{parameter: after})) == functions


def edited(path: str, value: object) -> Callable[[Template], None]:
    """An edit of the template's text."""

    def edit(template: Template) -> None:
        *way, last = path.split(".")
        for step in way:
            template = template[step]
        template[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "functions"),
    [
        (edited("Globals.Function.MemorySize", 1024), ALL),
        (edited("Globals.Function.Timeout", 20), ALL - {"RelayFunction"}),
        (edited("Globals.Function.Environment.Variables.MORE", "yes"), ALL),
        (edited("Resources.IntakeFunction.Properties.Handler", "intake.other.handler"), {"IntakeFunction"}),
        (edited("Resources.Dependencies.Properties.LicenseInfo", "MIT"), ALL),
        (edited("Mappings.Stages.dev.LogDays", 8), set()),
        (edited("Resources.Api.Properties.TracingEnabled", False), set()),
    ],
)
def test_another_text_of_the_template_is_another_version_of_what_it_changes(edit, functions):
    template = copy.deepcopy(TEMPLATE)
    edit(template)
    assert published(deployed(), deployed(template)) == functions


@pytest.mark.parametrize("kind", ["AWS::Serverless::LayerVersion", "AWS::Serverless::Function"])
def test_other_code_and_another_layer_are_another_version(kind):
    built_again = packaged(TEMPLATE)
    for resource in built_again["Resources"].values():
        if resource["Type"] == kind:
            resource["Properties"][BUILT[kind]] = "s3://bucket/built-again"
    assert published(deployed(), deployed(built_again)) == ALL


def test_tags_are_the_stacks_and_stand_in_no_function():
    # `sam deploy --tags` gives them to every resource and leaves the template as it is. One in the template would be
    # a change of the text from which SAM makes the version's id, but not of what Lambda publishes.
    for function in of_kind("AWS::Lambda::Function", deployed()).values():
        assert function["Tags"] == [{"Key": "lambda:createdBy", "Value": "SAM"}]
    # and as text, what a version does not hold is the same under all parameters
    reserved = {name for name, function in FUNCTIONS.items() if NOT_IN_A_VERSION & function.keys()}
    assert reserved == {"RelayFunction", *(name for name in FUNCTIONS if triggers(name, "EventBridgeRule"))}
