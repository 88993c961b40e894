"""`slayer.Network`: the forward pass, its settings, and SLAYER's own training tools."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl import slayer
from lava.lib.dl.slayer.block import alif, cuba

import lava_async as la
import slayer_blocks as sb
from lava_async import slayer as async_slayer
from lava_async._semantics import reference
from lava_async._semantics.dropout import Dropout
from lava_async.errors import ForwardStepLimitError, UnsupportedError, ValidationError

SCHEDULES = st.one_of(
    st.builds(la.Momentum, st.integers(1, 12), st.sampled_from([0.0, 0.4, 3.0]), st.integers(0, 9)),
    st.builds(la.Random, st.integers(1, 12), st.integers(0, 9)),
    st.builds(la.LayerSync, st.integers(1, 12)),
)
DECAYS = st.sampled_from([0.0, 0.03, 0.3, 0.77, 1.0])


def networks():
    neuron = st.fixed_dictionaries(
        {
            "threshold": st.sampled_from([0.5, 1.25, 3.0]),
            "current_decay": DECAYS,
            "voltage_decay": DECAYS,
        }
    )
    return st.builds(
        lambda build, neuron, seed: build(neuron=neuron, seed=seed),
        st.sampled_from([sb.dense_blocks, sb.conv_blocks]),
        neuron,
        st.integers(0, 99),
    )


def input_shape(blocks):
    return (20,) if isinstance(blocks[0], cuba.Dense) else (2, 7, 6)


@settings(max_examples=20, deadline=None)
@given(networks(), SCHEDULES, st.integers(0, 99))
def test_forward_equals_simulation(blocks, schedule, seed):
    net = sb.network(blocks, schedule).eval()
    x = sb.spikes((3, *input_shape(blocks), 4), seed)
    ids = np.array([5, 0, 4_000_000_000])
    y = net(x, sample_ids=ids)
    for backend in ("reference", "kernel"):
        record = la.simulate(net.graph(), x.numpy(), sample_ids=ids, backend=backend)
        assert np.array_equal(y.detach().numpy(), record.spikes)


@settings(max_examples=20, deadline=None)
@given(
    networks(), SCHEDULES, st.integers(0, 99), st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.25]), st.sampled_from([0.0, 0.6]), st.booleans(),
)  # fmt: skip
def test_training_forward_equals_reference_with_dropout(
    blocks, schedule, seed, drop_input, drop_spike, drop_refractory, unrolled
):
    drop_refractory *= unrolled  # decisive knows none
    net = sb.network(
        blocks, schedule, input_dropout=drop_input, spike_dropout=drop_spike,
        refractory_dropout=drop_refractory, seed=seed,
        gradient="unrolled" if unrolled else "decisive",
    )  # fmt: skip
    x = sb.spikes((2, *input_shape(blocks), 4), seed)
    ids = np.array([7, 3])
    y = net(x, sample_ids=ids)
    record = reference.run(
        net.graph(), x.numpy().astype(np.int64), schedule, sample_ids=ids,
        dropout=Dropout(drop_input, drop_spike, drop_refractory, seed),
    )  # fmt: skip
    assert np.array_equal(y.detach().numpy(), record.spikes)


def test_states_beyond_24_bits_wrap_and_clip_as_the_reference():
    """Large currents: float32 is given up, and the result is still the reference's."""
    neuron = {"threshold": 60.0, "current_decay": 0.01, "voltage_decay": 0.01}
    blocks = sb.dense_blocks((600, 3, 2), 100, neuron=neuron)
    with torch.no_grad():
        blocks[0].synapse.weight[0] = 4.0
        blocks[0].synapse.weight[1] = -4.0
    net = sb.network(blocks, la.Momentum(2))
    x = sb.spikes((2, 600, 12), density=0.9, high=9)
    y = net(x)
    record = la.simulate(net.graph(), x.numpy(), backend="reference")
    assert record.overflows.sum() > 0
    assert np.array_equal(y.detach().numpy(), record.spikes)


