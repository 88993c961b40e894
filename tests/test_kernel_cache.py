"""Compiled code is kept on disk: where there is a place, and no longer than it is valid."""

import ast
import errno
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numba
import numpy as np
import pytest

import lava_async
from lava_async._kernel import _cache, _entry
from lava_async._kernel.training import entry as training


def imported(tree):
    """Imported name -> (module, name in it); None instead of a name: the module itself."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lava_async"):
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                is_module = importlib.util.find_spec(node.module).submodule_search_locations
                if is_module and importlib.util.find_spec(module):
                    names[alias.asname or alias.name] = module, None
                else:
                    names[alias.asname or alias.name] = node.module, alias.name
    return names


def defined(tree):
    """Name -> the top-level statement that makes it."""
    names = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, ast.Assign):
            targets = [n for target in node.targets for n in ast.walk(target)]
            names.update((n.id, node) for n in targets if isinstance(n, ast.Name))
    return names


def modules_imported(file):
    """What is imported at all, by the first part of its name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
    return found


@functools.cache
def names_of(file):
    """What a module imports and defines."""
    tree = ast.parse(file.read_text())
    return imported(tree), defined(tree)


def reached(module, start):
    """The files of all modules of the package whose names `start` in `module` leads to."""
    files, seen, todo = {}, set(), [(module, start)]
    while todo:
        module, name = todo.pop()
        if (module, name) in seen:
            continue
        seen.add((module, name))
        files[module] = Path(importlib.util.find_spec(module).origin)
        imports, definitions = names_of(files[module])
        node = definitions.get(name)
        if name in imports:
            todo.append(imports[name])
        for used in ast.walk(node) if node else ():
            if isinstance(used, ast.Attribute) and isinstance(used.value, ast.Name):
                there, inner = imports.get(used.value.id, (None, None))
                if there and inner is None:
                    todo.append((there, used.attr))
            elif isinstance(used, ast.Name):
                todo.append((module, used.id))
    return files


def test_all_sources_of_compiled_code_are_known():
    files = {
        **reached("lava_async._kernel._entry", "run_samples"),
        **reached("lava_async._kernel._entry", "run_step"),
    }
    names = {name.rpartition(".")[2] for name in files}
    assert {"dynamics", "random", "_pool", "_neurons", "_delivery", "_events"} <= names
    # What tells of compiling is called by none of the code, and its words may change.
    telling = files.pop("lava_async._compiling")
    assert {"numba", "lava_async"}.isdisjoint(modules_imported(telling))
    assert set(files.values()) <= set(_entry.SOURCES)


@pytest.mark.parametrize("changed", _entry.SOURCES, ids=lambda file: file.stem)
def test_a_change_of_any_source_voids_the_cache(changed, tmp_path):
    copy = tmp_path / changed.name
    shutil.copy(changed, copy)
    files = [copy if file == changed else file for file in _entry.SOURCES]
    before = _entry.digest(files)
    copy.write_text(copy.read_text() + "#")
    assert _entry.digest(files) != before == _entry.digest(_entry.SOURCES)


# ---------------------------------------------------------------- where code is kept


