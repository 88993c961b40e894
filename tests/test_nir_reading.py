"""What NIR says becomes populations and connections by the rule in docs/nir.md."""

import itertools

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import lava_async as la
from lava_async._files.nir import maps
from lava_async._files.nir.paths import trace
from lava_async._files.nir.wiring import take_apart
from lava_async.errors import FileFormatError, UnsupportedError, ValidationError

DT = 1e-4


def graph_of(*nodes, shape, edges=(), **named):
    """Input -> nodes in a row -> Output, and more nodes and edges."""
    row = {f"n{i}": node for i, node in enumerate(nodes)}
    names = ["input", *row, "output"]
    row = {"input": nir.Input(np.array(shape)), **row, "output": nir.Output(np.array([1])), **named}
    return nir.NIRGraph(row, [*itertools.pairwise(names), *edges], type_check=False)


def lif(size, decay=2048, threshold=256.0, **fields):
    full = np.full(size, 1.0)
    tau = full * DT * 4096 / decay
    fields = {"r": tau / DT, "v_leak": 0 * full, **fields}
    return nir.LIF(tau=tau, v_threshold=full * threshold, **fields)


def cuba(size, i_decay=1024, decay=2048, threshold=256.0, **fields):
    full = np.full(size, 1.0)
    syn, mem = full * DT * 4096 / i_decay, full * DT * 4096 / decay
    fields = {"r": mem / DT, "w_in": syn / DT, "v_leak": 0 * full, **fields}
    return nir.CubaLIF(tau_syn=syn, tau_mem=mem, v_threshold=full * threshold, **fields)


def weights(rng, *shape):
    weight = 2.0 * rng.integers(-60, 60, shape)
    weight.flat[0] = 254
    return weight


# Linear nodes


