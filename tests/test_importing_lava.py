"""Once `lava_async` is imported, so can Lava: on every Python, whatever the start method."""

import importlib
import importlib.util
import subprocess
import sys

import pytest

import lava_async
from lava_async._lava import importing

PARTS = {
    "runtime": "import lava.magma.runtime.runtime",
    "compiler": "from lava.magma.compiler import compiler",
    "the module itself": "from lava.magma.compiler.var_model import CoreEncoder",
    "a process": "from lava.proc.lif.process import LIF",
    "SLAYER": "from lava.lib.dl import slayer",
    "ours": "from lava_async.runtime import Runner",
}


def run(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_any_part_of_lava_can_be_imported_first(part):
    run("-c", f"import lava_async\n{part}")


def test_lava_can_be_imported_after_it_failed():
    run("-c", f"""
try:
    {PARTS["compiler"]}
except ValueError as error:
    assert "mutable default" in str(error)
import lava_async
{PARTS["compiler"]}
""")


METHODS = ["fork", "spawn", "forkserver"]
WORK = f"""
import multiprocessing
import lava_async

def work():
    {PARTS["a process"]}
    print(LIF.__name__)

if __name__ == "__main__":
"""


@pytest.mark.parametrize("method", METHODS)
def test_other_processes_can_import_it(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""{WORK}
    process = multiprocessing.get_context({method!r}).Process(target=work)
    process.start()
    process.join()
""")
    assert run(str(script)) == "LIF\n"


@pytest.mark.parametrize(
    ("library", "method"),
    [*[("multiprocessing", method) for method in METHODS], ("torch.multiprocessing", "spawn")],
)
def test_it_can_be_imported_whatever_the_start_method_and_leaves_it(library, method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""{WORK}
    import {library}
    {library}.set_start_method({method!r})
    work()
    print({library}.get_start_method())
""")
    assert run(str(script)) == f"LIF\n{method}\n"


def test_importing_it_chooses_no_start_method():
    run("-c", f"""
import multiprocessing
import lava_async
{PARTS["runtime"]}
assert multiprocessing.get_start_method(allow_none=True) is None
""")


@pytest.mark.parametrize("name", importing.MENDED)
def test_a_mended_module_is_lavas_own_but_for_a_few_words(name):
    spec = importlib.util.find_spec(name)
    assert isinstance(spec.loader, importing._Loader)
    source, (old, new) = spec.loader.get_source(name), importing.MENDED[name]
    assert source.count(old) == 1 and old.count("\n") == new.count("\n")
    assert importlib.import_module(name).__file__ == spec.origin


def test_the_finder_is_installed_once_and_finds_nothing_else():
    importlib.reload(lava_async)
    assert sys.meta_path.count(importing.FINDER) == 1
    assert importing.FINDER.find_spec("lava.magma.compiler.compiler") is None
