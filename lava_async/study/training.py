"""Training in a folder: a checkpoint after each epoch, from which it goes on to the same bits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lava_async import metrics
from lava_async._files.atomic import atomic_path
from lava_async._semantics import random
from lava_async._semantics import schedule as schedules
from lava_async._semantics.schedule import Schedule
from lava_async._simulate import simulate
from lava_async.errors import FileFormatError
from lava_async.study import recipe
from lava_async.study.data import fit_to, load_split

CHECKPOINT, NETWORK, METRICS = "network.pt", "network.net", "metrics.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What a training run is determined by, its number of epochs apart."""

    data: str
    schedule: Schedule
    seed: int

    def __post_init__(self) -> None:
        random.check_seed("training", self.seed)

    @property
    def method(self) -> str:
        layered = all(isinstance(part, schedules.LayerSync) for part in self.schedule.parts)
        return "layered" if layered else "unlayered"

    def to_dict(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "method": self.method,
            "schedule": self.schedule.to_dict(),
            "seed": self.seed,
        }


@dataclass
class Training:
    """A network on its way, with all that the next epoch depends on.

    Attributes
    ----------
    settings : Settings
    network : lava_async.slayer.Network
    optimizer : torch.optim.Optimizer
    history : list of dict
        What each epoch so far measured.
    """

    settings: Settings
    network: Any = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = recipe.build_network(self.settings.schedule, seed=self.settings.seed)
        self.optimizer = recipe.build_optimizer(self.network)

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.history)

    def run(
        self, epochs: int, folder: Path, on_epoch: Callable[[str], object] = lambda text: None
    ) -> None:
        """Train until ``epochs`` are done, with a checkpoint in ``folder`` after each.

        ``on_epoch`` is called after each with what it reached, for a progress bar.
        """
        if self.epoch >= epochs:
            return
        data = self.settings.data
        train, test = load_split(data, train=True), load_split(data, train=False)
        while self.epoch < epochs:
            loss = recipe.train_epoch(
                self.network, self.optimizer, *train, epoch=self.epoch, seed=self.settings.seed
            )
            graph = self.network.graph()
            x = fit_to(graph, *test, where=NETWORK)
            result = metrics.evaluate(graph, simulate(graph, x), test[1])
            self.history.append(
                {"epoch": self.epoch + 1, "loss": loss, **dataclasses.asdict(result)}
            )
            self.save(folder)
            on_epoch(f"{self.settings.method}: {describe(self.history[-1])}")

    def save(self, folder: Path) -> None:
        """Write checkpoint, network and metrics; the checkpoint last, as it counts."""
        with atomic_path(folder / METRICS) as path:
            document = {**self.settings.to_dict(), "epochs": self.history}
            path.write_text(json.dumps(document, indent=2) + "\n")
        self.network.export_hdf5(folder / NETWORK)
        checkpoint = {
            "format_version": FORMAT_VERSION,
            "settings": self.settings.to_dict(),
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(folder / CHECKPOINT) as path:
            torch.save(checkpoint, path)

    @classmethod
    def resume(cls, folder: Path) -> Training:
        """The training that `save` wrote.

        Raises
        ------
        FileFormatError
            There is no checkpoint, or it is damaged, foreign or of a later version.
        """
        path = folder / CHECKPOINT
        where = str(path)
        if not path.is_file():
            raise FileFormatError(where, "checkpoint", "a file", "none")
        try:
            # Only plain data: a foreign checkpoint must not run code.
            checkpoint = torch.load(path, weights_only=True)
            version = checkpoint["format_version"]
        except Exception as error:  # whatever unpickling damaged bytes may raise
            raise FileFormatError(
                where, "checkpoint", "one that train wrote", type(error).__name__
            ) from error
        if version != FORMAT_VERSION:
            raise FileFormatError(where, "format_version", FORMAT_VERSION, version)
        try:
            settings = checkpoint["settings"]
            training = cls(
                Settings(
                    data=settings["data"],
                    schedule=schedules.from_dict(settings["schedule"], where),
                    seed=settings["seed"],
                )
            )
            training.network.load_state_dict(checkpoint["network"])
            training.optimizer.load_state_dict(checkpoint["optimizer"])
            training.history = list(checkpoint["history"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise FileFormatError(
                where, "checkpoint", "one of this network", _brief(error)
            ) from error
        return training


def describe(epoch: dict[str, Any]) -> str:
    """An entry of the history in words."""
    return (
        f"epoch {epoch['epoch']}, accuracy {epoch['accuracy']:.3f}, "
        f"{epoch['spikes_per_sample']:.0f} spikes a sample"
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:120]
