"""Recipes: training is a function of seed and epoch, and goes on from a checkpoint."""

import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from lava.lib.dl.slayer.loss import SpikeRate

import lava_async as la
from lava_async.errors import ValidationError
from lava_async.study import recipe
from lava_async.study.settings import DIGITS, OF_0_1_0, RECIPES, TUTORIAL, Recipe

SMALL = Recipe(
    input_shape=(2, 4, 3), sizes=(12, 10, 3), weight_scale=6, batch_size=8, penalty=0.001,
    learning_rate=0.02, epochs=6,
)  # fmt: skip
UNROLLED = dataclasses.replace(SMALL, gradient="unrolled", penalty=0.0)
MEMORY = dataclasses.replace(
    SMALL, current_decay=0.25, voltage_decay=0.03, tau_grad=0.03, scale_grad=3.0,
    weight_norm=True, loss="spike_rate",
)  # fmt: skip


def samples(count=30, seed=0):
    """Three classes, each with inputs of its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    often = np.repeat(np.eye(3), 8, axis=1)[labels].reshape(count, 2, 4, 3, 1)
    return (rng.random((count, 2, 4, 3, 6)) < 0.05 + 0.6 * often).astype(np.uint8), labels


def train(schedule, epochs, state=None, by=SMALL):
    network = recipe.build_network(schedule, seed=4, recipe=by)
    optimizer = recipe.build_optimizer(network, by)
    if state is not None:
        checkpoint = torch.load(io.BytesIO(state), weights_only=True)
        network.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
    losses = [
        recipe.train_epoch(network, optimizer, *samples(), epoch=e, seed=4, recipe=by).loss
        for e in epochs
    ]
    file = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
    return losses, network, file.getvalue()


@pytest.mark.parametrize(
    ("schedule", "by"),
    [(la.Momentum(4), SMALL), (la.LayerSync(), SMALL), (la.Momentum(4), UNROLLED),
     (la.Mixture([la.Random(2, 1), la.Fifo(1)]), MEMORY)],
)  # fmt: skip
def test_training_goes_on_from_a_checkpoint_to_the_same_bits(schedule, by):
    losses, network, _ = train(schedule, range(4), by=by)
    first, _, state = train(schedule, range(2), by=by)
    second, resumed, _ = train(schedule, range(2, 4), state, by=by)
    assert first + second == losses and losses[-1] < losses[0]
    for a, b in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("by", [DIGITS, TUTORIAL])
def test_the_decisive_gradient_has_the_same_bits_for_any_number_of_threads(by, monkeypatch):
    """PyTorch's sums, too: those of weight norm, losses and gradient norms."""
    by = dataclasses.replace(by, weight_norm=True, weight_scale=12.0, batch_size=16)
    rng = np.random.default_rng(0)
    x = (rng.random((48, *by.input_shape, 10)) < 0.03).astype(np.uint8)
    labels = rng.integers(0, 10, 48)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            network = recipe.build_network(la.Momentum(8), recipe=by)
            optimizer = recipe.build_optimizer(network, by)
            passed = recipe.train_epoch.__wrapped__(
                network, optimizer, x, labels, epoch=3, recipe=by
            )
        finally:
            torch.set_num_threads(before)
        found.append((passed, [p.detach().clone() for p in network.parameters()]))
    assert found[0][0].gradient_norm > 0
    for passed, parameters in found[1:]:
        assert passed == found[0][0]
        assert all(map(torch.equal, parameters, found[0][1]))


@pytest.mark.parametrize("loss", ["spike_count", "spike_rate"])
@pytest.mark.parametrize("density", [None, 0.05])
def test_the_loss_is_that_of_the_recipe(loss, density):
    by = dataclasses.replace(
        SMALL, loss=loss, penalty=0.5, target_density=density, input_dropout=0.0, batch_size=30
    )
    x, labels = samples()
    network = recipe.build_network(la.Momentum(2), recipe=by)
    order = np.random.default_rng([7, 0]).permutation(30)
    y, spikes, penalty = network(torch.from_numpy(x[order]), return_spikes=True)
    count = spikes.sum((1, 2)).double()
    beyond = count if density is None else (count - density * 25 * 6).clamp(min=0)
    assert 0 < float(beyond.mean()) == pytest.approx(float(penalty))
    wanted = torch.from_numpy(labels[order])
    if loss == "spike_rate":
        own = SpikeRate(by.true_rate, by.false_rate, reduction="sum")(y, wanted)
    else:
        own = torch.nn.functional.cross_entropy(y.sum(-1), wanted)
    optimizer = recipe.build_optimizer(network, by)
    passed = recipe.train_epoch(network, optimizer, x, labels, epoch=0, seed=7, recipe=by)
    assert passed.loss == pytest.approx(float(own) + 0.5 * float(beyond.mean()), rel=1e-6)


