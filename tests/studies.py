"""Studies that take a moment, and what they leave in their folders."""

import dataclasses

from lava_async.study import Study
from lava_async.study.settings import DIGITS, OF_0_1_0

TABLES = ("table.csv", "table.json", "curves.csv")


def small(recipe):
    return dataclasses.replace(recipe, sizes=(12, 10), epochs=1, batch_size=16)


TINY = Study(
    methods=("layered", "decisive"),
    seeds=2,
    schedules=("layer", "momentum", "random:2"),
    stop_after=(0, 2),
    recipe=small(DIGITS),
    unrolled_recipe=small(OF_0_1_0),
    samples=24,
)


def tables(folder):
    """The files that are the same bytes whatever happened on the way."""
    return {name: (folder / name).read_bytes() for name in TABLES}


def cell_files(folder):
    """The files of the cells, and what tells whether one was written again."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
