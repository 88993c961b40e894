"""Kernels that are compiled ahead are those that training calls."""

import subprocess
import sys

import pytest

from lava_async._kernel import ahead
from lava_async._kernel._cache import cached, is_kept

CALLS = """
import lava_async as la
import slayer_blocks as sb
import torch
from lava_async._kernel import ahead
from lava_async._kernel.training import entry

ahead.main()
functions = entry.credit_samples, entry.learn_samples
before = [list(function.overloads) for function in functions]
assert [len(types) for types in before] == [1, 1]
few, conv = (sb.dense_blocks(), (4, 20, 6)), (sb.conv_blocks(), (4, 2, 7, 6, 6))
many = sb.dense_blocks((20, 400, 400)), (4, 20, 6)
for blocks, shape in (few, conv, many):
    x = sb.spikes(shape).to(torch.uint8)
    for schedule in (la.Momentum(4), la.LayerSync()):
        net = sb.network(blocks, schedule)
        net(x).sum().backward()
assert [list(function.overloads) for function in functions] == before, "compiled again"
"""


def test_training_calls_what_was_compiled(pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", CALLS], cwd=pytestconfig.rootpath / "tests", text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kept", [False, True])
def test_a_process_starts_only_if_there_is_something_to_compile(kept, monkeypatch):
    started = []

    class Process:
        def __init__(self, command, **options):
            compile(command[2], "", "exec")
            started.append(self)

        def terminate(self):
            pass

    monkeypatch.setattr(ahead, "is_kept", lambda function, sources: kept)
    monkeypatch.setattr(ahead.subprocess, "Popen", Process)
    ahead.compile_ahead()
    assert len(started) == (not kept)


def add(a, b):
    return a + b


def test_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("lava_async._kernel._cache.folders", lambda: [(tmp_path, False)])
    assert not is_kept("add", "digest")
    assert cached("digest")(add)(5, 3) == 8
    assert is_kept("add", "digest")
    assert not is_kept("ad", "digest")
    assert not is_kept("add", "another")
    monkeypatch.setattr(sys, "version", "3")  # which shares the folder
    assert not is_kept("add", "digest")
