"""Data sets of one's own by where Python finds them, in every command, function and process."""

import dataclasses
import itertools
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lava_async._cli import main
from lava_async.datasets import lookup, registry
from lava_async.datasets.baseline import linear_on_counts
from lava_async.errors import FileFormatError, ValidationError
from lava_async.study import RECIPES, Study, cells, processes, run_study
from net_files import dense, neuron, write_net
from studies import cell_files, tables
from training_folders import refused, run

pytestmark = pytest.mark.timeout(240)

SOURCE = """
from __future__ import annotations
import dataclasses
import numpy as np
from lava_async.datasets.registry import DataSet
print("imported")

@dataclasses.dataclass  # which looks for its module
class Rows:
    wide: int = 5

def load(train):
    print("loaded")
    count = 24 if train else 12
    x, labels = np.zeros((count, 1, 2, Rows().wide, 4), np.uint8), np.arange(count) % 2
    x[np.arange(count), 0, labels, :, 0] = 1
    return x, labels

rows = DataSet("rows", "which row", (1, 2, 5), 2, 4, 1000, load)
"""
LATER = SOURCE.replace(":, 0] = 1", ":, 1] = 1")
"""Another definition: events come a time step later."""

SILENT = SOURCE.replace("print", "str")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory; what is imported from it is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))
    yield tmp_path
    forget(tmp_path)


