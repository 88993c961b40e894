"""Is this installation sound? What it consists of, and all that runs on a tiny network.

Loads neither Lava nor torch into this process: they are looked for, and tried in another one.
"""

from lava_async._doctor.findings import Finding as Finding
from lava_async._doctor.installation import look_around as look_around
from lava_async._doctor.self_test import TRIED as TRIED
from lava_async._doctor.self_test import try_backends as try_backends
