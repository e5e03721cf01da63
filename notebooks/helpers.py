"""Lets a lesson in this folder write `from helpers import …`, whichever program opened it.

Jupyter puts the folder of the notebook first on Python's path, not the root of the repository where the real
package is. So Python finds this file, which puts the root on the path and hands its own place to the real package.
"""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
del sys.modules[__name__]
importlib.import_module(__name__)
