"""Places for the boxes and arrows of a directed graph, level below level.

After K. Sugiyama, S. Tagawa, M. Toda, *Methods for Visual Understanding of Hierarchical System
Structures*, 1981: levels by longest path; an arrow that crosses a level takes a place there, as
boxes do; places are ordered by the mean of their neighbours. Between two levels there is one
more, on which arrows have their labels, so that these do not cover each other.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]

_SWEEPS = 24
_BOX_WEIGHT = 100.0
"""Arrows bend around boxes, which stay in line."""
_STRAIGHT = 4.0
"""How much stronger the parts of an arrow pull at each other than boxes do."""


@dataclass(frozen=True)
class Edge:
    """An arrow of the graph.

    Attributes
    ----------
    source, target : int
        Nodes.
    is_back : bool
        Whether it lies against the order of the nodes: it leaves and enters at the side.
    label : float
        Width of its label.
    """

    source: int
    target: int
    is_back: bool
    label: float


@dataclass(frozen=True)
class Layout:
    """Where everything is, y upwards.

    Attributes
    ----------
    nodes : list of (x, y)
        Centres.
    bends : list of list of (x, y)
        Of each edge, in its direction.
    labels : list of (x, y)
        The bend of each edge where its label stands: on it, or left of it for one that goes back.
    left, right, bottom, top : float
        What is taken, labels included.
    """

    nodes: list[Point]
    bends: list[list[Point]]
    labels: list[Point]
    left: float
    right: float
    bottom: float
    top: float


def layered_layout(
    order: Sequence[int], edges: Sequence[Edge], box: Point, between: float, gap: float
) -> Layout:
    """Lay out nodes 0..n-1.

    Parameters
    ----------
    order : sequence of int
        The nodes, so that edges lead forward but for those that go back.
    edges : sequence of Edge
    box : (width, height)
        Of a node.
    between : float
        Height between two levels of boxes.
    gap : float
        Least distance of two things beside each other.
    """
    level = _levels(order, edges)
    rank = [2 * level[node] for node in range(len(order))]
    extent = [(box[0] / 2, box[0] / 2)] * len(order)
    links: list[tuple[int, int]] = []
    beside: dict[int, int] = {}
    span: dict[int, int] = {}
    chains: list[list[int]] = []
    labelled: list[int] = []
    for edge in edges:
        ranks = _crossed(rank[edge.source], rank[edge.target], edge.is_back)
        chain = list(range(len(rank), len(rank) + len(ranks)))
        place = _middle(ranks)
        for i, r in enumerate(ranks):
            rank.append(r)
            if i != place:
                extent.append((gap / 2, gap / 2))
            elif edge.is_back:
                extent.append((edge.label + gap / 2, gap / 2))
            else:
                extent.append((edge.label / 2, edge.label / 2))
        if edge.is_back:
            beside |= {chain[0]: edge.source, chain[-1]: edge.target}
            span |= {chain[0]: len(chain), chain[-1]: len(chain)}
        else:
            links += [(edge.source, chain[0]), (chain[-1], edge.target)]
        links += itertools.pairwise(chain)
        chains.append(chain)
        labelled.append(chain[place])

    x = _Items(rank, extent, links, beside, span, len(order), gap).columns()
    y = [-(r // 2) * (box[1] + between) - r % 2 * (box[1] + between) / 2 for r in rank]
    points = list(zip(x.tolist(), y, strict=True))
    left, right = np.array(extent).T
    return Layout(
        points[: len(order)],
        [
            _bends([points[i] for i in chain], [rank[i] for i in chain], edge.is_back, box[1] / 2)
            for chain, edge in zip(chains, edges, strict=True)
        ],
        [points[i] for i in labelled],
        float((x - left).min()),
        float((x + right).max()),
        min(y) - box[1] / 2,
        max(y) + box[1] / 2,
    )


def _bends(
    places: Sequence[Point], ranks: Sequence[int], is_back: bool, half: float
) -> list[Point]:
    """The way through its places, upright past boxes: in a curve it would hide behind them."""
    up = -half if ranks[-1] > ranks[0] else half
    bends: list[Point] = []
    for i, ((x, y), rank) in enumerate(zip(places, ranks, strict=True)):
        begins, ends = is_back and i == 0, is_back and i == len(places) - 1
        if rank % 2 or (begins and ends):
            bends.append((x, y))
        else:
            bends += [(x, y if begins else y - up), (x, y if ends else y + up)]
    return bends


def spread(
    wanted: Sequence[float], apart: Sequence[float], weight: Sequence[float] | None = None
) -> npt.NDArray[np.float64]:
    """Ascending places, least squares from the wanted ones, ``apart[i]`` between i and i + 1.

    By pooling adjacent violators.
    """
    offset = np.concatenate([np.zeros(1), np.cumsum(apart)])
    weights = np.ones(len(wanted)) if weight is None else np.asarray(weight)
    pools: list[list[float]] = []  # [mean, weight, members]
    for value, w in zip(np.asarray(wanted) - offset, weights, strict=True):
        pools.append([float(value), float(w), 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, total, members = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * total) / (last[1] + total)
            last[1] += total
            last[2] += members
    return offset + np.repeat([p[0] for p in pools], [int(p[2]) for p in pools])


def _levels(order: Sequence[int], edges: Sequence[Edge]) -> dict[int, int]:
    level: dict[int, int] = {}
    for node in order:
        before = [e.source for e in edges if e.target == node and not e.is_back]
        level[node] = 1 + max((level[source] for source in before), default=-1)
    return level


def _crossed(source: int, target: int, is_back: bool) -> range:
    """Ranks in which an edge takes a place; one that goes back also beside its ends."""
    if is_back:
        return range(source, target - 1, -1) if target <= source else range(source, target + 1)
    return range(source + 1, target)


def _middle(ranks: range) -> int:
    """Index of the middle one, of those between boxes if there are any."""
    between = [i for i, r in enumerate(ranks) if r % 2]
    return between[len(between) // 2] if between else 0


@dataclass(frozen=True)
class _Items:
    """Boxes first, then the places that edges take.

    Attributes
    ----------
    rank : list of int
    extent : list of (left, right)
        What each takes beside its x.
    links : list of (item, item)
        Of neighbouring ranks.
    beside : dict of item to box
        What comes just before a box of the same rank: ends of edges that go back.
    span : dict of item to int
        How long these edges are; the shortest come nearest.
    boxes : int
    gap : float
    """

    rank: list[int]
    extent: list[Point]
    links: list[tuple[int, int]]
    beside: dict[int, int]
    span: dict[int, int]
    boxes: int
    gap: float

    def columns(self) -> npt.NDArray[np.float64]:
        """x of every item."""
        ranks: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        for i, r in enumerate(self.rank):
            ranks[r].append(i)
        x = np.zeros(len(self.rank))
        best, fewest = [list(here) for here in ranks], math.inf
        for sweep in range(_SWEEPS):
            self._sweep(x, ranks, down=sweep % 2 == 0, reorder=True)
            crossings = self._crossings(x)
            if crossings < fewest:
                best, fewest = [list(here) for here in ranks], crossings
        for sweep in range(_SWEEPS):
            self._sweep(x, best, down=sweep % 2 == 0, reorder=False)
        return x

    def _sweep(
        self, x: npt.NDArray[np.float64], ranks: list[list[int]], down: bool, reorder: bool
    ) -> None:
        """Move all items towards neighbours: those behind when reordering, else all."""
        for r in range(len(ranks)) if down else reversed(range(len(ranks))):
            here = ranks[r]
            wanted = {
                i: self._wanted(
                    x, i, [j for j in self._neighbours[i]
                           if not reorder or (self.rank[j] < r) == down]
                )
                for i in here
            }  # fmt: skip
            if reorder:
                here.sort(key=functools.partial(self._key, wanted))
            apart = [
                self.extent[a][1] + self.gap + self.extent[b][0]
                for a, b in itertools.pairwise(here)
            ]
            weight = [_BOX_WEIGHT if i < self.boxes else 1.0 for i in here]
            x[here] = spread([wanted[i] for i in here], apart, weight)

    def _key(self, wanted: dict[int, float], item: int) -> tuple[float, int, int]:
        owner = self.beside.get(item, item)
        return wanted[owner], owner, -self.span.get(item, 0)

    def _wanted(self, x: npt.NDArray[np.float64], item: int, pulling: list[int]) -> float:
        places = [x[j] for j in pulling]
        pulls = [1.0 if j < self.boxes else _STRAIGHT for j in pulling]
        if item in self.beside:
            box = self.beside[item]
            places.append(x[box] - self.extent[box][0] - self.gap - self.extent[item][1])
            pulls.append(1.0)
        return float(np.average(places, weights=pulls)) if places else float(x[item])

    @functools.cached_property
    def _neighbours(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.rank]
        for a, b in self.links:
            found[a].append(b)
            found[b].append(a)
        return found

    def _crossings(self, x: npt.NDArray[np.float64]) -> int:
        """Pairs of links that cross each other."""
        ends = [sorted(link, key=lambda i: self.rank[i]) for link in self.links]
        upper, lower = np.array(ends, np.intp).reshape(-1, 2).T
        above = np.subtract.outer(x[upper], x[upper])
        below = np.subtract.outer(x[lower], x[lower])
        rank = np.array(self.rank)[upper]
        same = np.equal.outer(rank, rank)
        return int((same & (above * below < 0)).sum()) // 2
