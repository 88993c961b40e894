"""Compiling a Lava network without leaving traces of it.

Lava 0.10 marks processes as compiled before it knows whether they can be, lets models of
composites rewire them on the way, keeps every process and Var ever made in registries, and
adds log handlers for each.
"""

from __future__ import annotations

import gc
import logging
from typing import Any

from lava.magma.compiler import compiler
from lava.magma.compiler.compiler_graphs import find_processes
from lava.magma.compiler.executable import Executable
from lava.magma.core.process.process import AbstractProcess, LogConfig, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import RunConfig

from lava_async.errors import ExecutionError


def compile_network(process: AbstractProcess, run_cfg: RunConfig) -> Executable:
    """Compile a network. Where that fails, the network is as it was before.

    Raises
    ------
    ExecutionError
        A process of the network has been compiled before.
    """
    # Networks that have run are cycles of few objects but much memory, which Python's own
    # collection, counting objects, would let pile up for dozens of runs.
    gc.collect()
    processes = _members(process)
    for member in processes:
        if member.is_compiled:
            raise ExecutionError(
                "Runner", "process", "one that has not run: Lava compiles it only once", member.name
            )
    servers = ProcessServer(), VarServer()
    first_ids = [server._next_id for server in servers]
    handlers = list(_compiler_log.handlers)
    state = _State(processes)
    try:
        return process.compile(run_cfg)
    except BaseException:
        state.restore()
        raise
    finally:
        _forget(processes, *first_ids)
        _drop_log_handlers(handlers)


def _members(process: AbstractProcess) -> list[AbstractProcess]:
    """All processes of a network: those connected, and above and below them in the hierarchy."""
    found: dict[int, AbstractProcess] = {}
    waiting: list[Any] = find_processes(process)
    while waiting:
        member = waiting.pop()
        if id(member) not in found:
            found[id(member)] = member
            waiting += member.procs.members
            if member.parent_proc is not None:
                waiting.append(member.parent_proc)
    return list(found.values())


class _State:
    """What compiling changes in processes: attributes of them and of their ports and Vars."""

    def __init__(self, processes: list[AbstractProcess]) -> None:
        self._attributes = [(process, dict(vars(process))) for process in processes]
        self._attributes += [
            (part, {name: _copy(value) for name, value in vars(part).items()})
            for process in processes
            for part in _parts(process)
        ]

    def restore(self) -> None:
        for part, attributes in self._attributes:
            vars(part).clear()
            vars(part).update(attributes)


def _parts(process: AbstractProcess) -> list[Any]:
    """Ports and Vars of a process, and the collections of its members."""
    ports = [process.in_ports, process.out_ports, process.ref_ports, process.var_ports]
    collections = [*ports, process.vars]
    return [*collections, process.procs, *(m for c in collections for m in c.members)]


def _copy(value: Any) -> Any:
    """Connections are kept in lists and dicts, which grow in place."""
    return value.copy() if isinstance(value, (list, dict)) else value


def _forget(processes: list[AbstractProcess], first_process: int, first_var: int) -> None:
    """Take a network, and whatever was made on the way, out of Lava's registries.

    They serve to number processes and Vars only, but would keep them and their data for ever.
    """
    gone = {id(process) for process in processes}
    process_server, var_server = ProcessServer(), VarServer()
    process_server.processes = [
        p for p in process_server.processes if id(p) not in gone and p.id < first_process
    ]
    var_server.vars = [
        v for v in var_server.vars if id(v.process) not in gone and v.id < first_var
    ]


_compiler_log = logging.getLogger(compiler.__name__)


def _drop_log_handlers(before: list[logging.Handler]) -> None:
    """Every compilation adds a handler; every process adds one to the root logger: leave one."""
    for handler in set(_compiler_log.handlers).difference(before):
        _compiler_log.removeHandler(handler)
    root = logging.getLogger()
    ours = [
        handler
        for handler in root.handlers
        if type(handler) is logging.StreamHandler
        and handler.formatter is not None
        and handler.formatter._fmt == LogConfig.format
    ]
    for handler in ours[1:]:
        root.removeHandler(handler)
