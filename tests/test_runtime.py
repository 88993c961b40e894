"""The runner: any Lava network runs, fails or is stopped, and never hangs."""

import contextlib
import gc
import itertools
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from lava.magma.core.process.process import ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.extractor import Extractor
from lava.proc.io.injector import Injector
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF

import lava_async as la
from faults import FAULTS, MODELS, broken, one_of_each
from lava_async._lava import supervised
from lava_async.errors import ExecutionError, GraphError, ProcessError, ValidationError
from lava_async.netx import Network
from lava_async.netx.models import NetworkGraphModel
from lava_async.proc import AsyncDense
from lava_async.runtime import Runner
from lava_helpers.faulty import Relay

pytestmark = pytest.mark.timeout(120)
CONFIG = Loihi2SimCfg(select_tag="fixed_pt")
AS_GRAPH = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)


def chain(*faults):
    """Three relays one after the other; the one in the middle may fail."""
    relays = [Relay(), Relay(*faults, name="the middle"), Relay(name="last")]
    for first, second in itertools.pairwise(relays):
        first.out.connect(second.inp)
    return relays


def children():
    """Processes whose parent is this one, but those that joblib keeps a while after a study."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            is_joblib_s = b"joblib" in (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and not is_joblib_s:
            found.add(stat.parent.name)
    return found


def resources(open_before):
    """What a run may leave behind, memory apart; of files, those that were not open before.

    Others may be closed at any time, when garbage of an earlier test is collected.
    """
    gc.collect()
    compiler_log = logging.getLogger("lava.magma.compiler.compiler")
    return {
        "children": children(),
        "threads": threading.active_count(),
        "open files": open_files() - open_before,
        "processes": len(ProcessServer().processes),
        "vars": len(VarServer().vars),
        "log handlers": len(logging.getLogger().handlers) + len(compiler_log.handlers),
    }


def open_files():
    """What is open, each by number and name; a pipe's name is never given again."""
    opened = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            opened.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return opened


