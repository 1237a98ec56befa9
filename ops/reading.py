"""Reads the code of functions/ without running it: what a handler refers to, with all that this refers to in turn.

That is how the documents of the API and of the events say what the code does: which errors a route may raise, which
facts a consumer may announce. What is caught is not raised. Not seen is what a function gets as a value that its
signature does not name; tests hold the documents against what is really answered and announced.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import msgspec

from eventflow.contracts import Fact

FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"

UNKNOWN = object()


@dataclass(frozen=True)
class Of:
    """Some instance of a class: what the code calls by that name is only there when it runs."""

    kind: type


@dataclass(frozen=True)
class Call:
    """A call that the code makes. `of` is what is called; `value(argument)` what an argument is, if that is known."""

    of: Any
    node: ast.Call
    value: Callable[[ast.expr], Any]

    def has(self, keyword: str) -> bool:
        return any(it.arg == keyword for it in self.node.keywords)

    def argument(self, index: int) -> Any:
        """UNKNOWN where there is none, or it is made when the code runs."""
        return self.value(self.node.args[index]) if index < len(self.node.args) else UNKNOWN


@dataclass
class Read:
    """What was found in a function and in what it refers to."""

    raised: set[type[Exception]] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    """Every text that stands in the handler's own module."""


@functools.cache
def read(function: Callable[..., Any], taken: type[Fact] | None = None) -> Read:
    """What `function` may do. `taken` is the fact that a consumer gets: of a `match` only its case is read."""
    reader = _Reader(inspect.unwrap(function).__module__, taken)
    reader.follow(inspect.unwrap(function), None)
    return reader.found


class _Reader:
    def __init__(self, module: str, taken: type[Fact] | None) -> None:
        self.found = Read()
        self._module = module
        self._taken = taken
        self._caught: tuple[type[BaseException], ...] = ()
        self._seen: set[Any] = set()

    def follow(self, function: Any, kind: type | None, given: tuple[tuple[str, str], ...] = ()) -> None:
        """Read a function, or a method of `kind`, once for each set of errors that are caught around it.

        `given` are texts that it is called with, by the names of its parameters.
        """
        function = inspect.unwrap(function)
        key = (function, kind, self._caught, given)
        if key in self._seen or not _is_ours(function):
            return
        self._seen.add(key)
        _Scope(self, function, kind, dict(given)).visit_all(_tree(function).body)

    def follow_class(self, kind: type) -> None:
        for method in vars(kind).values():
            if isinstance(method := _function(method), FunctionType):
                self.follow(method, kind)


