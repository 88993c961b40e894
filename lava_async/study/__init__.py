"""Studies: the recipe, training with checkpoints, comparing ways to train and to run.

`run_study` is what ``lava-async study`` does, of a `Study`; `PRESETS` has some by name.
"""

from lava_async.study.engine import Outcome as Outcome
from lava_async.study.engine import run_study as run_study
from lava_async.study.grid import METHODS as METHODS
from lava_async.study.grid import PRESETS as PRESETS
from lava_async.study.grid import Study as Study