def memory():
    """Resident memory in bytes, and the number of mapped areas."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return np.array(
        [pages * os.sysconf("SC_PAGE_SIZE"), Path("/proc/self/maps").read_text().count("\n")]
    )


def small_graph(num_inputs=9):
    """Dense, slowly decaying, so that the state matters; a recurrent connection."""
    rng = np.random.default_rng(0)
    sizes = [8, 4]
    return la.Graph(
        (num_inputs,),
        tuple(la.Population(f"p{i}", (n,), 1500, 300, 50) for i, n in enumerate(sizes)),
        (
            la.Dense(-1, 0, rng.integers(-40, 90, (8, num_inputs))),
            la.Dense(0, 1, rng.integers(-40, 90, (4, 8))),
            la.Dense(1, 0, rng.integers(-40, 90, (8, 4))),
        ),
    )


@pytest.fixture
def nothing_left(monkeypatch):
    """No child process is left by the test, and no named shared memory is made at all."""

    def refuse(*args, **kwargs):
        raise AssertionError("named shared memory outlives a crash")

    monkeypatch.setattr(SharedMemory, "__init__", refuse)
    before = children()
    yield
    assert children() == before


def assert_runs():
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        run(num_steps=3)
        np.testing.assert_array_equal(relays[2].seen.get(), [2, 2])


def test_runs_again_and_again_with_vars_between(nothing_left):
    relays = chain()
    with Runner(relays[1], CONFIG) as run:
        run(num_steps=1)
        np.testing.assert_array_equal(relays[1].seen.get(), [1, 1])
        relays[1].seen.set(np.array([2**40, -5]))
        np.testing.assert_array_equal(relays[1].seen.get(), [2**40, -5])
        run(num_steps=50)
        np.testing.assert_array_equal(relays[1].seen.get(), [1, 1])
    with pytest.raises(ExecutionError, match="does not run any more: it was stopped"):
        relays[1].seen.get()
    with pytest.raises(ExecutionError, match="inside a with block"):
        run(num_steps=1)


def test_a_network_runs_in_one_block_only(nothing_left):
    relay = Relay()
    runner = Runner(relay, CONFIG)
    with runner as run:
        run(num_steps=1)
    with pytest.raises(ExecutionError, match="one that has not run"), runner:
        pass


def test_pause_and_resume(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        for _ in range(3):
            run()
            time.sleep(0.05)
            run.pause()
            np.testing.assert_array_equal(relays[2].seen.get(), [2, 2])
            run(num_steps=2)
        run()  # ... and the end of the block stops a run


@pytest.mark.timeout(60)
def test_a_run_during_a_run_is_refused(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        run()
        for again in (None, 3):
            with pytest.raises(ExecutionError, match="a run in progress"):
                run(num_steps=again)
        run.pause()
        run(num_steps=2)


def test_vars_during_a_run_are_refused(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        run()
        for request in (relays[2].seen.get, lambda: relays[2].seen.set(np.zeros(2))):
            with pytest.raises(ExecutionError, match=r"at rest: pause\(\) or wait\(\) first"):
                request()
        run.pause()
        np.testing.assert_array_equal(relays[2].seen.get(), [2, 2])


def test_values_of_the_wrong_size_are_refused_before_they_are_sent(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        for value in (np.zeros(3), np.zeros(1), 5):
            with pytest.raises(ValidationError, match=r"seen: expected shape \(2,\) \(got"):
                relays[1].seen.set(value)
        relays[1].seen.set([5, 6])
        np.testing.assert_array_equal(relays[1].seen.get(), [5, 6])
        run(num_steps=2)
        np.testing.assert_array_equal(relays[1].steps.get(), [2])


def test_numbers_of_stock_processes_are_set_again_and_again(nothing_left):
    """Lava turns the int into a float, which it can neither get nor set."""
    for tag in ("fixed_pt", "floating_pt"):
        lif, sink = LIF(shape=(2,), du=0, dv=0, vth=10), Sink(shape=(2,), buffer=9)
        lif.s_out.connect(sink.a_in)
        with Runner(lif, Loihi2SimCfg(select_tag=tag)) as run:
            for value in (30, 20, 25):
                lif.vth.set([value])
                np.testing.assert_array_equal(lif.vth.get(), [value])
                run(num_steps=1)
                np.testing.assert_array_equal(lif.vth.get(), [value])


def test_a_wrong_index_harms_nobody(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        with pytest.raises(IndexError):
            relays[1].seen.get(np.array([7]))
        with pytest.raises(IndexError):
            relays[1].seen.set(1, idx=np.array([7]))
        relays[1].seen.set(6, idx=np.array([1]))
        np.testing.assert_array_equal(relays[1].seen.get(np.array([1, 0])), [6, 0])
        with pytest.raises(ValidationError, match="seen: expected numbers"):
            relays[1].seen.set(np.array([1j, 0]))
        run(num_steps=2)
        np.testing.assert_array_equal(relays[1].steps.get(), [2])


def test_another_thread_cannot_disturb_a_run(nothing_left):
    relays, caught = chain(), []

    def interfere():
        time.sleep(0.3)
        try:
            relays[0].runtime.pause()
        except ExecutionError as error:
            caught.append(str(error))

    thread = threading.Thread(target=interfere)
    with Runner(relays[0], CONFIG) as run:
        thread.start()
        run(num_steps=6000)
        thread.join()
        np.testing.assert_array_equal(relays[2].steps.get(), [6000])
    (told,) = caught
    assert told.startswith("Lava network: caller: expected one thread at a time (got another ")


def test_runs_in_a_pool_of_threads(nothing_left):
    """Children inherit the pool's exit hook, which would wait for its threads."""

    def work(_):
        relays = chain()
        with Runner(relays[0], CONFIG) as run:
            run(num_steps=2)
            return relays[2].seen.get().tolist()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(16))) == [[2, 2]] * 16


