"""Compiled code kept on disk, wherever there is a place for it.

Numba's own cache refuses to compile where it finds no folder to write to, and raises where one
fills up later. It also names each piece of code in an index before the code is written, by a
number that an earlier version's code may still have: after a full disk, or for a process that
starts in between, that is what runs. Here each piece has a file of its own, under a name made
of all that it depends on, whole or not there at all.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

from lava_async import _compiling
from lava_async._kernel._compiler import entry
from lava_async._kernel._linked import complete

_NAME = "lava_async"
_THRESHOLDS = 200_000, 10, 20  # 85 MB more than by Python's own; never at all would take 240


class KernelCache(NullCache):
    """What Numba asks for compiled code of one function, and hands it to.

    Parameters
    ----------
    function : callable
    sources : str
        Digest of all that its code is made from, which the function itself does not tell.
    """

    def __init__(self, function: Callable[..., Any], sources: str) -> None:
        self._function = function.__name__
        self._sources = sources

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """The code for arguments of these types, from the first folder that has it."""
        target_context.refresh()
        name = self._file_name(sig, target_context.codegen())
        for folder, is_shared in folders():
            with contextlib.suppress(OSError):
                if is_shared:
                    _check_own(folder)
                content = (folder / name).read_bytes()
                code = content[_DIGEST_SIZE:]
                if content == _with_digest(code):
                    return CompileResult._rebuild(target_context, *pickle.loads(code))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep code in the first folder that takes it; in none if none does."""
        if data.library.has_dynamic_globals:  # addresses of this process
            return
        name = self._file_name(sig, data.codegen)
        content = _with_digest(dumps(data._reduce()))
        for folder, is_shared in folders():
            with contextlib.suppress(OSError):  # read-only, full, a file in the way …
                folder.mkdir(mode=0o700 if is_shared else 0o777, parents=True, exist_ok=True)
                if is_shared:
                    _check_own(folder)
                _write(folder / name, content)
                return

    def _file_name(self, sig: Any, codegen: Any) -> str:
        return f"{_prefix(self._function, self._sources, codegen)}{_digest(sig)}.nbc"


def _prefix(function: str, sources: str, codegen: Any) -> str:
    """How the names of all files begin that hold one function of these sources, to run here."""
    # With the types of the arguments the key of Numba's own cache.
    here = _digest((sources, numba.__version__, sys.version, codegen.magic_tuple()))
    return f"{_NAME}-{function}-{here}-"


def _digest(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def is_kept(function: str, sources: str) -> bool:
    """Whether code of a function is on disk that runs here, for whatever types."""
    codegen = cpu_target.target_context.codegen()  # type: ignore[attr-defined]
    pattern = f"{_prefix(function, sources, codegen)}*.nbc"
    return any(any(folder.glob(pattern)) for folder, _ in folders())


def cached(sources: str) -> Callable[[Callable[..., Any]], Any]:
    """`entry`, kept on disk under a digest of all of its sources."""

    def compile_cached(function: Callable[..., Any]) -> Any:
        dispatcher: Any = entry(function)
        dispatcher._cache = KernelCache(function, sources)
        compile_now = dispatcher._compiler.compile
        dispatcher._compiler.compile = _announced(function.__name__, compile_now)
        return dispatcher

    return compile_cached


def announce(kernel: str) -> None:
    """Say once what is going to be compiled, and where it will be kept."""
    _compiling.announce(kernel, _compiling.first_writable(folder for folder, _ in folders()))


def _announced(kernel: str, compile_now: Callable[..., Any]) -> Callable[..., Any]:
    """The same, after saying so, and complete; nothing on the disk was found.

    Garbage is looked for less often meanwhile: it takes an eighth of the time otherwise.
    """

    def compile_with_garbage(*arguments: Any) -> Any:
        announce(kernel)
        before = gc.get_threshold()
        gc.set_threshold(*_THRESHOLDS)
        try:
            compiled = compile_now(*arguments)
        finally:
            gc.set_threshold(*before)
        complete(compiled)
        return compiled

    return compile_with_garbage


def folders() -> Iterator[tuple[Path, bool]]:
    """Where code may be, best first, and whether others may write next to it.

    What cannot be written to may hold code even so: an image of a container can bring it.
    """
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]
        yield Path(numba.config.CACHE_DIR, _NAME), False  # type: ignore[attr-defined]
    yield Path(__file__).with_name("__pycache__"), False
    # A home that is not there is not made; without any, `~` would become a folder right here.
    caches = os.environ.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")
    if os.path.isabs(caches):
        yield Path(caches, _NAME), False
    elif os.path.isabs(home) and os.path.isdir(home):
        yield Path(home, ".cache", _NAME), False
    if hasattr(os, "getuid"):  # on Windows a user's temporary folder is in the home
        with contextlib.suppress(OSError):  # there is none
            yield Path(_temporary_folder(), f"{_NAME}-{os.getuid()}"), True


def _temporary_folder() -> str:
    folder = tempfile.gettempdir()
    if folder not in ("/tmp", "/var/tmp", os.environ.get("TMPDIR")) and folder == os.getcwd():
        raise NotADirectoryError(folder)  # Python's last resort, where a cache would be litter
    return folder


def _check_own(folder: Path) -> None:
    """Code runs as it is: raise `PermissionError` if another user may have put it there."""
    found = folder.lstat()
    if not (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise PermissionError(folder)


_DIGEST_SIZE = hashlib.sha256().digest_size


def _with_digest(code: bytes) -> bytes:
    return hashlib.sha256(code).digest() + code


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, also where several processes write the same."""
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
