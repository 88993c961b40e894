"""Sums that are ours do not depend on the processor."""

import json
import os
import subprocess
import sys

import numba
import pytest

import same_bits_worker


def digests(folder, **environment):
    done = subprocess.run(
        [sys.executable, same_bits_worker.__file__],
        env={
            **os.environ, **environment, "NUMBA_CACHE_DIR": str(folder),
            "PYTHONPATH": os.path.dirname(same_bits_worker.__file__),
        },
        capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # Lava says something before


@pytest.mark.timeout(600)  # it compiles everything anew
def test_a_plain_processor_gives_the_same_bits(tmp_path):
    """Without vector instructions beyond those that every processor of the kind has."""
    here = digests(numba.config.CACHE_DIR)
    there = digests(tmp_path, NUMBA_CPU_NAME="generic", ATEN_CPU_CAPABILITY="default")
    assert here == there
    assert len(set(here.values())) == len(here) == 30
    assert list(tmp_path.rglob("*.nbc"))  # compiled there, for that processor