def test_a_caller_that_ignores_the_end_of_children(nothing_left):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        begin, others = time.monotonic(), set(multiprocessing.active_children())
        assert_runs()
        assert time.monotonic() - begin < 4  # and not the time after which they are killed
        assert others.issuperset(multiprocessing.active_children())
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_vars_of_stock_processes_before_the_first_run(nothing_left):
    lif, sink = LIF(shape=(2,), du=0, dv=0, vth=10), Sink(shape=(2,), buffer=1)
    lif.s_out.connect(sink.a_in)
    with Runner(lif, CONFIG) as run:
        np.testing.assert_array_equal(lif.vth.get(), [10])
        lif.v.set(np.array([1000, 100]))  # above and below the threshold of 10 * 2**6
        np.testing.assert_array_equal(lif.v.get(), [1000, 100])
        run(num_steps=1)
        np.testing.assert_array_equal(sink.data.get(), [[1], [0]])


@pytest.mark.parametrize("config", [CONFIG, AS_GRAPH], ids=["fused", "graph"])
def test_a_run_goes_on_in_another_network_from_vars_set_before_the_first_run(config, nothing_left):
    graph, state = small_graph(), None
    x = np.random.default_rng(1).integers(0, 2, (9, 12))
    want = la.simulate(graph, x).spikes[0]
    assert want[:, 6:].any()
    for part in (slice(0, 6), slice(6, 12)):
        network, sink = Network(graph), Sink(shape=(4,), buffer=6)
        source = Source(data=x[:, part])
        source.s_out.connect(network.inp)
        network.out.connect(sink.a_in)
        with Runner(network, config) as run:
            assert not network.v.get().any()
            if state is not None:
                network.u.set(state[0])
                network.v.set(state[1])
            run(num_steps=6)
            np.testing.assert_array_equal(sink.data.get(), want[:, part])
            state = network.u.get(), network.v.get()


@pytest.mark.parametrize("end", ["pause", "block"])
def test_a_process_may_ask_for_a_pause_at_any_time(end, nothing_left):
    relays = chain("ask for a pause", 3)
    with Runner(relays[0], CONFIG) as run:
        run(num_steps=10)
        np.testing.assert_array_equal(relays[1].steps.get(), [3])
    relays = chain("ask for a pause", 3)
    with Runner(relays[0], CONFIG) as run:
        run()
        time.sleep(0.2)  # nobody waits for the answer
        if end == "pause":
            run.pause()
            run(num_steps=2)
            np.testing.assert_array_equal(relays[1].steps.get(), [5])


def test_stock_injector_and_extractor(nothing_left, monkeypatch):
    """Channels between the caller and the network."""
    # The injector waits for input that does not come and hears no request to stop.
    monkeypatch.setattr(supervised, "STOP_TIMEOUT", 0.5)
    injector, relay, extractor = Injector(shape=(2,)), Relay(), Extractor(shape=(2,))
    injector.out_port.connect(relay.inp)
    relay.out.connect(extractor.in_port)
    with Runner(relay, Loihi2SimCfg()) as run:
        run()
        for value in range(3):
            injector.send(np.array([value, -value]))
            np.testing.assert_array_equal(extractor.receive(), [value + 1, 1 - value])


@pytest.mark.parametrize("at", [0, 1, 7])
@pytest.mark.parametrize(
    "fault, message",
    [
        ("raise", r"(?s:ValueError: the relay is broken.*Traceback.*in fail)"),
        ("kill", "killed by SIGKILL"),
    ],
)
def test_a_failing_process_is_named(fault, message, at, nothing_left):
    begin = time.monotonic()
    with (
        pytest.raises(ProcessError, match=r"process 'the middle' \(Relay\): " + message),
        Runner(chain(fault, at)[0], CONFIG) as run,
    ):
        run(num_steps=10)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    "fault, message",
    [
        ("raise unpicklable", r"UnpicklableError: the relay is broken"),
        ("exit", "ended with exit status 3"),
        ("exit as if done", "ended without a report"),
        ("wrong shape", r"(?s:ValueError: out: expected shape \(2,\) \(got \(3,\)\).*Traceback)"),
    ],
)
def test_other_failures_in_the_second_run(fault, message, nothing_left):
    relays = chain(fault, 3)
    with (
        pytest.raises(ProcessError, match=r"process 'the middle' \(Relay\): " + message),
        Runner(relays[0], CONFIG) as run,
    ):
        run(num_steps=2)
        np.testing.assert_array_equal(relays[2].seen.get(), [2, 2])
        run(num_steps=2)
    assert_runs()


