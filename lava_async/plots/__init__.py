"""Figures of what a run measured. matplotlib is loaded with the first of them.

Every function returns a ``matplotlib.figure.Figure`` that belongs to no window and to no
global state: it works without a display, in a notebook it shows itself, `save` writes it.
`sample_animation` returns an animation of the same kind, which `save_animation` writes and
`animation_html` makes a notebook show.

All can be read in greyscale, and with any colour vision.
"""

from lava_async.plots._animation import sample_animation as sample_animation
from lava_async.plots._learning import learning_figure as learning_figure
from lava_async.plots._measures import accuracy_figure as accuracy_figure
from lava_async.plots._measures import spikes_per_population_figure as spikes_per_population_figure
from lava_async.plots._network import network_figure as network_figure
from lava_async.plots._raster import raster_figure as raster_figure
from lava_async.plots._save import animation_html as animation_html
from lava_async.plots._save import save as save
from lava_async.plots._save import save_animation as save_animation
from lava_async.plots._schedules import accuracy_by_schedule_figure as accuracy_by_schedule_figure
