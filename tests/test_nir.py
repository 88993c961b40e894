"""NIR files: the way out and back is exact, and no damage passes for another network."""

import json
import subprocess
import sys
from collections import Counter

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings

import lava_async as la
from file_graphs import assert_same, file_graphs
from lava_async._cli import main
from lava_async._files.digest import digest
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

pytestmark = pytest.mark.timeout(120)


def as_written(graph):
    """Kinds of connection that no file knows come back as their synapses."""

    def connection(c):
        if type(c) in (la.Dense, la.Conv, la.OneToOne, la.Sparse):
            return c
        return la.Sparse(c.source, c.target, c.synapses(graph.source_shape(c)), delay=c.delay)

    return graph.replace(connections=tuple(connection(c) for c in graph.connections))


@settings(max_examples=60, deadline=None)
@given(graph=file_graphs())
def test_what_is_written_comes_back(graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("nir") / "network.nir"
    la.to_nir(graph, path)
    back, rounding = la.from_nir(path, report=True)
    assert_same(back, as_written(graph))
    assert back == as_written(graph)
    assert not rounding.errors and rounding.dt == 1e-4
    # And as the package itself reads and writes it again.
    nir.write(path, nir.read(path, type_check=False))
    assert_same(la.from_nir(path), as_written(graph))


@pytest.fixture
def graph():
    """A bias on a synaptic current, odd weights, an output that never fires, delays, a loop."""
    rng = np.random.default_rng(0)
    return la.Graph(
        (2, 5, 5),
        [
            la.Population("first", (3, 5, 5), 1000, 99, 77, rng.integers(-9, 9, (3, 5, 5))),
            la.Population("second", (6,), 4096, 300, 0, rng.integers(-9, 9, 6)),
            la.Population("read", (6,), 4096, 4096, (1 << 18) - 1),
        ],
        [
            la.Conv(la.INPUT, 0, rng.integers(-99, 99, (3, 2, 3, 3)), padding=(1, 1), delay=2),
            la.Dense(0, 1, rng.integers(-99, 99, (6, 75)), delay=rng.integers(0, 9, 75)),
            la.Dense(1, 1, rng.integers(-99, 99, (6, 6))),
            la.OneToOne(1, 2, -7),
        ],
        schedule=la.Momentum(4, 0.5, 7),
    )


def test_the_type_check_of_the_package_accepts_it(graph, tmp_path):
    """It adds ends, of what nothing leaves or enters."""
    graph = graph.replace(connections=graph.connections[:2], output=1)
    la.to_nir(graph, tmp_path / "network.nir")
    checked = nir.read(tmp_path / "network.nir")
    assert {"input_population_2", "output_population_2"} < set(checked.nodes)
    assert_same(la.from_nir(checked), graph)


def test_without_the_metadata_it_runs_alike_but_for_rounding(graph, tmp_path):
    path = tmp_path / "network.nir"
    la.to_nir(graph, path)
    content = nir.read(path)
    content.metadata = {}
    other, rounding = la.from_nir(content, report=True)
    assert [type(c) for c in other.connections] == [type(c) for c in graph.connections]
    assert [p.shape for p in other.populations] == [p.shape for p in graph.populations]
    for what in ("i_decay", "v_decay"):
        assert [getattr(p, what) for p in other.populations] == [
            getattr(p, what) for p in graph.populations
        ]
    np.testing.assert_array_equal(other.connections[1].delay, graph.connections[1].delay)
    assert other.schedule is None and 0 < rounding.largest("weight") < 0.02


@pytest.mark.parametrize("dt", [1e-3, 0.3, 1.0])
def test_any_time_step(dt, graph, tmp_path):
    path = tmp_path / "network.nir"
    la.to_nir(graph, path, dt=dt)
    back, rounding = la.from_nir(path, report=True)
    assert_same(back, graph)
    assert rounding.dt == dt
    # With another than was recorded the floats decide.
    half = la.from_nir(path, dt=dt / 2)
    assert (half.populations[0].i_decay, half.connections[0].delay) == (500, 4)
    assert_same(la.from_nir(path, dt=dt), graph)


def small(path, **dense):
    """What `to_nir` wrote of two neurons that decay by half."""
    connection = la.Dense(la.INPUT, 0, **{"weight": np.ones((2, 3)), **dense})
    la.to_nir(la.Graph((3,), (la.Population("output", (2,), 4096, 2048, 1),), (connection,)), path)
    return nir.read(path, type_check=False)


SAYS_ITS_OWN = "; to_nir recorded dt=0.0001, taken if none is given (got "


@pytest.mark.parametrize(
    ("dt", "dense", "says"),
    [
        (1e-3, {}, "tau: expected at least the time step dt=0.001"),
        (0.7e-4, {"delay": 1}, "delay: expected a multiple of the time step dt=7e-05"),
        (0.5e-4, {"delay": 40}, "delay: expected an integer in 0..62"),
        (2e-4, {"weight": np.full((2, 3), 200)}, "biases 4095 times"),
    ],
)
def test_a_time_step_that_does_not_fit_is_told_with_the_file_s(dt, dense, says, tmp_path):
    path = tmp_path / "network.nir"
    small(path, **dense)
    with pytest.raises(ValidationError, match=r"network\.nir: ") as caught:
        la.from_nir(path, dt=dt)
    assert f"{says}{SAYS_ITS_OWN}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: setattr(c.nodes["population_0"], "tau", np.zeros(2)), "tau: expected at least"),
        (lambda c: setattr(c.nodes["population_0"], "tau", np.array([np.nan, 1])), "tau: expected"),
        (lambda c: setattr(c.nodes["population_0"], "v_threshold", np.arange(2)), "v_threshold: "),
        (lambda c: setattr(c.nodes["connection_0"], "weight", np.full((2, 3), 999)), "weights: "),
        (lambda c: c.nodes.update(more=nir.Threshold(np.ones(2))), "node more: kind: expected"),
        (lambda c: c.edges.append(("nowhere", "output")), "graph: edge: expected two"),
    ],
)
def test_but_not_where_that_does_not_fit_either(change, says, tmp_path):
    content = small(tmp_path / "network.nir")
    change(content)
    with pytest.raises(ValidationError) as caught:
        la.from_nir(content, dt=0.9e-4)
    assert says in str(caught.value) and "recorded" not in str(caught.value)


