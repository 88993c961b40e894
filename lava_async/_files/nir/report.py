"""What is told of rounding; apart from it, as that takes SciPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rounding:
    """What it cost to make a network of integers.

    Attributes
    ----------
    dt : float
        Time step, in the file's units.
    errors : dict of (str, str) to float
        For place and parameter, the largest relative error: of decays, of their value; of the
        weights of a connection and the biases of a population, of the largest of them.
        Thresholds have none. Empty where lava_async wrote the file: all of it is exact.
    """

    dt: float
    errors: dict[tuple[str, str], float]

    def largest(self, what: str) -> float:
        """Over all places: of "i_decay", "v_decay", "weight" or "bias"."""
        return max((error for (_, name), error in self.errors.items() if name == what), default=0.0)

    def __str__(self) -> str:
        """One line."""
        step = f"NIR, time step {self.dt:g}"
        if not self.errors:
            return f"{step}: exact, as lava_async wrote it"
        found = {name: self.largest(name) for name in ("i_decay", "v_decay", "weight", "bias")}
        texts = ", ".join(f"{name} {error:.2g}" for name, error in found.items() if error)
        return f"{step}: largest relative errors of rounding: {texts or 'none'}"
