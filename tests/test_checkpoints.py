"""Checkpoints: what is damaged, foreign or altered is refused, never taken for other values."""

import copy
import dataclasses
import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch

import lava_async as la
from lava_async.errors import FileFormatError
from lava_async.study import checkpoint
from lava_async.study.settings import DIGITS, OF_0_1_0, TUTORIAL, Settings
from lava_async.study.training import Training
from training_folders import assert_same, contents, refused, run

CONVOLUTIONAL = dataclasses.replace(DIGITS, channels=(4, 4), sizes=(16, 10), gradient="unrolled")
WRITTEN_BY_0_1_0 = Path(__file__).parent / "written_by_0_1_0" / "run" / "network.pt"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "out"


@pytest.fixture
def trained(few_digits, kept, capsys):
    """A training folder with one epoch."""
    if not kept.exists():
        run(capsys, "train", "--out", str(kept), "--epochs", "1")
    return kept


@pytest.fixture
def out(trained, tmp_path):
    """A copy of it, `out` in the working directory."""
    (tmp_path / "out").mkdir()
    for name, content in contents(trained).items():
        (tmp_path / "out" / name).write_bytes(content)
    return tmp_path / "out"


def altered(content, *path, value):
    """A copy with another value at one place; None removes it."""
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


# ---------------------------------------------------------------- damage


def not_in_tensors(path):
    """The places of a checkpoint's bytes that are headers, names, sums, or the pickle."""
    data = path.read_bytes()
    places = set(range(len(data)))
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if "/data/" in entry.filename:
                name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
                start = entry.header_offset + 30 + name + extra
                places -= set(range(start, start + entry.file_size))
    return sorted(places)


@pytest.mark.parametrize("of", ["0.1.0", "now"])
@pytest.mark.parametrize("where", ["anywhere", "not in tensors"])
def test_a_damaged_byte_is_refused_or_does_not_matter(of, where, trained, tmp_path):
    source = WRITTEN_BY_0_1_0 if of == "0.1.0" else trained / "network.pt"
    good, content = source.read_bytes(), checkpoint.read(source)
    places = range(len(good)) if where == "anywhere" else not_in_tensors(source)
    draw = random.Random(7)
    path = tmp_path / "network.pt"
    refusals = 0
    for _ in range(300):
        damaged = bytearray(good)
        damaged[draw.choice(places)] ^= draw.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            assert_same(checkpoint.read(path), content)
        except FileFormatError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            refusals += 1
    assert refusals > (100 if where == "not in tensors" else 280)


def test_damaged_attributes_do_not_make_a_tensor_of_memory(trained, tmp_path):
    # PyTorch takes the entry for a folder, reads nothing and hands out what lies in memory.
    path = tmp_path / "network.pt"
    for source in (WRITTEN_BY_0_1_0, trained / "network.pt"):
        content, data = checkpoint.read(source), bytearray(source.read_bytes())
        entry = data.find(b"PK\x01\x02")
        while entry >= 0:
            data[entry + 38] |= 0x10
            entry = data.find(b"PK\x01\x02", entry + 4)
        path.write_bytes(data)
        assert_same(checkpoint.read(path), content)


