"""What a forward pass leaves behind: nothing that outlives its graph, and no circles."""

import gc
import tracemalloc
import weakref

import pytest
import torch

import lava_async as la
import slayer_blocks as sb
from lava_async.slayer import decisive


class OwnOrder(la.AsyncSchedule):
    """A user's own, which the definition runs."""

    name = "own"

    def priorities(self, neurons, momenta, thresholds, fired_at, sample, time_step, forward_step):
        return neurons


SCHEDULES = pytest.mark.parametrize(
    "schedule",
    [la.Momentum(4), la.LayerSync(), la.Mixture([la.Momentum(4), la.Random(2)]), OwnOrder(3)],
    ids=["momentum", "layer", "mixture", "own"],
)
X = sb.spikes((4, 20, 6))


@pytest.fixture
def parts(monkeypatch):
    """The parts of executions that are alive, with their tapes; without garbage collection."""
    alive = weakref.WeakSet()
    for kind in (decisive._Compiled, decisive._Defined):
        made = kind.__init__

        def remember(self, *arguments, made=made):
            made(self, *arguments)
            alive.add(self)

        monkeypatch.setattr(kind, "__init__", remember)
    gc.collect()
    gc.disable()
    yield alive
    gc.enable()


@SCHEDULES
def test_the_tape_goes_with_the_backward_pass(schedule, parts):
    """Though the spikes stay."""
    net = sb.network(sb.dense_blocks(), schedule)
    y = net(X)
    assert parts
    y.sum().backward()
    assert not parts and y.grad_fn is not None
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()


@SCHEDULES
def test_a_retained_graph_keeps_its_tape(schedule, parts):
    net = sb.network(sb.dense_blocks(), schedule)
    y = net(X)
    y.sum().backward(retain_graph=True)
    first = [p.grad.clone() for p in net.parameters() if p.requires_grad]
    assert parts
    y.sum().backward()
    assert not parts
    for p, before in zip((p for p in net.parameters() if p.requires_grad), first, strict=True):
        assert torch.equal(p.grad, 2 * before) and before.any()


@SCHEDULES
def test_spikes_that_are_dropped_take_their_tape_along(schedule, parts):
    net = sb.network(sb.dense_blocks(), schedule)
    y, spikes = net(X, return_spikes=True)
    assert parts
    del y
    assert parts
    del spikes
    assert not parts


@SCHEDULES
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_kept(schedule, mode, parts):
    net = sb.network(sb.dense_blocks(), schedule)
    with mode():
        y = net(X)
    assert not parts and not y.requires_grad


def test_an_input_that_is_refused_leaves_nothing(parts):
    net = sb.network(sb.dense_blocks())
    with pytest.raises(ValueError, match="whole numbers"):
        net(X + 0.5)
    assert not parts


def test_an_execution_of_which_a_part_is_asked_for_twice(parts):
    net = sb.network(sb.dense_blocks())
    weights = [block.synapse.weight for block in net.blocks]
    y = net(X)
    (one,) = torch.autograd.grad(y.sum(), weights[0], retain_graph=True)
    every = torch.autograd.grad(y.sum(), weights)
    assert torch.equal(one, every[0]) and not parts


def test_what_autograd_saves_may_be_packed_elsewhere():
    """As `torch.autograd.graph.save_on_cpu` does, which lets go of what it packs at once."""
    net = sb.network(sb.dense_blocks())
    grads = []
    for hooks in (False, True):
        net.zero_grad()
        if hooks:
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
                y = net(X)
        else:
            y = net(X)
        y.sum().backward()
        grads.append([p.grad for p in net.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) and a.any() for a, b in zip(*grads, strict=True))


def test_checkpointing_gives_the_same_gradient():
    net = sb.network(sb.dense_blocks())
    grads = []
    for run in (net, lambda x: torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False)):
        net.zero_grad()
        run(X).sum().backward()
        grads.append([p.grad for p in net.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) and a.any() for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("schedule", [la.Momentum(4), la.LayerSync()])
def test_memory_stays_flat_over_many_steps(schedule):
    net = sb.network(sb.dense_blocks(), schedule, penalty=torch.sum)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    x = sb.spikes((64, 20, 100))

    def steps(count):
        for _ in range(count):
            y, penalty = net(x)
            optimizer.zero_grad()
            (y.sum() + penalty).backward()
            optimizer.step()

    steps(25)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        steps(5)
        before, _ = tracemalloc.get_traced_memory()
        steps(200)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    voltages = 64 * 100 * 24 * 4  # bytes of one array of one pass
    assert after - before < voltages
