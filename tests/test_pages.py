"""Every code block of README.md and docs/ runs, from top to bottom of its page, as it is printed.

Comments before a block, which readers do not see, say what a test needs besides:

    <!-- setup: … -->    Python that runs before it,
    <!-- quick: … -->    options for its commands that make them small,
    <!-- not run: … -->  which other page runs the same commands.
"""

import re
import shlex

import pytest

from code_blocks import blocks_of
from executed_notebooks import ROOT
from lava_async._cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

SHELL = ("bash", "")  # languages of blocks of commands

# Commands that are not run: they change the environment, take minutes, or have a test of their own.
INSTALLING = ("pip install", "pip wheel", "pip download", "pip freeze", "uv add",
              "lava-async --install-completion")  # fmt: skip
NOT_RUN_HERE = ("python benchmarks/", "python tests/", "python docs/", "sphinx-build",
                "lava-async doctor")  # fmt: skip

SHOWN = ("text", "bibtex", "pycon", "console")  # examples with what they say, in test_errors_page


def commands_of(block):
    """Lines of a shell without ``uv run``, those that a backslash continues put together."""
    if block.language not in SHELL:
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    commands = [shlex.join(shlex.split(line, comments=True)) for line in lines]
    return [command.removeprefix("uv run ") for command in commands if command]


def run_page(page):
    """Run all blocks of a page, and return the names that its Python leaves."""
    names = {}
    for number, block in enumerate(blocks_of(page), start=1):
        where = f"{page.name}, block {number}"
        exec(compile(block.setup, f"{where}: setup", "exec"), names)
        if block.not_run:
            continue
        if block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        for command in commands_of(block):
            if not command.startswith((*INSTALLING, *NOT_RUN_HERE)):
                program, *words = shlex.split(f"{command} {block.quick}")
                assert (program, main(words)) == ("lava-async", 0), command
    return names


RUNNING = [page for page in PAGES if blocks_of(page)]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run_one_after_the_other(page, few_digits):
    pytest.importorskip("torch")
    names = run_page(page)
    if page.name == "README.md":  # what they compute, and not only that they do
        assert names["y"].shape == (2, 10, 6)
        assert names["proc"].schedule == names["la"].Momentum(group_size=8)
        assert names["record"].spikes.shape == (2, 10, 6)


def test_nothing_else_is_left_out():
    """What is not run runs on another page, or is not to be run here."""
    for page in RUNNING:
        for block in blocks_of(page):
            assert block.language in ("python", *SHELL, *SHOWN), (page.name, block.text)
            commands = commands_of(block)
            if block.not_run:
                other = blocks_of(ROOT / block.not_run.removesuffix("runs it ").strip())
                run = {line for ran in other if not ran.not_run for line in commands_of(ran)}
                assert commands and {*commands} <= run, page.name
            for command in commands:
                for script in re.findall(r"(?:benchmarks|tests|docs)/\w+\.py", command):
                    assert (ROOT / script).exists(), command


def test_lines_of_code_fit_the_page():
    for page in RUNNING[1:]:
        for block in blocks_of(page):
            if block.language in ("python", *SHELL):
                assert max(map(len, block.text.splitlines())) <= 90, (page.name, block.text)


def test_figures_of_pages_exist():
    for page in PAGES:
        for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / path).exists(), f"{page.name}: {path}"


def test_links_of_the_readme_lead_somewhere():
    """The site's own links are checked where it is built; these are seen before."""
    for path in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text()):
        assert path.startswith("https://") or (ROOT / path).exists(), path
