"""Whatever a file holds, `load` gives a graph or one clear line."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from corrupt_kinds import corrupt_kinds, unsupported_kinds, write_valid
from foreign_kinds import foreign_kinds
from lava_async._files.digest import digest
from lava_async._files.hdf5 import load
from lava_async._files.save import save
from lava_async._semantics.graph import Graph
from lava_async.errors import FileFormatError, UnsupportedError
from own_kinds import corrupt_own_kinds, unsupported_own_kinds, valid_graph

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


def answers(path) -> str:
    """'loaded', or the class of the refusal."""
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
        path.write_bytes(damaged.tobytes())
        seen.add(answers(path))
    assert {"loaded", "FileFormatError"} <= seen


def test_truncated_anywhere(tmp_path):
    path = tmp_path / "network.net"
    write_valid(path)
    valid = path.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(valid), 100):
        path.write_bytes(valid[:length])
        assert answers(path) == "FileFormatError"


def damages(rng: np.random.Generator, valid: np.ndarray) -> np.ndarray:
    """Bytes changed at random, bits flipped, a stretch wiped, or one stretch over another."""
    damaged = valid.copy()
    places = rng.integers(0, len(valid), rng.choice([1, 2, 5, 30]))
    match rng.integers(4):
        case 0:
            damaged[places] = rng.integers(0, 256, len(places))
        case 1:
            damaged[places] ^= np.uint8(1) << rng.integers(0, 8, len(places), np.uint8)
        case 2:
            damaged[places[0] : places[0] + rng.choice([4, 16, 64])] = rng.choice([0, 255])
        case _:
            length = rng.choice([1, 8, 64])
            to, origin = rng.integers(0, len(valid) - length, 2)
            damaged[to : to + length] = valid[origin : origin + length]
    return damaged


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("graph", ["chain", "any"])
def test_no_damage_loads_as_another_network(graph, seed, tmp_path):
    path = tmp_path / "network.net"
    if graph == "chain":
        write_valid(path)
        save(load(path), path)
    else:
        save(valid_graph(), path)
    want, valid = digest(load(path)), np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(seed)
    seen = Counter()
    for _ in range(400):
        path.write_bytes(damages(rng, valid).tobytes())
        answer = answers(path)
        seen[answer] += 1
        if answer == "loaded":
            assert digest(load(path)) == want
    assert seen["loaded"] > 50 and seen["FileFormatError"] > 150
