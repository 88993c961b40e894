"""The public names: what the API reference has to hold, and what references may mean."""

import ast
import importlib.util
from pathlib import Path

FACES = (
    "lava_async",
    "lava_async.slayer",
    "lava_async.netx",
    "lava_async.proc",
    "lava_async.runtime",
    "lava_async.metrics",
    "lava_async.plots",
    "lava_async.cost",
    "lava_async.study",
    "lava_async.datasets",
    "lava_async.datasets.registry",
    "lava_async.datasets.baseline",
    "lava_async.errors",
)


def names_of(face):
    """Names that a module offers: its ``__all__``, else what it re-exports or defines.

    Read from the source, so that names are known where Lava or torch are not installed.
    """
    body = ast.parse(Path(importlib.util.find_spec(face).origin).read_text()).body
    names = []
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return ast.literal_eval(value)
            case ast.ImportFrom(names=aliases):
                names += [alias.name for alias in aliases if alias.asname == alias.name]
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(
                target=ast.Name(id=name)
            ) if name.isupper():
                names.append(name)
    return [name for name in names if not name.startswith("_")]


def all_names():
    """All public names, each in its place: errors are those of `errors`, wherever else offered."""
    errors = names_of("lava_async.errors")
    return [
        f"{face}.{name}"
        for face in FACES
        for name in names_of(face)
        if f"{face}.{name}" not in FACES and (name not in errors or face == "lava_async.errors")
    ]
