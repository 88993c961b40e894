"""What goes to a terminal, into a log, to who wants quiet, and to a shell that completes."""

from __future__ import annotations

import contextvars
import json
import os
import pty
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import lava_async as la
from lava_async import _compiling
from lava_async._cli import _console, main
from lava_async._cli._app import app
from lava_async._compiling import LOGGER
from lava_async.datasets import registry
from lava_async.errors import TrainingWarning
from net_files import dense, neuron, write_net

pytestmark = pytest.mark.timeout(120)

COMMANDS = [info.callback.__name__ for info in app.registered_commands]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x9b]")  # all but the end of a line
RUN = ["run", "network.net", "input.npy", "--out", "out.npz", "--force"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path / "network.net", [dense(np.full((2, 3), 80), neuron())])
    np.save("input.npy", np.ones((3, 3, 4), int))
    return tmp_path


@pytest.fixture
def often(monkeypatch):
    """Every sample is reported, in no time, and all that is reported is shown."""
    monkeypatch.setattr(_console, "monotonic", lambda: 0.0)
    monkeypatch.setattr("lava_async._simulate._PART", {"kernel": 1})
    monkeypatch.setattr(_console, "REFRESH_INTERVAL", 0.0)
    monkeypatch.setattr(_console, "LINE_INTERVAL", 0.0)


def as_terminal(monkeypatch, term="xterm", columns="100"):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", columns)


# ---------------------------------------------------------------- progress


def test_a_log_gets_plain_lines(often, capsys):
    assert main(RUN) == 0
    *lines, last = capsys.readouterr().err.splitlines()
    assert last.startswith("schedule: ")
    assert lines == ["kernel: samples 0/3", "kernel: samples 1/3"] + [
        f"kernel: samples {done}/3, 0:00:00 left" for done in (2, 3)
    ]


def test_a_log_gets_few_lines(capsys, monkeypatch):
    clock = iter(range(10**6))  # of a second at each look
    monkeypatch.setattr(_console, "monotonic", lambda: next(clock))
    with _console.progress("epochs", 100) as advance:
        for _ in range(100):
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "epochs 29/100, 0:01:11 left", "epochs 59/100, 0:00:41 left", "epochs 89/100, 0:00:11 left"
    ]  # fmt: skip


def told_of(steps, monkeypatch, capsys, total, at_once=1):
    """What a log has of steps that end so many seconds after the first began."""
    times = iter([0.0, 0.0, *steps])
    monkeypatch.setattr(_console, "monotonic", lambda: next(times))
    monkeypatch.setattr(_console, "LINE_INTERVAL", 0.0)
    with _console.progress("cells", total, at_once) as advance:
        for _ in steps:
            advance()
    return capsys.readouterr().err.replace("cells ", "").splitlines()[1:]


def test_how_long_the_first_step_took_is_no_estimate(monkeypatch, capsys):
    # It compiled, for two minutes.
    assert told_of([120, 121, 123, 124.5], monkeypatch, capsys, 135) == [
        "1/135", "2/135, 0:02:13 left", "3/135, 0:03:18 left", "4/135, 0:03:16 left"
    ]  # fmt: skip


def test_nor_are_steps_that_end_with_it(monkeypatch, capsys):
    assert told_of([9, 9.01, 9.02, 19, 29], monkeypatch, capsys, 10) == [
        "1/10", "2/10", "3/10", "4/10, 0:00:59 left", "5/10, 0:00:49 left"
    ]  # fmt: skip


def test_short_steps_have_an_estimate_too(monkeypatch, capsys):
    ends = [7 + step / 16 for step in range(100)]
    first, second, *rest = told_of(ends, monkeypatch, capsys, 1000)
    assert [first, second] == ["1/1000", "2/1000"] and all(" left" in line for line in rest)
    assert rest[-1] == "100/1000, 0:00:56 left"


def test_steps_that_are_under_way_together(monkeypatch, capsys):
    # Four at a time, ten seconds each: the other three of the first four tell nothing yet.
    ends = [9.7, 9.9, 10.1, 10.3, 19.7, 19.9, 20.1, 20.3, 29.7]
    lines = told_of(ends, monkeypatch, capsys, 40, at_once=4)
    assert lines[:4] == ["1/40", "2/40", "3/40", "4/40"]
    assert lines[4::4] == ["5/40, 0:01:30 left", "9/40, 0:01:20 left"]


