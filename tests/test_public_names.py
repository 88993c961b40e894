"""Whatever a public function gives, or raises, has a public name, and so its place in the API."""

import ast
import builtins
import functools
import importlib
import inspect
import re
import sys
import typing

import pytest

from executed_notebooks import ROOT

sys.path.append(str(ROOT / "docs"))
import public

pytest.importorskip("torch")

PUBLIC = {
    name: getattr(importlib.import_module(face), short)
    for name in public.all_names()
    for face, _, short in [name.rpartition(".")]
}
ERRORS = {*public.names_of("lava_async.errors"), *vars(builtins)}


def functions():
    """Public functions, methods and properties, by name."""
    for name, found in PUBLIC.items():
        if inspect.isfunction(found):
            yield name, found
        if not inspect.isclass(found):
            continue
        for short, member in vars(found).items():
            match member:
                case property():
                    member = member.fget
                case functools.cached_property():
                    member = member.func
                case classmethod() | staticmethod():
                    member = member.__func__
            if inspect.isfunction(member) and not short.startswith("_"):
                yield f"{name}.{short}", member


@functools.cache
def imported(module):
    """What a module imports by name, also for the sake of types alone."""
    names = {}
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.ImportFrom):
            source = importlib.import_module(node.module)
            names.update(
                (alias.asname or alias.name, getattr(source, alias.name))
                for alias in node.names
                if hasattr(source, alias.name)
            )
    return names


def our_types(annotation):
    """Classes of this package in an annotation, at whatever depth."""
    for argument in typing.get_args(annotation):
        for part in argument if isinstance(argument, list) else [argument]:
            yield from our_types(part)
    annotation = typing.get_origin(annotation) or annotation
    if inspect.isclass(annotation) and annotation.__module__.startswith("lava_async"):
        yield annotation


def nameless(annotations):
    public_types = [found for found in PUBLIC.values() if inspect.isclass(found)]
    found = (kind for annotation in annotations for kind in our_types(annotation))
    return [kind for kind in found if kind not in public_types]


def test_types_that_functions_return_have_a_public_name():
    found = dict(functions())
    assert {"lava_async.verify", "lava_async.from_nir", "lava_async.Graph.replace"} <= set(found)
    for name, function in found.items():
        names = imported(function.__module__)
        given = typing.get_type_hints(function, localns=names).get("return")
        assert nameless([given]) == [], name


def test_types_of_public_attributes_have_one():
    for name, found in PUBLIC.items():
        if inspect.isclass(found):
            hints = typing.get_type_hints(found, localns=imported(found.__module__))
            shown = [hint for attribute, hint in hints.items() if not attribute.startswith("_")]
            assert nameless(shown) == [], name


def test_errors_that_functions_raise_have_one():
    told = set()
    for name, function in functions():
        section = re.search(r"Raises\n-+\n(.*?)(\n\n|\Z)", inspect.getdoc(function) or "", re.S)
        for line in re.findall(r"^\w.*", section[1] if section else "", re.M):
            raised = set(re.findall(r"\w+", line))
            assert raised <= ERRORS, name
            told |= raised
    assert {"ValidationError", "ExecutionError", "OSError"} <= told


def test_the_test_sees_what_has_no_name():
    from lava_async._kernel import Stepper

    assert nameless([list[Stepper] | None, tuple[int, dict[str, Stepper]]]) == [Stepper] * 2
