"""The documentation: ``uv run sphinx-build docs site``, then open site/index.html."""

import re
import shutil
from pathlib import Path

import typer
from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

import lava_async
from lava_async._cli._app import app as command_line

HERE = Path(__file__).parent

project = "lava_async"
author = "the authors of lava_async"
copyright = author
release = version = lava_async.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "jupyter_execute"]

# Tutorials stand beside docs/, and Sphinx takes sources from below it only.
TUTORIALS = HERE / "tutorials"
shutil.rmtree(TUTORIALS, ignore_errors=True)
shutil.copytree(HERE.parent / "tutorials", TUTORIALS, ignore=shutil.ignore_patterns(".*"))

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_merge_streams = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpy-style sections say them, with shapes and units
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"lava_async {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]

nitpicky = True


def escape_stars(app, what, name, obj, options, lines):
    """``(B, *input_shape, T)`` is a shape, not the beginning of an emphasis."""
    lines[:] = [re.sub(r"(?<=[(, ])\*(?=[a-z_]+[,)])", r"\\*", line) for line in lines]


def is_in_docstring(node):
    return node["refdoc"].startswith("api/")


def find_public(app, env, node, contnode):
    """Docstrings name what they mean as their reader does: `Record`, `metrics.evaluate`.

    Sphinx looks in the same module only. Fields of dataclasses stand in the text of their class.
    """
    if node.get("refdomain") != "py" or not is_in_docstring(node):
        return None
    objects = env.get_domain("py").objects
    target = node["reftarget"].removeprefix("la.")
    for wanted in (target, target.rpartition(".")[0]):
        found = [name for name in objects if wanted and f".{name}".endswith(f".{wanted}")]
        if found:
            name = min(found, key=len)
            entry = objects[name]
            return make_refnode(
                app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name
            )
    return None


def may_be_missing(app, domain, node):
    """Docstrings may name what is private, or Lava's, and types are prose; pages may not."""
    return is_in_docstring(node) or None


class CommandHelp(SphinxDirective):
    """What ``--help`` of each command prints."""

    def run(self):
        group = typer.main.get_command(command_line)
        context = group.make_context("lava-async", ["demo"], resilient_parsing=True)
        sections = []
        for name, command in group.commands.items():
            section = nodes.section(ids=[f"lava-async-{name}"])
            section += nodes.title(text=f"lava-async {name}")
            usage = command.get_help(type(context)(command, context, info_name=name))
            section += nodes.literal_block(usage, usage, language="text")
            sections.append(section)
        return sections


def point_to_copies(app, docname, content):
    """Pages and tutorials link to each other where they are in the repository."""
    if docname.startswith("tutorials/"):
        content[0] = content[0].replace("](../docs/", "](../")
    else:
        content[0] = re.sub(r"(\]\((?:\.\./)*)\.\./tutorials/", r"\1tutorials/", content[0])


def setup(app):
    app.add_directive("command-help", CommandHelp)
    app.connect("source-read", point_to_copies)
    app.connect("autodoc-process-docstring", escape_stars, priority=400)  # before napoleon
    app.connect("missing-reference", find_public)
    app.connect("warn-missing-reference", may_be_missing)