def test_a_failure_outside_a_run_is_noticed_by_the_next_request(nothing_left):
    relays = chain("exit", 5)
    with Runner(relays[0], CONFIG) as run:
        run(num_steps=1)
        run()
        time.sleep(0.2)
        with pytest.raises(ProcessError, match="the middle"):
            run.pause()
        with pytest.raises(ExecutionError):
            relays[0].seen.get()


def test_timeout(nothing_left):
    begin = time.monotonic()
    with (
        pytest.raises(
            ProcessError, match=r"within 0\.5 s; waiting: .*'the middle' \(Relay\) at faulty.py:\d+"
        ),
        Runner(chain("sleep", 2)[0], CONFIG, timeout=0.5) as run,
    ):
        run(num_steps=3)
    assert time.monotonic() - begin < 10


def test_a_deadlock_is_noticed_without_a_timeout(nothing_left, monkeypatch):
    monkeypatch.setattr(supervised, "STALL_TIMEOUT", 1.5)
    with (
        pytest.raises(
            ProcessError,
            match=r"stands still.*: 'last' \(Relay\) at inp, 'the middle' \(Relay\) at inp$",
        ),
        Runner(chain("wait for nothing", 2)[0], CONFIG) as run,
    ):
        run(num_steps=3)


def test_a_process_that_does_not_stop_is_killed(nothing_left, monkeypatch):
    monkeypatch.setattr(supervised, "STOP_TIMEOUT", 0.5)
    begin = time.monotonic()
    with Runner(chain("sleep", 2)[0], CONFIG) as run:
        run()
        time.sleep(0.1)
    assert time.monotonic() - begin < 10


def test_an_error_of_the_caller_stops_the_network(nothing_left):
    with pytest.raises(KeyError), Runner(chain()[0], CONFIG) as run:
        run()
        raise KeyError


@pytest.mark.parametrize("name", MODELS)
def test_after_a_fault_the_next_run_works(name):
    graph = small_graph()
    want = la.simulate(graph, np.ones((9, 4), np.int64)).spikes[0]
    assert want.any()
    left, opened = [], open_files()
    for fault, message in FAULTS.items():
        # Both populations run the same model, so either may be the first to fail.
        who = "(population|output)" if name == "population" else name
        with (
            broken(name, fault),
            pytest.raises(ProcessError, match=rf"process '{who}' .*{message}"),
            Runner(one_of_each(graph, 4), CONFIG) as run,
        ):
            run(num_steps=4)
        sink = one_of_each(graph, 4)
        with Runner(sink, CONFIG) as run:
            run(num_steps=4)
            np.testing.assert_array_equal(sink.data.get(), want)
        del run, sink
        left.append(resources(opened))
    assert left[1:] == left[:1] * 4


# ---------------------------------------------------------------- nothing is left behind


@pytest.mark.parametrize("backend", ["lava", "graph"])
def test_many_rounds_leave_nothing(backend, deep):
    rounds, warm = (50, 10) if deep else (20, 5)
    graph = small_graph()
    x = np.random.default_rng(1).integers(0, 2, (1, 9, 2))
    opened = open_files()
    for i in range(rounds):
        la.simulate(graph, x, backend=backend)
        if i == warm - 1:
            first, memory_before = resources(opened), memory()
    assert resources(opened) == first
    # Python's own allocations vary: by about 0.1 MB and one area in all, not per round.
    size, areas = (memory() - memory_before) / (rounds - warm)
    assert size < 50_000
    assert areas < 0.5


def test_a_failed_compilation_leaves_nothing():
    left, opened = [], open_files()
    for _ in range(4):
        dense = AsyncDense(weights=np.ones((4, 4)))
        Network(small_graph()).out.connect(dense.s_in)
        with pytest.raises(GraphError, match="a_out: expected a target"), Runner(dense, AS_GRAPH):
            pass
        del dense
        left.append(resources(opened))
    assert left[1:] == left[1:2] * 3