@pytest.mark.parametrize(
    ("options", "at_once"), [({"jobs": 3}, 3), ({"scheduler": "tcp://127.0.0.1:1"}, 1)]
)
def test_a_study_says_how_many_are_under_way(options, at_once, monkeypatch):
    from lava_async.study import engine

    asked = []

    def run_study(*args, progress, **options):
        asked.append(progress.keywords["at_once"])
        raise la.errors.ExecutionError("enough")

    monkeypatch.setattr(engine, "run_study", run_study)
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    assert main(["study", "--out", "study", *words]) == 1
    assert asked == [at_once]


def test_a_dumb_terminal_is_a_log(often, capsys, monkeypatch):
    as_terminal(monkeypatch, term="dumb")
    assert main(RUN) == 0
    err = capsys.readouterr().err
    assert not CONTROL.search(err) and "kernel: samples 2/3, 0:00:00 left\n" in err


def test_a_bar_needs_no_control_character_but_the_return(often, capsys, monkeypatch):
    as_terminal(monkeypatch)
    assert main(RUN) == 0
    err = capsys.readouterr().err
    assert set(CONTROL.findall(err)) == {"\r"}
    *drawn, wiped, last = err.split("\r")[1:]
    assert re.fullmatch(r"kernel: samples ━{13}─{7} 2/3, 0:00:00 left *", drawn[2])
    assert wiped == " " * len(drawn[-1].rstrip())  # notebooks have no other way to wipe it
    assert last.startswith("schedule: ") and last.count("\n") == 1


@pytest.mark.parametrize("columns", [20, 50])
def test_a_bar_stays_in_its_line(columns, often, capsys, monkeypatch):
    as_terminal(monkeypatch, columns=str(columns))
    assert main(RUN) == 0
    drawn = capsys.readouterr().err.split("\r")[:-1]
    assert max(map(len, drawn)) == min(columns - 1, len("kernel: samples  0/3, 0:00:00 left") + 20)


def test_a_terminal_without_a_size_shows_whole_lines(often, capsys, monkeypatch):
    as_terminal(monkeypatch)
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(os, "get_terminal_size", lambda *of: os.terminal_size((0, 0)))
    assert main(RUN) == 0
    *drawn, _, _ = capsys.readouterr().err.split("\r")[1:]
    assert [line.split()[3] for line in drawn] == ["0/3", "1/3", "2/3,", "3/3,"]
    assert drawn[-1].endswith("0:00:00 left")


def test_a_bar_is_wiped_before_an_error(often, capsys, monkeypatch):
    def fail(*args, progress, **options):
        progress(1)
        raise la.errors.ExecutionError("it broke")

    as_terminal(monkeypatch)
    monkeypatch.setattr("lava_async._cli.run.simulate", fail)
    assert main(RUN) == 1
    *_, drawn, wiped, last = capsys.readouterr().err.split("\r")
    assert (wiped, last) == (" " * len(drawn), "lava-async: it broke\n")


# ---------------------------------------------------------------- what the library logs

COMPILING = "compiling the kernels for "


@pytest.fixture
def compiling(monkeypatch):
    """Each sample is logged, from a thread of its own, as of a kernel that is compiled anew."""

    def simulate(*args, progress, **options):
        progress(1)
        thread = threading.Thread(target=_compiling.announce, args=("run_samples", None))
        thread.start()
        thread.join()
        progress(1)
        raise la.errors.ExecutionError("it broke")

    monkeypatch.setattr(_compiling, "_announced", set())
    monkeypatch.setattr("lava_async._cli.run.simulate", simulate)


def test_compiling_is_one_line_of_a_log(often, compiling, capsys):
    assert main(RUN) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line[: len(COMPILING)] for line in lines] == [
        "kernel: samples 0/3", "kernel: samples 1/3", COMPILING, "kernel: samples 2/3, 0:00:",
        "lava-async: it broke",
    ]  # fmt: skip


def test_compiling_is_a_line_above_the_bar(often, compiling, capsys, monkeypatch):
    as_terminal(monkeypatch)
    assert main(RUN) == 1
    err = capsys.readouterr().err
    bar, wiped, told, again, *_ = err.split("\r")[2:]
    assert bar == again and bar.startswith("kernel: samples ━━") and wiped == " " * len(bar)
    assert told.startswith(COMPILING) and told.count("\n") == 1 and told.endswith("\n")


@pytest.mark.parametrize("command", [RUN, [*RUN, "--quiet"]])
def test_a_command_leaves_logging_as_it_was(command, compiling, capsys):
    before = LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)
    assert main(command) == 1
    assert (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)) == before
    assert capsys.readouterr().err.count(COMPILING) == ("--quiet" not in command)


