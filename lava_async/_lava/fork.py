"""The processes of a network are forked, whatever start method the program chose for its own.

They inherit what is built here: models, channels, the caller's classes. So what Lava itself makes
for them has to be made for forking too.
"""

from __future__ import annotations

import functools
import multiprocessing
from multiprocessing import managers
from types import SimpleNamespace

from lava.magma.compiler.channels import pypychannel
from lava.magma.runtime import runtime
from lava.magma.runtime.message_infrastructure import shared_memory_manager

FORK = multiprocessing.get_context("fork")

pypychannel.Semaphore = FORK.Semaphore  # type: ignore[attr-defined]
runtime.Queue = FORK.Queue  # type: ignore[attr-defined]
# A stock `VarWire` starts one in the caller.
shared_memory_manager.managers = SimpleNamespace(  # type: ignore[assignment]
    SharedMemoryManager=functools.partial(managers.SharedMemoryManager, ctx=FORK)
)
