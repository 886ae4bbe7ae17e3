# SPDX-License-Identifier: GPL-3.0-or-later
"""test_h2_vectors.py - the same where one side or both speak HTTP/2: one request in, one out, and not a byte of a refused one."""
import pytest

import h2_answers
import h2_fields
import h2_frames
from h2 import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, block, frame, settings
from player import Recorded, Run, are_named, judge, passes, run_all
from strict_h2 import requests_in, responses_in
from vector import Seen

VECTORS = [v for table in (h2_fields, h2_frames, h2_answers) for v in table.VECTORS] + h2_answers.TOLD
PLAYED = [(v, cut) for v in VECTORS for cut in v.cuts]


@pytest.fixture(scope="module")
def verdicts():
    return run_all(VECTORS)


@pytest.mark.parametrize("vector, cut", PLAYED, ids=[f"{v.name}-{cut}" for v, cut in PLAYED])
def test_vector(verdicts, vector, cut):
    passes(verdicts, vector, cut)


def test_every_vector_has_a_name_of_its_own_and_a_section():
    are_named(VECTORS)


FORWARDED = (("x-forwarded-for", "1"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "a"), ("x-request-id", "1"))
PSEUDO = ((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"))


def told(*pairs, body=None, stream=1):
    end = END_STREAM if body is None else 0
    data = PREFACE + settings() + frame(HEADERS, END_HEADERS | end, stream, block(*pairs))
    return data if body is None else data + frame(DATA, END_STREAM, stream, body)


GOOD = told(*PSEUDO, *FORWARDED)


@pytest.mark.parametrize("raw", [
    GOOD[24:], PREFACE + frame(6, 0, 0, bytes(8)), told(*PSEUDO), told(*PSEUDO[1:], *FORWARDED), told(*PSEUDO, *FORWARDED, PSEUDO[3]),
    told(*PSEUDO, *FORWARDED, ("X-A", "b")), told(*PSEUDO, *FORWARDED, ("x", "a\r\nb")), told(*PSEUDO, *FORWARDED, ("x", "a ")),
    told(*PSEUDO, *FORWARDED, ("connection", "close")), told(*PSEUDO, *FORWARDED, ("content-length", "1"), body=b"ab"),
    told(*PSEUDO, *FORWARDED, ("content-length", "1"), ("content-length", "1"), body=b"a"), told(*PSEUDO, *FORWARDED, stream=2),
    GOOD + frame(DATA, END_STREAM, 1, b"a"), GOOD + frame(5, 4, 1, bytes(9)), GOOD + frame(HEADERS, 5, 3, b"\x80"), GOOD + frame(0xbb, 0, 0)])
def test_the_reader_of_records_forgives_nothing(raw):
    assert requests_in(raw)[2]


def test_the_reader_of_records_counts():
    assert len(requests_in(GOOD)[0]) == 1 and requests_in(GOOD)[1:] == (b"", "")
    assert requests_in(told(*PSEUDO, *FORWARDED, body=b"x"))[0][0].body == b"x"
    assert requests_in(GOOD[:-1])[0] == [] and requests_in(GOOD[:-1])[1]
    half = PREFACE + settings() + frame(HEADERS, END_HEADERS, 1, block(*PSEUDO, *FORWARDED)) + frame(DATA, 0, 1, b"x")
    assert requests_in(half)[0] == [] and requests_in(half)[1]
    answers = settings() + frame(HEADERS, 5, 1, block((":status", "200"))) + frame(3, 0, 3, bytes([0, 0, 0, 1]))
    assert [m.status for m in responses_in(answers)[0]] == [200, "RST PROTOCOL_ERROR"]


def test_the_judge_sees_a_second_request_and_a_connection_that_should_have_ended():
    vector = next(v for v in h2_frames.VECTORS if v.name == "h2-stream-even")
    run = Run(vector, "whole", 0)
    run.received, run.ended = settings() + frame(7, 0, 0, bytes(7) + b"\1"), "closed"
    assert judge(run) == []
    run.connections = [Recorded("/")]
    run.connections[0].data = b"G"
    assert "what is no message" in judge(run)[0]
    run.connections, run.received = [], settings()
    assert "ended with None" in judge(run)[0]
    assert Seen() not in vector.pod
