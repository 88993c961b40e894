"""A cell that fails names itself, and what the others have found by then is kept."""

from __future__ import annotations

import re

import pytest

from failing_calls import (
    FAILURES,
    FailingCell,
    fail_at_3,
    fail_or_wait,
    give_what_cannot_be_sent,
    is_decisive_of_seed_1,
    is_fifo_with_3,
    wait_and_fail,
)
from lava_async._cli import main
from lava_async.errors import ExecutionError, ValidationError
from lava_async.study import cells, processes
from studies import cell_files, tables

pytestmark = [pytest.mark.timeout(280), pytest.mark.usefixtures("undrawn")]


def gather(function, batches, **where):
    """What came before the error, and that."""
    found = {}
    with pytest.raises(ExecutionError) as caught:
        for place, result in processes.each(function, batches, "cell {}".format, **where):
            found[place] = result
    assert len(str(caught.value).splitlines()) == 1
    return found, caught.value


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_call_that_raises_is_named_and_is_the_cause(kind, jobs):
    batches = [{0: (0, kind), 1: (1, kind)}, {2: (2, kind), 3: (3, kind), 4: (4, kind)}]
    found, error = gather(fail_at_3, batches, jobs=jobs)
    assert found == {0: 0, 1: 1, 2: 2}  # those of its own batch, too
    raised, cause = FAILURES[kind](), error.__cause__
    text = " ".join(f"{type(raised).__name__}: {raised}".split())
    assert (error.where, error.what) == ("study, cell 3", "cell")
    assert error.got == text
    if jobs == 1:
        assert type(cause) is type(raised)
        return
    if kind in ("not copied", "held"):  # between processes
        assert type(cause) is ExecutionError and str(cause) == text
    else:
        assert type(cause) is type(raised) and str(cause) == str(raised)
    assert cause is not None and "in fail_at_3" in str(cause.__cause__)


def test_after_a_failure_what_is_under_way_is_kept_and_nothing_else_begins():
    found, error = gather(fail_or_wait, [{i: (i,)} for i in range(50)], jobs=2)
    assert error.where == "study, cell 0"
    assert 1 in found and len(found) <= 8


def test_a_killed_worker_leaves_the_names_of_what_may_have_killed_it():
    found, error = gather(fail_at_3, [{i: (i, "killed")} for i in range(4)], jobs=2)
    assert found == {0: 0, 1: 1, 2: 2}
    assert "worker process: expected one that ends by itself; what is done stands" in str(error)
    assert error.got == "a killed one; under way were: cell 3"
    assert error.__cause__ is not None


def test_of_many_names_the_first_are_said():
    batches = [{10 * i + j: (i, "killed") for j in range(3)} for i in range(2)]
    _, error = gather(wait_and_fail, batches, jobs=2)
    assert str(error.got).endswith("under way were: cell 0; cell 1; cell 2; cell 10; 2 others")


def test_a_result_that_cannot_be_sent_ends_in_an_error_of_ours():
    _, error = gather(give_what_cannot_be_sent, [{0: (0,)}, {1: (1,)}], jobs=2)
    assert error.what == "workers" and "cannot pickle 'generator'" in str(error.__cause__)
    assert "under way were: cell 0" in str(error.got)


@pytest.mark.parametrize("allowed", [0, 2])
def test_on_a_cluster_too(allowed):
    """Where a call that kills its worker is made again so many times."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("dask.distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": allowed}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
    ):
        address = cluster.scheduler_address
        batches = [{i: (i, "killed")} for i in range(4)]
        _, error = gather(fail_at_3, batches, scheduler=address)
        assert (error.where, error.what) == (f"study, --scheduler {address}", "workers")
        assert str(error.got).startswith("KilledWorker: ") and "cell 3" in str(error)

        batches = [{i: (i, "ours")} for i in range(4)]
        found, error = gather(fail_at_3, batches, scheduler=address)
        assert error.where == "study, cell 3" and type(error.__cause__) is ValidationError
        assert found == {0: 0, 1: 1, 2: 2}


STUDY = [
    "study", "--methods", "layered", "--methods", "decisive", "--seeds", "2", "--samples", "16",
    "--epochs", "1", "--schedules", "layer,fifo", "--stop-after", "3",
]  # fmt: skip
CELLS = {
    "train": (
        is_decisive_of_seed_1, "training decisive, momentum, F = 8, penalty 0.003, seed 1"
    ),
    "run": (  # one of either seed, which may fail side by side
        is_fifo_with_3,
        "running layered, layer by layer, penalty 0, seed [01], run fifo, F = 8, K = 3",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "whole"
    assert main([*STUDY, "--jobs", "1", "--out", str(folder)]) == 0
    return tables(folder)


@pytest.mark.parametrize(
    ("of", "kind", "jobs"),
    [("train", "ours", "1"), ("train", "killed", "2"), ("run", "memory", "1"),
     ("run", "arbitrary", "2")],
)  # fmt: skip
def test_the_command_names_the_cell_and_goes_on(
    of, kind, jobs, whole, tmp_path, monkeypatch, capsys
):
    is_the_one, name = CELLS[of]
    folder = tmp_path / "out"
    args = [*STUDY, "--jobs", jobs, "--out", str(folder)]
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(cells, of, FailingCell(of, is_the_one, kind, folder))
        assert main([*args, "--quiet"]) == 1  # a slow machine would tell how far it is
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    if kind == "killed":
        assert err.startswith("lava-async: study: worker process: ") and re.search(name, err)
    else:
        assert re.match(f"lava-async: study, {name}: cell: expected a result", err)
    assert not (folder / "table.csv").exists()
    left = cell_files(folder)
    assert any(file.endswith(".json") for file in left)

    assert main(args) == 0
    assert left.items() <= cell_files(folder).items()
    assert tables(folder) == whole
    capsys.readouterr()
