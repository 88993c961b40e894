"""The table of docs/blocks.md says of each block what trains, loads and runs."""

import pytest

from block_table import BEGIN, END, HEAD, PAGE, ROWS, tried

LINES = PAGE.read_text().split(BEGIN)[1].split(END)[0].removeprefix(HEAD).splitlines(True)


def test_each_row_has_a_line():
    assert len(LINES) == len(ROWS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("place", range(len(ROWS)), ids=[row.name for row in ROWS])
def test_the_line_says_what_happens(place):
    assert tried(ROWS[place]) == LINES[place], "python tests/block_table.py writes it anew"
