"""Before the workers start: compile the kernels into the cache on disk, once.

Otherwise each worker of a fresh clone would compile them within some test's time limit.
"""

import gc
import sys

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--deep", action="store_true", help="as many rounds as it takes to see a small leak"
    )


@pytest.fixture
def deep(request):
    """Whether tests may take long."""
    return request.config.getoption("deep")


def pytest_configure(config):
    if hasattr(config, "workerinput"):  # in a worker: the cache is there by now
        return
    from every_kernel import compile_missing

    compile_missing()


def pytest_collection_finish():
    """What has been imported stays: neither look for garbage in it nor, in forks, copy it for that.

    Every network in Lava begins with such a look, and starts a dozen processes.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=[True, False], ids=["compiled", "messages"])
def design(request, monkeypatch):
    """Schedulers and graphs of networks run compiled, then by messages, unless they say."""
    from lava_async.netx.models import NetworkGraphModel
    from lava_async.proc import SpikeScheduler

    monkeypatch.setitem(SpikeScheduler.__init__.__kwdefaults__, "compiled", request.param)
    monkeypatch.setattr(NetworkGraphModel, "COMPILED", request.param)


@pytest.fixture(scope="module")
def undrawn():
    """The pictures of studies' reports are empty files: to draw takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lava_async.study.pages._rendered", lambda figure, kind: b"")
        yield


def few(name, train):
    """The first samples of a split."""
    from lava_async.study import data

    x, labels = data.load_split(name, train)
    return x[:48], labels[:48]


@pytest.fixture(scope="session")
def digits():
    """A few samples of each split."""
    return [few("digits", train) for train in (True, False)]


@pytest.fixture
def few_digits(digits, monkeypatch, tmp_path):
    """Commands see a few digits only, or of other data, and an empty working directory."""

    def load_split(name, train, root=None):
        return digits[not train] if name == "digits" else few(name, train)

    monkeypatch.chdir(tmp_path)
    for module in ("study.training", "study.comparison", "_cli.evaluate"):
        monkeypatch.setattr(f"lava_async.{module}.load_split", load_split)


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """What a test has put on the path, as where a data set of one's own was found, goes with it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