class Places:
    """Folders that take the place of those of the package, the home, and so on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.given = root / "given" / "lava_async"
        self.package = root / "package" / "__pycache__"
        self.home = root / "home" / ".cache" / "lava_async"
        self.temporary = root / "tmp" / f"lava_async-{os.getuid()}"

    def files(self):
        return [path for path in self.root.rglob("*") if path.is_file() and path.stat().st_size]

    def block(self, *folders):
        """Make it so that nobody, root included, can make a folder or a file there."""
        for folder in folders:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.touch()


@pytest.fixture
def places(tmp_path, monkeypatch):
    found = Places(tmp_path)
    for name in ("package", "home", "tmp", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(_cache, "__file__", str(tmp_path / "package" / "_cache.py"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path / "here")
    return found


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


def compiled(function=add, sources="digest"):
    """A function as a new process sees it, called once; whether its code came from the disk."""
    function = _cache.cached(sources)(function)
    result = function(5, 3)
    hits, misses = function._cache_hits.total(), function._cache_misses.total()
    assert hits + misses == 1
    return result, hits == 1


@pytest.mark.parametrize("blocked", [(), ("package",), ("package", "home")], ids=len)
def test_code_is_kept_in_the_first_folder_that_takes_it(blocked, places):
    places.block(*(getattr(places, name) for name in blocked))
    assert compiled() == (8, False)
    (file,) = places.files()
    assert file.parent == (places.package, places.home, places.temporary)[len(blocked)]
    assert compiled() == (8, True)
    assert places.files() == [file]


def test_a_folder_given_to_numba_comes_first(places, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(places.root / "given"))
    assert compiled() == (8, False)
    assert [file.parent for file in places.files()] == [places.given]
    assert compiled() == (8, True)


def test_a_given_folder_that_takes_nothing_is_passed_over(places, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(places.root / "given"))
    places.block(places.root / "given")
    assert compiled() == (8, False)
    assert [file.parent for file in places.files()] == [places.package]
    assert compiled() == (8, True)


def test_xdg_cache_home_stands_for_the_home_if_absolute(places, monkeypatch):
    places.block(places.package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(places.root / "xdg"))
    assert compiled() == (8, False)
    assert [file.parent for file in places.files()] == [places.root / "xdg" / "lava_async"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert compiled() == (8, False)
    assert places.home in [file.parent for file in places.files()]


@pytest.mark.parametrize("home", ["missing", "~"])
def test_no_home_is_made(home, places, monkeypatch):
    places.block(places.package)
    if home == "~":  # a user that the system does not know
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    else:
        monkeypatch.setenv("HOME", str(places.root / "missing"))
    assert compiled() == (8, False)
    assert [file.parent for file in places.files()] == [places.temporary]
    assert not (places.root / "missing").exists() and not any(Path.cwd().iterdir())


@pytest.mark.parametrize("temporary", ["unwritable", "none", "last resort"])
def test_without_any_place_it_runs_all_the_same(temporary, places, monkeypatch, capfd):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    places.block(places.package, places.home, places.temporary)
    with monkeypatch.context() as patched:
        if temporary == "none":
            patched.setattr(tempfile, "gettempdir", none)
        if temporary == "last resort":
            patched.setattr(tempfile, "gettempdir", os.getcwd)
            patched.delenv("TMPDIR")
        assert [compiled(), compiled()] == [(8, False)] * 2
    assert places.files() == [] and not any(Path.cwd().iterdir())
    assert capfd.readouterr() == ("", "")


def test_the_working_directory_may_be_the_temporary_one(places, monkeypatch):
    places.block(places.package, places.home)
    monkeypatch.chdir(places.root / "tmp")
    assert [compiled(), compiled()] == [(8, False), (8, True)]


def test_code_is_read_where_nothing_can_be_written(places, monkeypatch):
    # An image of a container that brings the code and is mounted read-only.
    assert compiled() == (8, False)

    def read_only(*args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        for method in ("write_bytes", "mkdir", "unlink", "replace"):
            patched.setattr(Path, method, read_only)
        assert compiled() == (8, True)
        assert compiled(subtract) == (2, False)


@pytest.mark.parametrize("fails", ["write_bytes", "replace", "mkdir"])
def test_a_folder_that_fills_up_is_passed_over(fails, places, monkeypatch):
    genuine = getattr(Path, fails)

    def failing(self, *args, **options):
        if self.is_relative_to(places.package):
            if fails == "write_bytes":
                genuine(self, args[0][:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return genuine(self, *args, **options)

    monkeypatch.setattr(Path, fails, failing)
    assert [compiled(), compiled()] == [(8, False), (8, True)]
    assert [file.parent for file in places.files()] == [places.home]


def test_no_half_of_a_file_stays_when_interrupted(places, monkeypatch):
    def interrupted(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiled()
    assert places.files() == []


# ---------------------------------------------------------------- whose code runs


@pytest.mark.parametrize("taken", ["by another", "open to all", "open to a group", "link"])
def test_a_temporary_folder_of_others_is_not_used(taken, places, monkeypatch):
    places.block(places.package, places.home)
    if taken == "by another":
        places.temporary.mkdir(mode=0o700)
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
        places.temporary.rename(places.temporary.with_name(f"lava_async-{user + 1}"))
    elif taken == "link":
        (places.root / "elsewhere").mkdir(mode=0o700)
        places.temporary.symlink_to(places.root / "elsewhere")
    else:
        assert compiled() == (8, False)  # there is code to be had
        places.temporary.chmod(0o777 if taken == "open to all" else 0o770)
    before = places.files()
    assert [compiled(), compiled()] == [(8, False)] * 2
    assert places.files() == before


def test_the_temporary_folder_is_the_users_own(places):
    places.block(places.package, places.home)
    before = os.umask(0)
    try:
        compiled()
    finally:
        os.umask(before)
    assert places.temporary.stat().st_mode & 0o777 == 0o700


# ---------------------------------------------------------------- which code runs


def test_other_sources_or_types_are_other_code(places):
    assert compiled(add, "before") == (8, False)
    subtract.__name__, name = "add", subtract.__name__
    try:
        assert compiled(subtract, "after") == (2, False)
        assert compiled(subtract, "after") == (2, True)
    finally:
        subtract.__name__ = name
    assert compiled(add, "before") == (8, True)
    function = _cache.cached("before")(add)
    assert function(0.5, 0.25) == 0.75 and function._cache_hits.total() == 0
    assert len(places.files()) == 3


LARGE = np.arange(200_000)


def look_up(a, b):
    return LARGE[a + b]


def test_code_that_holds_addresses_is_not_kept(places):
    assert [compiled(look_up), compiled(look_up)] == [(8, False)] * 2
    assert places.files() == []


@pytest.mark.parametrize("part", ["numba", "python", "processor"])
def test_another_compiler_or_processor_is_other_code(part, places, monkeypatch):
    assert compiled() == (8, False)
    if part == "numba":
        monkeypatch.setattr(numba, "__version__", "0")
    elif part == "python":
        monkeypatch.setattr(sys, "version", "3")
    else:
        from numba.core.registry import cpu_target

        codegen = type(cpu_target.target_context.codegen())
        monkeypatch.setattr(codegen, "magic_tuple", lambda self: ("another",))
    assert compiled() == (8, False)
    assert len(places.files()) == 2


def test_damaged_code_is_compiled_anew(places):
    compiled()
    (file,) = places.files()
    good = file.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    of_another = good[:32] + good[32:][::-1]
    for content in (b"", b"text", good[:31], good[:-1], good + b"x", bytes(flipped), of_another):
        file.write_bytes(content)
        assert compiled() == (8, False)
        assert compiled() == (8, True)
    file.unlink()
    file.mkdir()  # cannot even be opened
    assert compiled() == (8, False)


# ---------------------------------------------------------------- processes


def start(script, **environment):
    """A process with places for code of its own, unless given others."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**kept, **environment}, cwd="/",  # not where another copy may lie
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def output(process) -> str:
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    return out


