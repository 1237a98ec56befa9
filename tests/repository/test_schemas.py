"""schemas/: says what the contracts say, and never breaks what it has said."""

import json
import os
import subprocess
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft202012Validator, ValidationError
from samtranslator.yaml_helper import yaml_parse

from ops import schemas
from ops.compatibility import breaking_changes
from ops.schemas import ROOT, SCHEMAS
from relay.publish import announced

FILES = sorted(path.relative_to(SCHEMAS).as_posix() for path in SCHEMAS.glob("*/*.json"))


def schema(path: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / path).read_text())


# They say what the contracts say


def test_the_files_are_what_make_schemas_writes():
    generated = schemas.generated()
    assert len(generated) > 15
    assert schemas.strays(generated) == []
    drifted = [path for path, text in generated.items() if (SCHEMAS / path).read_text() != text]
    assert drifted == [], "run `make schemas`"


def events_in(node: Any) -> list[dict[str, Any]]:
    """The events that a sample is or carries: in a queue's message as text, in a stream's record as an announcement."""
    if isinstance(node, str) and '"detail-type"' in node:
        return events_in(json.loads(node))
    if isinstance(node, list):
        return [event for each in node for event in events_in(each)]
    if not isinstance(node, dict):
        return []
    if "detail-type" in node:
        return [node]
    if any("dynamodb" in record for record in node.get("Records", [])):
        return [
            {"source": it.source, "detail-type": it.detail_type, "detail": json.loads(it.detail)}
            for it in announced(node["Records"])
        ]
    return [event for each in node.values() for event in events_in(each)]


SAMPLES = [
    pytest.param(event, id=f"{path.relative_to(ROOT / 'events')}-{index}")
    for path in sorted((ROOT / "events").rglob("*.json"))
    for index, event in enumerate(events_in(json.loads(path.read_text())))
    if any(file.startswith(f"{event['source']}/") for file in FILES)  # the rest are other producers'
]


@pytest.mark.parametrize("event", SAMPLES)
def test_every_sample_keeps_its_schema(event):
    version = event["detail"].get("version", "1.0")
    its_schema = schema(f"{event['source']}/{event['detail-type']}-{version}.json")
    Draft202012Validator(its_schema).validate(event["detail"])


@pytest.mark.parametrize("path", FILES)
def test_a_schema_is_sound_and_names_itself(path):
    it = schema(path)
    Draft202012Validator.check_schema(it)
    source, _, name = path.removesuffix(".json").partition("/")
    detail_type, _, version = name.rpartition("-")
    assert it["$id"] == f"urn:eventflow:{source}:{detail_type}:{version}"
    assert it["title"] == f"{detail_type} {version}"
    assert it["properties"]["version"]["const"] == version


ORDER_CREATED = {
    "orderId": "o1",
    "userId": "ada",
    "productId": "mug",
    "quantity": 2,
    "timestamp": "2026-01-31T12:00:00.000+00:00",
    "version": "1.0",
}


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        pytest.param({}, True, id="the least that there is"),
        pytest.param({"giftWrap": {"paper": "blue"}}, True, id="a field that it does not know"),
        pytest.param({"metadata": {"eventId": "e1", "occurredAt": 1}}, True, id="metadata"),
        pytest.param({"metadata": {"occurredAt": 1}}, False, id="metadata without identity"),
        pytest.param({"version": "2.0"}, False, id="another version"),
        pytest.param({"quantity": "two"}, False, id="a wrong type"),
        pytest.param({"quantity": 0}, False, id="zero pieces"),
        pytest.param({"userId": None}, False, id="nothing for a required field"),
    ],
)
def test_a_schema_takes_what_its_contract_takes(fields, valid):
    validator = Draft202012Validator(schema("eventflow.orders/OrderCreated-1.0.json"))
    assert validator.is_valid(ORDER_CREATED | fields) == valid


def test_the_partner_says_neither_when_nor_in_which_version():
    detail = {"body": {"OrderId": "x", "Item": "book", "Amount": 3, "IsMember": True, "ShippingMethod": "air"}}
    Draft202012Validator(schema("microservice_x/microservice_x_test_event-1.0.json")).validate(detail)


