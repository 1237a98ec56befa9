"""Lambda's sandboxes in one process: each has modules of its own, imported with its function's environment.

What a handler leaves in its modules is there in the next invocation of that sandbox, as on AWS, and in no other.
Libraries are shared; what is ours is not.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import msgspec
from botocore.client import BaseClient

from ..sam_template import ROOT
from . import wire
from .cloud import Function
from .wire import Request

PACKAGES = tuple(path.parent.name for path in sorted((ROOT / "functions").glob("*/__init__.py")))

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    # what is logged, counted and traced is not simulated
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "eventflow",
    "POWERTOOLS_TRACE_DISABLED": "true",
}

Ask = Callable[[str, Request], Any]
"""What the function of this name is answered."""


class Sandbox:
    """One of a function's. `used` says whether an invocation has run in it."""

    def __init__(self, function: Function, ask: Ask, source: Path) -> None:
        self.function = function
        self.ask = lambda request: ask(function.name, request)
        self.used = False
        self._modules = _imported(function, source)
        self._fresh = {name: _kept(vars(module)) for name, module in self._modules.items()}
        everything = [value for module in self._modules.values() for value in vars(module).values()]
        for client in {id(value): value for value in everything if isinstance(value, BaseClient)}.values():
            client.meta.events.register_last("before-send", lambda request, **_: self.ask(wire.read(request)))

    @property
    def handler(self) -> Callable[[Any, Any], Any]:
        handler: Callable[[Any, Any], Any] = self._modules[self.function.module].handler
        return handler

    def module(self, name: str) -> Any:
        return self._modules[name]

    def reset(self) -> None:
        """As if it were new: nothing of what ran in it is left in its modules."""
        if not self.used:
            return
        self.used = False
        for name, fresh in self._fresh.items():
            namespace = vars(self._modules[name])
            for key in namespace.keys() - fresh.keys():
                del namespace[key]
            for key, (value, content) in fresh.items():
                namespace[key] = value
                if content is not None and value != content:
                    value.clear()
                    (value.extend if isinstance(value, list) else value.update)(copy.deepcopy(content))


def _kept(namespace: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each global, and what was in it if it is of a kind that can be filled."""
    return {
        name: (value, copy.deepcopy(value) if type(value) in (dict, list, set) and name != "__builtins__" else None)
        for name, value in namespace.items()
    }


def _imported(function: Function, source: Path) -> dict[str, ModuleType]:
    """The function's modules, from the folder `source`."""
    with (
        _ours_forgotten(),
        _environment({**ENVIRONMENT, **function.environment}),
        mock.patch.object(sys, "path", [str(source), *sys.path]),
    ):
        importlib.invalidate_caches()
        importlib.import_module(function.module)
        ours = {name: module for name, module in sys.modules.items() if _is_ours(name)}
        for module in ours.values():
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, msgspec.Struct):
                    msgspec.json.Decoder(value)  # it looks names up in sys.modules, the first time
        return ours


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES


@contextmanager
def _ours_forgotten() -> Iterator[None]:
    before = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
