"""A disk that is full or fails, or a process that is killed: whole files or none, and one line."""

import contextlib
import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lava_async._cli import main
from lava_async._files.atomic import atomic_path, is_temporary
from training_folders import assert_same_training, contents, refused, run

FILES = ("network.pt", "network.net", "metrics.json")
STEPS = ("write", "sync", "replace")


def path_of(file):
    return Path(os.readlink(f"/proc/self/fd/{file}"))


@contextlib.contextmanager
def failing(name, step, error):
    """Inside the block, a step of writing the file of this name does half of it and fails."""
    suffix = Path(name).suffix
    with pytest.MonkeyPatch.context() as patched:

        def fail_at(owner, method, is_it, half=None):
            genuine = getattr(owner, method)

            def step_of(first, *args, **options):
                if is_it(first, *args):
                    if half:
                        half(first, *args)
                    raise error
                return genuine(first, *args, **options)

            patched.setattr(owner, method, step_of)

        if step == "write":
            for method in ("write_bytes", "write_text"):
                genuine = getattr(Path, method)
                fail_at(Path, method, lambda path, _: path.suffix == suffix,
                        lambda path, data, genuine=genuine: genuine(path, data[: len(data) // 2]))
        elif step == "sync":
            fail_at(os, "fsync", lambda file: path_of(file).suffix == suffix)
        else:
            fail_at(os, "replace", lambda source, target: Path(target).name == name)
        yield


def full():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---------------------------------------------------------------- training


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("unbroken")


@pytest.fixture
def unbroken(few_digits, folders, capsys):
    """Folders of one and of two epochs of training that nothing went wrong in."""
    for epochs in ("1", "2"):
        if not (folders / epochs).exists():
            run(capsys, "train", "--out", str(folders / epochs), "--epochs", epochs)
    return folders


@pytest.mark.parametrize("existed", [False, True], ids=["new folder", "empty folder"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", FILES)
def test_full_disk_at_the_first_checkpoint(name, step, existed, unbroken, capsys, tmp_path):
    out = tmp_path / "out"
    if existed:
        out.mkdir()
    with failing(name, step, full()):
        line = refused(capsys, "train", "--out", "out", "--epochs", "1", status=1)
    assert line.startswith("lava-async: out: checkpoint of epoch 1: expected a disk")
    assert line.endswith("(got No space left on device)\n")
    # The checkpoint is put in place first: what fails then is made again from it.
    resumable = step == "replace" and name != "network.pt"
    assert ("--resume goes on from it" in line) == resumable
    assert out.exists() == (existed or resumable)
    assert not any(is_temporary(file) for file in tmp_path.rglob("*"))
    assert not existed or resumable == ("network.pt" in contents(out))

    run(capsys, "train", "--out", "out", "--epochs", "1", *["--resume"] * resumable)
    assert_same_training(out, unbroken / "1")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", FILES)
def test_full_disk_at_a_later_checkpoint(name, step, unbroken, capsys, tmp_path):
    out = tmp_path / "out"
    run(capsys, "train", "--out", "out", "--epochs", "1")
    before = contents(out)
    command = ["train", "--out", "out", "--resume", "--epochs", "2"]
    for _ in range(2):  # still full at the second attempt
        with failing(name, step, full()):
            line = refused(capsys, *command, status=1)
        assert line.startswith("lava-async: out: checkpoint of epoch 2: expected a disk")
        assert "--resume goes on from it (got No space left on device)" in line
        if step != "replace" or name == "network.pt":
            assert contents(out) == before
        assert sorted(contents(out)) == sorted(FILES)
    run(capsys, *command)
    assert_same_training(out, unbroken / "2")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", FILES)
def test_interrupted_at_a_checkpoint(name, step, unbroken, capsys, tmp_path):
    out = tmp_path / "out"
    run(capsys, "train", "--out", "out", "--epochs", "1")
    with failing(name, step, KeyboardInterrupt()):
        assert main(["train", "--out", "out", "--resume", "--epochs", "2"]) == 130
    assert capsys.readouterr().err == "lava-async: interrupted\n"
    assert sorted(contents(out)) == sorted(FILES)
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "2")
    assert_same_training(out, unbroken / "2")


@pytest.mark.parametrize(
    "lost", [["network.net"], ["metrics.json"], ["network.net", "metrics.json"]], ids=len
)
def test_what_a_checkpoint_determines_is_made_again_from_it(lost, unbroken, capsys, tmp_path):
    # Killed between the renames of the second epoch: what is left of the first is outdated.
    out = tmp_path / "out"
    run(capsys, "train", "--out", "out", "--epochs", "2")
    for name in lost:
        (out / name).write_bytes((unbroken / "1" / name).read_bytes())
    (out / "metrics.json").write_bytes((unbroken / "1" / "metrics.json").read_bytes())
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "2")
    assert_same_training(out, unbroken / "2")
    for name in lost:
        (out / name).unlink()
    run(capsys, "train", "--out", "out", "--resume", "--epochs", "2")
    assert_same_training(out, unbroken / "2")


@pytest.mark.parametrize("resume", [False, True])
def test_files_of_a_killed_process_do_not_count(resume, unbroken, capsys, tmp_path):
    out = tmp_path / "out"
    if resume:
        run(capsys, "train", "--out", "out", "--epochs", "1")
    else:
        out.mkdir()
    for name in ("network.0123abcd.pt", ".network.0123abcd.89efab67.net", "metrics.00000000.json"):
        (out / f".{name}").write_bytes(b"half")
    run(capsys, "train", "--out", "out", "--epochs", "2", *["--resume"] * resume)
    assert_same_training(out, unbroken / "2")


@pytest.mark.parametrize("name", [".gitkeep", "notes.txt", ".network.pt", "network.0123abcd.pt"])
def test_other_files_count(name, few_digits, capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    line = refused(capsys, "train", "--out", "out", "--epochs", "1")
    assert "expected a new or empty folder" in line
    assert contents(tmp_path / "out") == {name: b"precious"}


def test_full_disk_in_the_demo(few_digits, capsys, tmp_path):
    with failing("network.pt", "write", full()):
        line = refused(capsys, "demo", "--epochs", "1", status=1)
    assert "lava-async-demo/layered: checkpoint of epoch 1" in line
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- any file


@pytest.mark.parametrize("name", ["a.npz", "a", "a.b.net", "x" * 100 + ".json", ".hidden.pt"])
def test_unfinished_files_are_known_by_their_names(name, tmp_path):
    with atomic_path(tmp_path / name) as path:
        path.touch()
        assert is_temporary(path)
        with atomic_path(path) as nested:
            nested.touch()
            assert is_temporary(nested)
    assert not is_temporary(tmp_path / name) and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("step", STEPS)
def test_the_error_names_the_file(step, tmp_path):
    target = tmp_path / "out.npz"
    target.write_bytes(b"before")
    with failing("out.npz", step, full()), pytest.raises(OSError) as raised, atomic_path(
        target
    ) as path:
        path.write_bytes(b"content")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(target))
    assert contents(tmp_path) == {"out.npz": b"before"}


def test_errors_of_other_files_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, atomic_path(tmp_path / "out") as path:
        path.write_bytes((tmp_path / "missing").read_bytes())
    assert raised.value.filename == str(tmp_path / "missing")
    with pytest.raises(OSError, match="no number"), atomic_path(tmp_path / "out"):
        raise OSError("no number")


OTHERS = ("other.net", "third.net", "a.png", "a.svg", "a.pdf")
LIMITED = """
    import functools, resource
    import numpy as np
    import lava_async as la
    from lava_async import plots
    from lava_async._cli import main
    from lava_async._cli._console import silenced

    with silenced():
        from lava_async.study import data, recipe, training

    samples = [(x[:48], y[:48]) for x, y in (data.load_split("digits", t) for t in (1, 0))]
    training.load_split = lambda data, train, root=None: samples[not train]
    network = recipe.build_network(la.Momentum(8))
    np.save("x.npy", np.ones((4, 2, 34, 34, 50), np.uint8))
    network.export_hdf5("network.net")
    graph = network.graph()
    figure = plots.accuracy_figure({"a": (np.arange(50), np.linspace(0, 1, 50))})
    for size in (0, 1000, 4000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        print(main(["train", "--out", "out", "--epochs", "1"]))
        print(main(["run", "network.net", "x.npy", "--out", "out.npz"]) if size < 1000 else 2)
        draw = functools.partial(plots.save, figure)
        for write, name in (
            (network.export_hdf5, "other.net"),
            (functools.partial(la.save, graph), "third.net"),
            *((draw, f"a.{kind}") for kind in ("png", "svg", "pdf")),
        ):
            try:
                write(name)
            except OSError as error:
                print(error)
"""


def test_files_that_really_cannot_be_written(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED)],
        cwd=tmp_path, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    lines = process.stderr.splitlines()
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [
        "1",
        "2",
        *(f"[Errno 27] File too large: '{name}'" for name in OTHERS),
    ] * 3
    assert sorted(set(lines)) == [
        "lava-async: out.npz: File too large",
        "lava-async: out: checkpoint of epoch 1: expected a disk that takes it; "
        "nothing is left behind (got File too large)",
    ]
    assert len(lines) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["network.net", "x.npy"]
