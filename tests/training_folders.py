"""Commands that train, and what they leave in their folders."""

import torch

from lava_async._cli import main

TRAINED = ("metrics.json", "network.net", "network.pt")


def run(capsys, *args) -> str:
    """stdout of a command that succeeds."""
    assert main(list(args)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, *args, status=2) -> str:
    """The one line of a command that is refused."""
    assert main(list(args)) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def assert_same(a, b, where=""):
    """Equal to the last bit, however nested."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{where}/{i}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), where
    else:
        assert a == b, where


def assert_same_training(a, b):
    """Two folders that say the same, to the last bit."""
    assert sorted(contents(a)) == sorted(contents(b)) == sorted(TRAINED)
    assert_same(torch.load(a / "network.pt"), torch.load(b / "network.pt"))
    for name in ("metrics.json", "network.net"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