class _Scope(ast.NodeVisitor):
    """The names as one function sees them."""

    def __init__(
        self, reader: _Reader, function: FunctionType, kind: type | None, given: dict[str, str] | None = None
    ) -> None:
        self._reader = reader
        self._function = function
        self._locals = _parameters(function, kind) | (given or {})

    def visit_all(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            self.visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        caught: list[type[BaseException]] = []
        for handler in node.handlers:
            raises_again = any(isinstance(it, ast.Raise) and it.exc is None for it in ast.walk(handler))
            if handler.type is not None and not raises_again:
                kinds = self.value(handler.type)
                caught += [it for it in (kinds if isinstance(kinds, tuple) else (kinds,)) if isinstance(it, type)]
        around = self._reader._caught
        self._reader._caught = (*around, *caught)
        self.visit_all(node.body)
        self._reader._caught = around
        self.visit_all([*node.orelse, *node.finalbody])
        for handler in node.handlers:
            self.visit_all(handler.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            pattern = case.pattern.pattern or case.pattern if isinstance(case.pattern, ast.MatchAs) else case.pattern
            kind = self.value(pattern.cls) if isinstance(pattern, ast.MatchClass) else object
            if isinstance(kind, type) and self._reader._taken and not issubclass(self._reader._taken, kind):
                continue
            self.visit_all(case.body)
            if self._reader._taken and isinstance(kind, type) and issubclass(self._reader._taken, kind):
                return

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            error = self.value(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if isinstance(error, type) and issubclass(error, Exception) and not issubclass(error, self._reader._caught):
                self._reader.found.raised.add(error)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = self.value(node.func)
        self._reader.found.calls.append(Call(called, node, self.value))
        if isinstance(called, type) and _is_ours(called) and not issubclass(called, (Exception, Fact)):
            self._reader.follow_class(called)
        if isinstance(called, FunctionType) and called.__module__ == self._reader._module:
            names = inspect.signature(inspect.unwrap(called)).parameters
            values = [self.value(it) for it in node.args]
            texts = tuple((name, it) for name, it in zip(names, values, strict=False) if isinstance(it, str))
            if texts:
                self._reader.follow(called, None, texts)
        self.generic_visit(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._loop(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._loop(node)

    def _loop(self, node: ast.GeneratorExp | ast.ListComp) -> None:
        """Over texts that are known, each in its turn."""
        (loop, *_), around = node.generators, dict(self._locals)
        values = self.value(loop.iter)
        texts = [it for it in values if isinstance(it, str)] if isinstance(values, tuple) else []
        for text in texts if isinstance(loop.target, ast.Name) else []:
            self._locals[ast.unparse(loop.target)] = text
            self.generic_visit(node)
        self._locals = around
        if not texts:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._refer(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._refer(node)
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and self._function.__module__ == self._reader._module:
            self._reader.found.texts.add(node.value)

    def _refer(self, node: ast.Name | ast.Attribute) -> None:
        function = self.value(node)
        if isinstance(function, FunctionType):
            kind = self._kind(node.value) if isinstance(node, ast.Attribute) else None
            self._reader.follow(function, kind)

    def _kind(self, node: ast.expr) -> type | None:
        """The class whose instance, or which itself, stands before the dot."""
        value = self.value(node)
        if isinstance(value, Of):
            return value.kind
        return value if isinstance(value, type) else None if isinstance(value, ModuleType) else type(value)

    def value(self, node: ast.expr) -> Any:
        """What an expression is, as far as that is known before the code runs; else UNKNOWN."""
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                if name in self._locals:
                    return self._locals[name]
                return self._function.__globals__.get(name, vars(__import__("builtins")).get(name, UNKNOWN))
            case ast.Attribute(inner, name):
                return _attribute(self.value(inner), name)
            case ast.Tuple(elements):
                return tuple(self.value(it) for it in elements)
            case ast.Subscript() | ast.BinOp():  # a type, as Annotated[...] and A | None
                try:
                    return eval(compile(ast.Expression(node), "", "eval"), self._function.__globals__)
                except Exception:
                    return UNKNOWN
        return UNKNOWN


def _parameters(function: FunctionType, kind: type | None) -> dict[str, Any]:
    """What is known of a function's parameters: of which classes they are."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # a type that is only imported for mypy
        hints = {}
    known: dict[str, Any] = {}
    for name in inspect.signature(function).parameters:
        hint = typing.get_origin(hints.get(name)) or hints.get(name)
        known[name] = Of(hint) if isinstance(hint, type) else UNKNOWN
    if kind is not None and "self" in known:
        known["self"] = Of(kind)
    return known


def _attribute(value: Any, name: str) -> Any:
    match value:
        case Of(kind):
            found = inspect.getattr_static(kind, name, UNKNOWN)
            return _given_to_init(kind, name) if found is UNKNOWN else _function(found)
        case ModuleType():
            return getattr(value, name, UNKNOWN)
        case type():
            return _function(inspect.getattr_static(value, name, UNKNOWN))
    return UNKNOWN if value is UNKNOWN else _attribute(Of(type(value)), name)


def _given_to_init(kind: type, name: str) -> Any:
    """`self._keys`, where `__init__` takes `keys`: an instance of the class that the signature names."""
    return _parameters(kind.__init__, None).get(name.lstrip("_"), UNKNOWN) if _is_ours(kind) else UNKNOWN  # type: ignore[misc]


def _function(found: Any) -> Any:
    """The function in a property, a static method and the like."""
    match found:
        case staticmethod() | classmethod() | MethodType():
            return found.__func__
        case property():
            return found.fget
    return found


def _is_ours(it: Any) -> bool:
    """Whether its source is in functions/."""
    try:
        return FUNCTIONS in _path(it).parents
    except (TypeError, OSError):
        return False


@functools.cache
def _path(it: Any) -> Path:
    return Path(inspect.getfile(it)).resolve()


@functools.cache
def _tree(function: FunctionType) -> ast.FunctionDef:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    return tree


def meanings(kind: type[Any]) -> dict[str, str]:
    """What the docstrings under a Struct's fields say, by the names that they have on the wire."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not issubclass(each, msgspec.Struct) or each is msgspec.Struct:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(tree, ast.ClassDef)
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
        fields = [it for it in tree.body if "ClassVar" not in ast.unparse(it)]
        for field_, text in itertools.pairwise(fields):
            match field_, text:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(said))):
                    found[names[name]] = " ".join(said.split())
    return found


def taken_by(handler: Callable[..., Any]) -> list[type[Fact]]:
    """The facts that a consumer takes: those that its decorator names."""
    function = inspect.unwrap(handler)
    assert isinstance(function, FunctionType)
    named = [it for decorator in _tree(function).decorator_list for it in ast.walk(decorator)]
    facts = [function.__globals__.get(it.id) for it in named if isinstance(it, ast.Name)]
    return [it for it in facts if isinstance(it, type) and issubclass(it, Fact)]


def constructed(found: Read) -> Iterator[type[Fact]]:
    """The facts that are made."""
    for call in found.calls:
        if isinstance(call.of, type) and issubclass(call.of, Fact):
            yield call.of
