"""One line of what was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What is so, or what is wrong there.

    Attributes
    ----------
    name : str
        Of what was looked at.
    text : str
        In one line; of what is wrong with the remedy, where there is one.
    ok : bool
    """

    name: str
    text: str
    ok: bool = True

    def __str__(self) -> str:
        return self.text if self.ok else f"WRONG: {self.text}"
