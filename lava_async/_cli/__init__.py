"""The command line, ``lava-async``.

Exit status: 0 done; 1 a run failed, backends differ, or what was looked at is found wrong; 2 bad
input; 130 interrupted. Every failure is one line on stderr; stdout carries results only.
"""

from __future__ import annotations

import contextvars
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from lava_async._cli._console import fail, library_log
from lava_async.errors import ExecutionError, ValidationError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; ``sys.argv[1:]`` by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # of the libraries below us; errors are ours
            arguments = list(sys.argv[1:] if argv is None else argv)
            context = contextvars.copy_context()  # --quiet is of this call
            with library_log(context):
                status = context.run(_invoke, arguments)
        sys.stdout.flush()
        return status
    except ValidationError as error:
        return fail(BAD_INPUT, str(error))
    except ExecutionError as error:
        return fail(FAILED, str(error).splitlines()[0])  # below it, a traceback of the child
    except MemoryError as error:
        return fail(BAD_INPUT, f"memory: expected an input that fits (got {error or 'too much'})")
    except BrokenPipeError:
        # The reader of our stdout has gone; keep the interpreter's last flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ModuleNotFoundError as error:
        return fail(
            BAD_INPUT, f"package {error.name}: expected it installed, as for Python 3.10 to 3.12; "
            "'lava-async doctor' tells what is there "
            f"(got none in Python {sys.version_info.major}.{sys.version_info.minor})",
        )  # fmt: skip
    except OSError as error:
        where = error.filename or "input/output"
        return fail(BAD_INPUT, f"{where}: {error.strerror or error}")
    except KeyboardInterrupt:
        # What was being built may complain as it is thrown away.
        sys.unraisablehook = lambda _: None
        return fail(INTERRUPTED, "interrupted")


def _invoke(args: list[str]) -> int:
    import typer  # here and not above, so that Ctrl-C is answered from the first moment on

    from lava_async._cli._app import app

    # Typer carries its own copy of click from 0.20 on; its public subclass leads to either.
    click_exception: type[Exception] = typer.BadParameter.__mro__[2]
    command = typer.main.get_command(app)
    try:
        if "_LAVA_ASYNC_COMPLETE" in os.environ:  # a shell asks how a line may go on
            return _complete(command)
        # Not else: it prints errors its own way, over several lines.
        with command.make_context("lava-async", args or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except click_exception as error:
        return fail(BAD_INPUT, _with_help(error))
    return OK


def _complete(command: Any) -> int:
    try:
        command.main([], prog_name="lava-async")
    except SystemExit as stop:
        return int(stop.code or 0)
    return OK


def _with_help(error: Any) -> str:
    """A complaint about the command line, and where it is told how it should be."""
    text, context = error.format_message(), error.ctx
    if ": expected " in text or context is None:
        return text
    return f"{text.rstrip('.')} (see '{context.command_path} --help')"
