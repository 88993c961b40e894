"""Studies: the recipe, training with checkpoints, comparing ways to train and to run.

`run_study` is what ``lava-async study`` does, of a `Study`; `PRESETS` has some by name.
"""

from lava_async.study.engine import Outcome as Outcome
from lava_async.study.engine import run_study as run_study
from lava_async.study.grid import METHODS as METHODS
from lava_async.study.grid import PRESETS as PRESETS
from lava_async.study.grid import Run as Run
from lava_async.study.grid import Study as Study
from lava_async.study.grid import Training as Training
from lava_async.study.settings import RECIPES as RECIPES
from lava_async.study.settings import Recipe as Recipe
from lava_async.study.settings import Settings as Settings
from lava_async.study.table import Label as Label
from lava_async.study.table import Point as Point
from lava_async.study.table import Row as Row
