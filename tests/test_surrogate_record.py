"""Files record the parameters of surrogate derivatives; a network from a file trains on alike."""

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async._files.digest import digest
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

Network = async_slayer.Network


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    """But for the tests that expect one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def neuron(tau_grad, scale_grad, **changes):
    return {**sb.NEURON, "tau_grad": tau_grad, "scale_grad": scale_grad, **changes}


def dense_chain():
    """Blocks of SLAYER with parameters of their own."""
    blocks = [
        cuba.Dense(neuron(0.03, 3), 20, 12, weight_scale=8, delay_shift=False),
        cuba.Dense(neuron(0.1, 0.7, threshold=0.7), 12, 8, weight_scale=8, delay_shift=False),
        cuba.Dense(neuron(1e-3, 19.2, threshold=2), 8, 4, weight_scale=8, delay_shift=False),
    ]
    return sb.network(blocks, input_shape=(20,))


def conv_chain():
    """With blocks without neurons among them."""
    blocks = sb.conv_blocks(neuron(0.03, 3))
    blocks[1].neuron.scale_rho = 5.5
    return sb.network(blocks, input_shape=(2, 7, 6))


def skip_and_recurrent():
    """Blocks of SLAYER that are no chain."""
    blocks = [
        cuba.Dense(neuron(0.03, 3), 20, 12, weight_scale=8, delay_shift=False),
        cuba.Dense(neuron(0.1, 0.7, threshold=0.7), 12 + 5, 8, weight_scale=8, delay_shift=False),
        cuba.Dense(neuron(1e-3, 19.2), 8 + 12, 5, weight_scale=8, delay_shift=False),
    ]
    sources = {2: [1, 0], 1: [0, (2, 3)]}
    return sb.network(blocks, sources=sources, input_shape=(20,))


def any_graph():
    """Populations of our own, one of them with a threshold of 0."""
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.coo_matrix(rng.integers(-9, 40, (6, 6)) * (rng.random((6, 6)) < 0.5))
    populations = [
        la.Population("a", (6,), 1000, 500, 50, rng.integers(0, 9, 6)),
        la.Population("b", (6,), 100, 4096, 0),
        la.Population("c", (3,), 100, 100, 1 << 17),
    ]
    connections = [
        la.Dense(la.INPUT, 0, rng.integers(-9, 40, (6, 5))), la.Sparse(0, 1, matrix),
        la.OneToOne(1, 0, -20, delay=2), la.Dense(1, 2, rng.integers(-9, 40, (3, 6))),
    ]  # fmt: skip
    graph = la.Graph((5,), populations, connections, output=1)
    return Network.from_graph(graph, tau_grad=[0.03, 0.1, 1e-3], scale_grad=[3, 0.7, 19.2])


NETWORKS = [dense_chain, conv_chain, skip_and_recurrent, any_graph]


def parameters(net):
    """Of the surrogate derivatives, as the neurons hold them."""
    neurons = [block.neuron for block in net.blocks if getattr(block, "neuron", None) is not None]
    return [(float(n.tau_rho), float(n.scale_rho)) for n in neurons]


def gradients(net):
    x = sb.spikes((4, *net.input_shape, 6))
    net.zero_grad()
    (net(x, sample_ids=np.arange(4)) ** 2).sum().backward()
    return [p.grad for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize("build", NETWORKS)
def test_they_survive_a_file_and_another(build, tmp_path):
    net = build()
    net.export_hdf5(tmp_path / "a.net")
    first = Network.from_hdf5(tmp_path / "a.net")
    first.export_hdf5(tmp_path / "b.net")
    again = Network.from_hdf5(tmp_path / "b.net")
    assert parameters(net) == parameters(first) == parameters(again)
    assert len(set(parameters(net))) > 1
    same = zip(gradients(first), gradients(again), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert any(gradient.any() for gradient in gradients(again))


@pytest.mark.parametrize("build", [dense_chain, conv_chain])
def test_a_chain_from_a_file_has_the_gradient_of_the_one_that_was_exported(build, tmp_path):
    net = build()
    net.export_hdf5(tmp_path / "a.net")
    for a, b in zip(gradients(net), gradients(Network.from_hdf5(tmp_path / "a.net")), strict=True):
        assert torch.equal(a, b) and a.any()


@pytest.mark.parametrize("build", NETWORKS)
def test_they_are_no_part_of_the_graph_nor_of_its_digest(build, tmp_path):
    net = build()
    net.export_hdf5(tmp_path / "a.net")
    for block in net.blocks:
        if getattr(block, "neuron", None) is not None:
            block.neuron.tau_rho, block.neuron.scale_rho = 0.5, 2.0
    net.export_hdf5(tmp_path / "b.net")
    graphs = [la.load(tmp_path / name) for name in ("a.net", "b.net")]
    assert digest(graphs[0]) == digest(graphs[1]) == digest(net.graph())
    with h5py.File(tmp_path / "a.net") as a, h5py.File(tmp_path / "b.net") as b:
        assert a["lava_async"].attrs["digest"] == b["lava_async"].attrs["digest"]
        assert a["lava_async"].attrs["format_version"] == 2
        recorded = json.loads(a["lava_async"].attrs["surrogate"])
    assert recorded.keys() == {"tau_grad", "scale_grad"}
    assert {len(numbers) for numbers in recorded.values()} == {len(graphs[0].populations)}


def test_what_is_given_wins(tmp_path):
    net = dense_chain()
    net.export_hdf5(tmp_path / "a.net")
    recorded = parameters(net)
    both = Network.from_hdf5(tmp_path / "a.net", tau_grad=0.5, scale_grad=[1, 2, 3])
    thresholds = [1.25, 44 / 64, 2]
    assert parameters(both) == [(0.5 * t, s) for t, s in zip(thresholds, (1, 2, 3), strict=True)]
    one = Network.from_hdf5(tmp_path / "a.net", scale_grad=4)
    assert parameters(one) == [(tau, 4) for tau, _ in recorded]
    other = Network.from_hdf5(tmp_path / "a.net", tau_grad=[0.5, 0.5, 0.5])
    assert parameters(other) == [
        (0.5 * t, scale) for t, (_, scale) in zip(thresholds, recorded, strict=True)
    ]


def without_record(path):
    """A file as earlier versions wrote it."""
    dense_chain().export_hdf5(path)
    with h5py.File(path, "r+") as file:
        del file["lava_async"].attrs["surrogate"]


def of_slayer(path):
    dense_chain().export_hdf5(path)
    with h5py.File(path, "r+") as file:
        del file["lava_async"]


def saved(path):
    """A graph knows none."""
    la.save(dense_chain().graph(), path)


def of_0_1_0(path):
    path.write_bytes((Path(__file__).parent / "written_by_0_1_0" / "dense.net").read_bytes())


@pytest.mark.parametrize("write", [without_record, of_slayer, saved, of_0_1_0])
def test_files_without_them_still_load_and_say_so_once(write, tmp_path):
    path = tmp_path / "a.net"
    write(path)
    shape = None if write is of_0_1_0 else (20,)

    def warned(**given):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            net = Network.from_hdf5(path, input_shape=shape, **given)
        return net, found

    net, found = warned()
    assert len(found) == 1 and found[0].filename == __file__
    text = str(found[0].message)
    assert text.startswith(f"{path}: records no") and "tau_grad and scale_grad of the" in text
    thresholds = [block.neuron.threshold for block in net.blocks if hasattr(block, "neuron")]
    assert [tau for tau, _ in parameters(net)] == [t for t in thresholds if t is not None]
    assert {scale for _, scale in parameters(net)} == {1}
    net, found = warned(tau_grad=0.1)
    assert len(found) == 1 and " scale_grad of the neurons" in str(found[0].message)
    assert "tau_grad" not in str(found[0].message)
    assert not warned(tau_grad=0.1, scale_grad=2)[1]


@settings(max_examples=200, deadline=None)
@given(
    tau_grad=st.floats(1e-6, 1e6), scale_grad=st.floats(0, 1e6), threshold=st.integers(1, 1 << 12)
)
def test_any_numbers_come_back_exactly(tau_grad, scale_grad, threshold):
    from lava_async.slayer.from_graph import tau_grad_of

    given = neuron(tau_grad, scale_grad, threshold=threshold / 64)
    before = cuba.Dense(given, 1, 1, delay_shift=False).neuron
    again = neuron(tau_grad_of(before), scale_grad, threshold=threshold / 64)
    after = cuba.Dense(again, 1, 1, delay_shift=False).neuron
    assert (after.tau_rho, after.scale_rho) == (before.tau_rho, before.scale_rho)


@pytest.mark.parametrize("name", ["tau_grad", "scale_grad"])
@pytest.mark.parametrize("value", [[1, 2], [], "a", None, [[1, 2, 3]], [1, 2, None], True])
def test_what_is_given_is_one_number_or_one_for_each(name, value, tmp_path):
    net = dense_chain()
    with pytest.raises(ValidationError, match=f"Network: {name}: expected a number, or 3, one for"):
        Network.from_graph(net.graph(), **{name: value})


@pytest.mark.parametrize("name", ["tau_grad", "scale_grad"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_given_is_finite(name, value):
    with pytest.raises(ValidationError, match=r"blocks\[0\] .*_rho: expected one finite number"):
        Network.from_graph(dense_chain().graph(), **{name: value})


DAMAGES = {
    "NaN": ('{"tau_grad": [1, NaN, 1], "scale_grad": [1, 1, 1]}', r"tau_grad\[1\]: .*\(got nan"),
    "infinite": ('{"tau_grad": [1, 1, 1], "scale_grad": [1, 1, Infinity]}', r"scale_grad\[2\]"),
    "beyond floats": (f'{{"tau_grad": [1{"0" * 400}], "scale_grad": [1]}}', r"tau_grad\[0\]"),
    "negative": ('{"tau_grad": [-0.1, 1, 1], "scale_grad": [1, 1, 1]}', r"tau_grad\[0\]: expect"),
    "text": ('{"tau_grad": ["1", 1, 1], "scale_grad": [1, 1, 1]}', r"tau_grad\[0\]"),
    "null": ('{"tau_grad": [null, 1, 1], "scale_grad": [1, 1, 1]}', r"tau_grad\[0\]"),
    "boolean": ('{"tau_grad": [true, 1, 1], "scale_grad": [1, 1, 1]}', r"tau_grad\[0\]"),
    "too few": ('{"tau_grad": [1, 1], "scale_grad": [1, 1, 1]}', "tau_grad: expected 3, one for"),
    "too many": ('{"tau_grad": [1, 1, 1], "scale_grad": [1, 1, 1, 1]}', "scale_grad: expected 3"),
    "no list": ('{"tau_grad": 1, "scale_grad": [1, 1, 1]}', "tau_grad: expected a list of numb"),
    "one only": ('{"tau_grad": [1, 1, 1]}', "surrogate: expected tau_grad and scale_grad of each"),
    "one more": (
        '{"tau_grad": [1], "scale_grad": [1], "rho": [1]}', "surrogate: expected tau_grad and sca"
    ),
    "a list": ("[1, 1, 1]", "surrogate: expected tau_grad and scale_grad"),
    "a number": ("1", "surrogate: expected tau_grad and scale_grad"),
    "no JSON": ("{", "surrogate: expected JSON"),
    "a number in HDF5": (1.5, "surrogate: expected JSON"),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("build", [dense_chain, any_graph])
def test_damage_is_refused(build, kind, tmp_path):
    path = tmp_path / "a.net"
    value, says = DAMAGES[kind]
    build().export_hdf5(path)
    with h5py.File(path, "r+") as file:
        file["lava_async"].attrs["surrogate"] = value
    for read in (la.load, Network.from_hdf5, lambda p: Network.from_hdf5(p, tau_grad=1)):
        with pytest.raises(FileFormatError, match=f"^{path}: lava_async: {says}") as caught:
            read(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_no_file_may_hold_is_not_written(tmp_path):
    net = dense_chain()
    net.blocks[1].neuron.scale_rho = -1.0
    with pytest.raises(UnsupportedError, match=r"lava_async: scale_grad\[1\]: expected a finite"):
        net.export_hdf5(tmp_path / "a.net")
    assert not list(tmp_path.iterdir())
