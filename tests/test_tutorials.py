"""Every notebook in tutorials/ runs from top to bottom, and none stores what it printed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "tutorials").glob("*.ipynb"))


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.mark.timeout(280)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    # A failing cell raises CellExecutionError, a slow one CellTimeoutError, well before pytest.
    client = NotebookClient(
        read(path), timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    cells = [cell for cell in client.nb.cells if cell.cell_type == "code"]
    assert cells and all(cell.execution_count for cell in cells)


def test_nothing_is_stored_that_running_a_notebook_makes():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        for index, cell in enumerate(read(path).cells):
            if cell.cell_type == "code":
                stored = cell.outputs, cell.execution_count
                assert stored == ([], None), f"{path.name}: cell {index}"
