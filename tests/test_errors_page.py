"""docs/errors.md names every class of errors, and its examples are real."""

import doctest
import importlib
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

import lava_async as la
from code_blocks import blocks_of
from lava_async import errors
from lava_async._cli import main

pytestmark = pytest.mark.timeout(240)

PATH = Path(__file__).parent.parent / "docs" / "errors.md"
PAGE = PATH.read_text(encoding="utf-8")
CLASSES = [
    name for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
]  # fmt: skip


def blocks(language):
    return [block.text for block in blocks_of(PATH) if block.language == language]


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_row_and_a_section_with_an_example(name):
    kind = getattr(errors, name)
    base = next(base for base in kind.__mro__[1:] if base.__name__ in PAGE)
    builtin = kind.__mro__[2].__name__ if base is errors.LavaAsyncError else base.__name__
    assert re.search(rf"\| \[`{name}`\]\(#{name.lower()}\) \| `{builtin}` \|", PAGE)
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert "```pycon" in section and (name == "LavaAsyncError" or f"errors.{name}: " in section)


def test_no_row_of_a_class_that_is_not():
    assert set(re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE)) == set(CLASSES)


def test_examples_are_real(tmp_path, monkeypatch):
    importlib.import_module("lava.lib.dl.slayer")  # which prints, the first time
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with warnings.catch_warnings():
        for place, block in enumerate(blocks("pycon")):
            test = doctest.DocTestParser().get_doctest(block, names, f"block {place}", None, 0)
            runner.run(test, out=told.append, clear_globs=False)
            names = test.globs
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


def test_examples_of_the_command_line_are_real(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    neurons = la.Population("p", (2,), 4096, 4096, 1)
    la.save(la.Graph((3,), (neurons,), (la.Dense(la.INPUT, 0, np.ones((2, 3))),)), "network.net")
    np.save("input.npy", np.ones((1, 3, 4), int))
    (block,) = blocks("console")
    for command, says in re.findall(r"^\$ lava-async (.*)\n(.*)\n", block, re.MULTILINE):
        assert main(shlex.split(command)) == 2
        assert capsys.readouterr().err == f"{says}\n", command
