"""Where the test files are that lava-dl's wheel carries."""

import importlib.metadata
from pathlib import Path

NETX = Path(str(importlib.metadata.distribution("lava-dl").locate_file("tests/lava/lib/dl/netx")))
