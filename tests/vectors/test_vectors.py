# SPDX-License-Identifier: GPL-3.0-or-later
"""test_vectors.py - no pod sees two requests where a client sent one, nor a byte of a refused one; no client sees two answers.

The vectors are in the tables beside this; all of them are played first, many at a time, then each is a test of its own."""
import pytest

import answers
import chunks
import connection
import framing
import lines
import paths
import targets
from player import CUTS, Recorded, Run, are_named, judge, passes, pieces, run_all
from strict import requests_in, responses_in
from vector import Seen, get, passed, refused

VECTORS = [v for table in (framing, chunks, lines, targets, paths, connection, answers) for v in table.VECTORS]


@pytest.fixture(scope="module")
def verdicts():
    return run_all(VECTORS)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_vector(verdicts, vector, cut):
    passes(verdicts, vector, cut)


def test_every_vector_has_a_name_of_its_own_and_a_section():
    are_named(VECTORS)


def test_cuts_lose_nothing():
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\nbody\r"
    for cut in CUTS:
        assert b"".join(pieces(data, cut)) == data and all(pieces(data, cut))
    assert pieces(data, "lines")[:3] == [b"GET / HTTP/1.1\r", b"\n", b"Host: a\r"]


FORWARDED = (b"X-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nX-Request-Id: 1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n")
ONE = b"GET / HTTP/1.1\r\nHost: a\r\n" + FORWARDED


@pytest.mark.parametrize("raw", [
    ONE.replace(b"\r\n", b"\n"), ONE.replace(b"Host: a", b"Host: a\r\nHost: b"), ONE.replace(b"Host: a", b"Host : a"),
    ONE.replace(b"Host: a", b"Host: a\r\n b"), ONE.replace(b"Host: a", b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
    ONE.replace(b"Host: a", b"Host: a\r\nContent-Length: +1"), ONE.replace(b"GET /", b"GET  /"), b"rubbish\r\n\r\n",
    ONE.replace(b"Host: a", b"Host: a\r\nTransfer-Encoding: chunked") + b"1;x\r\na\r\n0\r\n\r\n"])
def test_the_reader_of_records_forgives_nothing(raw):
    found, left, why = requests_in(raw)
    assert why and not found and left == raw


def test_the_reader_of_records_counts():
    assert len(requests_in(ONE * 3)[0]) == 3 and requests_in(ONE[:-1]) == ([], ONE[:-1], "")
    two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2
    assert [m.body for m in responses_in(two)[0]] == [b"ok", b"ok"]


def test_the_judge_sees_a_second_request_a_byte_of_a_refused_one_and_a_connection_left_open():
    run = Run(passed("one", "RFC 9112", get(), Seen(), ends=True), "whole", 0)
    run.received, run.ended = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "closed"
    run.connections = [Recorded("/")]
    run.connections[0].data = ONE
    assert judge(run) == []
    run.connections[0].data = ONE * 2
    assert "not 1 requests" in judge(run)[0]
    run = Run(refused("none", "RFC 9112", get()), "whole", 0)
    run.received, run.ended = b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "closed"
    assert judge(run) == []
    run.connections = [Recorded("/")]
    run.connections[0].data = b"G"
    assert "what is no message" in judge(run)[0]
    run.connections, run.ended = [], None
    assert "not closed" in judge(run)[0]
