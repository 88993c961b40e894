"""A report as blocks of plain text, tables and figures, written as Markdown and as HTML."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; }
th { vertical-align: bottom; border-bottom: 2px solid #1a1a1a; }
td { border-bottom: 1px solid #ddd; }
.label { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 1.5rem 0; }
img { max-width: min(100%, 62rem); height: auto; }
figcaption { font-size: .9375rem; color: #444; max-width: 46rem; }
p, li { max-width: 46rem; }
pre { background: #f2f2f2; padding: .6rem .8rem; overflow-x: auto; }
@media print {
  body { margin: 0; max-width: none; }
  table { font-size: 8pt; }
  figure, tr { break-inside: avoid; }
}
"""
# What Markdown or HTML inside it would read as more than a character.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|&#~]|^[-+]|(?<=^\d)[.)](?=\s)")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Text, of which ``strong`` comes first and is set apart."""

    text: str
    strong: str = ""


@dataclass(frozen=True)
class Code:
    """Lines to type, without backticks at their start."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells of text under columns, of which the first ``text_columns`` are no numbers."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_columns: int


@dataclass(frozen=True)
class Picture:
    """An image, by the name of its file beside the report, and what it shows."""

    file: str
    title: str
    caption: str


Block = Heading | Paragraph | Code | Table | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    """The blocks in Markdown, tables as GitHub has them; pictures are files beside it."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def from_markdown(text: str) -> str:
    """What a line of `to_markdown` says, such as a heading, in plain text."""
    return _ESCAPED.sub(r"\1", text)


def to_html(blocks: Sequence[Block], images: Mapping[str, bytes]) -> str:
    """The blocks as one HTML file that needs no other.

    Parameters
    ----------
    blocks : sequence of Block
        The first is the title.
    images : dict of str to bytes
        PNG files of the pictures, by their names.
    """
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(_html(block, images) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_plain(block.text)}"
    if isinstance(block, Paragraph):
        strong = f"**{_plain(block.strong)}**" if block.strong else ""
        return _join(strong, _plain(block.text))
    if isinstance(block, Code):
        return f"```\n{block.text}\n```"
    if isinstance(block, Picture):
        return f"![{_plain(block.title)}]({block.file})\n\n*{_plain(block.caption)}*"
    numbers = len(block.columns) - block.text_columns
    ruler = ["---"] * block.text_columns + ["---:"] * numbers
    lines = [[_plain(cell) for cell in line] for line in (block.columns, *block.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ruler, *lines[1:]))


def _html(block: Block, images: Mapping[str, bytes]) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        strong = f"<strong>{html.escape(block.strong)}</strong>" if block.strong else ""
        return f"<p>{_join(strong, html.escape(block.text))}</p>"
    if isinstance(block, Code):
        return f"<pre>{html.escape(block.text)}</pre>"
    if isinstance(block, Picture):
        content = base64.b64encode(images[block.file]).decode("ascii")
        return (
            f'<figure>\n<img alt="{html.escape(block.title)}" '
            f'src="data:image/png;base64,{content}">\n'
            f"<figcaption>{html.escape(block.caption)}</figcaption>\n</figure>"
        )
    head = "".join(_cell("th", text, i, block) for i, text in enumerate(block.columns))
    lines = ("".join(_cell("td", text, i, block) for i, text in enumerate(row))
             for row in block.rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell(tag: str, text: str, column: int, table: Table) -> str:
    kind = ""
    if table.text_columns < len(table.columns):  # words alone may break
        kind = f' class="{"label" if column < table.text_columns else "number"}"'
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))
