# SPDX-License-Identifier: GPL-3.0-or-later
"""test_docs.py - what the pages for tenants and operators say is what the program does."""
import re

from edge import ROOT, Edge

FENCE = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", re.M | re.S)


def page(name):
    return (ROOT / "docs" / name).read_text()


def test_the_examples_for_tenants_are_accepted_by_check_without_a_warning():
    examples = dict(FENCE.findall(page("tenants.md")))
    assert len(examples) == page("tenants.md").count("```yaml") == 4
    edge = Edge(examples)
    done = edge.run("check")
    edge.end(failed=False)
    assert done.returncode == 0 and ", 0 warnings" in done.stdout, done.stdout + done.stderr


def test_every_metric_is_on_the_operators_page_and_no_other():
    with Edge(dict(FENCE.findall(page("tenants.md")))) as e, e.connect(e.admin_port) as wire:
        e.status(f"http://{next(r['host'] for r in e.get('routes') if '*' not in r['host'])}/")  # hosts are counted once asked for
        wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        served = set(re.findall(r"^(ringress_\w+)[{ ]", wire.read_response().text, re.M))
    assert set(re.findall(r"`(ringress_\w+)`", page("operator.md"))) == served


def test_every_test_that_the_threat_model_names_exists_and_every_claim_names_one():
    text = page("security.md")
    sources = {path.name: path.read_text() for path in (ROOT / "tests").glob("*/test_*.*")}
    named = re.findall(r"`(test_\w+\.(?:py|c))::(\w+)`", text)
    for file, function in named:
        assert re.search(rf"(?:def|void) {function}\(", sources.get(file, "")), f"{file}::{function}"
    claims = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| cannot"))]
    assert len(claims) >= 30 and len(named) >= len(claims)
    for line in claims:
        assert re.search(r"`test_\w+\.\w+::\w+`", line), line


def test_the_readme_links_every_page():
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{path.name})" in readme, path.name
