"""Code blocks of Markdown pages, with the comments before them that say what a test needs."""

import re
from dataclasses import dataclass

COMMENT = r"<!-- (setup|quick|not run):(.*?)-->\n"
FENCE = r"```([^\n]*)\n(.*?)^```"


@dataclass
class Block:
    language: str
    text: str
    setup: str = ""
    quick: str = ""
    not_run: str = ""


def blocks_of(page):
    """Code blocks of a page, without the fences of Sphinx's directives."""
    found, before = [], {}
    text_of_page = page.read_text(encoding="utf-8")
    for match in re.finditer(f"^{COMMENT}|^{FENCE}", text_of_page, re.DOTALL | re.MULTILINE):
        kind, comment, language, text = match.groups()
        if kind:
            before[kind.replace(" ", "_")] = comment
        elif not language.startswith("{"):
            found.append(Block(language, text, **before))
            before = {}
    return found
