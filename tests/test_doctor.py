"""``lava-async doctor``: what it says of a sound installation, and of each way to be broken."""

import fcntl
import importlib.metadata
import json
import os
import re
import subprocess
import sys

import pytest

import lava_async as la
from lava_async import _doctor
from lava_async._cli import main
from lava_async._doctor import installation, self_test
from lava_async._simulate import BACKENDS

pytestmark = pytest.mark.timeout(120)

HAS_LAVA = sys.version_info < (3, 13)
HEAVY = ("torch", "lava.magma", "lava.lib.dl.slayer", "tonic", "matplotlib", "sklearn", "pandas")


def look_around():
    return {finding.name: finding for finding in _doctor.look_around()}


def start(folder, *args, before="", **environment):
    """The command in a process of its own; ``before`` runs at the start of all its processes."""
    (folder / "sitecustomize.py").write_text(before)
    program = (
        "import sys; from lava_async._cli import main\n"
        f"status = main({['doctor', *args]!r})\n"
        f"print('loaded:', [m for m in {HEAVY!r} if sys.modules.get(m)], file=sys.stderr)\n"
        "sys.exit(status)"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PYTHONPATH": str(folder), **environment}, check=False,
    )  # fmt: skip


def test_a_sound_installation(tmp_path):
    done = start(tmp_path)
    assert (done.returncode, done.stderr) == (0, "loaded: []\n")
    *lines, last = done.stdout.splitlines()
    assert last == "all is well"
    found = dict(line.split(maxsplit=1) for line in lines if not line.startswith(("back", "kern")))
    assert found["lava-async"].startswith(f"{la.__version__}, ")
    assert sys.executable in found["python"]
    assert found["environment"] == f"PYTHONPATH={tmp_path}" or "NUMBA" in found["environment"]
    for package in ("numpy", "numba", "llvmlite", "h5py", "joblib", "typer", "rich"):
        assert found[package] == importlib.metadata.version(package)
    for package in ("lava-nc", "lava-dl", "torch"):
        missing = "not installed, as it needs Python 3.10 to 3.12"
        assert found[package] == (importlib.metadata.version(package) if HAS_LAVA else missing)
    assert any(line.startswith("kernel cache        /") for line in lines)
    tried = [line.split() for line in lines if line.startswith("backend ")]
    assert [name for _, name, *_ in tried] == list(BACKENDS)
    if HAS_LAVA:
        assert all(" ".join(told[2:5]) == "ok, same spikes," for told in tried[1:])
        assert found["trainer"].startswith("ok, same spikes, ")


ONLY_TRAINER = "from lava_async._doctor import self_test\nself_test.TRIED = ('trainer',)\n"

WHAT_IS_DECLARED = """
import importlib.metadata, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

declared, left = set(), [("lava-async", "")]
while left:
    declared.add(now := left.pop())
    try:
        requirements = map(Requirement, importlib.metadata.requires(now[0]) or ())
    except importlib.metadata.PackageNotFoundError:
        continue
    for needed in requirements:
        if needed.marker is None or needed.marker.evaluate({"extra": now[1]}):
            more = {(canonicalize_name(needed.name), extra) for extra in ("", *needed.extras)}
            left.extend(more - declared)
names = {name for name, extra in declared}
for module, of in importlib.metadata.packages_distributions().items():
    if not names.intersection(map(canonicalize_name, of)) and module not in sys.modules:
        sys.modules[module] = None
"""


def test_what_is_declared_is_enough(tmp_path):
    """An environment of the user's own has nothing of what only the tests need."""
    done = start(tmp_path, "--json", before=WHAT_IS_DECLARED + ONLY_TRAINER)
    document = json.loads(done.stdout)
    says = "ok, same spikes, " if HAS_LAVA else "not without "
    assert document["found"]["trainer"].startswith(says), document["found"]["trainer"]


