# SPDX-License-Identifier: GPL-3.0-or-later
"""test_vectors.py - no pod sees two requests where a client sent one, nor a byte of a refused one; no client sees two answers.

The vectors are in the tables beside this; all of them are played first, many at a time, then each is a test of its own."""
import collections
import re

import pytest

import answers
import chunks
import connection
import framing
import lines
import paths
import targets
from player import CUTS, pieces, run_all

VECTORS = [v for table in (framing, chunks, lines, targets, paths, connection, answers) for v in table.VECTORS]


@pytest.fixture(scope="module")
def verdicts():
    return run_all(VECTORS)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_vector(verdicts, vector, cut):
    complaints = verdicts[f"{vector.name}-{cut}"]
    assert not complaints, f"{vector.rfc}: " + "; ".join(complaints)


def test_every_vector_has_a_name_of_its_own_and_a_section():
    twice = [name for name, count in collections.Counter(v.name for v in VECTORS).items() if count > 1]
    assert twice == []
    assert [v.name for v in VECTORS if not re.fullmatch(r"RFC \d{4}( \d+(\.\d+)*)?", v.rfc)] == []


def test_cuts_lose_nothing():
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\nbody\r"
    for cut in CUTS:
        assert b"".join(pieces(data, cut)) == data and all(pieces(data, cut))
    assert pieces(data, "lines")[:3] == [b"GET / HTTP/1.1\r", b"\n", b"Host: a\r"]
