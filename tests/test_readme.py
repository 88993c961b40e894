"""The Python of README.md runs from top to bottom, as it is printed."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(240)
def test_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(0).random((2, 2, 34, 34, 6)) < 0.05
    names = {"x": torch.from_numpy(frames).float()}
    for number, block in enumerate(BLOCKS, start=1):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    # What they compute, and not only that they do.
    assert names["y"].shape == (2, 10, 6)
    assert names["proc"].schedule == names["la"].Momentum(group_size=8)
    assert names["record"].spikes.shape == (2, 10, 6)
    assert names["spikes"].shape == (6, 100) and names["spikes"].any()
