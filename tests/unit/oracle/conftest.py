"""Makes `oracle`, which is a package in the folder of all tests, importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
