"""Calls that fail in each way that a call in another process can, from where those find them."""

import os
import signal
import time

from lava_async.errors import ValidationError
from lava_async.study import cells

_CELLS = {"train": cells.train, "run": cells.run}


class NotCopied(Exception):
    """Pickles, but not back."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


class Held(Exception):
    """Does not pickle."""

    def __init__(self):
        super().__init__("holds a function")
        self.held = lambda: None


FAILURES = {
    "ours": lambda: ValidationError("layer 2", "weights", "integers", 0.5),
    "arbitrary": lambda: ZeroDivisionError("by nothing"),
    "of several lines": lambda: RuntimeError("one\ntwo"),
    "memory": lambda: MemoryError("4 TiB"),
    "module": lambda: ModuleNotFoundError("No module named 'x'", name="x"),
    "not copied": lambda: NotCopied("one", 2),
    "held": lambda: Held(),
}


def fail(kind):
    """Raise an exception of a kind, or be killed."""
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FAILURES[kind]()


def fail_at_3(number, kind):
    if number == 3:
        time.sleep(0.5)  # what came before is with who asked for it
        fail(kind)
    return number


def fail_or_wait(number):
    if number == 0:
        fail("arbitrary")
    time.sleep(0.3)
    return number


def wait_and_fail(number, kind):
    time.sleep(0.5)
    fail(kind)


def give_what_cannot_be_sent(number):
    return (each for each in range(number))


class FailingCell:
    """Stands for a function of `study.cells`, and fails for one cell, once another is kept."""

    def __init__(self, name, is_the_one, kind, folder):
        self.name, self.is_the_one, self.kind, self.folder = name, is_the_one, kind, folder

    def __call__(self, *arguments):
        if self.is_the_one(*arguments):
            end = time.monotonic() + 150
            while not list(self.folder.glob("cells/[0-9a-f]*.json")) and time.monotonic() < end:
                time.sleep(0.05)
            fail(self.kind)
        return _CELLS[self.name](*arguments)


def is_decisive_of_seed_1(configuration, root):
    settings = configuration["settings"]
    return settings["schedule"]["scheduler"] == "momentum" and settings["seed"] == 1


def is_fifo_with_3(graph, configurations, root):
    [cell] = configurations
    return (cell["schedule"]["scheduler"], cell["stop_after"]) == ("fifo", 3)
