"""Several processes train to what one does with the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ddp_worker

RANKS = 2


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={RANKS}", ddp_worker.__file__, str(folder),
        ],
        env={
            **os.environ, "PYTHONPATH": str(Path(ddp_worker.__file__).parent),
            "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1",
        },
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"rank_{rank}.npz")) for rank in range(RANKS)]


@pytest.mark.parametrize("case", ddp_worker.CASES)
def test_ranks_train_to_what_one_process_does(case, ranks):
    """One of them with an empty batch in between; draws by sample are the same, too."""
    alone = ddp_worker.train(case)
    names = [name for name, values in alone.items() if name.count("/") == 2 and values.size]
    moved = 0
    for name in names:
        step = name.split("/")[1]
        for found in ranks:
            np.testing.assert_allclose(
                found[name], alone[name], rtol=0, atol=1e-5 * np.abs(alone[name]).max(),
                err_msg=name,
            )  # fmt: skip
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name])
        if step != "0":
            moved += not np.array_equal(alone[name], alone[name.replace(f"/{step}/", "/0/")])
    assert moved  # they did train


@pytest.mark.parametrize("case", ddp_worker.CASES)
def test_ranks_never_share_a_samples_index(case, ranks):
    alone = ddp_worker.train(case)
    for key in ("ids", "evaluated"):
        dealt = [found[f"{case}/{key}"] for found in ranks]
        assert np.unique(np.concatenate(dealt, axis=None)).size == sum(map(np.size, dealt))
    for rank, found in enumerate(ranks):
        np.testing.assert_array_equal(found[f"{case}/ids"], alone[f"{case}/ids"][:, rank::RANKS])
    for found in ranks:
        assert found[f"{case}/samples seen"] == alone[f"{case}/samples seen"]
