"""Every message that the package may raise or warn of, as its source has it.

``python tests/messages.py`` lists them, to be read as one text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lava_async
from lava_async import errors

SOURCES = Path(lava_async.__file__).parent
KINDS = {name for name in vars(errors) if name.endswith(("Error", "Warning"))}


@dataclass(frozen=True)
class Message:
    """One place in the source.

    Attributes
    ----------
    place : str
        File and line.
    kind : str
        Class of the error; "warn" of a warning.
    parts : tuple of str
        The arguments, as text where they are, else as expressions; fields of f-strings in braces.
    is_text : tuple of bool
        Of which parts all is known.
    """

    place: str
    kind: str
    parts: tuple[str, ...]
    is_text: tuple[bool, ...]

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {' | '.join(self.parts)}"


def messages() -> Iterator[Message]:
    """In order of files and lines."""
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        aliases = _aliases(tree)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: node.lineno):
            kind = aliases.get(_name(call.func), _name(call.func))
            if kind in KINDS or kind in ("warn", "unsupported"):
                place = f"{path.relative_to(SOURCES.parent)}:{call.lineno}"
                found = [_text(argument) for argument in call.args]
                parts = tuple(ast.unparse(a) if t is None else t
                              for a, t in zip(call.args, found, strict=True))  # fmt: skip
                yield Message(place, kind, parts, tuple(text is not None for text in found))


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Classes of a file that only refine one of ours."""
    return {
        node.name: base
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in map(_name, node.bases)
        if base in KINDS
    }


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _text(node: ast.expr) -> str | None:
    """A text, with an f-string's fields as they are written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            f"{{{ast.unparse(piece.value)}}}" if isinstance(piece, ast.FormattedValue)
            else ast.literal_eval(piece)
            for piece in node.values
        )  # fmt: skip
    return None


if __name__ == "__main__":
    for message in messages():
        print(message)
