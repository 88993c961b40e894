"""`atomic_path`: a whole file, or what was there before."""

import numpy as np
import pytest

from lava_async._files.atomic import atomic_path
from lava_async.errors import ValidationError


class TestAtomicPath:
    def test_success(self, tmp_path):
        with atomic_path(tmp_path / "out.npz") as path:
            np.savez(path, a=1)
            assert not (tmp_path / "out.npz").exists()
        assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_failure_leaves_everything_as_it_was(self, tmp_path, error):
        target = tmp_path / "out.txt"
        target.write_text("before")
        with pytest.raises(error), atomic_path(target) as path:
            path.write_text("half")
            raise error
        assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]

    def test_missing_folder(self, tmp_path):
        with (
            pytest.raises(ValidationError, match="expected an existing folder"),
            atomic_path(tmp_path / "no" / "out"),
        ):
            pytest.fail("must not start")

    def test_folder_as_target(self, tmp_path):
        with pytest.raises(ValidationError, match="expected a file"), atomic_path(tmp_path):
            pytest.fail("must not start")

    def test_read_only_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
        with (
            pytest.raises(ValidationError, match="expected a writable folder"),
            atomic_path(tmp_path / "out"),
        ):
            pytest.fail("must not start")
