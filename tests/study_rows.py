"""Rows of a study made by hand: what the engine would write, without running anything."""

import hashlib
import math

from lava_async.study.table import Point, Row

SAMPLES = 360


def row(method="layered", run="layer:8", accuracy=0.9, **fields):
    """A row of ``accuracy`` (as the next share of the samples), with the fields that are named."""
    samples = fields.pop("samples", SAMPLES)
    correct = fields.pop("correct", round(accuracy * samples))
    accuracy = correct / samples
    trained_with = fields.pop("trained_with", "layer:8")
    seed = fields.pop("seed", 0)
    penalty = fields.pop("penalty", None)
    identity = f"{method} {trained_with} {penalty} {seed} {fields.get('epochs', 15)}"
    group_size = trained_with.partition(":")[2]
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / samples)
    values = dict(
        data="digits", method=method, trained_with=trained_with,
        group_size=int(group_size) if group_size.isdecimal() else None,
        penalty=penalty, epochs=15, seed=seed,
        network=hashlib.sha256(identity.encode()).hexdigest()[:16],
        name=f"{method}, {trained_with}",
        run=run, scheduler=run.partition(":")[0], run_group_size=int(run.partition(":")[2]),
        stop_after=None, neurons=202, time_steps=10,
        samples=samples, correct=correct, accuracy=accuracy,
        accuracy_low=max(0.0, accuracy - half), accuracy_high=min(1.0, accuracy + half),
        spikes_per_sample=500.0, density=0.1, synops_per_sample=20000.0,
        forward_steps_per_sample=60.0, decision_step=10.0, decision_time_step=2.0,
    )  # fmt: skip
    return Row(**{**values, **fields})


ORDERS = ("layer:8", "momentum:8", "momentum:1", "random:8", "random:1", "fifo:8", "fifo:1")
# Of each way to train: accuracy in each of the orders, spikes, forward steps to decision.
_WAYS = {
    ("layered", "layer:8", 0.0): ((971, 947, 924, 938, 803, 951, 899), 573, 18.8),
    ("layered + penalty", "layer:8", 0.0025): ((970, 969, 955, 966, 918, 968, 944), 231, 10.2),
    ("layered + penalty", "layer:8", 0.005): ((969, 968, 959, 967, 928, 968, 951), 163, 8.1),
    ("layered + penalty", "layer:8", 0.01): ((958, 958, 953, 957, 931, 958, 947), 118, 6.9),
    ("unrolled", "momentum:8", 0.0): ((936, 943, 921, 931, 845, 940, 908), 248, 11.0),
    ("decisive", "momentum:8", 0.0025): ((968, 971, 955, 966, 921, 968, 946), 221, 9.8),
    ("decisive", "momentum:8", 0.005): ((967, 968, 958, 966, 930, 967, 953), 159, 7.7),
    ("decisive", "momentum:8", 0.01): ((955, 959, 951, 956, 929, 957, 946), 112, 6.4),
    ("decisive", "momentum:1", 0.005): ((969, 972, 973, 970, 956, 971, 969), 197, 8.8),
    ("decisive, mixture", "mixture", 0.005): ((968, 970, 965, 969, 954, 970, 963), 181, 8.3),
}  # fmt: skip


def realistic(seeds=3):
    """Rows and points as of a study of the digits."""
    rows, points = [], []
    for (method, trained_with, penalty), (shares, spikes, decision) in _WAYS.items():
        for seed in range(seeds):
            for place, (run, share) in enumerate(zip(ORDERS, shares, strict=True)):
                wobble = (seed - (seeds - 1) / 2) * (1 + 0.3 * place)
                for stop_after in (None, 0, 1, 2, 4, 8) if run != "layer:8" else (None,):
                    left = 1.0 if stop_after is None else 1 - 0.5 ** (1.2 + stop_after)
                    group_size = int(run.partition(":")[2])
                    whole = spikes * (1 + 0.02 * wobble) * (1.2 if "random" in run else 1.0)
                    rows.append(
                        row(
                            method, run, accuracy=share / 1000 * (0.6 + 0.4 * left) + wobble / 360,
                            trained_with=trained_with, penalty=penalty, seed=seed,
                            stop_after=stop_after, spikes_per_sample=whole * left,
                            synops_per_sample=56 * whole * left + 9000,
                            forward_steps_per_sample=whole * left / group_size,
                            decision_step=decision * 8 / group_size * (1 + 0.03 * wobble),
                        )
                    )  # fmt: skip
                whole_row = next(r for r in reversed(rows) if r.stop_after is None)
                rate = 3 / (whole_row.decision_step or 1)
                points += [
                    Point(
                        whole_row.name, whole_row.network, seed, run, step,
                        whole_row.accuracy * (1 - math.exp(-rate * step)),
                    )
                    for step in range(int(whole_row.forward_steps_per_sample) + 1)
                ]  # fmt: skip
    return rows, points
