"""The runner: any Lava network runs, fails or is stopped, and never hangs."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.extractor import Extractor
from lava.proc.io.injector import Injector

from lava_async import _lava_runtime
from lava_async.errors import ExecutionError, ProcessError, ValidationError
from lava_async.runtime import Runner
from lava_helpers.faulty import Relay

pytestmark = pytest.mark.timeout(120)
CONFIG = Loihi2SimCfg(select_tag="fixed_pt")


def chain(*faults):
    """Relays one after the other; the middle one is named."""
    relays = [Relay(), Relay(*faults, name="the middle"), Relay()]
    for first, second in itertools.pairwise(relays):
        first.out.connect(second.inp)
    return relays


def children():
    """Processes whose parent is this one."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(stat.parent.name)
    return found


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def nothing_left():
    """No child process and no named shared memory is left by the test."""
    before = children(), set(os.listdir("/dev/shm"))
    yield
    assert children() == before[0]
    assert not [f for f in set(os.listdir("/dev/shm")) - before[1] if f.startswith("psm_")]


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
    with pytest.raises(ExecutionError, match="until the stop"):
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
            with pytest.raises(ExecutionError, match="a run is in progress"):
                run(num_steps=again)
        run.pause()
        run(num_steps=2)


def test_stock_injector_and_extractor(nothing_left, monkeypatch):
    """Channels between the caller and the network."""
    # The injector waits for input that does not come and hears no request to stop.
    monkeypatch.setattr(_lava_runtime, "STOP_TIMEOUT", 0.5)
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
        ("raise", r"(?s)ValueError: the relay is broken.*Traceback.*in fail"),
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
        ("wrong shape", r"(?s)ValueError: out: expected shape \(2,\) \(got \(3,\)\).*Traceback"),
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
        pytest.raises(ProcessError, match=r"did not answer within 0\.5 s"),
        Runner(chain("sleep", 2)[0], CONFIG, timeout=0.5) as run,
    ):
        run(num_steps=3)
    assert time.monotonic() - begin < 10


def test_a_deadlock_is_noticed_without_a_timeout(nothing_left, monkeypatch):
    monkeypatch.setattr(_lava_runtime, "STALL_TIMEOUT", 1.5)
    with (
        pytest.raises(ProcessError, match="stands still"),
        Runner(chain("wait for nothing", 2)[0], CONFIG) as run,
    ):
        run(num_steps=3)


def test_a_process_that_does_not_stop_is_killed(nothing_left, monkeypatch):
    monkeypatch.setattr(_lava_runtime, "STOP_TIMEOUT", 0.5)
    begin = time.monotonic()
    with Runner(chain("sleep", 2)[0], CONFIG) as run:
        run()
        time.sleep(0.1)
    assert time.monotonic() - begin < 10


def test_an_error_of_the_caller_stops_the_network(nothing_left):
    with pytest.raises(KeyError), Runner(chain()[0], CONFIG) as run:
        run()
        raise KeyError


def test_repetition_leaves_no_files_or_registered_processes():
    from lava.magma.core.process.process import ProcessServer
    from lava.magma.core.process.variable import VarServer

    counts = []
    for _ in range(5):
        with Runner(chain()[0], CONFIG) as run:
            run(num_steps=1)
        counts.append((len(ProcessServer().processes), len(VarServer().vars), open_files()))
    assert counts[1] == counts[-1]


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
