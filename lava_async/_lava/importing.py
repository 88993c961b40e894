"""Importing Lava where it was not made for it: on newer Pythons, and beside other libraries.

Two modules of Lava end in an error when they are imported. `install` makes Python load them
mended, if it ever does, so that from the import of `lava_async` on Lava can be imported, here and
in processes that are forked later. A spawned process begins anew: it too has to import
`lava_async` first, as it does where its main module does so at the top.

Nothing here can help a program that imports Lava before `lava_async`. On Python 3.11 and later it
ends before it comes to us, with ``ValueError: mutable default <class '…ByteEncoder'> for field x``;
where a start method has been chosen, with ``RuntimeError: context has already been set``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import decode_source
from types import CodeType, ModuleType

MENDED = {
    # Instances of this class are defaults of dataclass fields, which have to be hashable since
    # Python 3.11.
    "lava.magma.compiler.var_model": (
        "@dataclass\nclass ByteEncoder:",
        "@dataclass(unsafe_hash=True)\nclass ByteEncoder:",
    ),
    # This chooses for the whole program, and fails where the program has chosen: PyTorch users
    # do, and `multiprocessing` itself in whatever it starts.
    "lava.magma.runtime.message_infrastructure.multiprocessing": (
        "mp.set_start_method('fork')",
        "mp = mp.get_context('fork')",
    ),
}
"""Module -> (text that occurs in it once, what takes its place, of as many lines)."""


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:  # and none from a cache, which has Lava's own
        path = self.get_filename(fullname)
        source = decode_source(self.get_data(path)).replace(*MENDED[fullname])
        return self.source_to_code(source, path)


class _Finder:
    """Finds the modules that need mending, and no others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in MENDED else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


FINDER = _Finder()


def install() -> None:
    """Have Python load Lava's modules mended."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
