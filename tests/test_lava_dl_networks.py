"""Layer synchronization against recordings that lava-dl's wheel carries with its own tests.

The recordings show netx's pipeline, in which layer l sees each spike one time step after
layer l - 1 and starts its sample l time steps after the input layer. Ours has no such lag,
so layer l is compared from time step l on (plus one where a recording starts with an idle
time step).
"""

from __future__ import annotations

import dataclasses
import shutil

import h5py
import numpy as np
import pytest

import lava_async as la
from lava_async._files.hdf5 import load
from lava_dl_files import NETX

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["reference", "kernel"])
def backend(request):
    return request.param


def recording(name: str) -> np.ndarray:
    return np.load(NETX / "gts" / f"{name}.npy")


def run_image(name: str, image: np.ndarray, steps: int, backend: str) -> list[np.ndarray]:
    """Spikes (C, H, W, T) or (C, T) of each population.

    image : (W, H, C) in the units of a bias: netx feeds its input layer through the bias.
    """
    graph = load(NETX / name)
    first, *others = graph.populations
    first = dataclasses.replace(first, bias=image.transpose(2, 1, 0))
    graph = graph.replace(populations=(first, *others))
    nothing = np.zeros((*graph.input_shape, steps), np.uint8)
    record = la.simulate(graph, nothing, la.LayerSync(), backend=backend)
    assert not record.overflows.any()
    return [
        record.all_spikes[0, graph.slice(index)].reshape(*population.shape, steps)
        for index, population in enumerate(graph.populations)
    ]


def assert_same_spikes(got: np.ndarray, want: np.ndarray, what: str) -> None:
    assert want.any(), f"{what}: a recording without spikes shows nothing"
    assert got.shape == want.shape
    assert (got != want).sum() == 0, what


def test_pilotnet(backend):
    """Input layer, five convolutions and four dense layers, the last of which never fires."""
    steps = 17  # one sample; then the recorded network is reset
    folder = "gts/pilotnet_lif"
    names = ["input-s", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
    image = recording("pilotnet_lif/image")
    *layers, last = run_image(f"{folder}/network.net", image, steps, backend)
    for lag, (name, got) in enumerate(zip(names, layers, strict=True)):
        want = recording(f"pilotnet_lif/{name}")[..., lag : lag + steps]
        if want.ndim == 4:
            want = want.transpose(2, 1, 0, 3)
        # The recordings end 24 time steps after the input's first.
        assert_same_spikes(got[..., : want.shape[-1]], want, name)
    assert not last.any()
    assert not recording("pilotnet_lif/fc-3-s").any()


def test_tinynet(backend):
    """Input layer and two convolutions, recorded from SLAYER."""
    names = ["input", "layer1", "output"]
    image = recording("tinynet/input_bias")
    layers = run_image("tiny.net", image, 15, backend)
    for name, got in zip(names, layers, strict=True):
        assert_same_spikes(got, recording(f"tinynet/{name}")[0][..., 1:], name)


def test_dense_block(backend):
    """256 neurons without current memory over 2000 time steps."""
    graph = la.Graph(
        input_shape=(200,),
        populations=(la.Population("dense", (256,), 4096, 415, 6),),
        connections=(la.Dense(la.INPUT, 0, recording("dense/weight")),),
    )
    record = la.simulate(graph, recording("dense/in"), la.LayerSync(), backend=backend)
    want = recording("dense/out")[:, 1:]
    assert_same_spikes(record.spikes[0][:, :-1], want, "dense")


def test_ntidigits(backend, tmp_path):
    """Three dense layers with delays up to 62, over 3000 time steps.

    Without the average over the outputs that ends the file, which netx leaves out as well.
    """
    path = tmp_path / "ntidigits.net"
    shutil.copy(NETX / "gts/ntidigits/ntidigits.net", path)
    with h5py.File(path, "r+") as file:
        del file["layer/5"]
    graph = load(path)
    assert graph.max_delay == 62
    x = recording("ntidigits/input").astype(np.uint8).reshape(*graph.input_shape, -1)
    got = la.simulate(graph, x, la.LayerSync(), backend=backend).spikes[0]
    want = recording("ntidigits/output")
    lag = 4  # of the recorded network's layers and input
    assert_same_spikes(got[:, :-lag], want[:, lag:], "output")


def test_one_layer_s_recorded_input_gives_its_recorded_output(backend):
    """Every layer of PilotNet on its own, so that no error hides behind another."""
    graph = load(NETX / "gts/pilotnet_lif/network.net")
    names = ["input-s", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
    recordings = [recording(f"pilotnet_lif/{name}") for name in names]
    recordings = [r.transpose(2, 1, 0, 3) if r.ndim == 4 else r for r in recordings]
    for index in range(1, len(names)):
        one = la.Graph(
            input_shape=graph.populations[index - 1].shape,
            populations=(graph.populations[index],),
            connections=(dataclasses.replace(graph.connections[index], source=la.INPUT, target=0),),
        )
        spikes = recordings[index - 1][..., index - 1 : index + 16].astype(np.uint8)
        got = la.simulate(one, spikes, la.LayerSync(), backend=backend).spikes[0]
        want = recordings[index][..., index : index + 17]
        assert_same_spikes(got[..., : want.shape[-1]], want, names[index])
