"""Cost models whose constants are published.

The publications themselves were not at hand: constants were compared with transcriptions that
others have made public, most with two independent ones, those of voltages and of the integer
addition with one; none differed.
"""

from lava_async.cost._model import CostModel, PerEvent

LOIHI = CostModel(
    name="loihi",
    source=(
        "Davies et al., Loihi: A Neuromorphic Manycore Processor with On-Chip Learning, IEEE "
        "Micro 38(1):82-99, 2018, Table 2 (pre-silicon SDF and SPICE simulations at 0.75 V; "
        "synaptic operations: least energy, longest time; spikes within a tile; barrier of one "
        "tile)"
    ),
    energy_pj=PerEvent(
        synaptic_operation=23.6, active_update=81.0, inactive_update=52.0, spike=1.7
    ),
    time_ns=PerEvent(
        synaptic_operation=3.5, active_update=8.4, inactive_update=5.3, spike=2.1,
        time_step=113.0,
    ),
)  # fmt: skip
"""Intel's Loihi, on one tile. The table does not say when an update is an active one; here it is
in the time steps in which the neuron fires, so that other activity counts too little.

All nine constants compared with ``sim.h`` of SANA-FE, a simulator of such chips
(github.com/SLAM-Lab/SANA-FE, versions in which it still held them), and with a list of that table's
rows (p. 96) in another public repository, which has the captions, too: pre-silicon, the least
energy and the longest time of a synaptic operation, 113 to 465 ns for a barrier of 1 to 32 tiles.
The voltage is in a third."""

ADDITIONS_45NM = CostModel(
    name="additions-45nm",
    source=(
        "Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, "
        "pp. 10-14, Figure 1.1.9 (45 nm, 0.9 V; a 32-bit floating-point addition for each "
        "synaptic operation; no memory, no neurons)"
    ),
    energy_pj=PerEvent(synaptic_operation=0.9),
)
"""The additions alone, as much of the literature on spiking networks counts energy. (Those of
integers, which our networks add, take 0.1 pJ there.)

Both constants compared with Table 3 of an article in PubMed Central (PMC8934428), which takes them
from that publication at 45 nm and 0.9 V; 0.9 pJ and the figure's number also with public source
code that cites it (arithmetic of networks, 32 bits: 0.9 pJ to add, 3.7 pJ to multiply)."""

MODELS = {model.name: model for model in (LOIHI, ADDITIONS_45NM)}
"""By name."""
