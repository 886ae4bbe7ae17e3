# SPDX-License-Identifier: GPL-3.0-or-later
"""test_h2_vectors.py - the same where one side or both speak HTTP/2: one request in, one out, and not a byte of a refused one."""
import pytest

import h2_fields
import h2_frames
from player import run_all

VECTORS = [v for table in (h2_fields, h2_frames) for v in table.VECTORS]
PLAYED = [(v, cut) for v in VECTORS for cut in v.cuts]


@pytest.fixture(scope="module")
def verdicts():
    return run_all(VECTORS)


@pytest.mark.parametrize("vector, cut", PLAYED, ids=[f"{v.name}-{cut}" for v, cut in PLAYED])
def test_vector(verdicts, vector, cut):
    complaints = verdicts[f"{vector.name}-{cut}"]
    assert not complaints, f"{vector.rfc}: " + "; ".join(complaints)