def test_cut_and_filled_files_are_refused(trained, tmp_path):
    good, path = (trained / "network.pt").read_bytes(), tmp_path / "network.pt"
    size = len(good)
    for cut in (0, 1, 100, size // 2, size - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(FileFormatError, match="an undamaged one that train wrote"):
            checkpoint.read(path)
    for start in (0, size // 3, size - 4096):
        path.write_bytes(good[:start] + bytes(4096) + good[start + 4096 :])
        with pytest.raises(FileFormatError, match="an undamaged one that train wrote"):
            checkpoint.read(path)


# ---------------------------------------------------------------- content


def test_other_content_than_was_written_is_refused(out, capsys):
    path = out / "network.pt"
    content = torch.load(path)
    weight = next(name for name, value in content["network"].items() if value.ndim > 1)
    nudged = content["network"][weight].clone()
    nudged.view(-1)[5] += 2**-20
    first = next(iter(content["optimizer"]["state"]))
    moment = content["optimizer"]["state"][first]["exp_avg"] * 2
    for place, value in (
        (("network", weight), nudged),
        (("optimizer", "state", first, "exp_avg"), moment),
        (("optimizer", "param_groups", 0, "lr"), 1e-3),
        (("history", 0, "loss"), 0.0),
        (("settings", "seed"), 1),
        (("settings", "schedule", "noise"), 1.0),
        (("settings", "recipe", "penalty"), 1.0),
        (("settings", "recipe"), None),
        (("digest",), "0" * 64),
        (("more",), 1),
    ):
        torch.save(altered(content, *place, value=value), path)
        line = refused(capsys, "train", "--out", "out", "--epochs", "2", "--resume")
        assert line.startswith("lava-async: out/network.pt: checkpoint: expected"), place
        assert "its digest" in line, place
    torch.save(content, path)  # the same in another file
    assert checkpoint.read(path).keys() == content.keys() - {"digest"}


def test_digest_tells_types_shapes_and_order():
    values = [
        1, 1.0, True, "1", None, [1], (1,), {1: 1}, {"1": 1}, [[1], 2], [1, [2]], [1, 2], "1 2",
        ["1 2"], ["1", "2"], {1: 2, 3: 4}, {3: 4, 1: 2},
        torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(6), torch.zeros(6, dtype=torch.int32),
        torch.zeros(6, dtype=torch.bfloat16), torch.zeros(0), torch.tensor(0.0),
        torch.tensor([0.0, -0.0]), torch.tensor([-0.0, 0.0]),
    ]  # fmt: skip
    assert len({checkpoint.digest(value) for value in values}) == len(values)


def test_digest_does_not_depend_on_how_a_tensor_lies():
    value = torch.arange(12.0).reshape(3, 4)
    parameter = torch.nn.Parameter(value.clone())
    for same in (value.t().contiguous().t(), value.repeat(2, 1)[3:], parameter):
        assert checkpoint.digest(same) == checkpoint.digest(value)


def without_digest(content):
    return {key: value for key, value in content.items() if key != "digest"}


def test_foreign_checkpoints_are_refused(out, capsys):
    path = out / "network.pt"
    content = without_digest(torch.load(path))
    weight = next(name for name, value in content["network"].items() if value.ndim > 1)
    first = next(iter(content["optimizer"]["state"]))
    foreign = {
        "not ours": {"weight": torch.ones(3)},
        "a list": [1, 2],
        "a tensor": torch.ones(3),
        "later version": {**content, "format_version": 2},
        "no optimizer": altered(content, "optimizer", value=None),
        "settings": {**content, "settings": [1]},
        "no seed": altered(content, "settings", "seed", value=None),
        "seed": altered(content, "settings", "seed", value=-1),
        "data": altered(content, "settings", "data", value="cats"),
        "schedule": altered(content, "settings", "schedule", value={"scheduler": "x"}),
        "group size": altered(content, "settings", "schedule", "group_size", value="x"),
        "recipe": altered(content, "settings", "recipe", value=[1]),
        "part of a recipe": altered(content, "settings", "recipe", "loss", value=None),
        "more of a recipe": altered(content, "settings", "recipe", "more", value=1),
        "other layers": altered(content, "settings", "recipe", "sizes", value=[32, 10]),
        "no layers": altered(content, "settings", "recipe", "sizes", value=[]),
        "gradient": altered(content, "settings", "recipe", "gradient", value="other"),
        "batch size": altered(content, "settings", "recipe", "batch_size", value=0),
        "learning rate": altered(content, "settings", "recipe", "learning_rate", value="x"),
        "history": {**content, "history": [1]},
        "epochs": altered(content, "history", 0, "epoch", value=2),
        "other network": {**content, "network": {"weight": torch.ones(3)}},
        "other shape": altered(content, "network", weight, value=torch.ones(3)),
        "no tensor": altered(content, "network", weight, value=3),
        "groups": altered(content, "optimizer", "param_groups", value=[]),
        "no groups": altered(content, "optimizer", "param_groups", value=None),
        "state": altered(content, "optimizer", "state", value=[]),
        "state of one": altered(content, "optimizer", "state", first, value=3),
    }
    for kind, value in foreign.items():
        torch.save(value, path)
        before = contents(out)
        line = refused(capsys, "train", "--out", "out", "--epochs", "2", "--resume")
        assert line.startswith("lava-async: out/network.pt: ") and ": expected " in line, kind
        assert contents(out) == before, kind
    for text in (b"", b"no checkpoint", b"PK\x05\x06" + bytes(18)):
        path.write_bytes(text)
        line = refused(capsys, "train", "--out", "out", "--epochs", "2", "--resume")
        assert "expected an undamaged one that train wrote" in line


def test_a_foreign_checkpoint_runs_no_code(out, capsys, tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    torch.save({"format_version": 1, "settings": Malicious()}, out / "network.pt")
    line = refused(capsys, "train", "--out", "out", "--epochs", "2", "--resume")
    assert "(got UnpicklingError)" in line and not (tmp_path / "run").exists()


# ---------------------------------------------------------------- errors of our own


@pytest.mark.parametrize("error", [TypeError, KeyError, ValueError, AttributeError])
@pytest.mark.parametrize("at", ["network", "settings", "digest"])
def test_errors_of_our_own_are_not_taken_for_a_bad_checkpoint(error, at, out, monkeypatch):
    def broken(*args, **options):
        raise error("broken")

    owner, name = {
        "network": ("lava_async.study.recipe", "build_network"),
        "settings": ("lava_async._semantics.schedule", "from_dict"),
        "digest": ("lava_async.study.checkpoint", "digest"),
    }[at]
    monkeypatch.setattr(f"{owner}.{name}", broken)
    with pytest.raises(error, match="broken"):
        Training.resume(out)


def test_the_error_has_its_parts(out):
    content = without_digest(torch.load(out / "network.pt"))
    torch.save(altered(content, "settings", "seed", value=-1), out / "network.pt")
    with pytest.raises(FileFormatError) as raised:
        Training.resume(out)
    error = raised.value
    assert (error.what, error.expected, error.got) == ("seed", "0 <= seed < 2**64", -1)
    assert str(error.where).startswith(str(out / "network.pt"))


@pytest.mark.parametrize(
    "schedule",
    [la.LayerSync(), la.Momentum(4, noise=0.5, seed=3), la.Fifo(2),
     la.Mixture([la.Momentum(8), la.Random(1, seed=2), la.LayerSync()], weights=[1, 2, 3])],
)  # fmt: skip
@pytest.mark.parametrize("recipe", [DIGITS, TUTORIAL, OF_0_1_0, CONVOLUTIONAL])
def test_settings_come_back(schedule, recipe, tmp_path):
    training = Training(Settings("digits", schedule, 2**64 - 1, recipe))
    (tmp_path / "network.pt").write_bytes(
        checkpoint.dump(
            {
                "settings": training.settings.to_dict(),
                "history": [],
                "network": training.network.state_dict(),
                "optimizer": training.optimizer.state_dict(),
            }
        )
    )
    resumed = Training.resume(tmp_path)
    assert resumed.settings == training.settings
    assert_same(resumed.network.state_dict(), training.network.state_dict())
