"""``lava-async doctor``: is this installation sound?"""

from __future__ import annotations

import typer

from lava_async import _doctor
from lava_async._cli import _options as options
from lava_async._cli._console import print_json, progress

_WIDTH = 20


def doctor(json: options.JsonOption = False, quiet: options.QuietOption = False) -> None:
    """Say what is installed, and try every backend: what bug reports ask for.

    Versions, machine, where compiled kernels and data sets are kept, and a network of a few
    neurons on every backend and in the trainer, compared with the reference. Each line says what
    is so, or what is WRONG; the exit status is then 1. Takes some seconds, and about a minute
    where kernels have to be compiled first.

    \b
    Examples:
      lava-async doctor
      lava-async doctor --json
    """
    findings = []
    for finding in _doctor.look_around():
        findings.append(finding)
        if not json:
            print(f"{finding.name:{_WIDTH}}{finding}", flush=True)
    with progress("trying backends", len(_doctor.TRIED)) as advance:
        for finding in _doctor.try_backends():
            findings.append(finding)
            advance()
    wrong = [finding.name for finding in findings if not finding.ok]
    if json:
        found = {finding.name: finding.text for finding in findings}
        print_json({"ok": not wrong, "wrong": wrong, "found": found})
    else:
        for finding in findings[-len(_doctor.TRIED) :]:
            print(f"{finding.name:{_WIDTH}}{finding}")
        print(f"wrong: {', '.join(wrong)}" if wrong else "all is well")
    if wrong:
        raise typer.Exit(1)
