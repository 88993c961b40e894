"""Teams of threads, and the memory that their calls hand on."""

import multiprocessing
import sys
import threading
import time

import numpy as np
import pytest
import torch

import lava_async as la
import slayer_blocks as sb
from lava_async._kernel._reserve import Reserve, room
from lava_async._kernel._threads import OwnThreads
from lava_async.slayer import threads
from lava_async.slayer.threads import OpenMPThreads

TEAMS = pytest.mark.parametrize("kind", [OwnThreads, OpenMPThreads])


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@TEAMS
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_results_come_in_the_order_of_the_calls(kind, size, count):
    def work(i, factor):
        time.sleep(0.001 * (i % 3))
        return i * factor

    calls = [(i, 10) for i in range(count)]
    assert kind(size).run(work, calls) == [i * 10 for i in range(count)]


@TEAMS
def test_calls_run_side_by_side(kind):
    both = threading.Barrier(2)
    kind(2).run(lambda _: both.wait(timeout=30), [(0,), (1,)])


@TEAMS
@pytest.mark.parametrize("failure", [ValueError("no"), IndexError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", [0, 5])
def test_a_failure_comes_out_and_ends_the_work(kind, failure, where):
    done = []

    def work(i):
        if i == where:
            raise failure
        time.sleep(0.01)
        done.append(i)

    with pytest.raises(type(failure)):
        kind(2).run(work, [(i,) for i in range(50)])
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 10
    assert kind(2).run(lambda i: i, [(0,), (1,)]) == [0, 1]


@TEAMS
def test_a_team_within_a_team(kind):
    def work(i):
        return sum(kind(2).run(lambda j: i * j, [(j,) for j in range(4)]))

    assert kind(2).run(work, [(i,) for i in range(6)]) == [6 * i for i in range(6)]


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has its OpenMP elsewhere")
def test_pytorchs_threads_where_they_are_as_many():
    assert isinstance(threads.team(2), OpenMPThreads)
    assert isinstance(threads.team(3), OwnThreads)


def _spikes_and_gradient():
    net = sb.network(sb.dense_blocks(), la.Momentum(4), num_threads=2)
    y = net(sb.spikes((40, 20, 6)))
    y.sum().backward()
    return y.detach(), net.blocks[0].synapse.weight.grad


def _report(queue):
    queue.put([found.numpy() for found in _spikes_and_gradient()])


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes are started otherwise"
)
def test_a_forked_child_has_threads_of_its_own():
    """It inherits none, neither PyTorch's nor ours; what waits for them would wait for ever."""
    expected = _spikes_and_gradient()
    OwnThreads(2).run(lambda i: i, [(0,), (1,)])
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=_report, args=(queue,))
    child.start()
    found = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, want.numpy())


def test_both_teams_give_the_same_bits(monkeypatch):
    expected = _spikes_and_gradient()
    monkeypatch.setattr(threads, "_parallel", lambda: None)
    for got, want in zip(_spikes_and_gradient(), expected, strict=True):
        assert torch.equal(got, want)


def test_an_item_serves_again_for_its_own_kind_only():
    made = []
    reserve = Reserve(lambda key: made.append(key) or [key])
    with reserve.lent("a") as first, reserve.lent("a") as second:
        assert first is not second
    with reserve.lent("a") as third, reserve.lent("b") as other:
        assert (third is first or third is second) and other == ["b"]
    assert made == ["a", "a", "b"]


def test_what_nobody_asks_for_any_more_goes():
    reserve = Reserve(lambda key: [key])
    for key in range(100):
        with reserve.lent(key):
            pass
    assert len(reserve._free) <= 4


def test_an_item_may_come_back_while_another_is_taken():
    """The garbage collector finds the owner of a tape whenever it likes."""
    reserve = Reserve(lambda key: [key])

    class Key:
        def __eq__(self, other):
            if other == 1:
                reserve.give_back(2, [2])
            return self is other

        __hash__ = object.__hash__

    key = Key()
    reserve.give_back(1, [1])
    assert reserve.take(key) == [key]
    assert reserve.take(2) == [2]


def test_an_item_in_use_when_something_failed_does_not_come_back():
    reserve = Reserve(lambda key: [])
    with pytest.raises(ValueError), reserve.lent(0) as item:
        item.append("half done")
        raise ValueError
    with reserve.lent(0) as other:
        assert other == []


def test_room_can_be_written():
    array = room(5, np.float32)
    array[:] = 3
    assert array.shape == (5,) and array.dtype == np.float32 and room(0, np.uint32).size == 0