@pytest.mark.parametrize("config", [CONFIG, AS_GRAPH], ids=["fused", "graph"])
def test_wiring_can_be_mended_after_a_graph_error(config, nothing_left):
    graph = small_graph()
    x = np.random.default_rng(1).integers(0, 2, (9, 5))
    network, dense = Network(graph), AsyncDense(weights=np.eye(4, dtype=int) * 3)
    source, sink = Source(data=x), Sink(shape=(4,), buffer=5)
    source.s_out.connect(network.inp)
    network.out.connect(dense.s_in)
    for _ in range(2):
        with pytest.raises(GraphError, match="a_out: expected a target"), Runner(network, config):
            pass
    dense.a_out.connect(sink.a_in)
    want = la.simulate(graph, x).spikes[0] * 3
    assert want.any()
    with Runner(network, config) as run:
        run(num_steps=5)
        np.testing.assert_array_equal(sink.data.get(), want)
    with pytest.raises(ExecutionError, match="one that has not run"), Runner(sink, config):
        pass


def test_a_failed_expansion_of_a_composite_leaves_it_as_it_was(nothing_left, monkeypatch):
    network = Network(small_graph())
    expand = NetworkGraphModel.__init__

    def fail(self, proc):
        expand(self, proc)
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(NetworkGraphModel, "__init__", fail)
        with pytest.raises(ValueError, match="broken"), Runner(network, AS_GRAPH):
            pass
    assert not network.inp.out_connections
    with Runner(network, CONFIG) as run:  # ... as a fused process now
        run(num_steps=1)
        np.testing.assert_array_equal(network.v.get(), np.zeros(12))


# ---------------------------------------------------------------- Ctrl-C


@contextlib.contextmanager
def interrupts(*seconds):
    """Ctrl-C after so many seconds. The handler is the same afterwards."""
    handler = signal.getsignal(signal.SIGINT)
    timers = [threading.Timer(s, os.kill, (os.getpid(), signal.SIGINT)) for s in seconds]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupted_run_is_paused(nothing_left):
    relays = chain("interrupt the caller", 3)
    with Runner(relays[0], CONFIG) as run:
        with pytest.raises(KeyboardInterrupt):
            run(num_steps=10**7)
        steps = relays[2].steps.get()
        assert 3 <= steps < 10**7
        run(num_steps=5)
        np.testing.assert_array_equal(relays[2].steps.get(), steps + 5)


def test_an_interrupted_wait_pauses_the_run(nothing_left):
    relays = chain()
    with Runner(relays[0], CONFIG) as run:
        relays[0].run(RunSteps(10**7, blocking=False))
        with interrupts(0.2), pytest.raises(KeyboardInterrupt):
            relays[0].wait()
        steps = relays[2].steps.get()
        run(num_steps=5)
        np.testing.assert_array_equal(relays[2].steps.get(), steps + 5)


@pytest.mark.parametrize(
    "seconds, limit, why",
    [
        ((0.3,), 0.5, r"Lava network: did not answer within 0\.5 s; waiting: .*'the middle'"),
        ((0.3, 0.8), 30, "interrupted by KeyboardInterrupt"),
    ],
    ids=["once", "twice"],
)
def test_a_network_that_does_not_pause_is_stopped(seconds, limit, why, nothing_left, monkeypatch):
    monkeypatch.setattr(supervised, "STOP_TIMEOUT", limit)
    begin = time.monotonic()
    relays = chain("sleep", 2)
    with Runner(relays[0], CONFIG) as run:
        with interrupts(*seconds), pytest.raises(KeyboardInterrupt):
            run(num_steps=3)
        for request in (lambda: run(num_steps=1), run.pause, relays[0].seen.get):
            with pytest.raises(ExecutionError, match="does not run any more: " + why):
                request()
    assert time.monotonic() - begin < 10


def test_interrupted_while_a_var_is_read(nothing_left):
    relays = chain("make a Var unreadable", 1)
    with Runner(relays[0], CONFIG) as run:
        run(num_steps=1)
        with interrupts(0.3), pytest.raises(KeyboardInterrupt):
            relays[1].seen.get()  # Lava's model does not answer
        with pytest.raises(ExecutionError, match="any more: interrupted by KeyboardInterrupt"):
            relays[0].seen.get()


