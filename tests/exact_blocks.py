"""What is asked of every block: the same spikes from SLAYER, trainer, file and every backend."""

import h5py
import numpy as np
import torch

import lava_async as la
import slayer_blocks as sb
from file_graphs import assert_same
from lava_async import slayer as async_slayer
from records import assert_equal_records

BACKENDS = ("kernel", "lava", "graph")
SCHEDULES = (la.LayerSync(3), la.Momentum(3), la.Random(2, seed=5))


def assert_slayers_own(build, x, ran=None, gradient=True):
    """Spikes to the bit, and gradients up to rounding, of ``ran``, the blocks in a row by default.

    ``build`` makes the blocks anew each time.
    """
    ours, theirs = sb.seeded(build), sb.seeded(build)
    net = sb.network(ours, la.LayerSync())
    plain = torch.nn.ModuleList(theirs)
    want = torch.nn.Sequential(*theirs)(x) if ran is None else ran(theirs, x)
    assert want.sum() > 0
    for kind in ("decisive", "unrolled"):
        net = sb.network(ours, la.LayerSync(), gradient=kind)
        y = net(x)
        assert y.shape == want.shape and torch.equal(y, want)
        if not gradient:
            continue
        net.zero_grad()
        y.square().sum().backward()
        if kind == "decisive":
            want.square().sum().backward()
        parameters = dict(plain.named_parameters())
        for name, p in net.blocks.named_parameters():
            assert p.requires_grad == parameters[name].requires_grad
            if p.requires_grad and parameters[name].grad is not None:
                wanted = parameters[name].grad
                scale = float(wanted.abs().max())
                assert scale > 0, name
                torch.testing.assert_close(p.grad, wanted, rtol=1e-3, atol=1e-5 * scale)


def assert_same_everywhere(
    net, x, folder, schedules=SCHEDULES, layers=None, backends=BACKENDS
):
    """Trainer = file = reference = every backend, under each schedule.

    ``layers`` are the types in the file, None if it has none, ... if either will do. Returns the
    network from the file.
    """
    net.eval()
    net(x)  # the shape
    path = folder / "a.net"
    net.export_hdf5(path)
    with h5py.File(path) as file:
        found = None
        if "layer" in file:
            count = range(len(file["layer"]))
            found = [file[f"layer/{i}/type"][()].item().decode() for i in count]
        assert layers is ... or found == layers
    graph = la.load(path)
    assert_same(graph, net.graph())
    again = async_slayer.Network.from_hdf5(path)
    assert_same(again.graph(), graph)
    ids, counts = np.arange(3, 3 + len(x)), x.numpy().astype(int)
    seen = set()
    for schedule in schedules:
        want = la.simulate(
            graph, counts, schedule, backend="reference", sample_ids=ids, trace=True
        )
        assert want.all_spikes.any()
        seen.add(want.all_spikes.tobytes())
        for backend in backends:
            got = la.simulate(graph, counts, schedule, backend=backend, sample_ids=ids, trace=True)
            assert_equal_records(got, want)
        for run in (net, again):
            run.schedule = schedule
            y, spikes = run(x, sample_ids=ids, return_spikes=True)
            np.testing.assert_array_equal(spikes.detach().numpy(), want.all_spikes)
            np.testing.assert_array_equal(y.detach().numpy().reshape(want.spikes.shape),
                                          want.spikes)  # fmt: skip
    assert len(seen) > 1 or len(schedules) == 1  # else the order did not matter
    return again
