"""What is printed of objects that hold much: one line."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any


class Brief:
    """Base of dataclasses that hold arrays or long lists, whose `repr` tells their size alone."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = cls.__repr__  # its own, as dataclass would write another over one inherited

    def __repr__(self: Any) -> str:
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        told = ", ".join(f"{name}={_SHORT.repr(value)}" for name, value in values)
        return f"{type(self).__name__}({told})"


class _Short(reprlib.Repr):
    """By the name of a type, as `reprlib` looks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxother = self.maxstring = 60

    def repr_ndarray(self, x: Any, level: int) -> str:
        return f"<{x.dtype} {x.shape}>"

    def repr_instance(self, x: Any, level: int) -> str:
        # What is brief by itself would be cut in the middle of a word.
        return repr(x) if isinstance(x, Brief) else super().repr_instance(x, level)

    def repr_list(self, x: Any, level: int) -> str:
        return f"<list of {len(x)}>"


_SHORT = _Short()
