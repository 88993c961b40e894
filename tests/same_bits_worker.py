"""Prints a digest of the spikes and gradients of compiled training, case by case."""

import hashlib
import json
import sys

import numpy as np
import torch

import lava_async as la
import slayer_blocks as sb
from lava_async._kernel import training
from training_passes import run


def graphs():
    rng = np.random.default_rng(0)

    def weight(*shape):
        return rng.normal(4, 40, shape).round().clip(-256, 254).astype(int)

    dense = la.Graph(
        (50,),
        [la.Population("a", (70,), 2000, 300, 150), la.Population("b", (33,), 4096, 900, 140)],
        [
            la.Dense(la.INPUT, 0, weight(70, 50)), la.Dense(0, 1, weight(33, 70)),
            la.Dense(1, 0, weight(70, 33)), la.Dense(la.INPUT, 1, weight(33, 50), delay=2),
        ],
    )  # fmt: skip
    conv = la.Graph(
        (2, 9, 8),
        [
            la.Population("a", (5, 5, 4), 2000, 300, 150),
            la.Population("b", (5, 5, 4), 4096, 900, 140, weight(5, 5, 4) // 20),
            la.Population("c", (10,), 500, 900, 140),
        ],
        [
            la.Conv(la.INPUT, 0, weight(5, 2, 3, 3), 2, 1), la.Conv(0, 1, weight(5, 5, 3, 3), 1, 1),
            la.OneToOne(0, 1, 90, delay=1), la.Dense(1, 2, weight(10, 100)),
        ],
    )  # fmt: skip
    return {"dense": dense, "conv": conv}


def digest_of(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def of_networks():
    """Spikes, and gradients by weights that are quantised and no more."""
    digests = {}
    for build, shape in ((sb.dense_blocks, (20,)), (sb.conv_blocks, (2, 7, 6))):
        x = sb.spikes((16, *shape, 6)).to(torch.uint8)  # compiled once for all cases
        for surrogate in ("slayer", "arctan", "fast_sigmoid"):
            net = sb.network(build(), la.Momentum(4), surrogate=surrogate)
            y, spikes = net(x, return_spikes=True)
            by_spikes = np.random.default_rng(2).normal(size=spikes.shape).astype(np.float32)
            spikes.backward(torch.from_numpy(by_spikes))
            found = [p.grad for p in net.parameters() if p.requires_grad]
            assert all(grad.any() for grad in found)
            digests[f"{build.__name__}, {surrogate}"] = digest_of(y.detach(), *found)
    return digests


def all_digests():
    digests = of_networks()
    for name, graph in graphs().items():
        rng = np.random.default_rng(1)
        x = (rng.random((24, *graph.input_shape, 6)) < 0.3) * rng.integers(1, 3)
        loss = rng.normal(size=(24, graph.num_neurons, 6)).astype(np.float32)
        given = rng.random((24, 6, graph.num_neurons)).astype(np.float32)
        for schedule in (la.Momentum(4, 0.5, 3), la.Random(8), la.LayerSync()):
            done = run(graph, x, schedule, threads=2)
            assert done.spikes.any((0, 2)).mean() > 0.5
            for kind in (
                training.EXPONENTIAL, training.ARCTAN, training.FAST_SIGMOID, training.GIVEN
            ):  # fmt: skip
                surrogate = training.Surrogate(kind, 3001.0, 1 / 3000, given=given / 3000)
                found = done.backward(loss, surrogate, by_frames=True)
                digests[f"{name}, {schedule!r}, surrogate {kind}"] = digest_of(
                    done.spikes, *found.weights, found.bias, found.frames
                )
    return digests


if __name__ == "__main__":
    json.dump(all_digests(), sys.stdout)
