"""Running a study: whatever of it is not done yet, then its tables."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lava_async
from lava_async._files.atomic import atomic_path
from lava_async._semantics.brief import Brief
from lava_async.cost import CostModel
from lava_async.errors import ExecutionError, FileFormatError, ValidationError
from lava_async.study import cells, chance
from lava_async.study.folders import results_folder
from lava_async.study.grid import Study
from lava_async.study.store import Store, canonical
from lava_async.study.table import Point, Row, write_tables
from lava_async.study.work import Progress, Work, read_given, silent

DESCRIPTION, CELLS, SUMMARY = "description.json", "cells", "study.json"
_PACKAGES = ("lava-nc", "lava-dl", "torch", "numpy", "numba", "h5py", "joblib")


@dataclass(frozen=True)
class Outcome(Brief):
    """What a study found.

    Attributes
    ----------
    rows : list of Row
    points : list of Point
    computed : int
        Cells that this call has computed; the others were done before.
    warnings : list of str
        Of trainings that went wrong, about damaged files, and of networks no better than chance.
    """

    rows: list[Row]
    points: list[Point]
    computed: int
    warnings: list[str]


def run_study(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
    model: CostModel | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Run what is not done yet of a study, and write its tables.

    Each network, and each way to run one, is a cell: a result that depends on its configuration
    alone, and has a file in ``FOLDER/cells`` from the moment on that it is known. So a study that
    was interrupted or killed goes on where it was, and the tables (``table.csv``,
    ``table.json``, ``curves.csv``) are the same bytes whatever the order, the number of
    processes or the interruptions. ``study.json`` says by what they were made.

    Parameters
    ----------
    study : Study
    folder : path
        A new or empty folder, or one of the same study.
    jobs : int, optional
        Processes, each on one thread; one for each core by default.
    scheduler : str, optional
        Address of a Dask scheduler whose workers take their place; they need this package and
        the data set, one of your own in this working directory or installed. Nothing else is
        shared.
    data_root : path, optional
        Where data sets are on the disk, as `datasets.registry.load_frames` takes it.
    model : CostModel, optional
        For estimates of energy and latency in the report.
    progress : callable, optional
        Called for the networks to train and for the ways to run them.

    Raises
    ------
    ValidationError
        The folder holds something else; a given network cannot be read, or does not fit the
        data; the cluster cannot be reached.
    ModuleNotFoundError
        There are networks to train, and no torch or Lava.
    ExecutionError
        A cell failed, which the message names, and whose own error is the cause; a process or the
        cluster was lost; or the disk failed. What is done stands.
    """
    place, root = Path(folder), None if data_root is None else os.fspath(data_root)
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise ValidationError("study", "jobs", "None or an integer >= 1", repr(jobs))
    if study.methods and scheduler is None:
        _check_can_train()
    given = [read_given(study, Path(file), root) for file in study.given]
    description = {
        **study.to_dict(),
        "given": [{"name": each.label.name, "sha256": each.digest} for each in given],
    }
    with results_folder(place, resume=_is_begun(place, description)):
        _write_json(place / DESCRIPTION, description)
        work = Work(study, Store(place / CELLS), jobs, scheduler, root, progress)
        rows, points = work.run([*work.train(), *given])
        try:
            write_tables(place, rows, points, {"study": description, "code": cells.code()})
        except OSError as error:
            wanted = "a disk that takes them; what is done stands, and the same command goes on"
            raise ExecutionError(place, "tables", wanted, error.strerror or error) from error
        from lava_async.study.pages import write_pages  # loads matplotlib

        write_pages(rows, points, place, model=model)
        _write_json(place / SUMMARY, {"study": description, **_made_by()})
    return Outcome(rows, points, work.computed, [*work.warnings(), *chance.warnings_of(rows)])


def _check_can_train() -> None:
    """Raise `ModuleNotFoundError` here, and not from another process, where it loses the name."""
    for name in ("torch", "lava"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _is_begun(folder: Path, description: dict[str, Any]) -> bool:
    """Whether a folder holds this study; raises `ValidationError` if it holds another."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return False
    try:
        recorded = json.loads(path.read_bytes())
    except ValueError as error:
        raise FileFormatError(path, "description", "JSON, as study wrote it", "damage") from error
    if not isinstance(recorded, dict):
        raise FileFormatError(path, "description", "that of a study", "something else")
    before, now = _flat(recorded), _flat(json.loads(canonical(description)))
    for name in {**now, **before}:
        if before.get(name) != now.get(name):
            raise ValidationError(
                f"output {folder}", name, f"{before.get(name)!r}, as in the study that it holds",
                repr(now.get(name)),
            )
    return True


def _flat(description: dict[str, Any]) -> dict[str, Any]:
    """Fields of fields as fields with a dot."""
    found: dict[str, Any] = {}
    for name, value in description.items():
        inner = _flat(value) if isinstance(value, dict) else None
        found |= {name: value} if inner is None else {f"{name}.{k}": v for k, v in inner.items()}
    return found


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _made_by() -> dict[str, Any]:
    """Versions and the machine that wrote the tables, which may differ where these do not."""
    versions = {"lava-async": lava_async.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    machine = {
        "system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()
    }
    return {"versions": versions, "machine": machine}
