# SPDX-License-Identifier: GPL-3.0-or-later
"""conftest.py - what every story may ask for: a throw-away certificate authority, a number of workers, namespaces, and a stack of what is to end with it."""
import contextlib
import pathlib
import subprocess

import pytest

from edge import BINARY
from namespaces import Namespaces


def pytest_collection_modifyitems(items):
    assert BINARY.exists(), f"{BINARY} is not built (RINGRESS_BUILD names the folder)"


@pytest.fixture(params=[1, 3], ids=["1 worker", "3 workers"], scope="module")
def workers(request):
    """Every story runs with one worker and with several."""
    return request.param


@pytest.fixture
def spaces():
    with Namespaces() as n:
        yield n


@pytest.fixture
def stack():
    with contextlib.ExitStack() as s:
        yield s


class Authority:
    """Issues certificates for seven days."""

    def __init__(self, folder):
        self.folder, self.issued = pathlib.Path(folder), {}
        self.ca, self.ca_key = self.folder / "ca.pem", self.folder / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 7,
                     "-subj", "/CN=a throw-away CA", "-keyout", self.ca_key, "-out", self.ca)

    @staticmethod
    def openssl(*words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, *names, serial=0):
        """(chain, key) files of a certificate for these names; a new `serial` is a new certificate."""
        if (names, serial) not in self.issued:
            self.issued[names, serial] = self.make(f"leaf{len(self.issued)}", names)
        return self.issued[names, serial]

    def make(self, base, names):
        leaf, key, csr, ext = (self.folder / f"{base}.{end}" for end in ("pem", "key", "csr", "ext"))
        ext.write_text(f"subjectAltName={','.join(f'DNS:{n}' for n in names)}\nextendedKeyUsage=serverAuth\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={names[0]}", "-keyout", key, "-out", csr)
        self.openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                     "-days", 7, "-extfile", ext, "-out", leaf)
        return leaf, key


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))