def in_terminal(command: str) -> str:
    """What a shell's command prints in a terminal, as a notebook's ``!`` has it."""
    main_end, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-color", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
    process = subprocess.Popen(["sh", "-c", command], stdout=end, stderr=end, env=environment)
    os.close(end)
    told = b""
    while True:
        try:
            told += (more := os.read(main_end, 1 << 16))
        except OSError:  # nobody is left who could write
            more = b""
        if not more:
            break
    os.close(main_end)
    assert process.wait(60) == 0, told
    return told.decode()


def test_a_notebook_gets_a_bar_and_files_get_none_of_it(folder):
    program = Path(sys.executable).with_name("lava-async")
    told = in_terminal(f"{program} {' '.join(RUN)} --backend reference; "
                       f"{program} info network.net > info.txt")  # fmt: skip
    assert "reference: samples ─" in told and "\x1b" not in told
    lines = [line.rpartition("\r")[2] for line in told.split("\r\n")]
    assert [line.partition(":")[0] for line in lines] == ["schedule", "out.npz", ""]
    assert not CONTROL.search((folder / "info.txt").read_text())


def test_tables_lose_nothing_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert main(["info", "network.net"]) == 0
    out = capsys.readouterr().out
    assert "│ layer 0 (dense) │     2 │ input (dense) │" in out and "…" not in out


def test_tables_lose_no_cell_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    _console.print_table(("a", "long heading"), [("text " * 30, "1234567.25"), ("b", "7")])
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert out.count("text") == 30 and " 1234567.25 " in out and max(map(len, out.split("\n"))) < 71


# ---------------------------------------------------------------- quiet


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet(command, capsys):
    assert main([command, "--help"]) == 0
    assert "-q, --quiet" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_quiet_leaves_results_alone(option, often, capsys, monkeypatch):
    assert main(RUN) == 0
    out, err = capsys.readouterr()
    assert err != ""
    as_terminal(monkeypatch)
    assert main([*RUN, option]) == 0
    assert capsys.readouterr() == (out, "")
    assert main([option, *RUN]) == 2, "an option of commands"


def test_quiet_is_of_one_call(capsys):
    assert main([*RUN, "-q"]) == 0
    assert main(RUN) == 0
    assert capsys.readouterr().err.startswith("schedule: ")


def test_quiet_tells_errors_all_the_same(folder, capsys):
    assert main(["run", "no.net", "input.npy", "--out", "a.npz", "-q"]) == 2
    assert capsys.readouterr().err.startswith("lava-async: no.net: file: expected ")
    write_net(folder / "foreign.net", [dense(np.ones((2, 3)), neuron(type="SDNN"))])
    assert main(["info", "foreign.net", "-q"]) == 1
    assert capsys.readouterr().err.startswith("foreign.net: does not run: ")


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_tells_no_warning_of_training(quiet, capsys):
    def train():
        _console.be_quiet(quiet)
        with _console.training_warnings():
            warnings.warn("block 0: silent", TrainingWarning, stacklevel=1)

    contextvars.copy_context().run(train)
    assert capsys.readouterr().err == ("" if quiet else "warning: block 0: silent\n")


# ---------------------------------------------------------------- completion


def completed(monkeypatch, capsys, words):
    monkeypatch.setenv("_LAVA_ASYNC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"lava-async {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    assert main([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "become"),
    [
        ("ver", ["verify"]),
        ("run --ba", ["--backend"]),
        ("run --backend ", ["reference", "kernel", "lava", "graph"]),
        ("train --method l", ["layered"]),
        ("evaluate --schedule ", ["layer", "random", "momentum", "fifo"]),
        ("study --preset ", ["quick", "paper", "full"]),
        ("run network.n", []),  # and so the shell looks for files
    ],
)
def test_what_a_shell_is_told(words, become, monkeypatch, capsys):
    assert completed(monkeypatch, capsys, words) == become


def test_a_data_set_of_ones_own_is_completed_too(monkeypatch, capsys):
    monkeypatch.setitem(registry._BY_NAME, "blinks", registry.describe("digits"))
    assert completed(monkeypatch, capsys, "train --data b") == ["blinks"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell, monkeypatch, capsys):
    monkeypatch.setenv("_LAVA_ASYNC_COMPLETE", f"source_{shell}")
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert f"_LAVA_ASYNC_COMPLETE=complete_{shell}" in out and err == ""


def test_completion_installs_and_a_shell_completes(folder):
    environment = {
        **os.environ, "HOME": str(folder), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    script = """
        lava-async --install-completion bash > told
        source .bashrc
        COMP_WORDS=(lava-async run --backend k) COMP_CWORD=3
        _lava_async_completion lava-async
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("kernel\n", "", 0)
    assert (folder / "told").read_text().startswith("bash completion installed in ")


def test_quiet_json_is_json(capsys):
    assert main([*RUN, "-q", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["samples"] == 3 and err == ""