SMALL = """
    from lava_async._kernel._cache import cached

    @cached("digest")
    def add(a, b):
        return a + b

    print(add(5, 3), add._cache_hits.total())
"""


def test_processes_that_start_together_fill_one_cache(tmp_path):
    processes = [start(SMALL, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(4)]
    for process in processes:
        assert output(process).split()[0] == "8"
    assert len(list((tmp_path / "lava_async").iterdir())) == 1
    assert output(start(SMALL, NUMBA_CACHE_DIR=str(tmp_path))) == "8 1\n"


def test_a_disk_that_takes_only_part_of_a_file(tmp_path):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    process = start(limited + textwrap.dedent(SMALL), NUMBA_CACHE_DIR=str(tmp_path))
    assert output(process) == "8 0\n"
    assert list((tmp_path / "lava_async").iterdir()) == []
    assert output(start(SMALL, NUMBA_CACHE_DIR=str(tmp_path))) == "8 0\n"
    assert output(start(SMALL, NUMBA_CACHE_DIR=str(tmp_path))) == "8 1\n"


KERNEL = """
    import numpy as np

    import lava_async as la
    from lava_async._kernel._entry import run_samples

    graph = la.Graph(
        (4,), (la.Population("a", (2,), 4096, 4096, 1),),
        (la.Dense(la.INPUT, 0, 2 * np.ones((2, 4), int)),),
    )
    spikes = la.simulate(graph, np.ones((4, 3), int)).spikes.sum()
    print(la.__file__, spikes, run_samples._cache_hits.total())
"""


STEPPER = """
    import numpy as np

    import lava_async as la
    from lava_async._kernel import Stepper
    from lava_async._kernel._entry import clear_state

    graph = la.Graph((1,), (la.Population("a", (1,), 0, 0, 1),), (la.OneToOne(la.INPUT, 0, 1),))
    Stepper(graph, la.Fifo())
    print(la.__file__, clear_state._cache_hits.total())
"""


def test_the_kernel_runs_where_package_and_home_are_read_only(tmp_path):
    package = tmp_path / "lava_async"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(lava_async.__file__).parent, package, ignore=ignore)
    (package / "_kernel" / "__pycache__").touch()  # stops root, too
    (tmp_path / "home").touch()
    (tmp_path / "tmp").mkdir()
    environment = {
        "PYTHONPATH": str(tmp_path),
        "HOME": str(tmp_path / "home" / "user"),
        "NUMBA_CACHE_DIR": str(tmp_path / "home" / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    # Of all entries the one that compiles in a moment stands for what is compiled there ...
    for hits in (0, 1):
        assert output(start(STEPPER, **environment)) == f"{package / '__init__.py'} {hits}\n"
    (kept,) = (tmp_path / "tmp").rglob("*.nbc")
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    # ... and the whole kernel, which the tests began with, for what was.
    for folder, _ in _cache.folders():
        for file in folder.glob("lava_async-run_samples-*.nbc"):
            shutil.copy(file, kept.parent)
    assert output(start(KERNEL, **environment)) == f"{package / '__init__.py'} 6 1\n"


def test_a_second_process_does_not_compile_the_kernel():
    # The first was the one that started the tests, in the same environment.
    assert output(start(KERNEL, **os.environ)).split()[1:] == ["6", "1"]


@pytest.mark.parametrize(
    "entry",
    [
        _entry.run_samples, _entry.run_step, _entry.clear_state,
        training.record_samples, training.credit_samples, training.learn_samples,
    ],
    ids=lambda entry: entry.__name__,
)  # fmt: skip
def test_the_digest_is_part_of_the_key_of_the_cache(entry):
    assert entry._cache._sources == _entry.digest(_entry.SOURCES)
