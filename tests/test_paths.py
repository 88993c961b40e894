"""What users give as a path: any kind of path works, anything else is told in our words."""

import io
import pathlib

import numpy as np
import pytest

import lava_async as la
from lava_async import plots
from lava_async._files.atomic import atomic_paths
from lava_async.errors import FileFormatError, ValidationError

GRAPH = la.Graph((1,), (la.Population("p", (1,), 0, 0, 9),), (la.OneToOne(-1, 0, 10),))

NO_PATHS = {
    "int": 3, "bool": True, "NoneType": None, "float": 1.5, "list": ["a.net"],
    "BytesIO": io.BytesIO(), "Graph": GRAPH, "bytearray": bytearray(b"a.net"),
    "ndarray": np.array("a.net"),
}  # fmt: skip


def export(path):
    from lava_async import slayer as async_slayer

    async_slayer.Network.from_graph(GRAPH).export_hdf5(path)


def from_hdf5(path):
    from lava_async import slayer as async_slayer

    async_slayer.Network.from_hdf5(path)


def process(path):
    from lava_async import netx as async_netx

    async_netx.Network(net_config=path)


def figure(path):
    from matplotlib.figure import Figure

    plots.save(Figure((1, 1)), path)


def two_files(path):
    with atomic_paths("whole.txt", path):
        pytest.fail("must not start")


ACTS = {
    "load": la.load, "save": lambda path: la.save(GRAPH, path), "export_hdf5": export,
    "from_hdf5": from_hdf5, "netx.Network": process, "plots.save": figure,
    "atomic_paths": two_files,
}  # fmt: skip


@pytest.mark.parametrize(
    "act, kind",
    [(a, k) for a in ACTS for k in NO_PATHS if (a, k) != ("netx.Network", "Graph")],
)
def test_what_is_no_path(act, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match=rf"path: expected a path \(got {kind}\)"):
        ACTS[act](NO_PATHS[kind])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [str, np.str_, pathlib.Path, lambda p: str(p).encode()])
def test_every_kind_of_path(kind, tmp_path):
    path = kind(tmp_path / "Größe.net")
    la.save(GRAPH, path)
    assert la.load(path).num_neurons == 1
    figure(kind(tmp_path / "a.png"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Größe.net", "a.png"]


def test_a_path_that_no_file_system_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for act in (ACTS["save"], ACTS["export_hdf5"], two_files, figure):
        with pytest.raises(ValidationError, match=r"path: expected one that the file system takes"):
            act("a\0b.png")
    with pytest.raises(FileFormatError, match="embedded null byte"):
        la.load("a\0b.net")
    assert not list(tmp_path.iterdir())
