"""Where Lava and torch are not installed, as on Python 3.13, the core runs; the rest is refused."""

import subprocess
import sys

import numpy as np
import pytest

from net_files import dense, neuron, write_net

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("lava", "torch", "torchvision", "tonic")))  # none of them
"""


def run(folder, program):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_net(tmp_path / "network.net", [dense(np.full((2, 3), 80), neuron())])
    np.save(tmp_path / "input.npy", np.ones((1, 3, 4), int))
    return tmp_path


def test_the_core_runs(folder):
    done = run(folder, """
import numpy as np, lava_async as la
from lava_async import datasets, metrics, plots
graph, x = la.load("network.net"), np.load("input.npy")
for backend in ("reference", "kernel"):
    print(metrics.predict(la.simulate(graph, x, backend=backend)))
""")
    assert done.stdout == "[0]\n[0]\n", done.stderr


def test_a_study_of_given_networks_runs(folder):
    weights = np.random.default_rng(0).integers(-20, 40, (10, 2312))
    write_net(folder / "digits.net", [dense(2 * weights, neuron())])
    done = run(folder, """
from lava_async._cli import main
sys.exit(main(["study", "--out", "out", "--given", "digits.net", "--samples", "8"]))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("table: out/table.csv, report: out/report.html\n")


@pytest.mark.parametrize("backend", ["lava", "graph"])
def test_backends_in_lava_are_refused(backend, folder):
    done = run(folder, f"""
import numpy as np, lava_async as la
try:
    la.simulate(la.load("network.net"), np.load("input.npy"), backend={backend!r})
except la.errors.UnsupportedError as error:
    print(error)
""")
    assert done.stdout == (
        "simulate: backend: expected reference or kernel where Lava is not installed "
        f"(it needs Python 3.10 to 3.12) (got {backend!r})\n"
    ), done.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run network.net input.npy --out out.npz --backend lava", "simulate: backend: "),
        ("verify network.net input.npy", "simulate: backend: expected reference or kernel"),
        ("train --out out", "package torch: expected it installed, as for Python 3.10 to 3.12"),
        ("study --out out", "package torch: expected it installed, as for Python 3.10 to 3.12"),
        ("demo --out out", "package torch: expected it installed, as for Python 3.10 to 3.12"),
    ],
)
def test_commands_that_need_them_say_so_in_one_line(command, says, folder):
    before = sorted(folder.iterdir())
    done = run(folder, f"""
from lava_async._cli import main
sys.exit(main({command.split()!r}))
""")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"lava-async: {says}")
    assert sorted(folder.iterdir()) == before


def test_other_commands_run(folder):
    done = run(folder, """
from lava_async._cli import main
sys.exit(main(["run", "network.net", "input.npy", "--out", "out.npz"])
         or main(["verify", "network.net", "input.npy", "--backends", "reference,kernel"]))
""")
    assert done.returncode == 0, done.stderr
    assert "equal: reference, kernel on 1 sample" in done.stdout
