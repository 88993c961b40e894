"""Random networks that mix SLAYER's blocks: the same spikes from SLAYER, trainer and files."""

import warnings
from dataclasses import dataclass, field

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.lib.dl.slayer.block import cuba

import lava_async as la
import slayer_blocks as sb
from exact_blocks import assert_same_everywhere
from lava_async import slayer as async_slayer
from random_networks import single_schedules


@dataclass
class Mixture:
    """Blocks one after another; before some of them the output of two is added.

    ``run`` does with the blocks what the network does under layer synchronization.
    """

    shape: tuple[int, ...]
    blocks: list[torch.nn.Module] = field(default_factory=list)
    sources: dict[int, list] = field(default_factory=dict)

    def add(self, kind, *arguments, **options):
        block = kind(*arguments, **options)
        self.blocks.append(block)
        with torch.no_grad():
            x = torch.zeros(1, *self.shape, 1)
            if isinstance(block, cuba.Flatten):
                x = x.flatten(1, 3)
            else:
                x = (block.input_synapse if hasattr(block, "input_synapse") else block.synapse)(x)
        self.shape = tuple(x.shape[1:-1])

    def run(self, x):
        outputs = []
        for index, block in enumerate(self.blocks):
            seen = [x] if index == 0 else [outputs[-1]]
            if index in self.sources:
                seen = [outputs[i] for i in self.sources[index][0].sources]
            outputs.append(block(sum(seen)))
        return outputs[-1]


@st.composite
def mixtures_of_blocks(draw):
    def neuron():
        return {
            "threshold": draw(st.sampled_from([0.5, 1.25])),
            "current_decay": draw(st.sampled_from([0.0, 0.3, 1.0])),
            "voltage_decay": draw(st.sampled_from([0.0, 0.1, 1.0])),
        }

    def settings(weight_scale):
        return {"weight_scale": weight_scale, "delay_shift": False}

    first = (2, draw(st.sampled_from([4, 6])), draw(st.integers(3, 6)))
    made = Mixture(first)
    for _ in range(draw(st.integers(1, 3))):
        channels, height, width = made.shape
        kinds = [cuba.Conv]
        kinds += [cuba.Pool] if height % 2 == 0 else []
        kinds += [cuba.ConvT, cuba.Unpool] if height * width < 40 else []
        kind = draw(st.sampled_from(kinds))
        if kind in (cuba.Pool, cuba.Unpool):
            made.add(kind, neuron(), 2, **settings(1.5))
        elif kind is cuba.Conv:
            made.add(kind, neuron(), channels, draw(st.integers(1, 3)), 3, padding=1, **settings(8))
        else:
            made.add(kind, neuron(), channels, draw(st.integers(1, 3)), 2, stride=2, **settings(8))
    if draw(st.booleans()):
        channels, count = made.shape[0], len(made.blocks)
        made.add(cuba.Conv, neuron(), channels, channels, 3, padding=1, **settings(8))
        made.sources[count + 1] = [async_slayer.Sum(count - 1, count)]
    channels, height, width = made.shape
    if draw(st.booleans()):
        made.add(cuba.Dense, neuron(), (width, height, channels), 6, **settings(8))
    else:
        made.add(cuba.Flatten)
        made.add(cuba.Dense, neuron(), *made.shape, 7, **settings(8))
        made.add(cuba.Recurrent, neuron(), 7, 6, **settings(8))
        made.add(cuba.KWTA, neuron(), 6, 5, 1, **settings(8))
    return made, first


@settings(max_examples=25, deadline=None)
@given(drawn=mixtures_of_blocks(), seed=st.integers(0, 99), schedule=single_schedules())
def test_any_mixture_of_blocks(drawn, seed, schedule, tmp_path_factory):
    mixture, shape = drawn
    x = sb.spikes((2, *shape, 5), seed, density=0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is drawn not everything learns
        net = sb.network(mixture.blocks, la.LayerSync(), sources=mixture.sources).eval()
        with torch.no_grad():
            y, spikes = net(x, return_spikes=True)
            assert torch.equal(y, mixture.run(x))
        if spikes.any():
            assert_same_everywhere(
                net, x, tmp_path_factory.mktemp("mixed"), [schedule], ..., ["kernel"]
            )
