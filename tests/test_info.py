"""``lava-async info``: what a file holds, and what of it would not run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given

import lava_async as la
from lava_async._cli import main
from lava_async._describe import describe
from lava_async._semantics.graph import NETX_NEVER_FIRES
from lava_dl_files import NETX
from net_files import conv, dense, flatten, input_layer, neuron, write_net
from random_networks import graphs

pytestmark = pytest.mark.timeout(120)


def info(capsys, *args, status: int = 0) -> tuple[str, str]:
    """stdout and stderr."""
    assert main(["info", *map(str, args)]) == status
    return capsys.readouterr()


@pytest.fixture
def wide(monkeypatch):
    """A terminal that holds any table."""
    monkeypatch.setenv("COLUMNS", "400")


def test_numbers_of_a_small_graph():
    graph = la.Graph(
        (2, 4, 4),
        (
            la.Population("conv", (3, 2, 2), 10, 20, 30, np.full((3, 2, 2), 5)),
            la.Population("out", (2,), 4096, 4096, NETX_NEVER_FIRES[0], np.array([-1, 4])),
        ),
        (
            la.Conv(-1, 0, np.ones((3, 2, 2, 2), np.int16), (2, 2), (0, 0), (1, 1), 1),
            la.Dense(0, 1, np.ones((2, 12), np.int16), delay=np.arange(12, dtype=np.uint8)),
            la.Dense(1, 1, np.ones((2, 2), np.int16), delay=3),
        ),
        schedule=la.Fifo(2),
        output_delay=np.array([1, 4], np.uint8),
        decoding=la.Decoding(groups=1, time_bin=4),
    )
    assert describe(graph) == {
        "input_shape": [2, 4, 4],
        "neurons": 14,
        "synapses": 3 * 4 * 8 + 24 + 4,
        "weights": 24 + 24 + 4,
        "output": "out",
        "output_delay": [1, 4],
        "readout": True,
        "decoding": {"groups": 1, "time_bin": 4},
        "schedule": {"scheduler": "fifo", "group_size": 2},
        "populations": [
            {
                "name": "conv", "shape": [3, 2, 2], "neurons": 12, "i_decay": 10, "v_decay": 20,
                "threshold": 30, "bias": 5,
                "connections": [
                    {"kind": "conv", "source": "input", "delay": 0, "synapses": 96, "weights": 24}
                ],
            },
            {
                "name": "out", "shape": [2], "neurons": 2, "i_decay": 4096, "v_decay": 4096,
                "threshold": None, "bias": [-1, 4],
                "connections": [
                    {"kind": "dense", "source": "conv", "delay": [0, 11], "synapses": 24,
                     "weights": 24},
                    {"kind": "dense", "source": "out", "delay": 3, "synapses": 4, "weights": 4},
                ],
            },
        ],
    }  # fmt: skip


@given(graphs())
def test_counts_are_those_of_the_synapses(graph):
    found = describe(graph)
    synapses = [len(c.all_synapses(graph.source_shape(c)).weight) for c in graph.connections]
    assert found["synapses"] == sum(synapses)
    assert found["neurons"] == sum(each["neurons"] for each in found["populations"])
    assert sum(len(each["connections"]) for each in found["populations"]) == len(synapses)
    assert json.loads(json.dumps(found)) == found


def test_a_network_that_runs(tmp_path, capsys, wide):
    layers = [
        input_layer((2, 4, 4)),
        conv(np.ones((3, 2, 2, 2)), (2, 4, 4), neuron(threshold=7), stride=(2, 2)),
        flatten(12),
        dense(np.ones((5, 12)), neuron(i_decay=4096)),
    ]
    path = write_net(tmp_path / "n.net", layers, la.Random(3, seed=7))
    out, err = info(capsys, path)
    assert err == ""
    assert out.startswith(
        f"{path}: input 2×4×4, 17 neurons, 156 synapses of 84 weights; output layer 3 (dense)\n"
    )
    row = next(line for line in out.splitlines() if "3×2×2" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["layer 1 (conv)", "3×2×2", "input (conv)", "96", "24", "1024", "128", "7", ""]
    assert "schedule: random, group size 3, seed 7 (recorded in the file)\n" in out
    assert out.endswith("runs on: reference, kernel, lava, graph\n")


def test_json_is_what_the_graph_says(tmp_path, capsys):
    path = tmp_path / "n.net"
    weight = np.full((3, 2), -4, np.int16)
    neurons = la.Population("a recurrent one", (3,), 4096, 0, 60)
    back = la.Dense(0, 0, np.zeros((3, 3), np.int16), delay=2)
    la.save(la.Graph((2,), (neurons,), (la.Dense(-1, 0, weight), back)), path)
    document = json.loads(info(capsys, path, "--json")[0])
    assert document.pop("runs") is True
    assert document.pop("network") == str(path)
    assert document.pop("backends") == ["reference", "kernel", "lava", "graph"]
    assert document == describe(la.load(path))


def test_every_layer_that_would_not_run_says_why(tmp_path, capsys, wide):
    layers = [
        input_layer((2, 4, 4)),
        conv(np.ones((3, 2, 2, 2)), (2, 4, 4), neuron(gradedSpike=True), stride=(2, 2)),
        {"type": "hopfield", "shape": np.array([3, 2, 2])},
        flatten(12),
        dense(np.ones((5, 12)), neuron(type="SDNN")),
        dense(np.ones((4, 5)), neuron()),
    ]
    path = write_net(tmp_path / "n.net", layers)
    document = json.loads(info(capsys, path, "--json", status=1)[0])
    assert document["runs"] is False
    assert document["error"].startswith(f"{path}: layer 1 (conv): neuron/gradedSpike: ")
    found = {layer["name"]: layer["problem"] for layer in document["layers"]}
    assert found["layer 1 (conv)"] == "neuron/gradedSpike: expected 0 (got True)"
    assert found["layer 2 (hopfield)"].startswith("type: expected one of ")
    assert found["layer 4 (dense)"] == "neuron/type: expected CUBA or LOIHI (got SDNN)"
    runs = [name for name, problem in found.items() if problem is None]
    assert runs == ["layer 0 (input)", "layer 3 (flatten)", "layer 5 (dense)"]
    out, err = info(capsys, path, status=1)
    assert out.count("│ runs ") == 3
    assert err.startswith(f"{path}: does not run: layer 1 (conv): neuron/gradedSpike: ")


def test_layers_behind_one_of_unknown_shape(tmp_path, capsys):
    layers = [
        {"type": "mystery"},
        conv(np.ones((3, 2, 2, 2)), (2, 4, 4), neuron(), stride=(2, 2)),
        flatten(12),
        dense(np.ones((4, 12)), neuron()),
    ]
    path = write_net(tmp_path / "n.net", layers)
    document = json.loads(info(capsys, path, "--json", status=1)[0])
    shapes = [layer["shape"] for layer in document["layers"]]
    assert shapes == [None, [3, 2, 2], [12], [4]]
    problems = [layer["problem"] for layer in document["layers"]]
    assert problems[1] == "input shape: expected one that the layers before tell (got none)"
    assert problems[2:] == [None, None]


@pytest.mark.parametrize("name", ["tiny", "mnist", "gts/pilotnet_lif/network"])
def test_networks_of_lava_dl(name, capsys, wide):
    out, _ = info(capsys, NETX / f"{name}.net")
    assert "runs on: " in out


def test_sigma_delta_network_of_lava_dl(capsys):
    path = NETX / "gts/pilotnet_sdnn/network.net"
    layers = json.loads(info(capsys, path, "--json", status=1)[0])["layers"]
    wrong = [layer["name"] for layer in layers if layer["problem"]]
    assert len(wrong) == 9  # all with neurons
    assert {layer["problem"] for layer in layers if layer["problem"]} == {
        "neuron/type: expected CUBA or LOIHI (got SDNN)"
    }


@pytest.mark.parametrize("content", [b"", b"no network", b"\x89HDF\r\n\x1a\n broken"])
def test_what_is_no_network_is_bad_input(content, tmp_path, capsys):
    path = tmp_path / "n.net"
    path.write_bytes(content)
    out, err = info(capsys, path, status=2)
    assert out == ""
    assert err.startswith(f"lava-async: {path}: file: expected an")


def test_a_shape_that_the_file_lacks(tmp_path, capsys):
    layers = [conv(np.ones((3, 2, 2, 2)), (2, 4, 4), neuron(), stride=(2, 2))]
    path = write_net(tmp_path / "n.net", layers)
    document = json.loads(info(capsys, path, "--json", status=1)[0])
    assert document["layers"][0]["problem"].startswith("input shape: expected an input layer")
    document = json.loads(info(capsys, path, "--json", "--input-shape", "2,4,4")[0])
    assert document["input_shape"] == [2, 4, 4]
