"""A device with numbers on it where there is none: what PyTorch refuses across devices fails here.

A tensor `There` says that it is on `DEVICE` and keeps its numbers in a plain tensor. Under
`pretending` tensors move there and back; operations on tensors of both kinds fail, and so does
``numpy()``, as on a GPU. Sparse tensors are everywhere at once. "lazy" is a device type whose
tensors autograd walks back in the calling thread and that nothing else here uses.
"""

import contextlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("lazy", 0)

_MOVES = {torch.ops.aten._to_copy, torch.ops.aten.copy_}
_INDEXED = {torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_}
"""Take indices on the CPU, too."""


class There(torch.Tensor):
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers):
        return torch.Tensor._make_wrapper_subclass(
            cls, numbers.shape, numbers.stride(), numbers.storage_offset(), dtype=numbers.dtype,
            device=DEVICE,
        )  # fmt: skip

    def __init__(self, numbers):
        self.numbers = numbers

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Make(TorchFunctionMode):
    """`torch.tensor` and its like, and ``tolist()``, never dispatch what moves their numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            return func(*args, **{**kwargs, "device": None}).to(kwargs["device"])
        if func is torch.Tensor.tolist:
            return func(args[0].cpu())
        return func(*args, **kwargs)


@contextlib.contextmanager
def pretending():
    with _Dispatch(), _Make():
        yield


def _run(func, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [t for t in tensors if isinstance(t, There)]
    here = [t for t in tensors if not isinstance(t, There)]
    kind = func._overloadpacket
    if there and kind not in _MOVES | _INDEXED and any(
        t.dim() and t.layout == torch.strided for t in here
    ):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    device = kwargs.get("device")
    goes = bool(there) if device is None else torch.device(device).type == DEVICE.type
    if kind in (torch.ops.aten.copy_, torch.ops.aten.index_put_):
        goes = isinstance(args[0], There)
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    known = {id(t.numbers): t for t in there}
    args, kwargs = tree_map(lambda x: x.numbers if isinstance(x, There) else x, (args, kwargs))
    found = func(*args, **kwargs)

    def wrap(x):
        if isinstance(x, torch.Tensor) and x.layout == torch.strided:
            return known.get(id(x)) if id(x) in known else There(x)
        return x

    return tree_map(wrap, found) if goes else found
