"""Who waits for kernels to be compiled is told so, once; nobody else is."""

import logging
import subprocess
import sys

import pytest

from lava_async import _compiling
from lava_async._kernel import _cache, _entry
from lava_async._kernel.training import entry

TOLD = "compiling the kernels for adding, which takes about no time, once on this machine; kept in "


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the two kernels above are kept; of all others nothing is known."""
    kernels = dict.fromkeys(("add", "subtract"), ("adding", "no time"))
    monkeypatch.setattr(_compiling, "KERNELS", kernels)
    monkeypatch.setattr(_compiling, "_announced", set())
    monkeypatch.setattr(_cache, "folders", lambda: [(tmp_path / "kernels", False)])
    return tmp_path / "kernels"


@pytest.fixture
def unattended(monkeypatch):
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)


def call(function=add):
    """As a new process does."""
    assert _cache.cached("digest")(function)(5, 3) == function(5, 3)


def records(caplog):
    return [(r.name, r.levelname, r.getMessage()) for r in caplog.records]


def test_compiling_is_logged_once_and_loading_is_not(folder, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    call()
    assert records(caplog) == [("lava_async", "INFO", f"{TOLD}{folder}")]
    call(subtract)  # for the same
    assert len(records(caplog)) == 1
    _compiling._announced.clear()
    call()
    call(subtract)  # both were kept
    assert len(records(caplog)) == 1 and len(list(folder.iterdir())) == 2


def test_another_purpose_is_told_too(folder, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    _compiling.KERNELS["subtract"] = "subtracting", "an hour"
    call()
    call(subtract)
    assert [text.split(", ")[0] for _, _, text in records(caplog)] == [
        "compiling the kernels for adding", "compiling the kernels for subtracting"
    ]  # fmt: skip


def test_what_is_kept_nowhere_compiles_at_each_start(folder, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    folder.touch()
    call()
    assert "at each start, as no folder to keep them in can be written: set NUMBA_" in caplog.text


def test_nothing_is_told_of_other_functions(folder, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    _compiling.KERNELS.clear()
    call()
    assert records(caplog) == []


def test_all_kernels_have_a_purpose():
    kept = {
        name
        for module in (_entry, entry)
        for name, found in vars(module).items()
        if isinstance(getattr(found, "_cache", None), _cache.KernelCache)
    }
    assert kept == set(_compiling.KERNELS)


# ---------------------------------------------------------------- without any logging set up


def test_what_runs_unattended_gets_nothing_on_stderr(folder, unattended, capsys):
    call()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["terminal", "notebook"])
def test_who_waits_gets_a_line(where, folder, unattended, monkeypatch, capsys):
    if where == "terminal":
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    else:
        monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    call()
    call(subtract)
    assert capsys.readouterr() == ("", f"lava_async: {TOLD}{folder}\n")


def test_who_logs_gets_no_other_line(folder, monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    call()
    assert capsys.readouterr() == ("", "") and len(records(caplog)) == 1


def handler_of(level):
    made = logging.StreamHandler(sys.stderr)
    made.setLevel(level)
    return made


@pytest.mark.parametrize("logger", [None, "lava_async"])
@pytest.mark.parametrize("levels", [[], [logging.ERROR]], ids=["none", "Lava's"])
def test_a_level_without_a_handler_shows_no_record(
    logger, levels, folder, monkeypatch, capsys, caplog
):
    caplog.set_level(logging.INFO, logger)
    monkeypatch.setattr(logging.getLogger(), "handlers", list(map(handler_of, levels)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    call()
    assert capsys.readouterr() == ("", f"lava_async: {TOLD}{folder}\n")


@pytest.mark.parametrize("propagates", [False, True])
def test_a_handler_of_our_logger_is_enough(propagates, folder, monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO, "lava_async")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler_of(logging.ERROR)])
    monkeypatch.setattr(_compiling.LOGGER, "handlers", [handler_of(logging.INFO)])
    monkeypatch.setattr(_compiling.LOGGER, "propagate", propagates)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    call()
    assert capsys.readouterr() == ("", f"{TOLD}{folder}\n")


def test_a_level_of_ones_own_silences_it(folder, monkeypatch, capsys, caplog):
    caplog.set_level(logging.WARNING, "lava_async")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    call()
    assert capsys.readouterr() == ("", "") and records(caplog) == []


def test_there_may_be_no_stderr(folder, monkeypatch):
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.setattr(sys, "stderr", None)
    call()


LIKE_LAVA = """
handler = logging.StreamHandler()  # as each process of Lava adds one
handler.setLevel(logging.ERROR)
logging.getLogger().addHandler(handler)
"""


@pytest.mark.parametrize(
    ("before", "options", "after"), [("", "", LIKE_LAVA), (LIKE_LAVA, ", force=True", "")]
)
def test_the_line_of_the_documentation_shows_it(before, options, after, tmp_path):
    script = f"""
import logging
{before}
logging.basicConfig(level=logging.INFO{options})
{after}
from lava_async import _compiling
from lava_async._kernel._cache import cached
_compiling.KERNELS["add"] = "adding", "no time"
@cached("digest")
def add(a, b):
    return a + b
print(add(5, 3))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env={"NUMBA_CACHE_DIR": str(tmp_path)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.stdout == "8\n"
    assert done.stderr == f"INFO:lava_async:{TOLD}{tmp_path / 'lava_async'}\n"
