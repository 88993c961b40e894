"""Tutorials, each executed once in a run of pytest, by whichever worker needs it first.

What they printed is kept in a cache of jupyter-cache, from which the documentation takes it.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "tutorials").glob("*.ipynb"))

LIMIT = 180  # seconds that a reader may have to wait for a tutorial


def shared_folder(tmp_path_factory):
    """One that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "notebooks"
    shared.mkdir(exist_ok=True)
    return shared


@contextlib.contextmanager
def only_one(path):
    """Held by one worker at a time; what a worker that dies has held is free again."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(path, shared, folder):
    """Run a notebook from a clean kernel in ``folder``, unless that was done in this run.

    A cell that fails raises CellExecutionError, the one in which time is up CellTimeoutError.
    """
    notebook = read(path)
    with only_one(shared / f"{path.stem}.lock"):
        with only_one(shared / "cache.lock"), contextlib.suppress(KeyError):
            get_cache(shared / "cache").match_cache_notebook(notebook)
            return
        end = time.monotonic() + LIMIT
        NotebookClient(
            notebook,
            timeout_func=lambda cell: max(1, int(end - time.monotonic())),
            kernel_name="python3",
            record_timing=False,  # it would make another notebook of it, which the cache has not
            resources={"metadata": {"path": folder}},
        ).execute()
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert cells and all(cell.execution_count for cell in cells)
        with only_one(shared / "cache.lock"):
            get_cache(shared / "cache").cache_notebook_bundle(CacheBundleIn(notebook, str(path)))


def number_kept(shared):
    """How many executed notebooks the cache holds."""
    return len(get_cache(shared / "cache").list_cache_records())
