"""What a user's text names: ``"module:name"`` or ``"path/to/file.py:name"``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from lava_async.errors import ValidationError

_T = TypeVar("_T")

FORMS = "MODULE:NAME or FILE.py:NAME"
GROUP = "lava_async.datasets"

_folder: ContextVar[str | None] = ContextVar("_folder", default=None)
_LOADING = threading.RLock()
_ran: dict[str, bytes] = {}  # contents of files


def folder() -> str:
    """Where modules and files are looked for first: the working directory, or as `call_from`."""
    return _folder.get() or os.getcwd()


def call_from(place: str, function: Callable[..., _T], *arguments: Any) -> _T:
    """``function(*arguments)``, for which texts name what they do in another working directory.

    For processes elsewhere; one's own is not changed, as other threads have it, too.
    """
    token = _folder.set(place)
    try:
        return function(*arguments)
    finally:
        _folder.reset(token)


def is_text(name: object) -> bool:
    """Whether a name is such a text."""
    return isinstance(name, str) and ":" in name


def offered() -> dict[str, set[str]]:
    """Names that installed packages have as entry points of `GROUP`, and the texts they stand for.

    One each, unless packages disagree.
    """
    import importlib.metadata  # takes as long as all of the data sets' names

    found: dict[str, set[str]] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(point.name, set()).add(point.value)
    return found


def find(text: str, kind: type[_T], installed: bool = False) -> _T:
    """What a text names, its module imported or its file run once in a process.

    Modules are looked for as by ``python -m``, in the working directory first, unless they are
    known to be installed. Files find those beside them as by ``python FILE.py``.

    Raises
    ------
    ValidationError
        The text is of another form, there is no such module, file or name, the code raises, the
        name is not of this kind, or this process has run another folder's, or another content.
    """
    where = f"data {text}"
    place, _, name = text.rpartition(":")
    is_file = place.endswith(".py")
    if not name.isidentifier() or not (is_file or all(map(str.isidentifier, place.split(".")))):
        raise ValidationError(where, "text", FORMS, repr(text))
    if is_file:
        module = _run(where, place)
    elif installed:
        module = _import(where, place, "one that is installed, as its package says")
    else:
        _look_in(folder())
        module = _import(where, place, f"one in {folder()}, or installed")
        _check_place(where, module)
    _check_unchanged(where, module)
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        known = [each for each, value in vars(module).items() if isinstance(value, kind)]
        wanted = f"a {kind.__name__}" + (f": {' or '.join(known)}" if known else "")
        got = f"{type(found).__name__} {name}" if hasattr(module, name) else f"no {name}"
        raise ValidationError(where, place, wanted, got)
    return found


def _import(where: str, name: str, wanted: str) -> ModuleType:
    importlib.invalidate_caches()  # the file may be a moment old
    with _complaining(where, f"module {name}", f"python -c 'import {name}'"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):  # it is there, and imports another
                raise
    raise ValidationError(where, "module", wanted, f"no {name}")


def _run(where: str, place: str) -> ModuleType:
    path = Path(folder(), place).resolve()
    if not path.is_file():
        raise ValidationError(where, "file", "an existing one", f"no {place} in {folder()}")
    key = os.fspath(path)
    with _LOADING, _complaining(where, f"file {place}", f"python {place}"):
        if key not in sys.modules:
            _look_in(os.fspath(path.parent))
            spec: Any = importlib.util.spec_from_file_location(key, path)
            sys.modules[key] = module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[key]
                raise
        return sys.modules[key]


def _check_place(where: str, module: ModuleType) -> None:
    """Of two folders' modules of one name a process has the first."""
    package, *_ = module.__name__.split(".")
    here = importlib.machinery.PathFinder.find_spec(package, [folder()])
    there = sys.modules[package].__spec__
    if here is not None and there is not None and here.origin != there.origin:
        wanted = f"{here.origin}, as a new process would have"
        raise ValidationError(where, "module", wanted, f"{there.origin}, imported before")


def _check_unchanged(where: str, module: ModuleType) -> None:
    """What a process ran once stays what it is."""
    if not module.__file__:
        return
    content = Path(module.__file__).read_bytes()
    if _ran.setdefault(module.__file__, content) != content:
        wanted = "one as this process ran it; a new process takes it as it is now"
        raise ValidationError(where, "file", wanted, f"{module.__file__}, changed since")


def _look_in(place: str) -> None:
    """For good, as what is found may import more when it is used."""
    if place not in sys.path:
        sys.path.insert(0, place)


@contextlib.contextmanager
def _complaining(where: str, what: str, command: str) -> Iterator[None]:
    """Tell of what a user's code raises; a script may end the process."""
    try:
        yield
    except (Exception, SystemExit) as error:
        wanted = f"one that runs to its end ({command} shows where it does not)"
        raise ValidationError(where, what, wanted, f"{type(error).__name__}: {error}") from error
