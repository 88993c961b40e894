"""No autocast, whose types do not hold the states."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Switch it off on a device; there are some that have none, and refuse to be asked."""
    if torch.is_autocast_enabled() or torch.is_autocast_cpu_enabled():
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
