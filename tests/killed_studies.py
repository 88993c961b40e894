"""Kills a study in children at points of its course, and goes on with each.

Forks, so that what takes seconds to import is imported once. Usage: killed_studies.py FOLDER
SHARE..., shares of the cells that a study has, at which it is killed, or, one of four, of the time
that it takes with its report. Prints how many cells each kill left.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from lava_async.study import pages, run_study
from studies import TINY, cell_files, tables


def study_in_child(
    folder: Path, until: Callable[[], object] | None = None, *, drawn: bool = True
) -> int:
    """How a child ended that ran the study, and was killed when ``until`` returned.

    drawn : whether the report's pictures are more than empty files. To draw takes most of the time.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if not drawn:
                pages._rendered = lambda figure, kind: b""
            run_study(TINY, folder, jobs=1)
            status = 0
        finally:
            os._exit(status)
    if until is not None:
        until()
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for_cells(folder: Path, count: int) -> None:
    end = time.monotonic() + 60
    while not (folder / "cells").is_dir() or len(os.listdir(folder / "cells")) < count:
        assert time.monotonic() < end
        time.sleep(0.0005)


def main(base: Path, shares: list[float]) -> None:
    torch.set_num_threads(1)
    run_study(TINY, base / "here", jobs=1)  # loads data and kernels, for the children too
    gc.freeze()  # which they need not search for garbage, nor copy
    start = time.monotonic()
    assert study_in_child(base / "whole") == 0
    seconds, count = time.monotonic() - start, len(cell_files(base / "whole"))
    assert tables(base / "whole") == tables(base / "here")

    for place, share in enumerate(shares):
        folder = base / str(place)
        study_in_child(
            folder,
            partial(time.sleep, share * seconds) if place % 4 == 3
            else partial(wait_for_cells, folder, 1 + int(share * (count - 1))),
        )  # fmt: skip
        left = cell_files(folder) if (folder / "cells").is_dir() else {}
        kept = {name: time for name, time in left.items() if not name.startswith(".")}
        assert study_in_child(folder, drawn=False) == 0
        assert tables(folder) == tables(base / "whole"), place
        now = cell_files(folder)
        assert now.keys() == cell_files(base / "whole").keys(), place
        # A network without the word that it is done is made again.
        done = {name for name in kept if Path(name).with_suffix(".json").name in kept}
        assert {name: now[name] for name in done} == {name: kept[name] for name in done}, place
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            path.name for path in (base / "whole").iterdir()
        )
        print(len(kept), len(now), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [float(share) for share in sys.argv[2:]])
