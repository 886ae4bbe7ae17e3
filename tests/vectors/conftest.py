# SPDX-License-Identifier: GPL-3.0-or-later
"""conftest.py - the vectors use the edge of tests/e2e."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
