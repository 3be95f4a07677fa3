"""Where the repository and the committed files of its tests are."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]
DATA = ROOT / 'tests' / 'data'