def test_a_package_that_slayer_needs_and_nobody_lists(tmp_path):
    missing = "import sys\nsys.modules['setuptools'] = None\n"
    done = start(tmp_path, "--json", before=missing + ONLY_TRAINER)
    document = json.loads(done.stdout)
    assert (done.returncode, document["wrong"]) == ((1, ["trainer"]) if HAS_LAVA else (0, []))
    assert not HAS_LAVA or "setuptools" in document["found"]["trainer"]


def test_json_holds_the_same(capsys, monkeypatch):
    monkeypatch.setattr("lava_async._doctor.self_test.TRIED", ("reference", "kernel"))
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["wrong"]) == (True, [])
    assert document["found"]["numpy"] == importlib.metadata.version("numpy")
    assert document["found"]["backend kernel"].startswith("ok, same spikes, ")


WITHOUT_LAVA = """
import importlib.metadata, sys
sys.modules.update(dict.fromkeys(("lava", "torch")))
genuine = importlib.metadata.version
def version(name):
    if name in ("lava-nc", "lava-dl", "torch"):
        raise importlib.metadata.PackageNotFoundError(name)
    return genuine(name)
importlib.metadata.version = version
"""


@pytest.mark.parametrize("expected", [True, False], ids=["too new a Python", "should be there"])
def test_without_lava_and_torch(expected, tmp_path):
    first = (3, 0) if expected else (9, 0)
    patch = (
        f"from lava_async._doctor import installation\ninstallation._FIRST_WITHOUT_LAVA = {first}\n"
    )
    done = start(tmp_path, "--json", before=WITHOUT_LAVA + patch)
    document = json.loads(done.stdout)
    wrong = [] if expected else ["torch", "lava-nc", "lava-dl"]
    assert (done.returncode, document["wrong"]) == (1 if wrong else 0, wrong), done.stderr
    says = "not installed: install lava-async anew" if wrong else (
        "not installed, as it needs Python 3.10 to 3.12"
    )  # fmt: skip
    assert {document["found"][name] for name in ("torch", "lava-nc", "lava-dl")} == {says}
    assert document["found"]["backend lava"] == "not without lava"
    assert document["found"]["backend graph"] == "not without lava"
    assert document["found"]["trainer"] == "not without torch"
    assert document["found"]["backend kernel"].startswith("ok, same spikes, ")


# ---------------------------------------------------------------- what is broken


def test_a_package_that_should_be_there(monkeypatch):
    monkeypatch.setitem(installation._CORE, "a-package-that-is-not", "nothing")
    monkeypatch.setitem(installation._CORE, "numpy", "a_module_that_is_not")
    found = look_around()
    assert str(found["a-package-that-is-not"]) == "WRONG: not installed: install lava-async anew"
    assert str(found["numpy"]).endswith("but no module a_module_that_is_not: install it anew")
    assert not found["numpy"].ok and found["h5py"].ok


