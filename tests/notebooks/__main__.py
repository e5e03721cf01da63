"""python -m tests.notebooks: what store.py does. Ctrl-C ends quietly while it is still being loaded, too."""

import sys

try:
    from tests.notebooks.store import main

    code = main()
except KeyboardInterrupt:
    print("\nStopped.", file=sys.stderr)
    code = 130
sys.exit(code)