def test_load_reads_it(graph, tmp_path):
    path = tmp_path / "whatever.net"
    la.to_nir(graph, path)
    assert_same(la.load(path), graph)
    assert_same(la.load(path, (2, 5, 5)), graph)
    with pytest.raises(FileFormatError, match=r"input_shape: expected \(2, 5, 5\)"):
        la.load(path, (2, 5, 6))


def test_the_command_line_takes_it(graph, tmp_path, capsys):
    path, x = tmp_path / "network.nir", tmp_path / "x.npy"
    frames = np.random.default_rng(1).integers(0, 2, (2, 2, 5, 5, 8))
    np.save(x, frames)
    la.to_nir(graph, path)
    out = tmp_path / "out.npz"
    assert main(["run", str(path), str(x), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert f"{path}: NIR, time step 0.0001: exact, as lava_async wrote it" in said
    np.testing.assert_array_equal(np.load(out)["all_spikes"], la.simulate(graph, frames).all_spikes)
    path.write_bytes(path.read_bytes()[:-500])
    assert main(["run", str(path), str(x), "--out", str(tmp_path / "no.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "no.npz").exists()


def test_the_process_takes_it(graph, tmp_path):
    netx = pytest.importorskip("lava_async.netx")
    la.to_nir(graph, tmp_path / "network.nir")
    assert_same(netx.Network(net_config=tmp_path / "network.nir").graph, graph)


# What is refused


def test_without_the_package_the_extra_is_named(tmp_path):
    program = """
import sys
sys.modules["nir"] = None
import numpy as np, lava_async as la
graph = la.Graph((1,), [la.Population("p", (1,), 1, 1, 1)], [la.OneToOne(-1, 0, 1)])
for call in (lambda: la.from_nir("x.nir"), lambda: la.to_nir(graph, "x.nir")):
    try:
        call()
    except la.errors.UnsupportedError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    line = "NIR: package nir: expected it installed (pip install 'lava-async[nir]') (got none)\n"
    assert done.stdout == 2 * line
    assert not list(tmp_path.iterdir())


def test_importing_does_not_need_it():
    program = "import sys, lava_async; print([m for m in ('nir', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def changed(change):
    def damage(path):
        content = nir.read(path, type_check=False)
        change(content)
        nir.write(path, content)

    return damage


def in_file(change):
    def damage(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def record(**fields):
    def change(content):
        found = json.loads(content.metadata["lava_async"]) | fields
        content.metadata["lava_async"] = json.dumps(found)

    return changed(change)


def node(name, field, value):
    def change(content):
        setattr(content.nodes[name], field, value)

    return changed(change)


def linked(file):
    file["node/nodes/again"] = h5py.SoftLink("/node")


def huge(file):
    del file["node/nodes/connection_1/weight"]
    file.create_dataset(
        "node/nodes/connection_1/weight", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024)
    )


def replaced(name, data):
    def change(file):
        del file[name]
        file[name] = data

    return in_file(change)


CORRUPT = {
    "missing": (lambda path: path.unlink(), "file: expected an HDF5 file (got No such file"),
    "text": (lambda path: path.write_bytes(b"nir"), "file: expected an HDF5 file (got text"),
    "half": (lambda path: path.write_bytes(path.read_bytes()[:9000]), "expected an HDF5 file"),
    "no node": (in_file(lambda f: f.move("node", "other")), "node: expected a group (got nothing)"),
    "node is data": (replaced("node", 1), "node: expected a group (got a data set)"),
    "no nodes": (in_file(lambda f: f.__delitem__("node/nodes")), "file: expected a NIR graph"),
    "no edges": (in_file(lambda f: f.__delitem__("node/edges")), "file: expected a NIR graph"),
    "unknown type": (replaced("node/nodes/population_0/type", "HH"), "file: expected a NIR graph"),
    "no type": (in_file(lambda f: f.__delitem__("node/type")), "file: expected a NIR graph"),
    "type of numbers": (replaced("node/type", 3), "file: expected a NIR graph"),
    "one inside itself": (in_file(linked), "expected each group once (got one inside itself)"),
    "a huge field": (in_file(huge), "expected at most 134217728 values"),
    "other weights": (node("connection_2", "weight", np.ones((6, 6))), "digest: expected the netw"),
    "another shape": (node("connection_2", "weight", np.ones((5, 6))), "dense weight shape (out"),
    "other threshold": (node("population_0", "v_threshold", np.ones((3, 5, 5))), "digest: expecte"),
    "one other threshold": (
        node("population_0", "v_threshold", np.arange(75.0).reshape(3, 5, 5) + 77), "digest: expec"
    ),
    "other edges": (changed(lambda c: c.edges.pop()), "digest: expected the network"),
    "another reset": (node("population_0", "v_reset", np.ones((3, 5, 5))), "digest: expected the"),
    "no JSON": (changed(lambda c: c.metadata.update(lava_async="{")), "content: expected"),
    "JSON of a list": (changed(lambda c: c.metadata.update(lava_async="[]")), "content: expected"),
    "no time": (record(dt=0), "metadata lava_async: dt: expected a time > 0 (got 0.0)"),
    "a time that is no number": (record(dt=float("nan")), "dt: expected a time > 0 (got nan)"),
    "another source": (
        record(connections=[{"kind": "dense", "source": 7, "target": 0, "delay": None}]),
        "weight dimensions: expected 2",
    ),
    "another kind": (
        record(connections=[{"kind": "other", "source": 0, "target": 0, "delay": None}]), "content:"
    ),
    "another output": (record(output=0), "digest: expected the network"),
    "no output": (record(output=None), "output: expected one integer"),
    "another schedule": (record(schedule=None), "digest: expected the network"),
    "an unknown schedule": (record(schedule={"scheduler": "best"}), "lava_async"),
}


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_file_is_refused(kind, graph, tmp_path):
    path = tmp_path / "network.nir"
    la.to_nir(graph, path)
    damage, says = CORRUPT[kind]
    damage(path)
    with pytest.raises(FileFormatError) as caught:
        la.from_nir(path)
    text = str(caught.value)
    assert type(caught.value) is FileFormatError
    assert text.startswith(f"{path}: ") and says in text and "\n" not in text


def test_a_later_format_is_refused_by_name(graph, tmp_path):
    path = tmp_path / "network.nir"
    la.to_nir(graph, path)
    record(format_version=2)(path)
    with pytest.raises(UnsupportedError, match=r"format_version: expected 1; .* \(got 2\)"):
        la.from_nir(path)


@pytest.mark.parametrize("seed", range(2))
def test_no_damage_loads_as_another_network(seed, graph, tmp_path):
    path = tmp_path / "network.nir"
    la.to_nir(graph, path)
    want, valid = digest(graph), np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(seed)
    seen = Counter()
    for _ in range(60):
        damaged = valid.copy()
        places = rng.integers(0, len(valid), rng.choice([1, 3, 10]))
        damaged[places] = rng.integers(0, 256, len(places))
        path.write_bytes(damaged.tobytes())
        try:
            assert digest(la.from_nir(path)) == want
            seen["loaded"] += 1
        except (FileFormatError, UnsupportedError) as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            seen["refused"] += 1
    assert min(seen["loaded"], seen["refused"]) > 5


def test_what_cannot_be_written_is_refused(graph, tmp_path):
    path = tmp_path / "network.nir"
    with pytest.raises(ValidationError, match="to_nir: graph: expected a Graph"):
        la.to_nir(path, graph)
    with pytest.raises(ValidationError, match="to_nir: dt: expected a time > 0"):
        la.to_nir(graph, path, dt=0)
    with pytest.raises(ValidationError, match="folder: expected an existing folder"):
        la.to_nir(graph, tmp_path / "no" / "network.nir")
    many = la.Graph(
        (5000,), [la.Population("p", (5000,), 1, 1, 1)],
        [la.Dense(la.INPUT, 0, np.zeros((5000, 5000), int)),
         la.Sparse(0, 0, la.Synapses.from_entries("", (5000, 5000), [1], [2], [3]))],
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"connection 1 \(sparse\): size as a matrix"):
        la.to_nir(many, path)
    assert not list(tmp_path.iterdir())
