# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project began with still comes out as it says there: tests/seed/*.py, each of which tells what it does."""
import subprocess
import sys

import pytest

from edge import ROOT


@pytest.mark.parametrize("script", sorted((ROOT / "tests/seed").glob("*.py")), ids=lambda p: p.stem)
def test_every_line_of_the_seed_has_its_outcome(script):
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    print(done.stdout, done.stderr)
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0
