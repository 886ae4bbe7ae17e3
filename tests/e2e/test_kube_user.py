# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl's writes at an edge that is not root: they land where conf.d is its user's, and where it is not the answer says what is to be done."""
import contextlib
import os
import pwd
import shutil

import pytest

from kube import Kube, sections
from edge import Edge
from objects import DOMAINS, documents, grant, plain_ingress, pod, rule, service
from pod import EchoPod

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
NOBODY = pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@contextlib.contextmanager
def nobodys(owner):
    """An edge that becomes nobody; conf.d and all in it is `owner`'s."""
    with EchoPod("web") as web:
        e = Edge({"acme.yaml": documents(grant("acme"), pod(web), service("web", target=web.port)),
                  "globex/tenant.yaml": documents(grant("globex")), "globex/all.yaml": documents(pod(web), service("web", target=web.port))},
                 **sections(), user="nobody")
        os.chmod(e.folder, 0o755)
        for path in (e.conf_d, *e.conf_d.rglob("*")):
            shutil.chown(path, owner, owner)
        with e:
            yield e


def made(tenant):
    return plain_ingress(rule(f"new.{DOMAINS[tenant]}", "web"), name="new")


@pytest.mark.parametrize("tenant", ["acme", "globex"], ids=["a file that becomes a folder", "a folder"])
def test_what_is_written_is_the_users_and_live(tenant):
    with nobodys(NOBODY.pw_uid) as e:
        kube = Kube(e, tenant)
        assert kube.ask("POST", INGRESSES, made(tenant), Content_Type="application/json")[0] == 201
        assert e.echo(f"http://new.{DOMAINS[tenant]}/")["pod"] == "web"
        assert (e.conf_d / tenant / "ingress.new.yaml").stat().st_uid == NOBODY.pw_uid
        assert kube.ask("DELETE", f"{INGRESSES}/new")[0] == 200
        assert not (e.conf_d / tenant / "ingress.new.yaml").exists()


@pytest.mark.parametrize("tenant", ["acme", "globex"], ids=["a file that would become a folder", "a folder"])
def test_where_it_may_not_write_the_answer_says_who_must_be_let(tenant):
    with nobodys(0) as e:
        kube, before = Kube(e, tenant), sorted(e.conf_d.rglob("*"))
        status, said = kube.ask("POST", INGRESSES, made(tenant), Content_Type="application/json")
        assert status == 500 and "Permission denied" in said["message"] and "must be writable by the edge's user" in said["message"], said
        assert sorted(e.conf_d.rglob("*")) == before
        assert kube.ask("GET", INGRESSES)[0] == 200
