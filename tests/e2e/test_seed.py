# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project began with still comes out as it says there: tests/seed/*.py, each of which tells what it does."""
import os
import subprocess
import sys

import pytest

from edge import ROOT
from kube import DEBIANS, KUBECTL


def outcome(script, **environment):
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    print(done.stdout, done.stderr)
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0


@pytest.mark.parametrize("script", sorted((ROOT / "tests/seed").glob("*.py")), ids=lambda p: p.stem)
def test_every_line_of_the_seed_has_its_outcome(script):
    outcome(script)


@pytest.mark.skipif(KUBECTL == DEBIANS or not os.path.exists(DEBIANS), reason="there is no second kubectl: ./dev setup could not get Debian's")
def test_so_it_has_with_debians_kubectl():
    """On Debian 12 one of long ago: it validates by another schema, and knows no server-side field validation."""
    outcome(ROOT / "tests/seed/kubectl.py", KUBECTL=DEBIANS)
