"""Whatever a file holds, `load` gives a graph or one clear line."""

from __future__ import annotations

import numpy as np
import pytest

from corrupt_kinds import corrupt_kinds, unsupported_kinds, write_valid
from foreign_kinds import foreign_kinds
from lava_async._files.hdf5 import load
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, UnsupportedError
from own_kinds import corrupt_own_kinds, unsupported_own_kinds

CORRUPT = {**foreign_kinds(), **corrupt_kinds(), **corrupt_own_kinds()}
UNSUPPORTED = {**unsupported_kinds(), **unsupported_own_kinds()}

pytestmark = pytest.mark.timeout(60)


def refusal(path, error):
    with pytest.raises(error) as caught:
        load(path)
    text = str(caught.value)
    assert type(caught.value) is error
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert ": expected " in text and text.endswith(")")
    return text


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_file_is_refused(kind, tmp_path):
    path = tmp_path / "network.net"
    CORRUPT[kind](path)
    assert CORRUPT[kind].says in refusal(path, FileFormatError)


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_file_is_refused(kind, tmp_path):
    path = tmp_path / "network.net"
    UNSUPPORTED[kind](path)
    assert UNSUPPORTED[kind].says in refusal(path, UnsupportedError)


def test_undamaged_file_loads(tmp_path):
    """Otherwise the tests above would prove little."""
    write_valid(tmp_path / "network.net")
    graph = load(tmp_path / "network.net")
    assert [p.size for p in graph.populations] == [60, 64, 7, 3]


def test_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "network.net"
    write_valid(path)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read any file
    assert "no permission" in refusal(path, FileFormatError)


def test_line_break_in_the_path_stays_out_of_the_message(tmp_path):
    with pytest.raises(FileFormatError, match=r"two lines\.net: file: expected") as caught:
        load(tmp_path / "two\nlines.net")
    assert "\n" not in str(caught.value)


def answers(path, content: bytes) -> str:
    """Load the bytes; 'loaded', or the class of the refusal."""
    path.write_bytes(content)
    try:
        graph = load(path)
    except (FileFormatError, UnsupportedError) as error:
        text = str(error)
        assert text.startswith(f"{path}: ") and "\n" not in text
        return type(error).__name__
    assert isinstance(graph, Graph)
    return "loaded"


@pytest.mark.parametrize("seed", range(8))
def test_fuzzed_bytes(seed, tmp_path):
    path = tmp_path / "network.net"
    write_valid(path)
    valid = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(seed)
    seen = set()
    for _ in range(60):
        damaged = valid.copy()
        places = rng.integers(0, len(valid), rng.choice([1, 3, 10, 100]))
        damaged[places] = rng.integers(0, 256, len(places))
        seen.add(answers(path, damaged.tobytes()))
    assert {"loaded", "FileFormatError"} <= seen


def test_truncated_anywhere(tmp_path):
    path = tmp_path / "network.net"
    write_valid(path)
    valid = path.read_bytes()
    lengths = np.random.default_rng(0).integers(0, len(valid), 100)
    assert {answers(path, valid[:length]) for length in lengths} == {"FileFormatError"}