@st.composite
def linear_nodes(draw):
    """A row of linear nodes of integers, and what PyTorch makes of an input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    # So that the average of no window of up to 9 elements is a fraction, three times over.
    x = torch.tensor(36**3 * rng.integers(-3, 4, shape), dtype=torch.float64)
    y, nodes = x[None], []
    for kind in draw(st.lists(st.sampled_from(["conv", "same", "sum", "avg", "scale"]),
                              min_size=1, max_size=3)):  # fmt: skip
        c, h, w = y.shape[1:]
        kernel = tuple(draw(st.integers(1, min(3, n))) for n in (h, w))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        if kind in ("conv", "same"):
            groups = draw(st.sampled_from([g for g in (1, 2, c) if c % g == 0]))
            out = groups * draw(st.integers(1, 2))
            dilation = (1, 1)
            if kind == "same":
                stride, padding, dilation = (1, 1), "same", (draw(st.integers(1, 2)), 1)
            weight = rng.integers(-3, 4, (out, c // groups, *kernel)).astype(float)
            bias = 36.0**3 * rng.integers(-3, 4, out)
            nodes.append(nir.Conv2d(None, weight, stride, padding, dilation, groups, bias))
            y = functional.conv2d(
                y, torch.tensor(weight), torch.tensor(bias), stride, padding, dilation, groups
            )
        elif kind == "scale":
            gain = rng.integers(-2, 3, (c, 1, 1) if draw(st.booleans()) else (c, h, w)) * 1.0
            nodes.append(nir.Scale(gain))
            y = y * torch.tensor(gain)
        else:
            area = kernel[0] * kernel[1]
            fields = tuple(map(np.array, (kernel, stride, padding)))
            average = functional.avg_pool2d(y, kernel, stride, padding)
            nodes.append((nir.SumPool2d if kind == "sum" else nir.AvgPool2d)(*fields))
            y = average * area if kind == "sum" else average
    if draw(st.booleans()):
        nodes.append(nir.Flatten(None, start_dim=0))
        y = y.reshape(1, -1)
        if draw(st.booleans()):
            weight = rng.integers(-3, 4, (5, y.shape[1])).astype(float)
            nodes.append(nir.Linear(weight))
            y = y @ torch.tensor(weight).T
    return shape, nodes, x.numpy(), y[0].numpy()


@settings(max_examples=60, deadline=None)
@given(row=linear_nodes())
def test_linear_nodes_in_a_row_are_one_map_as_in_pytorch(row):
    shape, nodes, x, want = row
    arrivals = trace(take_apart(graph_of(*nodes, shape=shape)), DT)["output"]
    assert arrivals.shape == want.shape
    (path,) = arrivals.paths
    constant = 0 if arrivals.constant is None else arrivals.constant
    got = maps.apply(path.map, x.reshape(-1).astype(float)) + constant
    np.testing.assert_array_equal(np.rint(got), want.reshape(-1))


def test_a_pooled_convolution_stays_one():
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    weight = np.zeros((3, 2, 3, 3))
    weight[:, :, 1, 1] = 4 * 254  # a quarter of it is the largest weight there is
    conv = nir.Conv2d(None, weight, 1, 0, 1, 1, np.zeros(3))
    graph = la.from_nir(graph_of(pool, conv, lif((3, 2, 2)), shape=(2, 8, 8)))
    (connection,) = graph.connections
    assert isinstance(connection, la.Conv)
    assert connection.stride == (2, 2) and connection.weight.shape == (3, 2, 6, 6)
    want = np.zeros((6, 6))
    want[2:4, 2:4] = 254
    np.testing.assert_array_equal(connection.weight, np.broadcast_to(want, (3, 2, 6, 6)))


@pytest.mark.parametrize("kind, share", [("SumPool2d", 1), ("AvgPool2d", 4)])
def test_a_pool_before_neurons_is_a_grouped_convolution(kind, share):
    two = np.array([2, 2])
    pool = getattr(nir, kind)(two, two, np.array([0, 0]))
    neurons = lif((3, 2, 2), threshold=256 / 254 / share)
    graph = la.from_nir(graph_of(pool, neurons, shape=(3, 4, 4)))
    (connection,) = graph.connections
    assert connection.groups == 3 and graph.populations[0].threshold == 256
    np.testing.assert_array_equal(connection.weight, np.full((3, 1, 2, 2), 254))


def test_several_edges_add_and_a_fan_out_is_two_connections():
    rng = np.random.default_rng(0)
    one, other = weights(rng, 4, 3), 2.0 * rng.integers(-30, 30, (4, 3))
    one[0, 0], other[0, 0] = 200, 54
    graph = la.from_nir(
        graph_of(
            nir.Linear(one), lif(4), nir.Linear(weights(rng, 2, 4)), lif(2), shape=(3,),
            other=nir.Linear(other), skip=nir.Linear(2.0 * rng.integers(-9, 9, (2, 3))),
            edges=[("input", "other"), ("other", "n1"), ("input", "skip"), ("skip", "n3")],
        )
    )
    assert [(c.source, c.target) for c in graph.connections] == [(-1, 0), (-1, 1), (0, 1)]
    np.testing.assert_array_equal(graph.connections[0].weight, one + other)


def test_a_graph_inside_and_a_loop():
    rng = np.random.default_rng(1)
    back = weights(rng, 4, 4)
    inside = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])), "lif": lif(4), "back": nir.Linear(back),
            "output": nir.Output(np.array([4])),
        },
        [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")],
    )  # fmt: skip
    graph = la.from_nir(graph_of(nir.Linear(weights(rng, 4, 3)), inside, shape=(3,)))
    assert [p.name for p in graph.populations] == ["n1.lif"]
    assert [(c.source, c.target) for c in graph.connections] == [(-1, 0), (0, 0)]
    np.testing.assert_array_equal(graph.connections[1].weight, back)


def test_delays():
    weight = weights(np.random.default_rng(2), 2, 3)
    late = nir.Delay(np.array([0, 3, 62]) * DT)
    row = late, nir.Linear(weight), lif(2), nir.Delay(np.full(2, 5 * DT))
    graph = la.from_nir(graph_of(*row, shape=(3,)))
    np.testing.assert_array_equal(graph.connections[0].delay, [0, 3, 62])
    assert graph.output_delay == 5
    # After the weights each of their rows is as late as its neuron.
    row = nir.Linear(weight), nir.Delay(np.array([1, 4]) * DT), lif(2)
    early, later = la.from_nir(graph_of(*row, shape=(3,))).connections
    assert (early.delay, later.delay) == (1, 4)
    x = np.eye(3, dtype=int)[:, 0]
    np.testing.assert_array_equal(early.deliver(x, (3,), 2), weight[:, 0] * [1, 0])
    np.testing.assert_array_equal(later.deliver(x, (3,), 2), weight[:, 0] * [0, 1])


# Neurons


def test_decays_and_scale():
    weight = weights(np.random.default_rng(3), 2, 3) / 254 * 0.5
    graph, rounding = la.from_nir(
        graph_of(nir.Linear(weight), cuba(2, 1000, 77, 1.0), shape=(3,)), report=True
    )
    (population,) = graph.populations
    assert (population.i_decay, population.v_decay, population.threshold) == (1000, 77, 508)
    np.testing.assert_array_equal(graph.connections[0].weight, weight / 0.5 * 254)
    assert max(rounding.errors.values()) < 1e-9


def test_decays_of_each_neuron():
    each = np.array([2.0, 3.0, 4096.0])
    neurons = nir.CubaLIF(
        tau_syn=DT * each, tau_mem=DT * each[::-1], r=each[::-1], w_in=each, v_leak=0 * each,
        v_threshold=1 + 0 * each,
    )  # fmt: skip
    weight = weights(np.random.default_rng(3), 3, 2) / 254 * 0.5
    graph, rounding = la.from_nir(
        graph_of(nir.Linear(weight), neurons, shape=(2,)), dt=DT, report=True
    )
    (population,) = graph.populations
    np.testing.assert_array_equal(population.i_decay, [2048, 1365, 1])
    np.testing.assert_array_equal(population.v_decay, [1, 1365, 2048])
    assert 0 < rounding.largest("i_decay") < 1 / 4096


def test_the_report_tells_what_rounding_cost():
    neurons = lif(1, 2048, 1.0, v_leak=np.array([0.01]))
    neurons.tau = np.array([DT * 4096 / 2048.25])
    weight = np.array([[1.0, 0.5 + 1 / 254]])
    graph, rounding = la.from_nir(graph_of(nir.Linear(weight), neurons, shape=(2,)), report=True)
    gain = 2048.25 / 2048
    assert graph.populations[0].threshold == int(254 / gain)
    assert rounding.errors["n1", "v_decay"] == pytest.approx(0.25 / 2048.25)
    assert rounding.errors["n1", "i_decay"] == 0
    exact = weight[0] * gain * graph.populations[0].threshold
    cost = np.abs(graph.connections[0].weight[0] - exact).max() / exact.max()
    assert rounding.errors["input -> n1", "weight"] == pytest.approx(cost)
    assert rounding.largest("weight") == rounding.errors["input -> n1", "weight"]
    assert str(rounding).startswith("NIR, time step 0.0001: largest relative errors of rounding: ")


def test_thresholds_of_each_neuron_scale_what_it_gets():
    weight = np.array([[254.0, 2], [127, 1], [508, -4]])
    neurons = lif(3)
    neurons.v_threshold = np.array([256.0, 128, 512])
    graph = la.from_nir(graph_of(nir.Linear(weight), neurons, shape=(2,)))
    assert graph.populations[0].threshold == 256
    np.testing.assert_array_equal(graph.connections[0].weight, [[254, 2], [254, 2], [254, -2]])


def test_r_and_w_in_are_part_of_the_weights():
    weight = weights(np.random.default_rng(4), 2, 3)
    neurons = cuba(2)
    neurons.r, neurons.w_in = neurons.r / 4, neurons.w_in * 2
    graph = la.from_nir(graph_of(nir.Linear(weight * 2), neurons, shape=(3,)))
    np.testing.assert_array_equal(graph.connections[0].weight, weight)


def test_voltages_are_measured_from_the_reset():
    weight = weights(np.random.default_rng(5), 2, 3)
    neurons = lif(2, threshold=300, v_reset=np.full(2, 44.0), v_leak=np.array([44.0, 244]))
    (population,) = la.from_nir(graph_of(nir.Linear(weight), neurons, shape=(3,))).populations
    assert population.threshold == 256
    np.testing.assert_array_equal(population.bias, [0, 100])


def test_a_bias_counts_where_there_is_no_synaptic_current():
    weight = weights(np.random.default_rng(6), 2, 3)
    affine = nir.Affine(weight, np.array([7.0, -40]))
    (population,) = la.from_nir(graph_of(affine, lif(2), shape=(3,))).populations
    np.testing.assert_array_equal(population.bias, [7, -40])
    with pytest.raises(UnsupportedError, match=r"n1 \(CubaLIF\): bias of what leads here"):
        la.from_nir(graph_of(affine, cuba(2), shape=(3,)))
    la.from_nir(graph_of(affine, cuba(2, i_decay=4096), shape=(3,)))


@pytest.mark.parametrize("kind", ["IF", "I", "LI", "CubaLI"])
def test_integrators_and_readouts(kind):
    full, weight = np.ones(2), weights(np.random.default_rng(7), 2, 3)
    node = {
        "IF": lambda: nir.IF(full, full * 256),
        "I": lambda: nir.I(full),
        "LI": lambda: nir.LI(full * DT * 2, full * 2, full * 0),
        "CubaLI": lambda: nir.CubaLI(full * DT * 4, full * DT * 2, full * 2, full * 0, full * 4),
    }[kind]()
    graph = la.from_nir(graph_of(nir.Linear(weight), node, shape=(3,)))
    (population,) = graph.populations
    decays = {"IF": (4096, 0), "I": (4096, 0), "LI": (4096, 2048), "CubaLI": (1024, 2048)}
    assert (population.i_decay, population.v_decay) == decays[kind]
    assert graph.output_can_fire == (kind == "IF")
    np.testing.assert_array_equal(graph.connections[0].weight, weight)


def test_an_output_without_neurons_is_read_from_some_that_never_fire():
    rng = np.random.default_rng(8)
    last = weights(rng, 2, 4)
    graph = la.from_nir(
        graph_of(nir.Linear(weights(rng, 4, 3)), lif(4), nir.Affine(last, np.ones(2)), shape=(3,))
    )
    assert not graph.output_can_fire and graph.out_shape == (2,)
    population = graph.populations[graph.output]
    assert (population.i_decay, population.v_decay) == (4096, 4096)
    np.testing.assert_array_equal(graph.connections[1].weight, last)
    np.testing.assert_array_equal(population.bias, [1, 1])


def test_parameters_of_one_number_are_those_of_all_neurons():
    weight = weights(np.random.default_rng(9), 4, 3)
    scalar = lif(())
    (population,) = la.from_nir(graph_of(nir.Linear(weight), scalar, shape=(3,))).populations
    assert population.shape == (4,) and population.threshold == 256


def test_populations_follow_the_wiring_whatever_their_names(tmp_path):
    rng = np.random.default_rng(10)
    nodes = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    edges, before = [], "input"
    for name in ("10", "9", "b", "a"):
        nodes[f"w{name}"], nodes[name] = nir.Linear(weights(rng, 3, 3)), lif(3)
        edges += [(before, f"w{name}"), (f"w{name}", name)]
        before = name
    wiring = nir.NIRGraph(nodes, [*edges, (before, "output")])
    nir.write(tmp_path / "network.nir", wiring)
    for source in (wiring, tmp_path / "network.nir"):
        assert [p.name for p in la.from_nir(source).populations] == ["10", "9", "b", "a"]


# What is refused


def bad(kind, **fields):
    rng = np.random.default_rng(0)
    row = {
        "linear": [nir.Linear(weights(rng, 2, 3)), lif(2)],
        "conv": [
            nir.Conv2d(None, weights(rng, 2, 3, 3, 3), 1, 1, 1, 1, np.zeros(2)), lif((2, 4, 4))
        ],
        "cuba": [nir.Linear(weights(rng, 2, 3)), cuba(2)],
        "delay": [nir.Delay(np.full(3, 2 * DT)), nir.Linear(weights(rng, 2, 3)), lif(2)],
        "bias": [nir.Affine(weights(rng, 2, 3), np.ones(2)), nir.Delay(np.full(2, DT)), lif(2)],
        "threshold": [nir.Threshold(np.ones(3)), lif(3)],
    }[kind]  # fmt: skip
    for name, value in fields.items():
        place, _, field = name.partition("_")
        setattr(row[int(place[1:])], field, value)
    return graph_of(*row, shape=(3, 4, 4) if kind == "conv" else (3,))


MALFORMED = {
    "weight NaN": (("linear", {"n0_weight": np.full((2, 3), np.nan)}), "n0 (Linear): weight: exp"),
    "weight of no input": (("linear", {"n0_weight": np.ones((2, 4))}), "weight shape: expected"),
    "weight of text": (("linear", {"n0_weight": "two"}), "n0 (Linear): weight: expected numbers"),
    "shape of neurons": (("linear", {"n0_weight": np.ones((5, 3))}), "n1 (LIF): input shape: exp"),
    "tau of 0": (("linear", {"n1_tau": np.zeros(2)}), "n1 (LIF): tau: expected at least the time"),
    "tau below dt": (("linear", {"n1_tau": np.full(2, DT / 2)}), "tau: expected at least the tim"),
    "tau of others": (("linear", {"n1_tau": np.full(3, DT)}), "tau: expected one, or shape (2,)"),
    "reset above": (("linear", {"n1_v_reset": np.full(2, 300.0)}), "v_threshold: expected v_reset"),
    "kernel too large": (("conv", {"n0_weight": np.ones((2, 3, 9, 9))}), "conv target shape"),
    "channels": (("conv", {"n0_weight": np.ones((2, 4, 3, 3))}), "n0 (Conv2d): conv input ch"),
    "stride of 0": (("conv", {"n0_stride": 0}), "stride: expected one or two integers >= 1"),
    "padding of a name": (("conv", {"n0_padding": "full"}), "padding: expected integers, 'same'"),
    "groups": (("conv", {"n0_groups": 2}), "n0 (Conv2d): conv input channels"),
    "delay too long": (("delay", {"n0_delay": np.full(3, 63 * DT)}), "delay: expected an integer"),
}
UNSUPPORTED = {
    "Threshold": (("threshold", {}), "node n0: kind: expected one of CubaLIF"),
    "thresholds of 0 and not": (
        ("linear", {"n1_v_threshold": np.array([0.0, 1])}), "v_threshold: expected 0 for all"
    ),
    "weights beyond the threshold": (
        ("linear", {"n0_weight": np.full((2, 3), 300.0), "n1_v_threshold": np.ones(2)}),
        "n1 (LIF): weights: expected at most 254 times the threshold",
    ),
    "delay between steps": (
        ("delay", {"n0_delay": np.full(3, 2.5 * DT)}), "n0 (Delay): delay: expected a multiple of"
    ),
    "bias that is delayed": (("bias", {}), "n1 (Delay): bias before it: expected none"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_graphs_are_refused(case):
    (kind, fields), says = MALFORMED[case]
    with pytest.raises(FileFormatError) as caught:
        la.from_nir(bad(kind, **fields))
    assert str(caught.value).startswith("NIR: ") and says in str(caught.value)


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_graphs_are_refused(case):
    (kind, fields), says = UNSUPPORTED[case]
    with pytest.raises(UnsupportedError) as caught:
        la.from_nir(bad(kind, **fields))
    assert str(caught.value).startswith("NIR: ") and says in str(caught.value)


def test_wiring_that_leads_nowhere_is_refused():
    rng = np.random.default_rng(0)
    row, one = (nir.Linear(weights(rng, 3, 3)), lif(3)), nir.Linear(np.ones((3, 3)))
    with pytest.raises(UnsupportedError, match="loop: expected neurons in it"):
        la.from_nir(
            graph_of(*row, shape=(3,), a=one, b=one,
                     edges=[("a", "b"), ("b", "a"), ("a", "n1"), ("input", "a")])
        )  # fmt: skip
    with pytest.raises(UnsupportedError, match="Input nodes: expected exactly one"):
        la.from_nir(graph_of(*row, shape=(3,), other=nir.Input(np.array([3]))))
    with pytest.raises(FileFormatError, match=r"lost \(LIF\): input: expected one that leads"):
        la.from_nir(graph_of(*row, shape=(3,), lost=lif(())))
    with pytest.raises(FileFormatError, match="edge: expected two of its nodes"):
        la.from_nir(graph_of(*row, shape=(3,), edges=[("n1", "nowhere")]))


@pytest.mark.parametrize("dt", [0, -1e-4, float("nan"), float("inf"), "fast"])
def test_a_time_step_is_a_time(dt):
    with pytest.raises(ValidationError, match="from_nir: dt: expected a time > 0"):
        la.from_nir(bad("linear"), dt=dt)


def test_what_is_no_graph_is_refused():
    with pytest.raises(ValidationError, match=r"source: expected a path, or a nir\.NIRGraph"):
        la.from_nir(3)
