"""The documentation: built without a warning, no dead links, every public name in it."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.util.inventory import InventoryFile

import lava_async
from executed_notebooks import (
    LIMIT,
    NOTEBOOKS,
    ROOT,
    execute,
    number_kept,
    only_one,
    shared_folder,
)

sys.path.append(str(ROOT / "docs"))
import figures
import public


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation as HTML, with the tutorials as this run of pytest executed them."""
    shared = shared_folder(tmp_path_factory)
    for path in reversed(NOTEBOOKS):  # a worker that tests them meets this one in the middle
        execute(path, shared, tmp_path_factory.mktemp("kernel"))
    with only_one(shared / "site.lock"):
        if not (shared / "site").exists():
            build(tmp_path_factory.mktemp("source"), shared / "cache").rename(shared / "site")
            assert number_kept(shared) == len(NOTEBOOKS)  # Sphinx has executed none anew
    return shared / "site"


def build(source, cache):
    """The documentation from a copy of its sources, as building writes among them."""
    ignored = shutil.ignore_patterns("_build", "jupyter_execute")
    for folder in ("docs", "tutorials"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    shutil.copy(ROOT / "CHANGELOG.md", source)
    # In a process of its own: Sphinx changes much of the one that it runs in.
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D",
         f"nb_execution_cache_path={cache}", source / "docs", source / "site"],
        capture_output=True, text=True, cwd=source,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return source / "site"


FROM_STYLES = re.compile(r"(?:@import|url\()\s*['\"]?((?:https?:)?//[^'\")\s]+)")


class Links(HTMLParser):
    """What a page refers to, and what in it can be referred to."""

    def __init__(self, page):
        super().__init__()
        self.targets, self.ids, self.loaded = [], set(), []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        self.targets += [given[key] for key in ("href", "src") if given.get(key)]
        self.loaded += [given[key] for key in ("src", "srcset", "data", "poster") if given.get(key)]
        if tag == "link":
            self.loaded.append(given.get("href") or "")


@pytest.fixture(scope="module")
def pages(site):
    """Each page's links."""
    return {page: Links(page) for page in site.rglob("*.html")}


@pytest.mark.timeout(LIMIT * (len(NOTEBOOKS) + 1))
def test_links_lead_somewhere(site, pages):
    assert len(pages) > len(NOTEBOOKS)
    dead = []
    for page, links in pages.items():
        for target in links.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            place = (page.parent / unquote(url.path)).resolve() if url.path else page
            found = place.exists() and (
                not url.fragment or place not in pages or unquote(url.fragment) in pages[place].ids
            )
            if not found:
                dead.append(f"{page.relative_to(site)}: {target}")
    assert not dead


@pytest.mark.timeout(LIMIT * (len(NOTEBOOKS) + 1))
def test_pages_need_no_network(site, pages):
    """What notebooks print included: nothing is loaded but from the site, or from the page."""
    fetched = {
        (page.name, target)
        for page, links in pages.items()
        for target in links.loaded
        if urlsplit(target).netloc
    }
    for file in (*pages, *site.rglob("*.css")):
        fetched |= {(file.name, target) for target in FROM_STYLES.findall(file.read_text())}
    assert not fetched


@pytest.mark.timeout(LIMIT * (len(NOTEBOOKS) + 1))
def test_every_public_name_is_in_the_reference(site):
    with (site / "objects.inv").open("rb") as file:
        entries = InventoryFile.load(file, "", lambda base, path: path)
    documented = {name for kind in entries if kind.startswith("py:") for name in entries[kind]}
    assert sorted(set(public.all_names()) - documented) == []


def test_public_names_are_read_as_python_has_them():
    names = public.names_of("lava_async.slayer")
    assert {"Network", "Sum"} <= set(names)


def test_figures_are_those_that_the_script_draws():
    stored = {path.name for path in (ROOT / "docs").glob("*.svg")}
    assert stored == set(figures.FIGURES)
    for draw in figures.FIGURES.values():
        assert draw().axes


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {lava_async.__version__}\n" in text