def test_an_extra_may_be_missing(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    nir = look_around()["nir"]
    assert (nir.ok, nir.text) == (True, "not installed; comes with lava-async[nir]")


@pytest.mark.parametrize("kept", [True, False])
def test_no_place_for_kernels(kept, monkeypatch, tmp_path):
    from lava_async._kernel import _cache

    (tmp_path / "file").touch()
    monkeypatch.setattr(_cache, "folders", lambda: [(tmp_path / "file" / "kernels", False)])
    monkeypatch.setattr(_cache, "is_kept", lambda name, sources: kept)
    found = look_around()["kernel cache"]
    assert found.ok is kept
    assert "set NUMBA_CACHE_DIR to a folder that you may write" in found.text
    assert found.text.endswith("compiled: " + (", ".join(installation._KERNELS) * kept or "none"))


def test_all_kernels_are_told():
    from lava_async._kernel import _entry

    sources = "".join(file.read_text() for file in _entry.SOURCES)
    kept = set(re.findall(r"^@on_disk\ndef (\w+)", sources, re.MULTILINE))
    # Clearing the state of a network is compiled in no time.
    assert kept == {*installation._KERNELS, "clear_state"}


def test_a_compiler_that_does_not_load(tmp_path):
    broken = "import sys\nsys.modules['numba'] = None\n"
    done = start(tmp_path, "--json", before=broken)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["wrong"] == [
        "numba",
        "kernel cache",
        *(f"backend {name}" for name in BACKENDS[1 : 4 if HAS_LAVA else 2]),
        *(["trainer"] if HAS_LAVA else []),
    ]
    assert "numba" in document["found"]["backend kernel"]
    assert document["found"]["backend reference"].startswith("ok, ")


def test_a_data_root_that_cannot_be(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAVA_ASYNC_DATA", str(tmp_path / "file" / "data"))
    found = look_around()
    assert not found["data root"].ok
    assert "set LAVA_ASYNC_DATA to one that can" in found["data root"].text
    assert f"LAVA_ASYNC_DATA={tmp_path / 'file' / 'data'}" in found["environment"].text


def test_a_data_root_may_be_read_only(monkeypatch, tmp_path):
    monkeypatch.setenv("LAVA_ASYNC_DATA", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # which root may do all the same
    assert str(look_around()["data root"]) == f"{tmp_path}, to read only"


BROKEN = {
    "dies": ("os.kill(os.getpid(), 9)", "the process ended (killed by SIGKILL)"),
    "exits": ("print('a library', file=sys.stderr); os._exit(3)",
              "the process ended (exit status 3): a library"),
    "raises": ("raise OSError('no\\nsuch thing')", "OSError: no such thing"),
    "never fires": ("return dataclasses.replace(record, spikes=0 * record.spikes)",
                    "no spike came out"),
    "differs": ("record.all_spikes[0, 0, 0] ^= 1; return record", "sample 0, time step 0, "),
    "hangs": ("os.fork(); time.sleep(1000)", "no answer within 5 s"),
}  # fmt: skip

FAULT = """
import dataclasses, fcntl, os, sys, time
from lava_async._doctor import self_test
genuine = self_test.simulate

def simulate(*args, backend, **options):
    record = genuine(*args, backend=backend, **options)
    if backend == "kernel":
        global held
        held = open("held", "w")
        fcntl.flock(held, fcntl.LOCK_EX)  # until all who have it are gone
        %s
    return record

self_test.simulate = simulate
"""


@pytest.mark.parametrize("how", BROKEN)
def test_a_backend_that_is_broken(how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fault, says = BROKEN[how]
    monkeypatch.setattr(self_test, "_START", f"{self_test._START}".replace(
        "from {module}", "exec(open('fault.py').read()); from {module}"
    ))  # fmt: skip
    (tmp_path / "fault.py").write_text(FAULT % fault)
    monkeypatch.setattr(self_test, "TRIED", ("kernel", "reference"))
    tried = _doctor.try_backends()
    with monkeypatch.context() as patched:
        if how == "hangs":
            patched.setattr(self_test, "TIME_LIMIT", 5.0)
        broken = next(tried)
    (other,) = tried
    assert (broken.name, broken.ok) == ("backend kernel", False)
    assert broken.text.startswith(says)
    assert (other.name, other.ok) == ("backend reference", True), other.text
    with open("held", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody is left


@pytest.mark.parametrize("kept", [{"run_samples"}, {"run_samples", "run_step", "record_samples"}])
def test_what_the_attempts_compile_is_told_before_they_begin(kept, monkeypatch):
    from lava_async._kernel import _cache

    told = []
    monkeypatch.setattr(_cache, "announce", told.append)
    monkeypatch.setattr(_cache, "is_kept", lambda kernel, sources: kernel in kept)
    monkeypatch.setattr(self_test, "_answers", lambda backends, complaints: [
        (backend, str(told), True) for backend in backends
    ])  # fmt: skip
    missing = [name for name in ("run_step", "record_samples") if name not in kept]
    assert {finding.text for finding in self_test.try_backends()} == {str(missing)}