@pytest.mark.parametrize("schedule", [la.Momentum(3), la.Random(2, 1), la.LayerSync(3)])
def test_batch_composition_does_not_matter(schedule):
    net = sb.network(
        sb.dense_blocks(), schedule, refractory_dropout=0.5, spike_dropout=0.1,
        gradient="unrolled",
    )  # fmt: skip
    x, ids = sb.spikes((6, 20, 5)), np.array([9, 4, 4, 0, 8, 1])
    whole = net(x, sample_ids=ids)
    for part in ([3], [5, 0], [2, 1, 4]):
        assert torch.equal(net(x[part], sample_ids=ids[part]), whole[part])


@pytest.mark.parametrize("build", [sb.dense_blocks, sb.conv_blocks])
def test_layer_sync_is_slayers_own_forward_and_gradient(build):
    blocks = build()
    if build is sb.conv_blocks:
        blocks = blocks[1:]  # SLAYER's input block clips its input
    net = sb.network(blocks, la.LayerSync(), gradient="unrolled")
    x = sb.spikes((3, *input_shape(blocks), 8))
    ours = net(x)
    ours.sum().backward()
    gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    theirs = torch.nn.Sequential(*blocks)(x)
    theirs.sum().backward()
    assert ours.sum() > 0
    assert torch.equal(ours, theirs)
    for mine, parameter in zip(gradients, [b.synapse.weight for b in blocks
                                           if hasattr(b, "synapse")], strict=True):
        assert torch.equal(mine, parameter.grad)


@pytest.mark.parametrize("scale", [32, 50])
def test_another_scale_runs_the_exported_integers(scale):
    blocks = sb.dense_blocks(neuron={**sb.NEURON, "scale": scale})
    net = sb.network(blocks)
    x = sb.spikes((3, 20, 6))
    y = net(x)
    record = la.simulate(net.graph(), x.numpy(), backend="reference")
    assert record.spikes.sum() > 0
    assert np.array_equal(y.detach().numpy(), record.spikes)


def test_mask_keeps_synapses_at_zero():
    mask = torch.zeros(12, 20)
    mask[:, ::2] = 1
    blocks = [
        *sb.dense_blocks((20, 12), mask=mask),
        *sb.dense_blocks((12, 4), seed=1),
    ]
    net = sb.network(blocks)
    net(sb.spikes((2, 20, 5)))
    weight = net.graph().connections[0].weight
    assert not weight[:, 1::2].any() and weight[:, ::2].any()


# Streams of sample ids


def test_default_ids_count_on_in_training_and_in_the_checkpoint():
    net = sb.network(sb.dense_blocks(), refractory_dropout=0.7, gradient="unrolled")
    x = sb.spikes((4, 20, 6))
    first, second = net(x), net(x)
    assert not torch.equal(first, second)
    assert torch.equal(second, net(x, sample_ids=np.arange(4, 8)))
    other = sb.network(sb.dense_blocks(seed=3), refractory_dropout=0.7, gradient="unrolled")
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), net(x, sample_ids=np.arange(8, 12)))


def test_each_evaluation_starts_a_new_stream():
    net = sb.network(sb.dense_blocks(), la.Random(1))
    x = sb.spikes((4, 20, 6))
    whole = net.eval()(x)
    halves = [net.train().eval()(x[:2]), net.eval()(x[2:])]
    assert torch.equal(torch.cat(halves), whole)


# SLAYER's tools