def test_the_registrys_template_holds_every_schema_in_the_dialect_that_it_takes():
    resources = yaml_parse((SCHEMAS / "template.yaml").read_text())["Resources"]
    held = {it["Properties"]["SchemaName"]: it["Properties"] for name, it in resources.items() if name != "Registry"}
    assert set(held) == {path.removesuffix(".json").replace("/", "@") for path in FILES}
    for properties in held.values():
        assert properties["Type"] == "JSONSchemaDraft4"
        Draft4Validator.check_schema(json.loads(properties["Content"]))

    of_an_order = Draft4Validator(json.loads(held["eventflow.orders@OrderCreated-1.0"]["Content"]))
    of_an_order.validate(ORDER_CREATED | {"metadata": {"eventId": "e1", "occurredAt": 1}})
    with pytest.raises(ValidationError):
        of_an_order.validate(ORDER_CREATED | {"metadata": {"occurredAt": 1}})
    with pytest.raises(ValidationError):
        of_an_order.validate(ORDER_CREATED | {"version": "2.0"})


# They never break what they have said

BEFORE = {
    "type": "object",
    "properties": {
        "orderId": {"type": "string", "minLength": 1, "maxLength": 64},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 100},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "status": {"enum": ["NEW", "OLD"]},
        "version": {"type": "string", "const": "1.0"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["orderId", "quantity", "items"],
    "$defs": {
        "Line": {
            "type": "object",
            "properties": {"productId": {"type": "string", "pattern": "^[a-z]+$"}, "colour": {"type": "string"}},
            "required": ["productId"],
        }
    },
}

FIELDS, LINE = ("properties",), ("$defs", "Line", "properties")
NONE = object()


def changed(*changes: tuple[tuple[str, ...], Any]) -> dict[str, Any]:
    """BEFORE with what is at each path set, or removed where it is NONE."""
    after = deepcopy(BEFORE)
    for (*way, last), value in changes:
        node = after
        for step in way:
            node = node[step]
        if value is NONE:
            del node[last]
        else:
            node[last] = value
    return after


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(((*FIELDS, "note"), NONE), "note is removed", id="an optional field is removed"),
        pytest.param(((*LINE, "colour"), NONE), "items[].colour is removed", id="a field of an item is removed"),
        pytest.param(((*FIELDS, "quantity"), {"type": "string"}), "quantity was integer, is string", id="another type"),
        pytest.param(((*FIELDS, "quantity", "type"), "number"), "quantity was integer, is number", id="a wider type"),
        pytest.param(((*FIELDS, "note"), {"type": "string"}), "note was null or string, is string", id="no null"),
        pytest.param(
            ((*FIELDS, "orderId"), {"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "orderId was string, is null or string",
            id="null, where readers know none",
        ),
        pytest.param(
            ((*FIELDS, "items"), {"$ref": "#/$defs/Line"}), "items was array, is object", id="one instead of a list"
        ),
        pytest.param(
            ((*FIELDS, "labels", "additionalProperties"), {"type": "integer"}),
            "labels.* was string, is integer",
            id="another type of values",
        ),
        pytest.param(
            (("required",), ["orderId", "quantity", "items", "note"]), "note is required now", id="an optional field"
        ),
        pytest.param(
            (("$defs", "Line", "required"), ["productId", "colour"]), "items[].colour is required now", id="of an item"
        ),
        pytest.param(
            (("required",), ["orderId", "items"]), "quantity is no longer always there", id="not required any more"
        ),
        pytest.param(((*FIELDS, "quantity", "maximum"), 50), "quantity: maximum was 100, is 50", id="less"),
        pytest.param(((*FIELDS, "quantity", "minimum"), 2), "quantity: minimum was 1, is 2", id="more"),
        pytest.param(((*FIELDS, "items", "maxItems"), 9), "items: maxItems was open, is 9", id="a bound of a list"),
        pytest.param(((*FIELDS, "note", "anyOf", 0, "maxLength"), 9), "note: maxLength was open, is 9", id="a bound"),
        pytest.param(((*LINE, "productId", "pattern"), "^[a-f]+$"), "items[].productId: pattern was", id="a pattern"),
        pytest.param(((*FIELDS, "orderId", "format"), "uuid"), "orderId: format was open, is uuid", id="a format"),
        pytest.param(((*FIELDS, "status", "enum"), ["NEW"]), "status: no longer OLD", id="a value less"),
        pytest.param(((*FIELDS, "version", "const"), "1.1"), "version: const was 1.0, is 1.1", id="its version"),
    ],
)
def test_a_change_that_breaks_readers_or_writers_is_found(change, complaint):
    (found,) = breaking_changes(BEFORE, changed(change))
    assert found.startswith(complaint)


def test_a_new_required_field_is_found():
    after = changed(((*FIELDS, "gift"), {"type": "boolean"}), (("required",), [*BEFORE["required"], "gift"]))
    (found,) = breaking_changes(BEFORE, after)
    assert found.startswith("gift is required now")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((("description",), "Said better."), id="words"),
        pytest.param(((*FIELDS, "gift"), {"type": "boolean"}), id="a new optional field"),
        pytest.param(((*LINE, "size"), {"type": "string"}), id="a new optional field of an item"),
        pytest.param(((*FIELDS, "quantity", "maximum"), 1000), id="more"),
        pytest.param(((*FIELDS, "quantity", "minimum"), NONE), id="no lower bound"),
        pytest.param(((*LINE, "productId", "pattern"), NONE), id="no pattern"),
        pytest.param(((*FIELDS, "status", "enum"), ["OLD", "NEW", "NEWER"]), id="a value more"),
        pytest.param((("required",), ["items", "quantity", "orderId"]), id="another sequence"),
        pytest.param(((*FIELDS, "items", "items"), BEFORE["$defs"]["Line"]), id="a definition written out"),
    ],
)
def test_a_change_that_breaks_nobody_passes(change):
    assert breaking_changes(BEFORE, changed(change)) == []


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commits_of(path: str) -> list[str]:
    return git("log", "--format=%H", "--diff-filter=AM", "--", f"schemas/{path}").split()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git, no history")
