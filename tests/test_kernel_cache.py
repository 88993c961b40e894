"""Compiled code is kept on disk: no change of the sources may leave it valid."""

import ast
import importlib.util
import shutil
from pathlib import Path

import pytest

from lava_async._kernel import _entry


def imported(tree):
    """Imported name -> (module, name in it); None instead of a name: the module itself."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lava_async"):
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                is_module = importlib.util.find_spec(node.module).submodule_search_locations
                if is_module and importlib.util.find_spec(module):
                    names[alias.asname or alias.name] = module, None
                else:
                    names[alias.asname or alias.name] = node.module, alias.name
    return names


def defined(tree):
    """Name -> the top-level statement that makes it."""
    names = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, ast.Assign):
            targets = [n for target in node.targets for n in ast.walk(target)]
            names.update((n.id, node) for n in targets if isinstance(n, ast.Name))
    return names


def reached(module, start):
    """The files of all modules of the package whose names `start` in `module` leads to."""
    files, seen, todo = {}, set(), [(module, start)]
    while todo:
        module, name = todo.pop()
        if (module, name) in seen:
            continue
        seen.add((module, name))
        files[module] = Path(importlib.util.find_spec(module).origin)
        tree = ast.parse(files[module].read_text())
        imports, node = imported(tree), defined(tree).get(name)
        if name in imports:
            todo.append(imports[name])
        for used in ast.walk(node) if node else ():
            if isinstance(used, ast.Attribute) and isinstance(used.value, ast.Name):
                there, inner = imports.get(used.value.id, (None, None))
                if there and inner is None:
                    todo.append((there, used.attr))
            elif isinstance(used, ast.Name):
                todo.append((module, used.id))
    return files


def test_all_sources_of_compiled_code_are_known():
    files = reached("lava_async._kernel._entry", "_entry_points")
    names = {name.rpartition(".")[2] for name in files}
    assert {"dynamics", "random", "_pool", "_neurons", "_delivery", "_events"} <= names
    assert set(files.values()) <= set(_entry.SOURCES)


@pytest.mark.parametrize("changed", _entry.SOURCES, ids=lambda file: file.stem)
def test_a_change_of_any_source_voids_the_cache(changed, tmp_path):
    copy = tmp_path / changed.name
    shutil.copy(changed, copy)
    files = [copy if file == changed else file for file in _entry.SOURCES]
    before = _entry.digest(files)
    copy.write_text(copy.read_text() + "#")
    assert _entry.digest(files) != before == _entry.digest(_entry.SOURCES)


@pytest.mark.parametrize("entry", [_entry.run_samples, _entry.run_step], ids=lambda e: e.__name__)
def test_the_digest_is_part_of_the_key_of_the_cache(entry):
    # Numba's key holds what a function closes over.
    closed_over = [cell.cell_contents for cell in entry.py_func.__closure__]
    assert closed_over == [_entry.digest(_entry.SOURCES)]
