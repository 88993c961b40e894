"""Training in a folder: a checkpoint after each epoch, from which it goes on to the same bits."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lava_async._files.atomic import atomic_paths
from lava_async.datasets import lookup
from lava_async.errors import (
    ExecutionError,
    FileFormatError,
    TrainingWarning,
    ValidationError,
)
from lava_async.study import checkpoint, health, recipe
from lava_async.study.data import Split, fit_to, load_split
from lava_async.study.orders import accuracy_by_order
from lava_async.study.runs import run_split
from lava_async.study.settings import Settings, check_fields

CHECKPOINT, NETWORK, METRICS = "network.pt", "network.net", "metrics.json"


@dataclass
class Training:
    """A network on its way, with all that the next epoch depends on.

    Attributes
    ----------
    settings : Settings
    data_root : Path or None
        Folder of downloaded data sets, as `registry.load_frames` takes it.
    network : lava_async.slayer.Network
    optimizer : torch.optim.Optimizer
    history : list of dict
        What each epoch so far measured.
    """

    settings: Settings
    data_root: Path | None = None
    network: Any = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    history: list[dict[str, Any]] = field(default_factory=list)
    _told: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.network = recipe.build_network(settings.schedule, settings.seed, settings.recipe)
        self.optimizer = recipe.build_optimizer(self.network, settings.recipe)

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.history)

    @recipe.one_thread()
    def run(
        self,
        epochs: int,
        folder: Path,
        on_epoch: Callable[[str], object] = lambda text: None,
        splits: tuple[Split, Split] | None = None,
        save_each: bool = True,
    ) -> None:
        """Train until ``epochs`` are done, with a checkpoint in ``folder``.

        Parameters
        ----------
        epochs : int
            In all.
        folder : Path
        on_epoch : callable
            Called after each with what it reached, for a progress bar.
        splits : (training split, test split), optional
            The data, where they are loaded already.
        save_each : bool
            Whether there is a checkpoint after each epoch, or after the last one only.

        Raises
        ------
        ExecutionError
            As `save` does.
        """
        if self.history and not self._is_saved(folder):
            self.save(folder)
        if self.epoch >= epochs:
            return
        train, test = splits or (self._split(train=True), self._split(train=False))
        while self.epoch < epochs:
            self._train_epoch(train, test)
            if save_each or self.epoch == epochs:
                self.save(folder)
            on_epoch(f"{self.settings.method}: {describe(self.history[-1])}")

    def _train_epoch(self, train: Split, test: Split) -> None:
        settings = self.settings
        passed = recipe.train_epoch(
            self.network, self.optimizer, *train, epoch=self.epoch, seed=settings.seed,
            recipe=settings.recipe,
        )  # fmt: skip
        graph = self.network.graph()
        totals = run_split(graph, fit_to(graph, *test, where=NETWORK), test[1])
        found, told = health.examine(graph, totals.spikes)
        for cause, text in {**health.examine_gradient(passed), **told}.items():
            if cause not in self._told:
                self._told.add(cause)
                text = f"epoch {self.epoch + 1}: {text}."
                warnings.warn(text, TrainingWarning, stacklevel=2)
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "loss": passed.loss,
                **dataclasses.asdict(totals.evaluation()),
                **dataclasses.asdict(found),
                "gradient_norm": passed.gradient_norm,
                "skipped_steps": passed.skipped,
            }
        )

    def _split(self, train: bool) -> Split:
        return load_split(self.settings.data, train=train, root=self.data_root)

    def by_order(self) -> list[dict[str, Any]]:
        """`accuracy_by_order` on the test split."""
        graph = self.network.graph()
        x, labels = self._split(train=False)
        return accuracy_by_order(graph, fit_to(graph, x, labels, NETWORK), labels)

    def save(self, folder: Path) -> None:
        """Write checkpoint, network and metrics: all of them, or none if one cannot be written.

        Raises
        ------
        ExecutionError
            The disk is full or failed. What was in the folder is still there.
        """
        content = checkpoint.dump(
            {
                "settings": self.settings.to_dict(),
                "history": self.history,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
        )
        # The checkpoint takes its place first, as the others can be made from it again, and the
        # metrics last, as a sign that all are there.
        names = (CHECKPOINT, NETWORK, METRICS)
        try:
            with atomic_paths(*(folder / name for name in names)) as paths:
                paths[0].write_bytes(content)
                self.network.export_hdf5(paths[1])
                paths[2].write_bytes(self._metrics())
        except OSError as error:
            has_checkpoint = (folder / CHECKPOINT).is_file()
            stands = "the last complete one stands, --resume goes on from it"
            raise ExecutionError(
                folder,
                f"checkpoint of epoch {self.epoch}",
                f"a disk that takes it; {stands if has_checkpoint else 'nothing is left behind'}",
                error.strerror or error,
            ) from error

    def _metrics(self) -> bytes:
        document = {**self.settings.to_dict(), "epochs": self.history}
        return (json.dumps(document, indent=2) + "\n").encode()

    def _is_saved(self, folder: Path) -> bool:
        """Whether the last `save` came to its end: a kill may have left files of two epochs."""
        written = folder / METRICS
        is_complete = written.is_file() and (folder / NETWORK).is_file()
        return is_complete and written.read_bytes() == self._metrics()

    @classmethod
    def resume(
        cls, folder: Path, data_root: Path | None = None, data: str | None = None
    ) -> Training:
        """The training that `save` wrote.

        Parameters
        ----------
        folder, data_root : Path
        data : str, optional
            Of a data set of one's own the name, as recorded. It is code to be run, and a foreign
            checkpoint may name any.

        Raises
        ------
        FileFormatError
            There is no checkpoint, it is damaged, foreign or of a later version, or it is of
            other data.
        """
        path = folder / CHECKPOINT
        content = checkpoint.read(path)
        try:
            check_fields("checkpoint", content, _CONTENT)
            recorded = content["settings"].get("data")
            if lookup.is_text(recorded) and data != recorded:
                wanted = f"{recorded} given again (--data), as its code will run"
                raise ValidationError("settings", "data", wanted, data or "none")
            training = cls(Settings.from_dict(content["settings"]), data_root)
            training._restore(content)
        except ValidationError as error:
            raise error.at(f"{path}: {error.where}", FileFormatError) from error
        return training

    def _restore(self, content: dict[str, Any]) -> None:
        self.history = content["history"]
        numbers = [isinstance(entry, dict) and entry.get("epoch") for entry in self.history]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValidationError("history", "epochs", "those from 1 on", numbers)
        wanted = "that of the recipe's network"
        try:
            self.network.load_state_dict(content["network"])
        except RuntimeError as error:  # other names, or other shapes
            raise ValidationError("network", "state", wanted, _brief(error)) from error
        try:
            self.optimizer.load_state_dict(content["optimizer"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # of torch alone
            raise ValidationError("optimizer", "state", wanted, _brief(error)) from error


_CONTENT = {"settings": dict, "history": list, "network": dict, "optimizer": dict}


def describe(epoch: dict[str, Any]) -> str:
    """An entry of the history in words."""
    return (
        f"epoch {epoch['epoch']}, accuracy {epoch['accuracy']:.3f}, "
        f"{epoch['spikes_per_sample']:.0f} spikes a sample"
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:120]