def forget(folder):
    """As for a process that begins."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]
    lookup._ran.clear()
    cells.load.cache_clear()


def write(path, text=SOURCE):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def write_network():
    into = 60 * np.repeat(np.eye(2, dtype=int), 5, axis=1)
    write_net("network.net", [dense(into, neuron())])


# ---------------------------------------------------------------- where it is found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("own_rows.py", "own_rows:rows"),
        ("own_package/of/rows.py", "own_package.of.rows:rows"),
        ("own_rows.py", "own_rows.py:rows"),
        ("some folder/of-rows.py", "some folder/of-rows.py:rows"),
        ("some folder/of-rows.py", "./some folder/../some folder/of-rows.py:rows"),
        ("json.py", "json.py:rows"),
        ("a:b.py", "a:b.py:rows"),
    ],
)
def test_in_modules_and_files(path, text, folder, capsys):
    write(path)
    assert registry.describe(text) is registry.describe(text)
    assert capsys.readouterr().out == "imported\n", "once in a process"
    x, labels = registry.load_frames(text, train=False)
    assert (x.shape, x.sum(), len(labels)) == ((12, 1, 2, 5, 4), 60, 12)
    assert linear_on_counts(text).test_accuracy == 1
    assert text not in registry.NAMES and "rows" not in registry.NAMES
    assert sys.modules["json"] is json


def test_an_absolute_path_is_the_same_file(folder):
    write("sub/rows.py")
    same = registry.describe(f"{folder}/sub/rows.py:rows")
    assert same is registry.describe("sub/rows.py:rows")


def test_what_lies_beside_it_is_found_too_whenever_it_is_asked_for(folder):
    write("sub/own_rows.py")
    write("sub/main.py", "from own_rows import rows")
    write("sub/late.py", SOURCE.replace("1000, load", "1000, 'own_rows:load'"))
    assert registry.describe("sub/main.py:rows").name == "rows"
    assert registry.load_frames("sub/late.py:rows", train=True)[0].sum() == 120


def test_the_working_directory_comes_first(folder, monkeypatch):
    write("installed/own_rows.py", "")
    monkeypatch.syspath_prepend("installed")
    write("own_rows.py")
    assert registry.describe("own_rows:rows").name == "rows"


def test_the_same_text_is_another_file_in_another_folder(folder, monkeypatch):
    found = []
    for place, source in (("a", SOURCE), ("b", LATER)):
        write(folder / place / "rows.py", source)
        monkeypatch.chdir(folder / place)
        found.append(cells.describe_data("rows.py:rows", None, True, None)["digest"])
    assert found[0] != found[1]


def test_one_that_registers_itself_has_both_names(folder):
    write("own_rows.py", SOURCE + "\nfrom lava_async.datasets import registry"
          "\nregistry.register(rows)")  # fmt: skip
    assert registry.describe("own_rows:rows") is registry.describe("rows")


# ---------------------------------------------------------------- what is refused

COMMANDS = {
    "train": ["train", "--out", "out"],
    "evaluate": ["evaluate", "network.net"],
    "study": ["study", "--out", "out", "--given", "network.net"],
}
TWICE = "from lava_async.datasets import registry\nregistry.register(registry.describe('digits'))"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("source", "text", "says"),
    [
        (None, "own:rows", "module: expected one in {folder}, or installed (got no own)"),
        (None, "own.sub:rows", "module: expected one in {folder}, or installed (got no own.sub)"),
        ("", "own.sub:rows", "module: expected one in {folder}, or installed (got no own.sub)"),
        (None, "own.py:rows", "file: expected an existing one (got no own.py in {folder})"),
        (None, "/none/own.py:rows", "file: expected an existing one (got no /none/own.py in "),
        ("1 / 0", "own:rows", "module own: expected one that runs to its end (python -c 'import "
         "own' shows where it does not) (got ZeroDivisionError: division by zero)"),
        ("1 / 0", "own.py:rows", "file own.py: expected one that runs to its end (python own.py "
         "shows where it does not) (got ZeroDivisionError: division by zero)"),
        ("import none_such", "own:rows", "ModuleNotFoundError: No module named 'none_such')"),
        ("import own.none", "own:rows", "ModuleNotFoundError: No module named 'own.none'"),
        ("def", "own:rows", "(got SyntaxError: invalid syntax (own.py, line 1))"),
        ("raise SystemExit(3)", "own:rows", "(got SystemExit: 3)"),
        ("raise ValueError('a\\nb')", "own.py:rows", "(got ValueError: a b)"),
        (TWICE, "own:rows", "(got ValidationError: register: name: expected one that is not "
         "taken (got 'digits'))"),
        (SILENT, "own:cols", "own: expected a DataSet: rows (got no cols)"),
        (SILENT, "own:load", "own: expected a DataSet: rows (got function load)"),
        (SILENT, "own.py:DataSet", "own.py: expected a DataSet: rows (got type DataSet)"),
        ("", "own:rows", "own: expected a DataSet (got no rows)"),
        (SILENT.replace('"rows"', '"digits"'), "own:rows",
         "name: expected one that no other data set has (got 'digits')"),
        (SILENT.replace("5), 2", "5), 0"), "own:rows",
         "(got ValidationError: data set rows: num_classes: expected an integer >= 1 (got 0))"),
        (None, ":rows", "text: expected MODULE:NAME or FILE.py:NAME (got ':rows')"),
        (None, "own:", "text: expected MODULE:NAME or FILE.py:NAME (got 'own:')"),
        (None, "own:a.b", "text: expected MODULE:NAME or FILE.py:NAME (got 'own:a.b')"),
        (None, "..own:rows", "text: expected MODULE:NAME or FILE.py:NAME (got '..own:rows')"),
        (None, "own.txt/:rows", "text: expected MODULE:NAME or FILE.py:NAME"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_in_one_line_before_anything_is_made(command, source, text, says, folder, capsys):
    write_network()
    if source is not None:
        write("own.py", source)
    before = sorted(folder.glob("[!_]*"))
    err = refused(capsys, *COMMANDS[command], "--data", text)
    assert err.startswith(f"lava-async: --data {text}: ")
    assert says.format(folder=folder) in err
    assert sorted(folder.glob("[!_]*")) == before


@pytest.mark.parametrize("text", ["own_rows:rows", "own_rows.py:rows"])
def test_what_a_process_has_run_may_not_change(text, folder):
    write("own_rows.py")
    registry.describe(text)
    write("own_rows.py", LATER)
    with pytest.raises(ValidationError, match=r"file: expected one as this process ran it"):
        registry.describe(text)
    write("own_rows.py")
    registry.describe(text)


def test_a_module_of_another_folder_is_not_taken_for_that_of_this_one(folder, monkeypatch):
    for place in ("first", "second"):
        write(f"{place}/own_rows.py")
    monkeypatch.chdir("first")
    found = registry.describe("own_rows:rows")
    monkeypatch.chdir(folder / "second")
    with pytest.raises(ValidationError, match=r"first/own_rows\.py, imported before\)"):
        registry.describe("own_rows:rows")
    assert registry.describe("own_rows.py:rows") is not found
    monkeypatch.chdir(folder)  # where there is none of that name
    assert registry.describe("own_rows:rows") is found


@pytest.mark.parametrize(
    ("ends", "got"),
    [
        ("sys.exit()", "SystemExit: "),
        ("sys.exit('fetch it')", "SystemExit: fetch it"),
        ("import notthere", "ModuleNotFoundError: No module named 'notthere'"),
        ("open('raw.npy')", "FileNotFoundError: "),
        ("1 / 0", "ZeroDivisionError: "),
    ],
)
def test_however_a_loader_ends_it_is_named(ends, got, folder, capsys):
    write_network()
    write("own.py", SILENT.replace('    str("loaded")', f"    import sys; {ends}"))
    for command in COMMANDS.values():
        err = refused(capsys, *command, "--data", "own.py:rows")
        assert f"own.py:rows: loader: expected frames and labels of it (got {got}" in err


def test_a_file_that_failed_may_be_mended(folder):
    write("own.py", "1 / 0")
    with pytest.raises(ValidationError, match="division by zero"):
        registry.describe("own.py:rows")
    write("own.py")
    assert registry.describe("own.py:rows").name == "rows"


@pytest.mark.parametrize("name", ["own", "rows.py", "", 3, None, "own:rows", "rows.py:rows", ":"])
def test_a_study_knows_no_other_names(name):
    with pytest.raises(ValidationError, match=r"^study: data: expected ") as caught:
        Study(data=name)
    assert type(caught.value.__cause__) is ValidationError  # which names the text


# ---------------------------------------------------------------- commands


def test_train_records_it_and_runs_its_code_for_who_names_it_only(folder, capsys):
    write("own_rows.py")
    train = ["train", "--out", "out", "--json"]
    own = ["--data", "own_rows:rows"]
    first = json.loads(run(capsys, *train, *own, "--layers", "6", "--epochs", "1"))
    recorded = json.loads(Path("out/metrics.json").read_text())
    assert first["data"] == recorded["data"] == "own_rows:rows"
    assert recorded["recipe"]["input_shape"] == [1, 2, 5]
    assert recorded["recipe"]["sizes"] == [6, 2]

    forget(folder)
    wanted = "data: expected own_rows:rows given again (--data), as its code will run (got "
    assert f"{wanted}none)" in refused(capsys, *train, "--resume")
    assert f"{wanted}digits)" in refused(capsys, *train, "--resume", "--data", "digits")
    assert "own_rows" not in sys.modules, "a checkpoint must not run code"
    from lava_async.study.training import Training

    with pytest.raises(FileFormatError, match="given again"):
        Training.resume(Path("out"))
    second = json.loads(run(capsys, *train, "--resume", *own, "--epochs", "2"))
    assert (second["epoch"], second["data"]) == (2, "own_rows:rows")

    result = json.loads(run(capsys, "evaluate", "out/network.net", *own, "--json"))
    assert (result["data"], result["samples"]) == ("own_rows:rows", 12)


def test_completion_runs_no_code(folder, capsys, monkeypatch):
    write("own_rows.py")
    line = "train --data own_rows:rows --meth"
    monkeypatch.setenv("_LAVA_ASYNC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"lava-async {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
    assert main([]) == 0
    assert capsys.readouterr().out.split() == ["--method"]
    assert "own_rows" not in sys.modules


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_so(command, capsys):
    text = run(capsys, command, "--help")
    assert "|MODULE:NAME|FILE.py:NAME]" in text.replace("\n", "").replace(" ", "")


# ---------------------------------------------------------------- studies

STUDY = ["study", "--schedules", "layer,fifo:1", "--stop-after", "", "--json"]


def shorter(monkeypatch):
    """No figures, which take longer than all else here."""
    monkeypatch.setattr("lava_async.study.pages.write_pages", lambda *rows, **options: [])


@pytest.mark.parametrize("text", ["own_rows:rows", "sub/rows.py:rows"])
def test_processes_find_it_from_where_the_study_is(text, folder, capfd, monkeypatch):
    shorter(monkeypatch)
    # Those that are there already work in another folder.
    monkeypatch.chdir(folder.parent)
    assert dict(processes.each(os.getcwd, [{0: ()}, {1: ()}], str, jobs=2))
    monkeypatch.chdir(folder)
    write("own_rows.py")
    write("sub/rows.py")
    write_network()
    documents = []
    for jobs in ("2", "1"):
        args = [*STUDY, "--data", text, "--given", "network.net"]
        assert main([*args, "--out", jobs, "--jobs", jobs]) == 0
        documents.append(json.loads(capfd.readouterr().out))  # and nothing that code prints
    assert [document.pop("out") for document in documents] == ["2", "1"]
    assert documents[0] == documents[1] and documents[0]["computed"] == 2
    assert {row["data"] for row in documents[0]["rows"]} == {text}
    assert tables(folder / "1") == tables(folder / "2")
    assert cell_files(folder / "1").keys() == cell_files(folder / "2").keys()


@pytest.mark.parametrize("text", ["own_rows:rows", "sub/rows.py:rows"])
def test_trainings_find_it_from_where_the_study_is(text, folder, monkeypatch):
    write("own_rows.py")
    write("sub/rows.py")
    recipe = dataclasses.replace(RECIPES["default"], sizes=(6, 2), epochs=1)
    study = Study(data=text, methods=("decisive",), seeds=1, recipe=recipe)
    cell = {
        "settings": study.trainings()[0].settings.to_dict(), "code": cells.code(),
        "data": cells.describe_data(text, None, True, None),
    }  # fmt: skip
    here = cells.train(cell, None)
    monkeypatch.chdir(folder.parent)
    forget(folder)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if str(folder) not in place])
    assert lookup.call_from(str(folder), cells.train, cell, None) == here
    assert os.getcwd() == str(folder.parent) and lookup.folder() == os.getcwd()


def test_workers_of_a_cluster_find_it_too(folder, monkeypatch):
    distributed = pytest.importorskip("dask.distributed")
    shorter(monkeypatch)
    monkeypatch.chdir(folder.parent)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        monkeypatch.chdir(folder)
        write_network()
        write("sub/rows.py")
        study = Study(data="sub/rows.py:rows", methods=(), given=("network.net",))
        outcome = run_study(study, "cluster", scheduler=cluster.scheduler_address)
    assert outcome.computed == len(outcome.rows) == 4
    assert run_study(study, "here", jobs=1).rows == outcome.rows


def test_cells_are_those_of_the_definition(folder, monkeypatch):
    shorter(monkeypatch)
    write_network()
    write("own_rows.py")
    study = Study(
        data="own_rows:rows", methods=(), given=("network.net",), schedules=("layer", "fifo")
    )

    def computed(source, samples=None):
        forget(folder)
        write("own_rows.py", source)
        found = run_study(dataclasses.replace(study, samples=samples), f"of {samples}", jobs=1)
        return found.computed

    assert computed(SOURCE) == 2
    assert computed(SOURCE + "\n# the same samples") == 0
    assert computed(LATER) == 2
    assert computed(SOURCE) == 0, "still there"
    assert computed(SOURCE, 4) == 2


# ---------------------------------------------------------------- installed packages


def install(folder, package, **points):
    """As a package manager does it, for a package that is there."""
    place = folder / f"{package}-1.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (place / "entry_points.txt").write_text("\n".join(["[lava_async.datasets]", *lines, ""]))


@pytest.fixture
def packages(folder, monkeypatch):
    """A folder of installed packages, outside of the working directory."""
    monkeypatch.syspath_prepend(folder / "packages")
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    return folder / "packages"


def test_an_installed_package_has_a_name_for_it(packages, capsys, monkeypatch):
    write(packages / "shipped.py", SILENT)
    install(packages, "shipped", rows="shipped:rows")
    write("shipped.py", "1 / 0")  # in the working directory, which has no say in it
    assert "rows" not in registry.NAMES
    write_network()
    document = run(capsys, "evaluate", "network.net", "--data", "rows", "--json")
    assert json.loads(document)["data"] == "rows"
    assert registry.describe("rows").about == "which row"
    with pytest.raises(ValidationError, match="not taken"):
        registry.register(registry.describe("rows"))


def test_it_is_told_of_installed_names(packages, capsys, monkeypatch):
    install(packages, "shipped", rows="shipped:rows")
    assert "dvsgesture, rows, or your own as" in refused(capsys, *COMMANDS["train"], "--data", "x")
    monkeypatch.setenv("_LAVA_ASYNC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "lava-async train --data ro")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert main([]) == 0
    assert capsys.readouterr().out.split() == ["rows"]


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([{"rows": "gone:rows"}], "data gone:rows: module: expected one that is installed"),
        ([{"rows": "shipped:load"}], "shipped: expected a DataSet: rows (got function "),
        ([{"rows": "shipped:rows.name"}], "text: expected MODULE:NAME"),
        ([{"rows": "shipped:rows"}, {"rows": "b:rows"}],
         "data rows: package: expected one that has it as entry point of lava_async.datasets (got "
         "b:rows and shipped:rows)"),
        ([{"lines": "shipped:rows"}],
         "data lines: shipped:rows: expected a DataSet of that name (got 'rows')"),
    ],
)  # fmt: skip
def test_packages_that_are_wrong_are_refused(points, says, packages, capsys):
    write(packages / "shipped.py", SILENT)
    for number, each in enumerate(points):
        install(packages, f"package{number}", **each)
    assert says in refused(capsys, *COMMANDS["train"], "--data", next(iter(points[0])))


def test_the_same_package_seen_twice_is_one(packages, folder, monkeypatch):
    write(packages / "shipped.py", SILENT)
    for place in (packages, folder / "others"):
        install(place, "shipped", rows="shipped:rows")
    monkeypatch.syspath_prepend(folder / "others")
    assert registry.describe("rows").name == "rows"
