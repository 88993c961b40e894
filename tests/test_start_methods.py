"""Lava networks run whatever start method the program has chosen for processes of its own."""

import subprocess
import sys

import pytest

NETWORK = """
import multiprocessing
import numpy as np
import lava_async as la

graph = la.Graph(
    (4,), (la.Population("p", (2,), 4096, 4096, 1),), (la.Dense(la.INPUT, 0, np.ones((2, 4))),)
)
x = np.random.default_rng(0).integers(0, 2, (2, 4, 3))
want = la.simulate(graph, x).spikes

def check(backend="lava"):
    np.testing.assert_array_equal(la.simulate(graph, x, backend=backend).spikes, want)
    print(backend, flush=True)
"""

# Without a guard for the main module: whatever were spawned would run all of this again.
IN_THE_PROGRAM = {
    "chosen first": """
multiprocessing.set_start_method(method)
check("lava")
check("graph")
""",
    "chosen with torch": """
import torch.multiprocessing
torch.multiprocessing.set_start_method(method)
check("lava")
""",
    "chosen when Lava has been imported": """
from lava.magma.runtime.runtime import Runtime
multiprocessing.set_start_method(method)
check("lava")
""",
    "chosen between two runs": """
check("lava")
multiprocessing.set_start_method(method, force=True)
check("lava")
""",
    "stock processes that make channels of their own": """
multiprocessing.set_start_method(method)
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.extractor import Extractor
from lava.proc.io.injector import Injector
from lava_async._lava import supervised
from lava_async.runtime import Runner
supervised.STOP_TIMEOUT = 0.5  # the injector waits for input that does not come
injector, extractor = Injector(shape=(2,)), Extractor(shape=(2,))
injector.out_port.connect(extractor.in_port)
with Runner(injector, Loihi2SimCfg()) as run:
    run()
    injector.send(np.array([3, -4]))
    np.testing.assert_array_equal(extractor.receive(), [3, -4])
""",
}
WIRE = """
multiprocessing.set_start_method(method)
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.extractor import VarWire
from lava.proc.lif.process import LIF
from lava_async.runtime import Runner
lif, wire = LIF(shape=(2,), du=0, dv=0, vth=1000, bias_mant=3), VarWire()
wire.connect_var(lif.v)  # has a server of shared memory started
with Runner(lif, Loihi2SimCfg()) as run:
    run(num_steps=2)
    print(*wire.receive(), *wire.receive())
"""
END = """
from multiprocessing import resource_tracker
assert multiprocessing.get_start_method() == method
assert multiprocessing.active_children() == []
assert resource_tracker._resource_tracker._pid is None  # nothing is left to be cleaned up
print("done")
"""


def run(folder, program):
    script = folder / "script.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("program", IN_THE_PROGRAM.values(), ids=list(IN_THE_PROGRAM))
def test_lava_runs_in_a_program_that_chose_it(program, method, tmp_path):
    backends = run(tmp_path, f"method = {method!r}{NETWORK}{program}{END}")
    assert backends[-1] == "done" and len(backends) == 1 + program.count("check(")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_wire_of_lava_s_own_runs_too(method, tmp_path):
    want = ["3.0", "3.0", "6.0", "6.0"]
    assert run(tmp_path, f"method = {method!r}{NETWORK}{WIRE}") == want


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_lava_runs_in_a_process_that_was_started_so(method, tmp_path):
    program = f"""
if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=check)
    process.start()
    process.join()
    assert process.exitcode == 0
"""
    assert run(tmp_path, NETWORK + program) == ["lava"]