@pytest.mark.parametrize("path", FILES)
def test_no_version_breaks_what_was_published_of_it(path):
    for commit in commits_of(path):
        before = json.loads(git("show", f"{commit}:schemas/{path}"))
        assert breaking_changes(before, schema(path)) == [], f"as published by {commit}"


# `make schemas`

PATH = "eventflow.orders/OrderCreated-1.0.json"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """schemas/ in a new repository, with nothing committed yet, and without the user's git configuration."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "schemas"
    folder.mkdir()
    monkeypatch.setattr(schemas, "SCHEMAS", folder)
    in_git(tmp_path, "init", "--quiet")
    return folder


def in_git(folder, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder):
    in_git(folder, "add", ".")
    in_git(folder, "commit", "--quiet", "--message", "publish")


def edited(folder, edit):
    """As if the contracts once had said something else."""
    it = json.loads((folder / PATH).read_text())
    edit(it)
    (folder / PATH).write_text(json.dumps(it))


def test_it_writes_what_is_missing_and_nothing_the_second_time(repository, capsys):
    schemas.main()
    assert {path: (repository / path).read_text() for path in schemas.generated()} == schemas.generated()
    assert f"wrote schemas/{PATH}" in capsys.readouterr().out
    schemas.main()
    assert "wrote" not in capsys.readouterr().out


def test_it_refuses_to_break_what_is_committed_whatever_the_file_says_by_now(repository):
    # given a published field that the contract has no longer
    schemas.main()
    ours = (repository / PATH).read_text()
    edited(repository, lambda it: it["properties"].update(coupon={"type": "string"}))
    commit(repository)
    (repository / PATH).write_text(ours)

    # when
    with pytest.raises(SystemExit) as refused:
        schemas.main()

    # then
    assert str(refused.value) == f"error: schemas/{PATH}: coupon is removed: give it a new major version"


def test_it_overwrites_what_it_does_not_break(repository):
    schemas.main()
    ours = (repository / PATH).read_text()
    edited(repository, lambda it: it["properties"]["quantity"].update(maximum=9))
    commit(repository)
    schemas.main()
    assert (repository / PATH).read_text() == ours


def test_what_is_not_committed_may_change_in_any_way(repository):
    schemas.main()
    ours = (repository / PATH).read_text()
    commit(repository)
    in_git(repository, "rm", "--quiet", "--cached", PATH)
    in_git(repository, "commit", "--quiet", "--message", "not published after all")
    edited(repository, lambda it: it["properties"].update(coupon={"type": "string"}))
    schemas.main()
    assert (repository / PATH).read_text() == ours


def test_a_version_that_the_contracts_have_no_longer_goes_only_unpublished(repository):
    # given a draft, and a published version
    schemas.main()
    commit(repository)
    stray = repository / "eventflow.orders" / "OrderShipped-1.0.json"
    stray.write_text("{}")
    # then the draft goes
    schemas.main()
    assert not stray.exists()

    # but what is published stays, until someone deletes it
    stray.write_text("{}")
    commit(repository)
    with pytest.raises(SystemExit, match=r"OrderShipped-1.0.json: eventflow.events has it no longer"):
        schemas.main()
    stray.unlink()
    schemas.main()


def test_without_git_the_files_themselves_are_what_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path)
    monkeypatch.setattr(schemas, "_git", lambda *_: None)
    schemas.main()
    edited(tmp_path, lambda it: it["properties"].update(coupon={"type": "string"}))
    with pytest.raises(SystemExit, match="coupon is removed"):
        schemas.main()
