"""Whatever is wrong with its input, ``lava-async`` says it in one line and leaves no trace."""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import stat
import subprocess
import sys
import typing

import numpy as np
import pytest

from corrupt_kinds import corrupt_kinds, unsupported_kinds
from lava_async._cli import main
from lava_async._cli._app import app
from net_files import dense, neuron, write_net

CORRUPT = corrupt_kinds() | unsupported_kinds()
VALID_SHAPE = (2, 6, 5)  # of write_valid's input

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a small network and a matching input."""
    monkeypatch.chdir(tmp_path)
    weight = np.random.default_rng(0).integers(-20, 60, (4, 6))
    write_net(tmp_path / "network.net", [dense(weight, neuron(threshold=20))])
    np.save(tmp_path / "input.npy", np.ones((3, 6, 5), np.uint8))
    return tmp_path


def snapshot(folder):
    """Names and contents of all regular files."""
    return {
        p.name: p.read_bytes() if stat.S_ISREG(p.stat().st_mode) else None
        for p in folder.iterdir()
    }


def refused(capsys, folder, *args) -> str:
    """Run a command that must be refused; its one line."""
    before = snapshot(folder)
    assert main([str(a) for a in args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n")
    assert err.startswith("lava-async: ")
    assert "Traceback" not in err
    assert snapshot(folder) == before
    return err


def test_good_input_is_not_refused(folder, capsys):
    """Otherwise the tests below would prove little."""
    assert main(["run", "network.net", "input.npy", "--out", "out.npz"]) == 0
    assert (folder / "out.npz").exists()


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_network(kind, folder, capsys):
    CORRUPT[kind](folder / "bad.net")
    np.save(folder / "input.npy", np.ones((1, *VALID_SHAPE, 2), np.uint8))
    line = refused(capsys, folder, "run", "bad.net", "input.npy", "--out", "out.npz")
    assert "bad.net: " in line
    assert "expected " in line


def npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    body = text.encode("latin1")
    size = len(body).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + body + data


def described(shape: object, descr: str = "'|u1'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


ONES = np.ones((3, 6, 5), np.uint8)
GOOD = npy(ONES)


def with_value(value, dtype=np.float64):
    array = ONES.astype(dtype)
    array[1, 2, 3] = value
    return npy(array)


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=ONES)
    return buffer.getvalue()


BAD_INPUTS = {
    # not a .npy file
    "empty": (b"", "expected a .npy file"),
    "text": (b"1 2 3\n" * 40, "expected a .npy file"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "expected a .npy file"),
    "npz": (npz(), "expected a .npy file, as numpy.save writes it (got an archive"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "the network comes first, then the input"),
    "magic only": (GOOD[:6], "expected a .npy file"),
    "future version": (GOOD[:6] + b"\x09" + GOOD[7:], "version"),
    # a damaged header
    "truncated header": (GOOD[:40], "header"),
    "header of garbage": (header("(((((" * 100), "header"),
    "header deep": (header("[" * 5000), "header"),
    "header of bytes": (header("\xff\x00\xfe" * 20), "header"),
    "header calls": (header("__import__('os').system('touch x')"), "header"),
    "header size 4 GiB": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "header"),
    "no shape": (header("{'descr': '|u1', 'fortran_order': False}"), "header"),
    "keys of mixed type": (header("{1: 2, 'a': 3, None: 4}"), "header"),
    "dtype unknown": (header(described((3, 6, 5), "'|q9'"), bytes(90)), "header"),
    "shape of text": (header(described("'abc'"), bytes(90)), "header"),
    "shape negative": (header(described((-3, 6, 5)), bytes(90)), "shape"),
    # sizes
    "truncated": (GOOD[:-1], "bytes of data: expected 90 (got 89)"),
    "truncated to its header": (GOOD[:128], "bytes of data: expected 90 (got 0)"),
    "too long": (GOOD + b"\0", "bytes of data: expected 90 (got 91)"),
    "2**62 samples": (header(described((1 << 62, 6, 5)), bytes(90)), "bytes of data"),
    "2**200 samples": (header(described((1 << 200, 6, 5)), bytes(90)), "bytes of data"),
    "no samples": (npy(np.ones((0, 6, 5), np.uint8)), "at least one"),
    "no time steps": (npy(np.ones((3, 6, 0), np.uint8)), "at least one"),
    # shapes
    "no dimension": (npy(np.uint8(1)), "shape: expected (B, 6, T) or (6, T), time last (got ())"),
    "one dimension": (npy(np.ones(6, np.uint8)), "(B, 6, T) or (6, T)"),
    "too many dimensions": (npy(np.ones((1, 3, 6, 5), np.uint8)), "(B, 6, T) or (6, T)"),
    "time first": (npy(np.ones((3, 5, 6), np.uint8)), "(B, 6, T) or (6, T)"),
    # types and values
    "objects": (npy(np.array([[1, None]], object)), "dtype"),
    "complex": (npy(ONES.astype(complex)), "dtype"),
    "text array": (npy(ONES.astype(str)), "dtype"),
    "dates": (npy(ONES.astype("M8[s]")), "dtype"),
    "structured": (npy(np.zeros((3, 6, 5), "u1,u1")), "dtype"),
    "NaN": (with_value(np.nan), "value at [1, 2, 3]: expected a whole number"),
    "infinite": (with_value(np.inf), "value at [1, 2, 3]"),
    "fractional": (with_value(0.5), "(got 0.5)"),
    "negative": (with_value(-1, np.int8), "(got -1)"),
    "beyond 32 bits": (with_value(1 << 40, np.int64), f"(got {1 << 40})"),
    "beyond 63 bits": (with_value((1 << 64) - 1, np.uint64), "value at [1, 2, 3]"),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_corrupt_input(kind, folder, capsys):
    content, says = BAD_INPUTS[kind]
    (folder / "bad.npy").write_bytes(content)
    line = refused(capsys, folder, "run", "network.net", "bad.npy", "--out", "out.npz")
    assert "bad.npy: " in line
    assert says in line


def test_verify_refuses_the_same_way(folder, capsys):
    (folder / "bad.npy").write_bytes(GOOD[:-1])
    assert "bytes of data" in refused(capsys, folder, "verify", "network.net", "bad.npy")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: None])
def test_input_that_is_no_file(make, folder, capsys):
    make(folder / "bad.npy")
    line = refused(capsys, folder, "run", "network.net", "bad.npy", "--out", "out.npz")
    assert "bad.npy: file: expected" in line


@pytest.mark.parametrize("seed", range(4))
def test_fuzzed_input(seed, folder, capsys):
    """Damaged bytes give a result or one line, never anything else."""
    rng = np.random.default_rng(seed)
    statuses = set()
    for _ in range(40):
        content = np.frombuffer(GOOD, np.uint8).copy()
        places = rng.integers(0, 160, rng.integers(1, 6))
        content[places] = rng.integers(0, 256, len(places))
        (folder / "bad.npy").write_bytes(content[: rng.choice([len(content), 100, 150])].tobytes())
        status = main(
            ["run", "network.net", "bad.npy", "--out", "out.npz", "--backend", "reference",
             "--force"]
        )
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert status in (0, 2)
        assert (status == 0) == (folder / "out.npz").exists()
        assert err.startswith("schedule: " if status == 0 else "lava-async: ")
        (folder / "out.npz").unlink(missing_ok=True)
        statuses.add(status)
    assert 2 in statuses


OPTIONS = {
    "schedule": (["--schedule", "lifo"], "--schedule: value: expected one of layer, random"),
    "schedule F": (["--schedule", "fifo:x"], "such as fifo:1 (got 'fifo:x')"),
    "schedule F 0": (["--schedule", "fifo:0"], "group_size: expected an integer >= 1 (got 0)"),
    "a schedule of several": (["--schedule", "fifo,lifo"], "(got 'lifo')"),
    "noise of several": (["--schedule", "fifo,random", "--noise", "1"], "fifo and random sched"),
    "group size": (["--group-size", "0"], "group_size: expected an integer >= 1 (got 0)"),
    "group size text": (["--group-size", "x"], "--group-size"),
    "noise": (["--noise", "-1"], "noise: expected a number"),
    "noise NaN": (["--noise", "nan"], "noise: expected a number"),
    "noise of random": (["--schedule", "random", "--noise", "1"], "none for the random schedule"),
    "seed of layer": (["--schedule", "layer", "--seed", "1"], "none for the layer schedule"),
    "seed": (["--seed", "-1"], "seed: expected 0 <= seed < 2**64 (got -1)"),
    "seed too large": (["--seed", str(1 << 64)], "seed: expected 0 <= seed < 2**64"),
    "stop after": (["--stop-after", "-1"], "stop_after: expected None or an integer >= 0"),
    "stop after of layer": (["--schedule", "layer", "--stop-after", "1"], "stop_after"),
    "backend": (["--backend", "gpu"], "--backend"),
    "input shape": (["--input-shape", "2,x"], "--input-shape: value: expected integers"),
    "other input shape": (["--input-shape", "7"], "network.net: layer 0 (dense)"),
    "unknown": (["--fast"], "--fast"),
    "surplus": (["more"], "more"),
    "no value": (["--seed"], "--seed"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_bad_option(kind, folder, capsys):
    options, says = OPTIONS[kind]
    args = ["run", "network.net", "input.npy", "--out", "out.npz", *options]
    assert says in refused(capsys, folder, *args)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["fly"], "No such command 'fly' (see 'lava-async --help')"),
        (["--fly"], "--fly (see 'lava-async --help')"),
        (["run"], "NET.net' (see 'lava-async run --help')"),
        (["run", "network.net", "input.npy"], "--out' (see 'lava-async run --help')"),
        (["run", "network.net", "input.npy", "-o", "out.npz"], "-o (see 'lava-async run --help')"),
        (["demo", "extra"], "(extra) (see 'lava-async demo --help')"),
        (["verify", "network.net", "input.npy", "--backends", "kernel"], "two or more of"),
        (["verify", "network.net", "input.npy", "--backends", "kernel,gpu"], "two or more of"),
        (["verify", "network.net", "input.npy", "--backends", ""], "two or more of"),
    ],
)
def test_bad_command(args, says, folder, capsys):
    assert says in refused(capsys, folder, *args)


def numbers():
    """Options of numbers, by command."""
    for command in app.registered_commands:
        for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
            kind, option = typing.get_args(parameter.annotation)
            if {int, float} & {kind, *typing.get_args(kind)}:
                yield command.callback.__name__, option.default  # where typer keeps its name


@pytest.mark.parametrize(("command", "option"), numbers())
def test_an_option_of_a_number_says_what_it_takes(command, option, folder, capsys):
    says = rf"Invalid value for '{option}': expected an? (integer|number).* \(got 'few'\)\n"
    assert re.search(says, refused(capsys, folder, command, option, "few"))


def test_there_are_options_of_numbers():
    found = list(numbers())
    assert len(found) > 15
    assert {("run", "--noise"), ("train", "--epochs"), ("study", "--jobs")} <= {*found}


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("none/out.npz", "folder: expected an existing folder"),
        ("input.npy/out.npz", "folder: expected an existing folder"),
        (".", "path: expected a file"),
        ("old.npz", "expected a new file, or --force"),
        ("pipe", "path: expected a file"),
        ("input.npy", "another than the input files"),
        ("network.net", "another than the input files"),
    ],
)
def test_bad_output(out, says, folder, capsys):
    (folder / "old.npz").write_bytes(b"precious")
    os.mkfifo(folder / "pipe")
    args = ["run", "network.net", "input.npy", "--out", out]
    assert says in refused(capsys, folder, *args)
    if out != "old.npz":
        assert says in refused(capsys, folder, *args, "--force")


def test_force_replaces_the_output(folder, capsys):
    (folder / "old.npz").write_bytes(b"old")
    assert main(["run", "network.net", "input.npy", "--out", "old.npz", "--force"]) == 0
    assert np.load(folder / "old.npz")["spikes"].shape == (3, 4, 5)


def test_failed_run_leaves_the_output_as_it_was(folder, capsys):
    (folder / "old.npz").write_bytes(b"precious")
    args = ["run", "network.net", "input.npy", "--out", "old.npz", "--force", "--seed", "-1"]
    refused(capsys, folder, *args)


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (MemoryError("Unable to allocate 9 EiB"), 2, "Unable to allocate 9 EiB"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "out.npz"), 2, "No space left on device"),
    ],
)
def test_failure_while_writing(error, status, says, folder, capsys, monkeypatch):
    def fail(file, **arrays):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "savez_compressed", fail)
    before = snapshot(folder)
    assert main(["run", "network.net", "input.npy", "--out", "out.npz"]) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert snapshot(folder) == before


def test_the_installed_command_answers_in_one_line(folder):
    """What the tests above see inside one process also holds for the program."""
    before = snapshot(folder)
    program = "import sys; from lava_async._cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "network.net", "none.npy", "--out", "out.npz"],
        capture_output=True, text=True, timeout=50,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "lava-async: none.npy: file: expected a .npy file (got no such file)\n"
    )
    assert snapshot(folder) == before


def test_json_prints_nothing_on_failure(folder, capsys):
    args = ["run", "network.net", "none.npy", "--out", "out.npz", "--json"]
    refused(capsys, folder, *args)
    assert main(["run", "network.net", "input.npy", "--out", "out.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 3
