"""Results of cells in a folder: each under a name made of its configuration, whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lava_async._files.atomic import atomic_paths, is_temporary
from lava_async.errors import ExecutionError

Configuration = dict[str, Any]
"""Plain data: everything that a cell depends on."""


def canonical(document: Any) -> bytes:
    """JSON that is the same bytes for the same plain data."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def key_of(configuration: Configuration) -> str:
    """The name of a cell."""
    return hashlib.sha256(canonical(configuration)).hexdigest()


class Store:
    """The cells of a study that are done.

    What a killed process left half written is removed.

    Parameters
    ----------
    folder : Path
        Made unless it is there.

    Attributes
    ----------
    damaged : list of Path
        Files that held something else than was written, and so count as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Path] = []
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if is_temporary(path) and path.is_file():
                path.unlink()

    def get(self, configuration: Configuration) -> dict[str, Any] | None:
        """The result of a cell, if it is done and undamaged, its file included."""
        path = self._path(configuration)
        if not path.exists():
            return None
        result = _read(path, configuration)
        if result is None:
            self.damaged.append(path)
        elif "network" in result and not self._is_whole(configuration, result["network"]):
            self.damaged.append(self.network(configuration))
            result = None
        return result

    def put(
        self, configuration: Configuration, result: dict[str, Any], network: bytes | None = None
    ) -> None:
        """Keep the result of a cell, and the file of its network, if it made one.

        Raises
        ------
        ExecutionError
            The disk is full or failed; cells that are done are still there.
        """
        content = {"configuration": configuration, "result": result}
        path = self._path(configuration)
        # The result last, as a sign that all is there.
        files = {} if network is None else {self.network(configuration): network}
        files[path] = canonical({**content, "digest": key_of(content)}) + b"\n"
        with self._writing(path), atomic_paths(*files) as temporaries:
            for temporary, file in zip(temporaries, files.values(), strict=True):
                temporary.write_bytes(file)

    def network(self, configuration: Configuration) -> Path:
        """Where the network is that a cell trained."""
        return self._path(configuration).with_suffix(".net")

    def _path(self, configuration: Configuration) -> Path:
        return self.folder / f"{key_of(configuration)}.json"

    def _is_whole(self, configuration: Configuration, digest: str) -> bool:
        path = self.network(configuration)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            wanted = "a disk that takes it; what is done stands, and the same command goes on"
            raise ExecutionError(path, "result", wanted, error.strerror or error) from error


def _read(path: Path, configuration: Configuration) -> dict[str, Any] | None:
    """The result in a file that was written for a configuration; None from any other."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError):  # no JSON, no text, no file
        return None
    if not isinstance(content, dict):
        return None
    digest = content.pop("digest", None)
    try:
        is_whole = digest == key_of(content)
    except ValueError:  # NaN
        return None
    return content["result"] if is_whole and content.get("configuration") == configuration else None
