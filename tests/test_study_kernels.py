"""Kernels that a study compiles before its processes begin are those that its cells call."""

import dataclasses
import subprocess
import sys

import pytest

from lava_async import _compiling
from lava_async._kernel import _entry, ahead
from lava_async.study import kernels, processes, run_study
from lava_async.study.grid import UNROLLED
from studies import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

CALLS = """
from lava_async._kernel import _entry, ahead, training
from lava_async._kernel.training import entry
from lava_async.study import kernels, run_study
from studies import TINY

for compile_now in (kernels.run_and_record, ahead.main):
    compile_now()
functions = (
    _entry.run_samples, entry.record_samples, entry.credit_samples, entry.learn_samples
)
before = [list(function.overloads) for function in functions]
assert [len(types) for types in before] == [1, 1, 1, 1]
run_study(TINY, "out", jobs=1)
assert [list(function.overloads) for function in functions] == before, "compiled again"
"""


@pytest.mark.timeout(200)
def test_cells_call_what_was_compiled(pytestconfig, tmp_path):
    paths = [str(pytestconfig.rootpath / folder) for folder in ("", "tests")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{CALLS}"], cwd=tmp_path,
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def kept(monkeypatch):
    """Names of kernels that are on the disk; those of this package's sources."""
    names = set()

    def is_kept(name, sources):
        assert sources == _entry.DIGEST
        return name in names

    monkeypatch.setattr(kernels, "is_kept", is_kept)
    return names


def test_what_is_missing(kept):
    assert kernels.missing(False) == [kernels.run]
    assert kernels.missing(True) == [kernels.run_and_record, ahead.main]
    kept |= {"record_samples", "learn_samples"}
    assert kernels.missing(True) == [kernels.run_and_record, ahead.main]
    kept |= {"run_samples"}
    assert kernels.missing(True) == [ahead.main]
    kept |= {"credit_samples"}
    assert kernels.missing(True) == kernels.missing(False) == []


@pytest.fixture
def compiled(monkeypatch):
    """What each call of `compile_all` was asked for."""
    calls = []
    monkeypatch.setattr(kernels, "compile_all", lambda what, jobs: calls.append(what))
    return calls


def _study(methods):
    return dataclasses.replace(TINY, methods=methods, seeds=1, schedules=("fifo",), stop_after=())


def _compute_here(monkeypatch):
    """The cells of a study, whatever processes it asks for."""

    def each(function, batches, name_of, jobs=None, scheduler=None):
        for batch in batches:
            for place, arguments in batch.items():
                yield place, function(*arguments)

    monkeypatch.setattr(processes, "each", each)


ALL = ["run_and_record", "main"]


@pytest.mark.parametrize(
    ("methods", "jobs", "asked"),
    [
        (("decisive",), 2, [ALL, ["run"]]),
        (("layered",), 2, [ALL, ["run"]]),
        ((UNROLLED,), 2, [["run"], ["run"]]),
        (("decisive",), 1, []),
    ],
)
def test_several_processes_here_have_them_compiled_first(
    methods, jobs, asked, kept, compiled, tmp_path, monkeypatch
):
    _compute_here(monkeypatch)
    study = _study(methods)
    run_study(study, tmp_path / "out", jobs=jobs)
    assert [[each.__name__ for each in what] for what in compiled] == asked
    compiled.clear()
    run_study(study, tmp_path / "out", jobs=jobs)  # everything is done
    assert compiled == []


def test_what_is_kept_is_not_compiled(kept, compiled, tmp_path, monkeypatch):
    kept |= {"record_samples", "credit_samples", "learn_samples", "run_samples"}
    _compute_here(monkeypatch)
    run_study(_study(("decisive",)), tmp_path / "out", jobs=2)
    assert compiled == []


def test_workers_of_a_cluster_compile_their_own(kept, compiled, tmp_path, monkeypatch):
    _compute_here(monkeypatch)
    run_study(_study(("decisive",)), tmp_path / "out", scheduler="tcp://127.0.0.1:1")
    assert compiled == []


@pytest.fixture
def announced(monkeypatch):
    """Kernels that are said to be compiled."""
    names = []
    monkeypatch.setattr(kernels, "announce", names.append)
    return names


def test_compiling_goes_through_processes_and_is_told_here(announced, kept, capfd):
    kept |= {"learn_samples"}
    kernels.compile_all([kernels.run, ahead.main], 2)
    assert announced == ["run_samples", "credit_samples"]
    assert capfd.readouterr() == ("", "")


def test_processes_leave_telling_to_who_started_them():
    untold = "sorted(__import__('lava_async._compiling')._compiling._announced)"
    asked = [{0: (untold,)}, {1: (untold,)}]
    everything = sorted({purpose for purpose, _ in _compiling.KERNELS.values()})
    assert sorted(processes.each(eval, asked, str, 2)) == [(0, everything), (1, everything)]
    before = sorted(_compiling._announced)
    assert list(processes.each(eval, asked[:1], str, 1)) == [(0, before)]
