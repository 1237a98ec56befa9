"""The console's function. It is in its own folder, not in functions/, so it is not one of their packages."""

import importlib.util
from types import ModuleType

from ..sam_template import ROOT, TIMELINE_FUNCTIONS

SOURCES = ROOT / "timeline" / TIMELINE_FUNCTIONS["ConsoleFunction"]["CodeUri"]


def console() -> ModuleType:
    """The module of its handler, as Lambda finds it."""
    name = TIMELINE_FUNCTIONS["ConsoleFunction"]["Handler"].partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, SOURCES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
