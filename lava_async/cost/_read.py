"""Cost models by name or from files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lava_async._files.paths import as_text
from lava_async.cost._model import CostModel
from lava_async.cost._published import MODELS
from lava_async.errors import FileFormatError, ValidationError

_LARGEST = 1 << 16  # bytes; a model takes less than one thousand


def load(name_or_path: str | os.PathLike[str]) -> CostModel:
    """A published cost model by its name in `MODELS`, or one of your own from a JSON file.

    The file holds what `CostModel.to_dict` gives, each constant where it is known::

        {
          "name": "my chip",
          "source": "measured on board 3, 2026-05-01",
          "energy_pj": {"synaptic_operation": 8.1, "active_update": 40},
          "time_ns": {"synaptic_operation": 2.0, "time_step": 1000}
        }

    Raises
    ------
    FileFormatError
        There is no such model and no such file, or the file holds something else.
    """
    path = as_text(name_or_path)
    if path in MODELS:
        return MODELS[path]
    if not os.path.isfile(path):  # a pipe could keep us waiting for ever
        got = "something else at this place" if os.path.lexists(path) else "no such file"
        wanted = f"one of {', '.join(MODELS)}, or a JSON file"
        raise FileFormatError(path, "cost model", wanted, got)
    if os.path.getsize(path) > _LARGEST:
        raise FileFormatError(path, "bytes", f"at most {_LARGEST}", os.path.getsize(path))
    try:
        description = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise FileFormatError(path, "cost model", "JSON", error) from None
    except OSError as error:
        raise FileFormatError(path, "cost model", "a file to read", error.strerror) from None
    try:
        return CostModel.from_dict(description, path)
    except ValidationError as error:
        raise error.at(path, FileFormatError) from None
