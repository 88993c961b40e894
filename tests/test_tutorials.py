"""Every notebook in tutorials/ runs from top to bottom, and none stores what it printed."""

import pytest

from executed_notebooks import LIMIT, NOTEBOOKS, execute, read, shared_folder


@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path, tmp_path_factory):
    execute(path, shared_folder(tmp_path_factory), tmp_path)


def test_nothing_is_stored_that_running_a_notebook_makes():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        for index, cell in enumerate(read(path).cells):
            if cell.cell_type == "code":
                stored = cell.outputs, cell.execution_count
                assert stored == ([], None), f"{path.name}: cell {index}"
