"""Sums that are ours do not depend on the processor."""

import json
import os
import subprocess
import sys

import pytest

import same_bits_worker


@pytest.mark.timeout(600)  # it compiles everything anew
def test_a_plain_processor_gives_the_same_bits(tmp_path):
    """Without vector instructions beyond those that every processor of the kind has."""
    done = subprocess.run(
        [sys.executable, same_bits_worker.__file__],
        env={
            **os.environ, "NUMBA_CPU_NAME": "generic", "ATEN_CPU_CAPABILITY": "default",
            "NUMBA_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": os.path.dirname(same_bits_worker.__file__),
        },
        capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])  # Lava says something before
    here = same_bits_worker.all_digests()
    assert here == there
    assert len(set(here.values())) == len(here) == 30
    assert list(tmp_path.rglob("*.nbc"))  # compiled there, for that processor
