"""How well do networks learn that are trained for asynchronous execution?

All on the digits (`lava_async.datasets`), mean ± standard deviation over seeds, on the test split;
every choice was made on parts of the training split. Each trained network is run in six orders.

a   Accuracy, spikes and decisions of the digits' recipe, trained for momentum F = 8. Baseline:
    the same recipe, trained layered; control: layered with the same penalty on spikes, run at
    F = 1 and in the worst order beside networks trained for that.
b   Trained over a mixture of orders: how far the worst is from the best. Baseline: layered
    with penalty.
c   Neurons with memory and the loss of SLAYER's tutorials, through `slayer.utils.Assistant`, in
    20 and in 100 time steps. Baseline: SLAYER's own training of the same blocks, as many steps.
d   The same neurons in a convolutional network, 8-16-32-10.

    uv run python benchmarks/learning.py abcd --seeds 0 1 2 3 4
"""

import argparse
import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from lava.lib.dl import slayer
from lava.lib.dl.slayer.block import cuba

import lava_async as la
from lava_async import metrics
from lava_async import slayer as async_slayer
from lava_async.datasets import load_frames
from lava_async.study import recipe

ORDERS = {
    "layered": la.LayerSync(8),
    "momentum 8": la.Momentum(8),
    "momentum 1": la.Momentum(1),
    "random 8": la.Random(8),
    "random 1": la.Random(1),
    "fifo 8": la.Fifo(8),
}
MIXTURE = la.Mixture(tuple(ORDERS.values()))

DIGITS = recipe.DIGITS

NEURON = {
    "threshold": 1.25,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "tau_grad": 0.03,
    "scale_grad": 3,
}
TUTORIAL_PENALTY = 3e-6  # of a loss that is the sum of a batch
TUTORIAL_BATCH = 32

Data = tuple[np.ndarray, np.ndarray]
Scores = dict[str, np.ndarray]
"""(seeds, orders) each: accuracy, spikes a sample, forward steps to decision."""


# ------------------------------------------------------------ training


def fit(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    error: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    data: Data,
    *,
    penalty: float,
    epochs: int,
    batch_size: int,
    seed: int,
    rate_at: Callable[[float], float] | None = None,
) -> None:
    """Train with SLAYER's `Assistant`; the learning rate after so many epochs is `rate_at`."""
    x, labels = data
    assistant = slayer.utils.Assistant(network, error, optimizer, lam=penalty or None)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            if rate_at is not None:
                for group in optimizer.param_groups:
                    group["lr"] = rate_at(epoch + start / len(x))
            assistant.train(torch.from_numpy(x[batch]).float(), torch.from_numpy(labels[batch]))


