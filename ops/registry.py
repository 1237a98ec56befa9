"""The stack that holds the schemas in an EventBridge schema registry: optional, and its own stack."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

HEAD = """\
AWSTemplateFormatVersion: "2010-09-09"
Description: The schemas of EventFlow's events, in a registry of EventBridge. Optional.

# Made by `make schemas`; deployed by `sam deploy --config-env schemas`.

Parameters:
  RegistryName:
    Type: String
    Default: eventflow
    AllowedPattern: ^[0-9A-Za-z_.@-]{1,64}$
    Description: The name of the registry.

Resources:
  Registry:
    Type: AWS::EventSchemas::Registry
    Properties:
      RegistryName: !Ref RegistryName
      Description: The events of EventFlow.
"""

SCHEMA = """
  {logical_id}:
    Type: AWS::EventSchemas::Schema
    DependsOn: Registry
    Properties:
      RegistryName: !Ref RegistryName
      SchemaName: {name}
      Type: JSONSchemaDraft4
      Content: '{content}'
"""


def registry_template(schemas: Mapping[str, Json]) -> str:
    """`schemas` are by path: <source>/<DetailType>-<version>.json."""
    return HEAD + "".join(_resource(path, schema) for path, schema in schemas.items())


def _resource(path: str, schema: Json) -> str:
    name = path.removesuffix(".json").replace("/", "@")
    return SCHEMA.format(
        logical_id="".join(word[:1].upper() + word[1:] for word in re.split(r"[^0-9A-Za-z]+", name)),
        name=name,
        content=json.dumps(_draft_4(schema), separators=(",", ":")).replace("'", "''"),
    )


def _draft_4(schema: Json) -> Json:
    """As the registry takes it: `const` came later, and `$defs` was called `definitions`. Its id is its name."""
    older: Json = json.loads(json.dumps(schema).replace('"#/$defs/', '"#/definitions/'))
    del older["$id"]
    older["$schema"] = "http://json-schema.org/draft-04/schema#"
    older["definitions"] = older.pop("$defs")
    version = older["properties"]["version"]
    version["enum"] = [version.pop("const")]
    return older
