"""The digits' recipe: training is a function of seed and epoch, and goes on from a checkpoint."""

import dataclasses
import io

import numpy as np
import pytest
import torch

import lava_async as la
from lava_async.study import recipe

SMALL = dataclasses.replace(
    recipe.DIGITS, input_shape=(2, 4, 3), sizes=(12, 10, 3), weight_scale=6, batch_size=8,
    learning_rate=0.02, epochs=6,
)  # fmt: skip


def samples(count=30, seed=0):
    """Three classes, each with inputs of its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    often = np.repeat(np.eye(3), 8, axis=1)[labels].reshape(count, 2, 4, 3, 1)
    return (rng.random((count, 2, 4, 3, 6)) < 0.05 + 0.6 * often).astype(np.uint8), labels


def train(schedule, epochs, state=None):
    network = recipe.build_network(schedule, seed=4, recipe=SMALL)
    optimizer = recipe.build_optimizer(network, SMALL)
    if state is not None:
        checkpoint = torch.load(io.BytesIO(state), weights_only=True)
        network.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
    losses = [
        recipe.train_epoch(network, optimizer, *samples(), epoch=e, seed=4, recipe=SMALL)
        for e in epochs
    ]
    file = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
    return losses, network, file.getvalue()


@pytest.mark.parametrize("schedule", [la.Momentum(4), la.Random(2, 1), la.LayerSync()])
def test_training_goes_on_from_a_checkpoint_to_the_same_bits(schedule):
    losses, network, _ = train(schedule, range(4))
    first, _, state = train(schedule, range(2))
    second, resumed, _ = train(schedule, range(2, 4), state)
    assert first + second == losses and losses[-1] < losses[0]
    for a, b in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_initial_weights_depend_on_the_seed_only():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a = recipe.build_network(la.Momentum(8), seed=3, recipe=SMALL)
    assert torch.equal(before, torch.random.get_rng_state())
    b = recipe.build_network(la.LayerSync(), seed=3, recipe=SMALL)
    c = recipe.build_network(la.Momentum(8), seed=4, recipe=SMALL)
    weights = [[block.synapse.weight for block in n.blocks[2:]] for n in (a, b, c)]
    assert all(map(torch.equal, weights[0], weights[1]))
    assert not any(map(torch.equal, weights[0], weights[2]))


def test_learning_rate_rises_falls_and_stays():
    rates = [recipe.DIGITS.rate_at(p) for p in np.linspace(0, 30, 301)]
    top = int(np.argmax(rates))
    assert top == 45 and rates[top] == pytest.approx(recipe.DIGITS.learning_rate)
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:151]) < 0).all()
    assert rates[150] == pytest.approx(0.01 * rates[top]) and len(set(rates[150:])) == 1


def test_the_exported_network_sees_whole_frames(tmp_path):
    network = recipe.build_network(la.Momentum(8), recipe=SMALL)
    network.export_hdf5(tmp_path / "a.net")
    graph = la.load(tmp_path / "a.net")
    assert graph.input_shape == network.graph().input_shape == (2, 4, 3)
    x, _ = samples(4)
    for a, b in zip(graph.connections, network.graph().connections, strict=True):
        assert np.array_equal(a.weight, b.weight)
    network.eval()
    ours = network(torch.from_numpy(x)).detach().numpy()
    assert np.array_equal(la.simulate(graph, x).spikes, ours)