def test_a_gradient_that_is_not_finite_is_told_and_no_step_is_taken():
    network = recipe.build_network(la.Momentum(4), recipe=SMALL)
    optimizer = recipe.build_optimizer(network, SMALL)
    weight = network.blocks[3].synapse.weight
    passes, taken = [], []

    def spoil_the_second(gradient):
        passes.append(1)
        return gradient * float("nan") if len(passes) == 2 else gradient

    weight.register_hook(spoil_the_second)
    optimizer.register_step_post_hook(lambda *_: taken.append(1))
    passed = recipe.train_epoch(network, optimizer, *samples(), epoch=0, recipe=SMALL)
    assert (passed.skipped, passed.not_finite) == (1, ["blocks.3.synapse.weight"])
    assert (len(passes), len(taken)) == (4, 3)
    assert np.isfinite(passed.gradient_norm) and torch.isfinite(weight).all()


def test_a_convolutional_network_learns():
    by = dataclasses.replace(
        SMALL, input_shape=(2, 9, 9), channels=(6, 8), sizes=(3,), gradient="decisive"
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 30)
    often = np.repeat(np.eye(3), 27, axis=1)[labels].reshape(30, 1, 9, 9, 1)
    x = (rng.random((30, 2, 9, 9, 6)) < 0.05 + 0.6 * often).astype(np.uint8)
    network = recipe.build_network(la.Momentum(4), recipe=by)
    assert [p.shape for p in network.graph().populations] == [(6, 4, 4), (8, 1, 1), (3,)]
    optimizer = recipe.build_optimizer(network, by)
    losses = [
        recipe.train_epoch(network, optimizer, x, labels, epoch=e, recipe=by).loss
        for e in range(5)
    ]
    assert losses[-1] < losses[0]


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
    by = Recipe(learning_rate=0.08, warm_up=0.3, final_rate=0.01, epochs=15)
    rates = [by.rate_at(p) for p in np.linspace(0, 30, 301)]
    top = int(np.argmax(rates))
    assert top == 45 and rates[top] == pytest.approx(0.08)
    assert rates[0] == pytest.approx(0.008)
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:151]) < 0).all()
    assert rates[150] == pytest.approx(0.01 * rates[top]) and len(set(rates[150:])) == 1


def test_learning_rate_may_be_constant():
    by = Recipe(learning_rate=0.002, warm_up=0.0, final_rate=1.0)
    assert {by.rate_at(p) for p in np.linspace(0, 30, 301)} == {0.002}


@pytest.mark.parametrize("by", [*RECIPES.values(), OF_0_1_0, SMALL, MEMORY])
def test_recipes_come_back_from_plain_data(by):
    assert Recipe.from_dict(json.loads(json.dumps(by.to_dict()))) == by


def test_what_0_1_0_trained_by_stays():
    assert OF_0_1_0.to_dict() == {
        "input_shape": [2, 34, 34], "channels": [], "sizes": [64, 64, 64, 10],
        "threshold": 1.25, "current_decay": 1.0, "voltage_decay": 1.0, "tau_grad": 0.0128,
        "scale_grad": 19.2, "weight_scale": 12.0, "weight_norm": False,
        "gradient": "unrolled", "penalty": 0.0, "target_density": None,
        "loss": "spike_count", "true_rate": 0.2, "false_rate": 0.03, "input_dropout": 0.25,
        "batch_size": 64, "learning_rate": 0.08, "warm_up": 0.3, "final_rate": 0.01,
        "weight_decay": 1e-5, "epochs": 15,
    }  # fmt: skip


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Recipe)])
def test_recipes_refuse_bad_values(field):
    value = getattr(DIGITS, field)
    bad: list = ["x", [1], {}, float("nan"), -1, -0.5, float("inf"), 10**9]
    if isinstance(value, tuple):
        bad += [3, None, (0,), (1.5,), (True,), ("x",), (-4, 10), (10**9, 10)]
    elif isinstance(value, bool):
        bad += [None, 1, 0]
    else:
        bad += [None, True, ()] if field != "target_density" else [True, (), 1.5]
    for each in bad:
        with pytest.raises(ValidationError, match=f"recipe: ({field}|weights): expected"):
            dataclasses.replace(DIGITS, **{field: each})


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_recipes_refuse_other_fields(change):
    description = DIGITS.to_dict()
    if change == "missing":
        del description["loss"]
    else:
        description["more"] = 1
    with pytest.raises(ValidationError, match="recipe: fields: expected"):
        Recipe.from_dict(description)


def test_recipes_refuse_networks_that_do_not_fit():
    with pytest.raises(ValidationError, match="recipe: channels: expected so few"):
        dataclasses.replace(DIGITS, channels=(4, 4, 4, 4, 4))
    dataclasses.replace(DIGITS, channels=(4, 4, 4, 4))
    for sizes in ((100_000, 10), (20_000, 10_000, 10)):
        with pytest.raises(ValidationError, match="recipe: weights: expected at most"):
            dataclasses.replace(DIGITS, sizes=sizes)


def test_the_exported_network_sees_whole_frames(tmp_path):
    network = recipe.build_network(la.Momentum(8), recipe=SMALL)
    network.export_hdf5(tmp_path / "a.net")
    graph = la.load(tmp_path / "a.net")
    assert graph.input_shape == network.graph().input_shape == (2, 4, 3)
    x, _ = samples(4)
    for a, b in zip(graph.connections, network.graph().connections, strict=True):
        assert np.array_equal(a.weight, b.weight)
    network.eval()
    ours = network(torch.from_numpy(x))[0].detach().numpy()
    assert np.array_equal(la.simulate(graph, x).spikes, ours)