@pytest.mark.parametrize("schedule", [la.Momentum(4), la.LayerSync(4)])
def test_assistant_trains(schedule):
    """Two classes told apart by which half of the inputs is active."""
    neuron = {"threshold": 1.25, **sb.FORGETFUL, "tau_grad": 0.01, "scale_grad": 10}
    net = sb.network(
        sb.dense_blocks((20, 16, 2), 5, neuron=neuron), schedule, refractory_dropout=0.3,
        gradient="unrolled",
    )
    labels = torch.arange(16) % 2
    x = sb.spikes((16, 20, 8), density=0.4, high=1)
    x[labels == 0, :10] = 0
    x[labels == 1, 10:] = 0
    stats = slayer.utils.LearningStats()
    assistant = slayer.utils.Assistant(
        net, slayer.loss.SpikeRate(0.8, 0.1, reduction="sum"),
        torch.optim.Adam(net.parameters(), lr=0.02), stats, slayer.classifier.Rate.predict,
    )  # fmt: skip
    losses = []
    for _ in range(12):
        assistant.train(x, labels)
        losses.append(stats.training.loss)
        stats.update()
    assert losses[-1] < 0.5 * losses[0]
    assistant.test(x, labels)
    assistant.valid(x, labels)
    assert stats.testing.accuracy > 0.9 and stats.validation.accuracy > 0.9


def test_a_repeated_run_gives_the_same_bits():
    def train():
        net = sb.network(
            sb.dense_blocks(), la.Random(2, 3), refractory_dropout=0.5, gradient="unrolled"
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        losses = []
        for step in range(3):
            loss = (net(sb.spikes((4, 20, 5), step)).mean(-1) - 0.3).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [p.detach().clone() for p in net.parameters()]

    (losses, weights), (losses2, weights2) = train(), train()
    assert losses == losses2
    assert all(torch.equal(a, b) for a, b in zip(weights, weights2, strict=True))


# What is refused


def _dense(neuron=None, **settings):
    settings.setdefault("delay_shift", False)
    return cuba.Dense({**sb.NEURON, **(neuron or {})}, 6, 4, **settings)


@pytest.mark.parametrize(
    "block, message",
    [
        (lambda: _dense({"graded_spike": True}), "graded_spike: expected False"),
        (lambda: _dense({"threshold": 0.0}), "threshold: expected a mantissa in"),
        (lambda: _dense(pre_hook_fx=None), "pre_hook_fx: expected a quantizer"),
        (lambda: _dense(pre_hook_fx=lambda w: w), "pre_hook_fx: expected a function"),
        (lambda: _dense(pre_hook_fx=lambda w, descale=False: w),
         r"pre_hook_fx: expected integers in -256\.\.254"),
        (lambda: _dense(pre_hook_fx=lambda w, descale=False: torch.full_like(w, 300)),
         r"pre_hook_fx: expected integers in -256\.\.254"),
        (lambda: _dense(mask=torch.ones(4, 6), weight_norm=True), "mask: expected none"),
        (lambda: alif.Dense({"threshold": 1.0, "threshold_step": 0.1, "current_decay": 0.1,
                             "voltage_decay": 0.1, "threshold_decay": 0.1,
                             "refractory_decay": 0.1}, 6, 4),
         r"block type: expected .*alif.Dense"),
        (lambda: cuba.Input(dict(sb.NEURON)), r"place: expected blocks\[0\]"),
    ],
)  # fmt: skip
def test_unsupported_blocks_are_named(block, message):
    with pytest.raises(UnsupportedError, match=r"^blocks\[1\] \(\w+\): "):
        async_slayer.Network([_dense(), block()])
    with pytest.raises(UnsupportedError, match=message):
        async_slayer.Network([_dense(), block()])


def test_an_input_bias_needs_neurons_without_current_memory():
    with pytest.raises(UnsupportedError, match=r"blocks\[0\] \(Input\): bias"):
        async_slayer.Network([cuba.Input(dict(sb.NEURON), bias=0.5)])
    forgetful = {**sb.NEURON, "current_decay": 1.0}
    net = sb.network([cuba.Input(forgetful, weight=0.5, bias=0.25, delay_shift=False)])
    x = sb.spikes((2, 3, 9), high=3)
    for schedule in (la.Momentum(2), la.LayerSync()):
        net.schedule = schedule
        y = net(x)
        record = la.simulate(net.graph(), x.numpy(), backend="reference")
        assert record.spikes.sum() > 0
        assert np.array_equal(y.detach().numpy(), record.spikes)


def test_delay_shift_only_warns_once_with_the_blocks_named():
    with pytest.warns(UserWarning, match=r"blocks\[1\] \(Dense\): delay_shift=True") as caught:
        net = sb.network([*sb.dense_blocks((6, 4)), *sb.dense_blocks((4, 2), delay_shift=True)])
    assert len([w for w in caught if "delay_shift" in str(w.message)]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(sb.spikes((1, 6, 3)))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"schedule": 8}, "schedule: expected one of LayerSync, Random, Momentum, Fifo, Mixture"),
        ({"refractory_dropout": 1.0}, "refractory: expected 0 <= p < 1"),
        ({"seed": -1}, "seed: expected 0 <= seed"),
        ({"surrogate": "step"}, "surrogate: expected one of"),
        ({"max_forward_steps": 0}, "max_forward_steps: expected"),
        ({"input_shape": (4, 4)}, r"input shape: expected \(C,\) or"),
        ({"input_shape": (7,)}, r"blocks\[0\] \(Dense\): input shape: expected \(20,\)"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValidationError, match=message):
        async_slayer.Network(sb.dense_blocks(), **settings)
    with pytest.raises(ValidationError, match="at least one with neurons"):
        async_slayer.Network([cuba.Flatten()])


