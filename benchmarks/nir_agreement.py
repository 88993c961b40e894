"""How far do snnTorch and lava_async agree on a network that goes from one to the other as NIR?

Question: snnTorch runs floats, we run Loihi's integers. Random networks of snnTorch (zero reset,
at once), exported by it, read by `lava_async.from_nir`, both run on the same frames layer by
layer. What differs, each rule of rounding taken away in turn:

    as it is    weights, biases and decays are rounded, and every decayed state is
    weights     have values that rounding keeps; so do biases
    decays      as well (multiples of 1/4096); what is left is that decayed states are integers

Of the output neurons: the share of neurons and time steps that agree; the share of spikes that
are common, 2 |both| / (|theirs| + |ours|); samples with the same most active neuron. "back" is
that of the integers, written by `lava_async.to_nir` and run by snnTorch; nothing but states is
rounded there. tests/test_nir_snntorch.py has the case without any rounding: all agree.

    uv run --group dev python benchmarks/nir_agreement.py
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

import lava_async as la

DECAYS = {"as it is": 0.0713, "weights": 0.0713, "decays": 293 / 4096}
SYNAPTIC = {"as it is": 0.2181, "weights": 0.2181, "decays": 893 / 4096}
SPREAD = 2.5  # of the weights, over the square root of the inputs


def neuron(kind: str, shape: tuple[int, ...], stage: str, output: bool = False):
    beta = torch.full(shape, 1 - DECAYS[stage])
    shared = {
        "threshold": torch.ones(shape), "init_hidden": True, "reset_mechanism": "zero",
        "reset_delay": False, "output": output,
    }  # fmt: skip
    if kind == "current":
        alpha = torch.full(shape, 1 - SYNAPTIC[stage])
        return snn.Synaptic(alpha=alpha, beta=beta, **shared)
    return snn.Leaky(beta=beta, **shared)


def network(kind: str, stage: str) -> tuple[torch.nn.Sequential, tuple[int, ...]]:
    has_bias = kind != "current"
    if kind == "conv":
        shape: tuple[int, ...] = (2, 16, 16)
        layers = [
            torch.nn.Conv2d(2, 8, 3, stride=2, padding=1), neuron(kind, (8, 8, 8), stage),
            torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(128, 10),
            neuron(kind, (10,), stage, output=True),
        ]  # fmt: skip
    else:
        shape = (200,)
        layers = [
            torch.nn.Linear(200, 128, bias=has_bias), neuron(kind, (128,), stage),
            torch.nn.Linear(128, 64, bias=has_bias), neuron(kind, (64,), stage),
            torch.nn.Linear(64, 10, bias=has_bias), neuron(kind, (10,), stage, output=True),
        ]  # fmt: skip
    gain = 0.25 if kind == "current" else 1.0
    for layer in layers:
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            prepare(layer, gain * SPREAD, stage != "as it is")
    return torch.nn.Sequential(*layers), shape


def prepare(layer: torch.nn.Linear | torch.nn.Conv2d, spread: float, rounded: bool) -> None:
    weight = layer.weight.data
    weight.normal_(0.04, 1).mul_(spread * weight[0].numel() ** -0.5)
    if layer.bias is not None:
        layer.bias.data.uniform_(-0.02, 0.04)
    if rounded:  # as from_nir does, so that it finds nothing to do
        scale = np.floor(min(254 / float(weight.max()), 256 / -float(weight.min())))
        weight.copy_(2 * torch.round(weight * scale / 2) / scale)
        weight[0].view(-1)[0] = 254 / scale
        if layer.bias is not None:
            layer.bias.data = torch.round(layer.bias.data * scale) / scale


def run(net: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    utils.reset(net)
    with torch.no_grad():
        frames = [net(torch.tensor(f, dtype=torch.float32))[0] for f in np.moveaxis(x, -1, 0)]
    return torch.stack(frames, -1).numpy().astype(np.int8)


def row(name: str, stage: str, theirs: np.ndarray, ours: np.ndarray) -> str:
    both = 2 * (theirs & ours).sum() / max(theirs.sum() + ours.sum(), 1)
    most = (theirs.sum(-1).argmax(1) == ours.sum(-1).argmax(1)).mean()
    cells = f"{(theirs == ours).mean():.4f} | {both:.4f} | {most:.3f}"
    return f"| {name} | {stage} | {theirs.sum() / len(theirs):.1f} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    print("| network | rounded | spikes | cells that agree | common spikes | same decision |")
    print("|---|---|---|---|---|---|")
    for kind in ("leaky", "current", "conv"):
        for stage in DECAYS:
            torch.manual_seed(0)
            net, shape = network(kind, stage)
            rng = np.random.default_rng(0)
            x = (rng.random((options.samples, *shape, options.steps)) < 0.1).astype(np.int64)
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                path = Path(folder) / "network.nir"
                nir.write(path, export_to_nir(net, torch.zeros(1, *shape), ignore_dims=[0]))
                graph = la.from_nir(path)
                la.to_nir(graph, path)
                content = nir.read(path)
                back = import_from_nir(content) if kind != "conv" else None
            ours = la.simulate(graph, x, la.LayerSync()).spikes
            print(row(kind, stage, run(net, x), ours))
            if back is not None and stage == "decays":
                print(row(kind, "back", run(back, x), ours))


if __name__ == "__main__":
    main()