@pytest.mark.parametrize("at", [0, 1], ids=["start", "stop"])
def test_interrupted_starts_and_stops_leave_nothing(at, nothing_left):
    begin = time.monotonic()
    with (
        interrupts(1),
        pytest.raises(KeyboardInterrupt),
        Runner(chain("sleep", at)[0], CONFIG) as run,
    ):
        run()
    assert time.monotonic() - begin < supervised.STOP_TIMEOUT
    assert_runs()


def test_interrupts_at_any_time(nothing_left):
    """Requests are answered rightly after every one of them."""
    relays, rng, count = chain(), random.Random(0), 0
    with Runner(relays[0], CONFIG) as run:
        while count < 30:
            with contextlib.suppress(KeyboardInterrupt), interrupts(rng.uniform(0, 0.03)):
                count += 1
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    run(num_steps=rng.choice([1, 50]))
                    value = np.array([rng.randrange(100), 5])
                    relays[1].seen.set(value)
                    np.testing.assert_array_equal(relays[1].seen.get(), value)
                pytest.fail("not interrupted")
            np.testing.assert_array_equal(relays[2].seen.get(), [2, 2])


def test_handlers_of_the_caller_are_called(nothing_left):
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    try:
        relays = chain("interrupt the caller", 3)
        with Runner(relays[0], CONFIG) as run:
            run(num_steps=3000)
            np.testing.assert_array_equal(relays[2].steps.get(), [3000])
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [1]


SCRIPT = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava_async.runtime import Runner
    from lava_helpers.faulty import Relay

    first, second = Relay(), Relay({fault!r}, 3)
    first.out.connect(second.inp)
    try:
        with Runner(first, Loihi2SimCfg(select_tag="fixed_pt")) as run:
            print([c.pid for c in __import__("multiprocessing").active_children()], flush=True)
            run(num_steps=10**7)
    except KeyboardInterrupt:
        print("interrupted")
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("fault", ["interrupt the caller", "sleep"])
def test_interrupted_and_killed_callers_leave_nothing(fault, tmp_path):
    """Ctrl-C ends the run without a word from the children; SIGKILL of the caller ends them."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(tests=str(Path(__file__).parent), fault=fault))
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = [int(p) for p in process.stdout.readline().strip("[]\n").split(",")]
    assert len(pids) == 3
    if fault == "sleep":
        process.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    if fault != "sleep":
        assert (out, err) == ("interrupted\n", "")
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


OPEN = """
import sys
sys.path.insert(0, {tests!r})
import threading
from lava.magma.core.run_configs import Loihi2SimCfg
from lava_async.runtime import Runner
from lava_helpers.faulty import Relay

runner = Runner(Relay(), Loihi2SimCfg(select_tag="fixed_pt"))
runner.__enter__()
{run}
"""


@pytest.mark.parametrize(
    "run",
    ["runner(num_steps=3)", "runner()",
     "threading.Thread(target=runner, args=(10**8,), daemon=True).start()"],
)
def test_a_program_that_leaves_a_runner_open_ends(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(OPEN.format(tests=str(Path(__file__).parent), run=run))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None, CONFIG), "a Lava process"),
        ((Relay, CONFIG), "a Lava process"),
        (("relay", "fixed_pt"), "a RunConfig"),
        (("relay", CONFIG, -1), "seconds > 0"),
        (("relay", CONFIG, "10"), "seconds > 0"),
    ],
)
def test_arguments_are_checked(arguments, message):
    process = Relay() if arguments[0] == "relay" else arguments[0]
    with pytest.raises(ValidationError, match=message):
        Runner(process, *arguments[1:])


@pytest.mark.parametrize("num_steps", [0, -1, 1.5, True, "3"])
def test_the_number_of_steps_is_checked_before_anything_runs(num_steps, nothing_left):
    with Runner(Relay(), CONFIG) as run, pytest.raises(ValidationError, match="num_steps"):
        run(num_steps)
