"""``python -m lava_async``: the command line, wherever the script ``lava-async`` is."""

import sys

from lava_async._cli import main

if __name__ == "__main__":
    sys.exit(main())
