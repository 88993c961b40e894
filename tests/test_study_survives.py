"""Studies that are killed, interrupted, or whose workers are, go on to the same bytes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lava_async as la
from lava_async._cli import main
from lava_async.errors import ExecutionError, ValidationError
from lava_async.study import cells, processes, run_study
from studies import TINY, cell_files, tables

pytestmark = [pytest.mark.timeout(280), pytest.mark.usefixtures("undrawn")]

HERE = Path(__file__).parent


def test_killed_at_20_random_points_it_goes_on_to_the_same_bytes(tmp_path):
    draw = random.Random(0)
    shares = [(place + draw.random()) / 20 for place in range(20)]
    done = subprocess.run(
        [sys.executable, HERE / "killed_studies.py", tmp_path, *map(str, shares)],
        capture_output=True, text=True, timeout=270, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = [tuple(map(int, line.split())) for line in done.stdout.splitlines()[-20:]]
    assert len(left) == 20
    # Else the kills would have hit nothing but the beginning and the end.
    assert sum(0 < kept < all_ for kept, all_ in left) >= 8


SMALL = [
    "--methods", "layered", "--methods", "decisive", "--seeds", "3", "--samples", "32",
    "--epochs", "2", "--schedules", "layer,momentum:4,fifo", "--stop-after", "1",
]  # fmt: skip


def wait_for_cells(folder: Path, count: int) -> None:
    end = time.monotonic() + 200
    while not folder.is_dir() or len(list(folder.glob("[0-9a-f]*.json"))) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def press_ctrl_c(args: list[str], cells: Path, count: int) -> tuple[int, str, str]:
    """Of a command in a session of its own, once so many cells are done."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lava_async._cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", program, *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for_cells(cells, count)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = command.communicate(timeout=100)
    return command.returncode, out, err


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tables of the small study, of which nothing was interrupted."""
    folder = tmp_path_factory.mktemp("study") / "whole"
    assert main(["study", *SMALL, "--jobs", "1", "--out", str(folder)]) == 0
    return tables(folder)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_folder_that_goes_on(jobs, whole, tmp_path, capsys):
    capsys.readouterr()
    folder = tmp_path / "interrupted"
    args = ["study", *SMALL, "--jobs", jobs, "--out", str(folder)]
    told = press_ctrl_c([*args, "--quiet"], folder / "cells", 2)  # a slow machine tells where it is
    assert told == (130, "", "lava-async: interrupted\n")
    assert not (folder / "table.csv").exists()
    left = cell_files(folder)

    assert main(["study", *SMALL, "--jobs", "1", "--out", str(folder)]) == 0
    assert left.items() <= cell_files(folder).items()
    assert tables(folder) == whole
    capsys.readouterr()


def test_no_process_of_a_study_is_interrupted_itself():
    asks: list[processes.Batch] = [{place: (signal.SIG_BLOCK, ())} for place in range(4)]
    masks = dict(processes.each(signal.pthread_sigmask, asks, str, jobs=2))
    assert len(masks) == 4 and all(signal.SIGINT in blocked for blocked in masks.values())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


# ---------------------------------------------------------------- a cluster


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def test_on_a_cluster_with_a_killed_worker_tables_are_those_of_one_process(cluster, tmp_path):
    from dask.distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
    assert len(set(pids.values()) - {os.getpid()}) == 2
    killed = []

    def kill_one():
        wait_for_cells(tmp_path / "cluster/cells", 2)
        killed.append(next(iter(pids.values())))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    outcome = run_study(TINY, tmp_path / "cluster", scheduler=cluster.scheduler_address)
    killer.join()
    assert killed and outcome.computed == len(outcome.rows) + 4
    run_study(TINY, tmp_path / "here", jobs=1)
    assert tables(tmp_path / "cluster") == tables(tmp_path / "here")
    names = cell_files(tmp_path / "here").keys()
    assert cell_files(tmp_path / "cluster").keys() == names


def test_threads_of_one_worker_train_what_one_alone_does():
    data = cells.describe_data("digits", TINY.samples, True, None)
    configurations = [
        {"settings": each.settings.to_dict(), "data": data, "code": cells.code()}
        for each in TINY.trainings()
    ]
    alone = [cells.train(each, None) for each in configurations]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(cells.train, configurations * 4, itertools.repeat(None))
        assert list(found) == alone * 4


@pytest.mark.parametrize("kind", ["train", "run"])
@pytest.mark.parametrize(
    ("of", "what", "says"),
    [
        ("code", "sources", "worker: lava_async: expected .*, with the sources that the study"),
        ("data", "digest", "data digits: samples: expected those that the study began with"),
    ],
)
def test_a_worker_with_another_package_or_other_data_computes_nothing(kind, of, what, says):
    described = cells.describe_data("digits", 8, kind == "train", None)
    settings = TINY.trainings()[0].settings.to_dict()
    order = {"schedule": la.Fifo(8).to_dict(), "stop_after": None}
    cell = {"settings": settings, "data": described, "code": dict(cells.code()), **order}
    cell[of][what] = "another"
    arguments = (cell, None) if kind == "train" else (None, [cell], None)
    with pytest.raises(ExecutionError, match=f"^{says}"):
        getattr(cells, kind)(*arguments)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "tcp://", "smoke://signal:1"])
def test_a_cluster_that_cannot_be_reached_is_refused(address, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_CONNECT_TIMEOUT", "500ms")
    with pytest.raises(ValidationError, match=f"^--scheduler: address: .*got {address}"):
        run_study(TINY, tmp_path / "out", scheduler=address)


def test_where_dask_is_not_installed_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ValidationError, match=r"--scheduler: package dask: .*async\[cluster\]"):
        run_study(TINY, tmp_path / "out", scheduler="tcp://localhost:8786")
