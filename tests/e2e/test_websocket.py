# SPDX-License-Identifier: GPL-3.0-or-later
"""WebSocket as Node programs speak it: the `ws` package at both ends, with its compression."""
import pytest

from edge import Edge
from node import NodePod, node
from objects import ACME, web_tenant

HOST = f"web.{ACME}"


@pytest.fixture(scope="module")
def served(workers, authority):
    with NodePod("ws_pod.js") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers, authority,
                                         certificates=[(f"*.{ACME}",)]) as e:
        yield e


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_ws_talks_to_ws_through_the_edge(served, scheme):
    port, ca = (served.https_port, served.authority.ca) if scheme == "wss" else (served.http_port, "-")
    assert node("ws_client.js", f"{scheme}://{HOST}:PORT/chat", f"127.0.0.1:{port}", ca) == {
        "extensions": "permessage-deflate", "big": True, "words": True, "who": "127.0.0.1", "pong": "are you there",
        "closed": [4001, "as you wish"]}
