"""The report of a study: whole, well-formed, the same bytes from the same rows."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import pytest

from lava_async.errors import ValidationError
from lava_async.study import document
from lava_async.study.claims import evaluate
from lava_async.study.document import Code, Heading, Paragraph, Picture, Table
from lava_async.study.pages import write_pages
from lava_async.study.results import Results
from lava_async.study.table import Point
from study_rows import realistic, row

FIGURES = (
    "accuracy-by-order", "worst-order", "trade-off", "forward-steps", "early-decision",
    "group-size",
)  # fmt: skip
NASTY = '<b>&"\' | `x` *y* _z_ [a](b) ~ # \\ ü ±'


class Page(HTMLParser):
    """Text, tables and images of a page; fails where a tag is not closed or is not ours."""

    EMPTY = frozenset({"meta", "img"})

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tables, self.images, self.resources = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        assert tag not in {"script", "link", "b", "a"}
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag == "img":
            self.images.append(dict(attributes))
        self.resources += [v for name, v in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1].append(data)
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def cells(line):
    """Of a line of a Markdown table."""
    assert line.startswith("| ") and line.endswith(" |")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def markdown_tables(text):
    """Tables without their rulers; each must have as many cells in every line."""
    found = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        lines = [cells(line) for line in block.strip().splitlines()]
        assert len({len(line) for line in lines}) == 1
        assert all(re.fullmatch("---:?", cell) for cell in lines[1])
        found.append([lines[0], *lines[2:]])
    return found


def unescaped(text):
    return re.sub(r"\\(.)", r"\1", text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    files = write_pages(*realistic(2), folder, paragraphs=[NASTY], command="lava-async study")
    return folder, files


class TestWhole:
    def test_files(self, whole):
        folder, files = whole
        names = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")}
        names |= {"report.md", "report.html"}
        assert {file.name for file in files} == names
        assert {file.name for file in folder.iterdir()} == names
        for name in FIGURES:
            assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
            assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")

    def test_the_same_rows_give_the_same_bytes(self, whole, tmp_path):
        _, files = whole
        write_pages(*realistic(2), tmp_path, paragraphs=[NASTY], command="lava-async study")
        for file in files:
            assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name

    def test_html_is_whole_without_other_files(self, whole):
        folder, _ = whole
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        assert len(page.images) == len(FIGURES) == len(page.resources)
        for image, name in zip(page.images, FIGURES, strict=True):
            kind, content = image["src"].split(",")
            assert kind == "data:image/png;base64" and image["alt"]
            assert base64.b64decode(content) == (folder / f"{name}.png").read_bytes()
        assert "url(" not in (folder / "report.html").read_text(encoding="utf-8")

    def test_both_say_the_same(self, whole):
        folder, _ = whole
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        tables = markdown_tables((folder / "report.md").read_text(encoding="utf-8"))
        assert [[list(map(unescaped, line)) for line in table] for table in tables] == page.tables
        assert NASTY in page.text
        assert NASTY in unescaped((folder / "report.md").read_text(encoding="utf-8"))

    def test_images_of_the_markdown_are_there(self, whole):
        folder, _ = whole
        images = re.findall(r"!\[.+\]\((.+)\)", (folder / "report.md").read_text())
        assert images == [f"{name}.png" for name in FIGURES]

    def test_every_row_is_in_a_table(self, whole):
        folder, _ = whole
        *_, complete, stopped = markdown_tables((folder / "report.md").read_text())
        rows = realistic(2)[0]
        assert len(complete) - 1 == sum(each.stop_after is None for each in rows) / 2
        assert len(stopped) - 1 == sum(each.stop_after is not None for each in rows) / 2

    def test_every_claim_is_decided_and_told(self, whole):
        folder, _ = whole
        text = (folder / "report.md").read_text()
        short = markdown_tables(text)[0]
        assert [(line[0], line[1]) for line in short[1:]] == [
            (claim.statement, claim.verdict) for claim in evaluate(Results(realistic(2)[0]))
        ]
        for claim, verdict, _ in short[1:]:
            assert f"### {claim}\n\n**{verdict.capitalize()}.** " in text


class TestNumbers:
    def line(self, rows, tmp_path):
        write_pages(rows, [], tmp_path)
        return markdown_tables((tmp_path / "report.md").read_text())[-1][1]

    def test_means_and_spreads(self, tmp_path):
        rows = [
            row(seed=seed, samples=10, correct=5 + seed, accuracy_low=0.1 + 0.1 * seed,
                accuracy_high=0.8 + 0.1 * seed, spikes_per_sample=100.0 + seed,
                synops_per_sample=10000.0 + 100 * seed, forward_steps_per_sample=4.0 + seed,
                decision_step=2.0 + seed)
            for seed in (0, 1, 2)
        ]  # fmt: skip
        assert self.line(rows, tmp_path) == [
            "layered", "layer by layer, F = 8", "60.0 ± 10.0", "20.0 to 90.0", "10", "3",
            "101 ± 1", "10,100 ± 100", "5.0 ± 1.0", "3.0 ± 1.0",
        ]  # fmt: skip

    def test_one_seed_that_never_decides(self, tmp_path):
        line = self.line([row(decision_step=None, samples=8, correct=7)], tmp_path)
        assert (line[2], line[4], line[5], line[-1]) == ("87.5", "8", "1", "never")


class TestLittle:
    def report(self, rows, points, folder):
        files = write_pages(rows, points, folder)
        text = (folder / "report.md").read_text()
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        assert len(markdown_tables(text)) == len(page.tables)
        assert len(page.images) == sum(file.suffix == ".png" for file in files)
        return text

    def test_one_row(self, tmp_path):
        text = self.report([row()], [], tmp_path)
        assert text.count("Left out. ") == 6
        assert [line[1] for line in markdown_tables(text)[0][1:]] == ["not tested here"] * 8
        assert {file.name for file in tmp_path.iterdir()} == {"report.md", "report.html"}

    def test_given_files_alone(self, tmp_path):
        nothing = dict(seed=None, epochs=None, penalty=None, decision_step=None,
                       decision_time_step=None, trained_with="")  # fmt: skip
        rows = [row("given", run, accuracy=accuracy, name="mine | <net>", **nothing)
                for run, accuracy in (("layer:8", 0.9), ("momentum:8", 0.8))]  # fmt: skip
        points = [Point("mine", rows[0].network, None, "momentum:8", step, 0.4 * step)
                  for step in (0, 1, 2)]  # fmt: skip
        text = self.report(rows, points, tmp_path)
        assert "Epochs: not recorded. Seeds of the training: not recorded." in text
        assert "counts as trained layer by layer" in text
        short = markdown_tables(text)[0]
        assert [line[1] for line in short[1:]] == ["holds", *["not tested here"] * 7]
        assert "10.0 points: mine \\| \\<net\\>, run momentum" in text
        assert (tmp_path / "forward-steps.png").exists()

    def test_data_sets_are_apart(self, tmp_path):
        rows = [row(data=data, run=run, accuracy=accuracy)
                for data, accuracy in (("digits", 0.9), ("vowels", 0.8))
                for run in ("layer:8", "momentum:8")]  # fmt: skip
        text = self.report(rows, [], tmp_path)
        digits, vowels = text.split("## Data: ")[1:]
        assert digits.startswith("digits") and vowels.startswith("vowels")
        assert "80.0" not in digits and "90.0" not in vowels
        assert "(vowels-worst-order.png)" in vowels and "(digits-worst-order.png)" in digits

    @pytest.mark.parametrize(
        ("names", "prefixes"),
        [
            (
                ("sub/halves.py:halves", "../halves.py:halves", "halves.py:halves"),
                ("sub-halves.py-halves", "halves.py-halves", "halves.py-halves-2"),
            ),
            (("a/b:c", "a-b:c", "A/B:c", "a-b-c-2"), ("a-b-c", "a-b-c-2", "A-B-c-3", "a-b-c-2-2")),
            (("/top/ünï.py:x", "C:\\a (b)\n#*.py:x"), ("top-ünï.py-x", "C-a-b-.py-x")),
            ((f"{'long/' * 99}a.py:x", "digits"), (f"ong-{'long-' * 8}a.py-x", "digits")),
        ],
    )
    def test_data_sets_named_by_files_have_figures_in_the_folder(self, names, prefixes, tmp_path):
        folder = tmp_path / "report"
        folder.mkdir()
        rows = [row(data=data, run=run) for data in names for run in ("layer:8", "momentum:8")]
        text = self.report(rows, [], folder)
        assert list(tmp_path.iterdir()) == [folder]
        shown = re.findall(r"\]\((.*)-worst-order\.png\)", text)
        assert tuple(shown) == prefixes
        assert len(list(folder.glob("*-worst-order.png"))) == len(names)

    def test_no_row(self, tmp_path):
        with pytest.raises(ValidationError, match=r"rows: expected one or more \(got 0\)"):
            write_pages([], [], tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_no_folder(self, tmp_path):
        with pytest.raises(ValidationError, match="folder: expected an existing folder"):
            write_pages([row()], [], tmp_path / "none")


class TestStaleFigures:
    LESS = (row(),)

    def written(self, folder):
        return {path.name for path in folder.iterdir()}

    def test_those_of_an_earlier_report_go(self, tmp_path):
        write_pages(*realistic(), tmp_path)
        assert self.written(tmp_path) >= {f"{name}.png" for name in FIGURES}
        write_pages(self.LESS, [], tmp_path)
        new = tmp_path / "new"
        new.mkdir()
        assert {path.name for path in write_pages(self.LESS, [], new)} == self.written(new)
        assert self.written(tmp_path) - {"new"} == self.written(new)

    SETS = ("digits", "my_own-data2")

    def of(self, *sets):
        return [row(data=data, run=run) for data in sets for run in ("layer:8", "momentum:8")]

    @pytest.mark.parametrize("before", [SETS, SETS[:1], SETS[1:]])
    @pytest.mark.parametrize("after", [SETS, SETS[:1], SETS[1:]])
    def test_those_of_other_data_sets_go(self, before, after, tmp_path):
        write_pages(self.of(*before), [], tmp_path)
        written = {path.name for path in write_pages(self.of(*after), [], tmp_path)}
        assert self.written(tmp_path) == written
        assert any("worst-order" in name for name in written)

    def test_those_of_data_sets_named_by_files_go(self, tmp_path):
        write_pages(self.of("../my_a.py:x", "my_a.py:x", "C:\\a (b)  #*.py:x "), [], tmp_path)
        written = {path.name for path in write_pages(self.LESS, [], tmp_path)}
        assert self.written(tmp_path) == written

    def test_pictures_that_a_user_put_into_the_report_stay(self, tmp_path):
        write_pages(self.of(*self.SETS), [], tmp_path)
        with (tmp_path / "report.md").open("a", encoding="utf-8") as report:
            report.write("\n![mine](mine.png) ![mine](vowels-worst-order.png)\n")
        mine = {"mine.png", "vowels-worst-order.png"}
        for name in mine:
            (tmp_path / name).write_bytes(b"mine")
        written = {path.name for path in write_pages(self.LESS, [], tmp_path)}
        assert self.written(tmp_path) == written | mine

    @pytest.mark.parametrize("begun", [False, True])
    def test_files_of_others_stay(self, begun, tmp_path):
        if begun:
            write_pages(self.LESS, [], tmp_path)  # without figures
        mine = {"trade-off.png", "trade-off.pdf", "my-trade-off.png", "trade-off.svg", "notes.md"}
        for name in mine:
            (tmp_path / name).write_bytes(b"mine")
        paths = write_pages(self.LESS, [], tmp_path)
        assert not mine & {path.name for path in paths}
        assert {name for name in mine if (tmp_path / name).read_bytes() == b"mine"} == mine


def test_an_error_leaves_the_old_report(tmp_path, monkeypatch):
    write_pages([row()], [], tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_pages([dataclasses.replace(row(), accuracy=0.1)], [], tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


class TestDocument:
    BLOCKS = (
        Heading(NASTY, 1), Paragraph(NASTY, strong=NASTY), Code("a < b && c"),
        Table(("x", NASTY), [(NASTY, "1"), ("a\nb", "−2")], text_columns=1),
        Picture("a.png", NASTY, NASTY),
    )  # fmt: skip

    def test_markdown(self):
        text = document.to_markdown(self.BLOCKS)
        (table,) = markdown_tables(text)
        assert [list(map(unescaped, line)) for line in table] == [
            ["x", NASTY], [NASTY, "1"], ["a b", "−2"]
        ]  # fmt: skip
        assert "| --- | ---: |" in text
        assert "```\na < b && c\n```" in text
        assert "<b>" not in text

    def test_html(self):
        page = Page(document.to_html(self.BLOCKS, {"a.png": b"\x89PNG"}))
        # Title, heading, strong, text, two cells, caption.
        assert "".join(page.text).count(NASTY) == 7
        assert page.images == [
            {"alt": NASTY, "src": "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()}
        ]

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("- no list", r"\- no list"), ("1. none", r"1\. none"), ("1.5", "1.5"), ("−1", "−1")],
    )
    def test_text_begins_no_list(self, text, shown):
        assert document.to_markdown([Paragraph(text)]) == shown + "\n"