def spike_count(spikes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the spike counts of the output neurons as logits."""
    return F.cross_entropy(spikes.sum(-1), labels)


def digits_network(schedule: la.Schedule, penalty: float, data: Data, seed: int) -> la.Graph:
    """Trained by the digits' recipe."""
    network = recipe.build_network(
        schedule, seed=seed, recipe=dataclasses.replace(DIGITS, penalty=penalty)
    )
    fit(
        network, recipe.build_optimizer(network, DIGITS), spike_count, data, penalty=penalty,
        epochs=DIGITS.epochs, batch_size=DIGITS.batch_size, seed=seed, rate_at=DIGITS.rate_at,
    )  # fmt: skip
    return network.graph()


def dense_blocks() -> list[torch.nn.Module]:
    sizes = itertools.pairwise((2 * 34 * 34, 64, 64, 64, 10))
    layers = [cuba.Dense(NEURON, i, o, weight_norm=True, delay_shift=False) for i, o in sizes]
    return [cuba.Flatten(), *layers]


def conv_blocks() -> list[torch.nn.Module]:
    shared = {"weight_norm": True, "delay_shift": False}
    return [
        cuba.Conv(NEURON, 2, 8, 3, stride=2, **shared),
        cuba.Conv(NEURON, 8, 16, 3, stride=2, **shared),
        cuba.Flatten(),
        cuba.Dense(NEURON, 16 * 7 * 7, 32, **shared),
        cuba.Dense(NEURON, 32, 10, **shared),
    ]


def tutorial_network(
    blocks: Callable[[], list[torch.nn.Module]],
    epochs: int,
    schedule: la.Schedule | None,
    penalty: float,
    data: Data,
    seed: int,
) -> la.Graph:
    """Trained as SLAYER's tutorials do; without a schedule by SLAYER itself."""
    torch.manual_seed(seed)
    own = blocks()
    shape = data[0].shape[1:-1]
    network: torch.nn.Module
    if schedule is None:
        network = torch.nn.Sequential(*own)
    else:
        network = async_slayer.Network(
            own, schedule, input_shape=shape, seed=seed,
            penalty=async_slayer.SpikePenalty() if penalty else None,
        )  # fmt: skip
    error = slayer.loss.SpikeRate(true_rate=0.2, false_rate=0.03, reduction="sum")
    fit(
        network, torch.optim.Adam(network.parameters(), lr=1e-3), error, data, penalty=penalty,
        epochs=epochs, batch_size=TUTORIAL_BATCH, seed=seed,
    )  # fmt: skip
    return async_slayer.Network(own, la.LayerSync(8), input_shape=shape).graph()


# ------------------------------------------------------------ measuring


def score(graphs: Sequence[la.Graph], test: Data) -> Scores:
    """Each seed's network in each of `ORDERS`."""
    x, labels = test
    found = [
        [metrics.evaluate(graph, la.simulate(graph, x, order), labels) for order in ORDERS.values()]
        for graph in graphs
    ]
    return {
        "accuracy": np.array([[e.accuracy for e in row] for row in found]),
        "spikes": np.array([[e.spikes_per_sample for e in row] for row in found]),
        "steps": np.array([[e.decision_latency or math.nan for e in row] for row in found]),
    }


def at(scores: Scores, order: str, what: str = "accuracy") -> float:
    """Mean over seeds."""
    return float(scores[what][:, list(ORDERS).index(order)].mean())


def worst(scores: Scores) -> float:
    return float(scores["accuracy"].min(axis=1).mean())


def best(scores: Scores) -> float:
    return float(scores["accuracy"].max(axis=1).mean())


def compare(
    ways: dict[str, Callable[[Data, int], la.Graph]], train: Data, test: Data, seeds: Sequence[int]
) -> dict[str, Scores]:
    """Train in each way with each seed, and print a row of the table as soon as it is known."""
    print(f"{'trained':26}{'':9}" + "".join(f"{name:>15}" for name in (*ORDERS, "worst")))
    results = {}
    for name, make in ways.items():
        start = time.perf_counter()
        graphs = [make(train, seed) for seed in seeds]
        seconds = (time.perf_counter() - start) / len(seeds)
        results[name] = scores = score(graphs, test)
        columns = np.column_stack([scores["accuracy"], scores["accuracy"].min(axis=1)])
        print(f"{name:26}{'accuracy':9}" + _cells(columns, ".3f"), flush=True)
        taken = f"   {seconds:.1f} s a training"
        print(f"{taken:26}{'spikes':9}" + _cells(scores["spikes"], ".0f"))
        print(f"{'':26}{'steps':9}" + _cells(scores["steps"], ".1f"))
    return results


def _cells(values: np.ndarray, form: str) -> str:
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    means = zip(values.mean(axis=0), spread, strict=True)
    return "".join(f"{f'{mean:{form}} ±{sd:{form}}':>15}" for mean, sd in means)


def judge(text: str, value: float, bound: float, form: str = ".3f") -> None:
    """Print one aim: `value` is to be at least `bound`."""
    verdict = "met" if value >= bound else "MISSED"
    print(f"{verdict:7} {text}: {value:{form}}, wanted at least {bound:{form}}")


# ------------------------------------------------------------ questions


def digits(seeds: Sequence[int], questions: str) -> None:
    """a and b share their baselines."""
    train, test = load_frames(True), load_frames(False)
    trainings: dict[str, tuple[la.Schedule, float]] = {
        "layered, penalty": (la.LayerSync(8), DIGITS.penalty),
        "mixture, penalty": (MIXTURE, DIGITS.penalty),
    }
    if "a" in questions:
        trainings = {
            "layered": (la.LayerSync(8), 0.0),
            "momentum 8, penalty": (la.Momentum(8), DIGITS.penalty),
            "momentum 1, penalty": (la.Momentum(1), DIGITS.penalty),
            **trainings,
        }
    print(f"\n{questions}: digits, {DIGITS.epochs} epochs, {len(seeds)} seeds")
    found = compare(
        {name: functools.partial(digits_network, *way) for name, way in trainings.items()},
        train, test, seeds,
    )  # fmt: skip
    control, mixture = found["layered, penalty"], found["mixture, penalty"]
    if "a" in questions:
        layered, own = found["layered"], found["momentum 8, penalty"]
        judge(
            "momentum 8, run so, against layered run layered",
            at(own, "momentum 8"), at(layered, "layered") - 0.01,
        )  # fmt: skip
        for what in ("spikes", "steps"):
            ratio = at(layered, "layered", what) / at(own, "momentum 8", what)
            judge(f"   layered's {what} over its own", ratio, 2, ".2f")
        judge(
            "trained for momentum 1, run so, against the control",
            at(found["momentum 1, penalty"], "momentum 1"), at(control, "momentum 1"),
        )  # fmt: skip
        judge("the mixture in its worst order, against the control", worst(mixture), worst(control))
    if "b" in questions:
        judge("the mixture's worst order, against its best", worst(mixture), best(mixture) - 0.03)
        judge(
            "its best, against layered with penalty", best(mixture), at(control, "layered") - 0.01
        )


def tutorial(
    seeds: Sequence[int],
    title: str,
    blocks: Callable[[], list[torch.nn.Module]],
    num_steps: int,
    epochs: int,
    penalty: float = 0.0,
) -> None:
    train, test = (
        load_frames(part, time_window_us=100_000 // num_steps, num_steps=num_steps)
        for part in (True, False)
    )
    updates = epochs * math.ceil(len(train[0]) / TUTORIAL_BATCH)
    print(f"\n{title}, {num_steps} time steps, {updates} updates, {len(seeds)} seeds")
    ways: dict[str, tuple[la.Schedule | None, float]] = {
        "SLAYER": (None, 0.0),
        "momentum 8": (la.Momentum(8), 0.0),
        "momentum 1": (la.Momentum(1), 0.0),
    }
    if penalty:
        ways["momentum 8, penalty"] = la.Momentum(8), penalty
    found = compare(
        {
            name: functools.partial(tutorial_network, blocks, epochs, *way)
            for name, way in ways.items()
        },
        train, test, seeds,
    )  # fmt: skip
    bound = at(found.pop("SLAYER"), "layered") - 0.02
    for name, scores in found.items():
        order = name.partition(",")[0]
        judge(f"trained {name}, run {order}, against SLAYER", at(scores, order), bound)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("questions", nargs="?", default="abcd", help="their letters")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    torch.set_num_threads(1)
    first = "".join(q for q in "ab" if q in args.questions)
    if first:
        digits(args.seeds, first)
    if "c" in args.questions:
        for num_steps, epochs in ((20, 12), (100, 4)):
            tutorial(args.seeds, "c: dense", dense_blocks, num_steps, epochs, TUTORIAL_PENALTY)
    if "d" in args.questions:
        tutorial(args.seeds, "d: convolutional", conv_blocks, num_steps=20, epochs=5)


if __name__ == "__main__":
    main()
