"""What `sam build` makes of the templates: each function's folder, layer, handler and variables."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cloud import Cloud
from local.stack import STACK_NAME, TEMPLATE, TIMELINE_NAME, TIMELINE_TEMPLATE, build

Json = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A function as `sam build` left it. `layer` is what Lambda unpacks into /opt."""

    name: str
    handler: str
    task: Path
    layer: Path | None
    variables: Mapping[str, str]

    @property
    def is_http(self) -> bool:
        return self.handler.endswith(".http.handler")

    @property
    def path(self) -> list[str]:
        """Where it imports from, before the runtime's own packages."""
        return [str(self.task), *([str(self.layer / "python")] if self.layer else [])]


def every_function(folder: Path) -> list[Built]:
    """Build both templates in `folder`, for this machine. Raises CloudError."""
    cloud = Cloud(folder, port=0)  # none runs: it is where to build
    return [
        function
        for template, stack in ((TEMPLATE, STACK_NAME), (TIMELINE_TEMPLATE, TIMELINE_NAME))
        for function in functions_of(build(cloud, template, stack))
    ]


def functions_of(path: Path) -> Iterator[Built]:
    template = importlib.import_module("samcli.yamlhelper").yaml_parse(path.read_text())
    layers = {
        name: path.parent / it["Properties"]["ContentUri"]
        for name, it in template["Resources"].items()
        if it["Type"] == "AWS::Serverless::LayerVersion"
    }
    shared = template["Globals"]["Function"]
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        of_all, own = (it.get("Environment", {}).get("Variables", {}) for it in (shared, properties))
        used = [layers[it["Ref"]] for it in properties.get("Layers", shared.get("Layers", []))]
        yield Built(
            name,
            properties["Handler"],
            path.parent / properties["CodeUri"],
            used[0] if used else None,
            {key: _value(value, template["Parameters"]) for key, value in {**of_all, **own}.items()},
        )


def _value(value: Any, parameters: Json) -> str:
    """What a variable is worth at the parameters' defaults; a resource's name where it names one."""
    if not isinstance(value, dict):
        return str(value)
    (function, about), *_ = value.items()
    if function == "Fn::If":
        return _value(about[2], parameters)
    name = about[0] if isinstance(about, list) else about
    return str(parameters.get(name, {}).get("Default", name))