@pytest.mark.parametrize(
    "x, message",
    [
        (torch.zeros(2, 20), "input: expected"),
        (torch.zeros(2, 21, 5), "input shape: expected"),
        (torch.zeros(0, 20, 5), "none of them 0"),
        (torch.full((2, 20, 5), 0.5), "whole numbers >= 0"),
        (torch.full((2, 20, 5), -1.0), "whole numbers >= 0"),
        (torch.full((2, 20, 5), float("nan")), "whole numbers >= 0"),
    ],
)
def test_input_is_checked(x, message):
    with pytest.raises(ValidationError, match=message):
        sb.network(sb.dense_blocks())(x)


@pytest.mark.parametrize("ids", [[1], [1, -1], [0, 2**32], [0.0, 1.0]])
def test_sample_ids_are_checked(ids):
    with pytest.raises(ValidationError, match="sample_ids: expected"):
        sb.network(sb.dense_blocks())(torch.zeros(2, 20, 5), sample_ids=ids)


def test_a_time_step_that_takes_too_long_is_an_error():
    net = sb.network(sb.dense_blocks(), la.Momentum(1), max_forward_steps=2, gradient="unrolled")
    with pytest.raises(ForwardStepLimitError, match=r"sample 41, time step \d.*rest within 2"):
        net(sb.spikes((1, 20, 6), density=0.9), sample_ids=[41])


@pytest.mark.parametrize(
    "neuron",
    [
        {"threshold": 64.0, "current_decay": 0.5, "voltage_decay": 0.01},
        {"threshold": 100.5, "current_decay": 0.2, "voltage_decay": 0.0},
        {"scale": 50},
        {"scale": 48, "threshold": 1.5},
    ],
)
def test_layer_sync_is_exact_where_slayer_is_not(neuron):
    """Thresholds above its epsilon, scales that are no power of 2."""
    blocks = sb.dense_blocks((20, 6, 4), 20, neuron={**sb.NEURON, **neuron})
    net = sb.network(blocks, la.LayerSync())
    x = sb.spikes((3, 20, 20), high=4)
    y = net(x)
    record = la.simulate(net.graph(), x.numpy(), backend="reference")
    assert record.all_spikes.sum() > 0 and not record.overflows.any()
    assert np.array_equal(y.detach().numpy(), record.spikes)
