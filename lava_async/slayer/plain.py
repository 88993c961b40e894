"""What a block does beyond its parameters and would be skipped: refused by name.

Blocks are not called: their weights and neurons are read, and run in another order. So a
forward of one's own, or a hook that waits for a forward, would never be heard.
"""

from __future__ import annotations

import functools

from torch.nn import Module

from lava_async.errors import UnsupportedError

EXPORT = frozenset({"export_hdf5"})
"""What only an export calls."""

_HOOKS = {
    "_forward_pre_hooks": "forward pre-hook",
    "_forward_hooks": "forward hook",
    "_backward_pre_hooks": "backward pre-hook",
    "_backward_hooks": "backward hook",
}


def refuse_overrides(
    where: str, part: str, module: Module, base: type[Module], but: frozenset[str] = frozenset()
) -> None:
    """Raise `UnsupportedError` unless the module does what its class of SLAYER does.

    Parameters
    ----------
    where, part : str
        Place of the block, and what the module is in it.
    module : torch.nn.Module
    base : type
        SLAYER's class.
    but : set of str
        Names that may be overridden.
    """
    if not isinstance(module, base):
        got = f"{type(module).__module__}.{type(module).__qualname__}"
        raise UnsupportedError(where, part, f"a {base.__module__}.{base.__qualname__}", got)
    own = (_overridden(type(module), base) | (vars(module).keys() & _behaviour(base))) - but
    if own:
        raise UnsupportedError(
            where, f"{part}.{min(own)}",
            "SLAYER's own: blocks are not called, but their weights and neurons are run",
            f"another one, of {type(module).__qualname__}",
        )


@functools.cache
def _behaviour(base: type[Module]) -> frozenset[str]:
    """Methods and properties of SLAYER's class that its result may depend on."""
    return frozenset(
        name
        for c in base.__mro__
        if c.__module__.startswith("lava.")
        for name, value in vars(c).items()
        if name != "__init__" and (callable(value) or isinstance(value, property))
    ) | {"forward", "__call__"}


@functools.cache
def _overridden(cls: type[Module], base: type[Module]) -> frozenset[str]:
    """Which of these a class that builds on SLAYER's has another of."""
    return frozenset(
        name
        for name in _behaviour(base)
        if not issubclass(base, next(c for c in cls.__mro__ if name in vars(c)))
    )


def refuse_hooks(where: str, part: str, module: Module, weight_hooks: bool = False) -> None:
    """Raise `UnsupportedError` if a hook waits for a call of the module.

    ``weight_hooks``: forward pre-hooks are fine; they make its weight.
    """
    for attribute, kind in _HOOKS.items():
        if weight_hooks and attribute == "_forward_pre_hooks":
            continue
        for hook in vars(module)[attribute].values():
            name = getattr(hook, "__qualname__", type(hook).__qualname__)
            raise UnsupportedError(
                where, f"{kind} of the {part}",
                "none: blocks are not called, but their weights and neurons are run", name,
            )
