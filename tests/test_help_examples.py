"""Every command's help ends with examples, and all of them run."""

import shlex
import shutil

import numpy as np
import pytest

import own_halves
from lava_async._cli import main
from lava_async._cli._app import app
from net_files import conv, dense, flatten, neuron, write_net

pytestmark = pytest.mark.timeout(240)

COMMANDS = {info.callback.__name__: info.callback for info in app.registered_commands}

SHORT_STUDY = "--samples 16 --epochs 1 --seeds 1 --jobs 1 --stop-after 0"
SHORTER = {
    "train --out": "--epochs 1",
    "train --out digits --resume": "--epochs 2",
    "demo": "--epochs 1 --seeds 1",
    "study --out": SHORT_STUDY,
    "study --out study": f"{SHORT_STUDY} --schedules layer,fifo",
    "study --out all": f"{SHORT_STUDY} --schedules fifo --preset quick --methods layered",
    "study --out speech": f"{SHORT_STUDY} --schedules fifo --methods layered",
    "study --out two": f"{SHORT_STUDY} --schedules momentum",
}
"""What is added to examples that begin so, on a few samples: the longest such beginning counts.
Of options that are given twice the last one holds."""

CLUSTER = "tcp://localhost:8786"


def examples(command):
    """The lines of the help's last paragraph, each a command."""
    *_, last = COMMANDS[command].__doc__.split("\b\n")
    heading, *lines = [line.strip() for line in last.strip().splitlines()]
    assert heading == "Examples:"
    return lines


@pytest.fixture
def cluster():
    """The address of a small one, in this process."""
    from dask import distributed

    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address=None,
    ) as found:
        yield found.scheduler_address


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert len(examples(command)) >= 2
    for line in examples(command):
        assert line.startswith(f"lava-async {command}") and f"    {line}\n" in help_text


@pytest.mark.parametrize("command", COMMANDS)
def test_all_examples_run(command, few_digits, request, capsys, monkeypatch):
    monkeypatch.setattr("lava_async._doctor.self_test.BACKENDS", ("reference", "kernel"))
    rng = np.random.default_rng(0)
    write_net("network.net", [dense(2 * rng.integers(-20, 40, (10, 2312)), neuron())])
    kernel = rng.integers(-20, 40, (2, 2, 4, 4))
    first = conv(kernel, (2, 34, 34), neuron(), stride=(4, 4))
    write_net("slayer.net", [first, flatten(128), dense(np.full((10, 128), 2), neuron())])
    shutil.copy(own_halves.__file__, "own.py")
    np.save("input.npy", rng.random((2, 2312, 10)) < 0.02)
    for line in examples(command):
        fits = [begin for begin in SHORTER if line.startswith(f"lava-async {begin}")]
        _, *args = shlex.split(f"{line} {SHORTER[max(fits, key=len)] if fits else ''}")
        if CLUSTER in args:
            args[args.index(CLUSTER)] = request.getfixturevalue("cluster")
        assert main(args) == 0, (line, capsys.readouterr().err)
        assert capsys.readouterr().out != "", line
