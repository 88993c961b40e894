"""No autocast, whose types do not hold the states."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import torch

# PyTorch 2.4 asks by type of device, and warns of each call by the older name.
_on_cpu = (
    functools.partial(torch.is_autocast_enabled, "cpu")  # type: ignore[call-arg]
    if hasattr(torch, "get_autocast_dtype") else torch.is_autocast_cpu_enabled
)  # fmt: skip


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Switch it off on a device; there are some that have none, and refuse to be asked."""
    if torch.is_autocast_enabled() or _on_cpu():
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
