"""On which devices a network and its input are."""

from __future__ import annotations

import torch
from torch import Tensor

from lava_async.errors import ValidationError
from lava_async.slayer.integers import Integers
from lava_async.slayer.wiring import Wiring


def check_devices(x: Tensor, wiring: Wiring, integers: Integers) -> None:
    """Raise `ValidationError` unless all blocks are where the input is."""
    for layer, weights, delay in zip(
        wiring.layers, integers.weights, integers.delays, strict=True
    ):
        held = weights if delay is None else [*weights, delay]
        for device in (layer.neuron.device, *(tensor.device for tensor in held)):
            if device != x.device:
                raise ValidationError(
                    layer.where, "device", f"{x.device}, as the input's: x.to(…), net.to(…)", device
                )


def remark(device: torch.device) -> list[str]:
    """What there is to say of compiled training where the tensors are on a device."""
    if device.type == "cpu":
        return []
    return [
        f'Network: gradient="decisive" runs on the CPU: tensors go there from {device}, and back, '
        "in each pass. Leave network and input on the CPU, or take the slower "
        'gradient="unrolled", which stays on the device.'
    ]
