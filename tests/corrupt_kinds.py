"""Damaged, foreign and unsupported network files, by name.

Each kind writes its file when called with a path; ``says`` is a piece of the message that
the loader must answer with.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from lava_async._semantics.schedule import Momentum
from net_files import Layer, conv, dense, flatten, input_layer, neuron, write_net


@dataclass(frozen=True)
class Kind:
    write: Callable[[Path], object]
    says: str

    def __call__(self, path: Path) -> None:
        self.write(path)


def valid_layers() -> list[Layer]:
    """What the kinds damage: input with neurons, conv, flatten, dense, dense without neurons."""
    rng = np.random.default_rng(0)

    def weight(*shape):
        return 2 * rng.integers(-20, 20, shape)

    return [
        input_layer(
            (2, 6, 5), weight=np.float32([36]), bias=np.float32([3]), neuron=neuron(i_decay=4096)
        ),
        conv(weight(4, 2, 3, 2), (2, 6, 5), neuron(), bias=np.arange(4.0)),
        flatten(64),
        dense(weight(7, 64), neuron()),
        dense(weight(3, 7)),
    ]


def write_valid(path: Path) -> None:
    write_net(path, valid_layers(), Momentum(4, 0.5, 7))


def _edited(edit: Callable[[list[Layer]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        layers = copy.deepcopy(valid_layers())
        edit(layers)
        write_net(path, layers)

    return write


def _field(layer: int, name: str, value: object) -> Callable[[Path], object]:
    """Set a field (``neuron/…`` inside the neuron)."""

    def edit(layers: list[Layer]) -> None:
        *groups, last = name.split("/")
        functools.reduce(dict.__getitem__, groups, layers[layer])[last] = value

    return _edited(edit)


def _without(layer: int, name: str) -> Callable[[Path], object]:
    def edit(layers: list[Layer]) -> None:
        *groups, last = name.split("/")
        del functools.reduce(dict.__getitem__, groups, layers[layer])[last]

    return _edited(edit)


def _element(layer: int, name: str, value: float) -> Callable[[Path], object]:
    def edit(layers: list[Layer]) -> None:
        array = np.array(layers[layer][name], np.float64)
        array.reshape(-1)[1] = value
        layers[layer][name] = array

    return _edited(edit)


def in_file(change: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    """Change the written file through h5py."""

    def write(path: Path) -> None:
        write_valid(path)
        with h5py.File(path, "r+") as file:
            change(file)

    return write


def replaced(name: str, **how) -> Callable[[Path], object]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return in_file(change)


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _truncated(fraction: float) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        write_valid(path)
        os.truncate(path, int(path.stat().st_size * fraction))

    return write


def _damaged_heap(place: int, value: int) -> Callable[[Path], object]:
    """Change the heap that holds the neuron types; the HDF5 library would loop for ever."""

    def write(path: Path) -> None:
        write_valid(path)
        content = bytearray(path.read_bytes())
        content[content.index(b"GCOL") + place] = value
        path.write_bytes(content)

    return write


def _empty_hdf5(path: Path) -> None:
    h5py.File(path, "w").close()


def _layer_group(change: Callable[[h5py.Group], object]) -> Callable[[Path], object]:
    return in_file(lambda file: change(file["layer"]))


def _self_link(file: h5py.File) -> None:
    del file["layer/3/weight"]
    file["layer/3/weight"] = h5py.SoftLink("/layer/3/weight")


def corrupt_kinds() -> dict[str, Kind]:
    """Files that raise `FileFormatError`."""
    nan, inf = float("nan"), float("inf")
    huge = {"shape": (1 << 20, 1 << 20), "dtype": "f4", "chunks": (1024, 1024)}
    kinds = {
        # not HDF5 at all
        "missing": (lambda path: None, "No such file"),
        "directory": (lambda path: path.mkdir(), "a directory"),
        "pipe": (os.mkfifo, "device or pipe"),
        "HDF5 signature only": (_bytes(b"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
        "truncated to 1%": (_truncated(0.01), "an HDF5 file"),
        "truncated to half": (_truncated(0.5), "an HDF5 file"),
        "truncated to 99%": (_truncated(0.99), "an HDF5 file"),
        "heap object of index 0": (_damaged_heap(16, 0), "global heap"),
        "heap object of huge size": (_damaged_heap(16 + 15, 0x7F), "global heap"),
        "heap of another version": (_damaged_heap(4, 2), "neuron/type: expected a readable field"),
        "heap of huge size": (_damaged_heap(8 + 7, 0x7F), "global heap"),
        # HDF5, but no network
        "empty HDF5": (_empty_hdf5, "layer: expected a group (got nothing)"),
        "layer is a data set": (replaced("layer", data=1), "layer: expected a group (got a data"),
        "no layers": (_edited(list.clear), "layer: expected at least one layer (got none)"),
        "no neurons": (
            _edited(lambda layers: layers.__delitem__(slice(1, None)) or layers[0].pop("neuron")),
            "expected a layer with neurons (got none)",
        ),
        "layer missing": (_layer_group(lambda g: g.move("2", "9")), "expected layers 0 to 4"),
        "layers from 1": (_layer_group(lambda g: g.move("0", "5")), "expected layers 0 to 4"),
        "layer of another name": (_layer_group(lambda g: g.move("4", "out")), "layers 0 to 4"),
        "one layer is a data set": (replaced("layer/3", data=1), "layer/3: expected a group"),
        "no type": (_without(3, "type"), "layer 3: type: expected text (got nothing)"),
        "type is a number": (_field(3, "type", 7), "layer 3: type: expected text (got dtype"),
        "type is bytes": (_field(3, "type", np.bytes_(b"\xff\xfe")), "layer 3: type: expected one"),
        "second input layer": (
            _edited(lambda layers: layers.insert(1, layers[0])),
            "layer 1 (input): type: expected an input layer as layer 0 only",
        ),
        # missing fields
        **{
            f"{layer} without {name}": (_without(index, name), f"layer {index} ({layer}): {name}")
            for index, layer, names in (
                (0, "input", ["shape", "neuron/type", "neuron/vThMant"]),
                (1, "conv", ["shape", "weight", "stride", "padding", "dilation", "groups",
                             "neuron", "neuron/iDecay"]),
                (3, "dense", ["shape", "weight", "neuron/type", "neuron/vDecay"]),
            )
            for name in names
        },
        # fields that contradict each other
        "input and conv do not chain": (_field(0, "shape", [3, 6, 5]), "conv input channels"),
        "conv of a flat input": (_field(0, "shape", [60]), "(C, H, W)"),
        "shape of two dimensions": (_field(0, "shape", [6, 5]), "layer 0 (input): shape: expected"),
        "conv shape": (_field(1, "shape", [4, 5, 5]), "layer 1 (conv): conv target shape"),
        "conv channels": (_field(1, "inChannels", 3), "layer 1 (conv): inChannels: expected 2"),
        "conv outputs": (_field(1, "outChannels", 5), "layer 1 (conv): outChannels: expected 4"),
        "conv kernel": (_field(1, "kernelSize", [2, 3]), "layer 1 (conv): kernelSize: expected"),
        "conv groups": (_field(1, "groups", 3), "layer 1 (conv): out_channels"),
        "conv bias size": (_field(1, "bias", np.zeros(3)), "layer 1 (conv): bias: expected 1 or 4"),
        "conv weight of 3 dimensions": (
            _field(1, "weight", np.zeros((4, 2, 3))), "layer 1 (conv): weight dimensions: expect"
        ),
        "kernel larger than input": (
            _field(1, "weight", np.zeros((4, 2, 9, 9))), "layer 1 (conv): kernelSize"
        ),
        "flatten shape": (_field(2, "shape", [63, 1, 1]), "layer 2 (flatten): shape: expected 64"),
        "dense inputs do not chain": (
            _edited(lambda layers: layers.__setitem__(3, dense(np.zeros((7, 63)), neuron()))),
            "layer 3 (dense): dense weight shape (out, in): expected (7, 64) (got (7, 63))",
        ),
        "dense inFeatures": (_field(3, "inFeatures", 63), "(dense): inFeatures: expected 64"),
        "dense outFeatures": (_field(3, "outFeatures", 8), "(dense): outFeatures: expected 7"),
        "dense shape": (_field(3, "shape", [8]), "layer 3 (dense): weight shape: expected (8, inp"),
        "dense bias size": (_field(3, "bias", np.zeros(6)), "(dense): bias: expected 1 or 7"),
        "flat weight of odd size": (_field(3, "weight", np.zeros(450)), "(dense): weight shape"),
        # values
        "weight NaN": (_element(3, "weight", nan), "layer 3 (dense): weight[0, 1]"),
        "weight inf": (_element(1, "weight", inf), "layer 1 (conv): weight[0, 0, 0, 1]"),
        "weight fractional": (_element(3, "weight", 0.5), "(got 0.5)"),
        "weight too large": (_element(3, "weight", 256), "-256..254 (got 256.0)"),
        "weight too small": (_element(3, "weight", -257), "-256..254 (got -257.0)"),
        "weight 1e300": (_element(3, "weight", 1e300), "(got 1e+300)"),
        "input weight of two": (_field(0, "weight", np.ones(2)), "layer 0 (input): weight"),
        "bias NaN": (_element(1, "bias", nan), "layer 1 (conv): bias"),
        "bias out of range": (_element(1, "bias", 5000), "layer 1 (conv): bias"),
        "iDecay 4097": (_field(3, "neuron/iDecay", 4097), "layer 3 (dense): iDecay: expected an"),
        "vDecay negative": (_field(3, "neuron/vDecay", -1), "layer 3 (dense): vDecay: expected an"),
        "vDecay NaN": (_field(3, "neuron/vDecay", nan), "layer 3 (dense): vDecay: expected an"),
        "threshold 1 << 40": (_field(3, "neuron/vThMant", 1 << 40), "layer 3 (dense): vThMant"),
        "threshold text": (_field(3, "neuron/vThMant", "80"), "neuron/vThMant: expected numbers"),
        "neuron type is a list": (
            replaced("layer/3/neuron/type", shape=(), dtype=h5py.vlen_dtype(np.int32)),
            "neuron/type: expected text",
        ),
        "neuron type of 1000 letters": (
            _field(3, "neuron/type", "C" * 1000), "neuron/type: expected one name (got a text of"
        ),
        "neuron is a number": (_field(3, "neuron", 1), "layer 3 (dense): neuron: expected a group"),
        "shape of zero": (_field(0, "shape", [2, 0, 5]), "layer 0 (input): shape"),
        "shape negative": (_field(0, "shape", [2, -6, 5]), "layer 0 (input): shape"),
        "shape of 2**60": (_field(0, "shape", [1 << 20] * 3), "layer 0 (input): shape: expected"),
        "stride zero": (_field(1, "stride", [0, 1]), "layer 1 (conv): stride: expected"),
        "stride of three": (_field(1, "stride", [1, 1, 1]), "layer 1 (conv): stride: expected"),
        "padding huge": (_field(1, "padding", [1 << 40, 0]), "layer 1 (conv): padding"),
        "weight complex": (_field(3, "weight", np.zeros((7, 64), complex)), "expected numbers"),
        "weight of text": (replaced("layer/3/weight", data=b"abc"), "(dense): weight: expected"),
        "weight null": (replaced("layer/3/weight", data=h5py.Empty("f")), "weight: expected 1 to"),
        "weight of no values": (replaced("layer/3/weight", data=np.zeros((7, 0))), "weight: exp"),
        "weight of 2**40 values": (replaced("layer/3/weight", **huge), "layer 3 (dense): weight"),
        "weight linked to itself": (in_file(_self_link), "layer 3 (dense): weight"),
        # delays
        "delay of 63": (_field(3, "delay", np.arange(57, 64)), "layer 3 (dense): delay[6]: expect"),
        "delay negative": (_field(1, "delay", -1), "layer 1 (conv): delay: expected an integer in"),
        "delay fractional": (_field(3, "delay", np.arange(7) + 0.5), "delay[0]: expected an integ"),
        "delay NaN": (_field(3, "delay", nan), "layer 3 (dense): delay: expected an integer in 0."),
        "delays of no kind": (_field(3, "delay", np.zeros(6)), "delay: expected 1 or 7 values (go"),
        "delays that add up": (
            _edited(lambda layers: layers[3].update(delay=2) or layers[4].update(delay=[61.0] * 7)),
            "layer 4 (dense): delay[0]: expected an integer in 0..62 (got 63)",
        ),
    }
    return {name: Kind(*kind) for name, kind in kinds.items()}


def unsupported_kinds() -> dict[str, Kind]:
    """Valid files that raise `UnsupportedError`."""
    complex_weight = {"real": np.zeros((7, 64)), "imag": np.zeros((7, 64))}
    kinds = {
        "delay of an input": (_field(0, "delay", 1), "layer 0 (input): delay: expected 0, or none"),
        "delay of a flatten": (_field(2, "delay", [1]), "layer 2 (flatten): delay: expected 0, or"),
        "delay of synapses": (
            _field(3, "delay", np.ones((7, 64))), "delay: expected one for each neuron (got one for"
        ),
        **{
            f"type {kind}": (_field(3, "type", kind), f"layer 3 ({kind}): type: expected one of")
            for kind in ("concat", "dense_comp")
        },
        **{
            f"neuron {kind}": (
                _field(3, "neuron/type", kind),
                f"layer 3 (dense): neuron/type: expected CUBA or LOIHI (got {kind})",
            )
            for kind in ("SDNN", "RF_PHASE", "RF_IZHIKEVICH", "ADRF_PHASE", "ALIF")
        },
        "graded spikes": (_field(3, "neuron/gradedSpike", True), "neuron/gradedSpike: expected 0"),
        "message bits": (_field(3, "neuron/messageBits", 8), "neuron/messageBits: expected 0"),
        "refractory delay": (_field(3, "neuron/refDelay", 2), "neuron/refDelay: expected 1"),
        "weight exponent": (_field(3, "neuron/wgtExp", 2), "neuron/wgtExp: expected 0 (got 2)"),
        "norm exponent": (_field(3, "neuron/weight_exp", -1), "neuron/weight_exp: expected 0"),
        "complex weights": (_field(3, "weight", complex_weight), "weight: expected real numbers"),
        "input bias with memory": (_field(0, "neuron/iDecay", 100), "layer 0 (input): bias"),
    }
    return {name: Kind(*kind) for name, kind in kinds.items()}
