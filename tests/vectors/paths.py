# SPDX-License-Identifier: GPL-3.0-or-later
"""paths.py - the rule that matched is the meaning the pod gets: three pods, behind /, /admin and exactly /exact."""
from vector import SMUGGLED, Seen, get, passed, refused

RULES = (("/", "Prefix"), ("/admin", "Prefix"), ("/exact", "Exact"))


def to(name, target, rule, path=None, rfc="RFC 3986 6.2.2"):
    """`path`: what the pod gets, where that is not the target."""
    return passed(f"path-{name}", rfc, get(target), Seen("GET", path or target, rule=rule), rules=RULES)


def bad(name, target, rfc="RFC 3986 6.2.2"):
    return refused(f"path-{name}", rfc, get(target) + SMUGGLED, rules=RULES)


PLAIN = [
    to("root", "/", "/"),
    to("admin", "/admin", "/admin"),
    to("admin-slash", "/admin/", "/admin"),
    to("admin-below", "/admin/a", "/admin"),
    to("admin-other-word", "/administrator", "/"),
    to("admin-other-case", "/Admin", "/", rfc="RFC 3986 6.2.2.1"),
    to("exact", "/exact", "/exact"),
    to("exact-below", "/exact/a", "/"),
    to("exact-slash", "/exact/", "/"),
    to("query-is-no-path", "/?/admin", "/", rfc="RFC 3986 3.4"),
    to("query-with-dots", "/?a=/../admin", "/", rfc="RFC 3986 3.4"),
    to("query-with-slashes", "/admin?a=//b", "/admin", rfc="RFC 3986 3.4"),
    to("query-with-bad-encoding", "/admin?a=%zz%", "/admin", rfc="RFC 3986 3.4"),
    to("query-encoded-mark", "/%3f/admin", "/", rfc="RFC 3986 3.4"),
]

ENCODED = [
    to("encoded-letter", "/%61dmin", "/admin", "/admin", "RFC 3986 6.2.2.2"),
    to("encoded-word", "/%61%64%6d%69%6e/a", "/admin", "/admin/a", "RFC 3986 6.2.2.2"),
    to("encoded-exact", "/e%78act", "/exact", "/exact", "RFC 3986 6.2.2.2"),
    to("encoded-upper-case", "/a%7Eb", "/", "/a~b", "RFC 3986 6.2.2.2"),
    to("encoded-space", "/a%20b", "/", rfc="RFC 3986 2.4"),
    to("encoded-percent", "/%2561dmin", "/", rfc="RFC 3986 2.4"),
    to("encoded-percent-dots", "/a/%252e%252e/admin", "/", rfc="RFC 3986 2.4"),
    to("encoded-slash-is-data", "/a%2fadmin", "/", rfc="RFC 3986 2.2"),
    to("encoded-slash-behind-admin", "/admin%2fa", "/", rfc="RFC 3986 2.2"),
    to("encoded-backslash-is-data", "/a%5cadmin", "/", rfc="RFC 3986 2.2"),
    to("backslash-is-data", "/a\\admin", "/", rfc="RFC 3986 2.2"),
    to("encoded-utf-8", "/%c3%a9", "/", rfc="RFC 3986 2.5"),
    to("encoded-latin-1", "/%e9t%e9", "/", rfc="RFC 3986 2.5"),
    bad("encoded-nul", "/admin%00", "RFC 3986 7.3"),
    bad("encoded-nul-inside", "/a%00/../admin", "RFC 3986 7.3"),
    bad("encoded-half", "/a%2", "RFC 3986 2.1"),
    bad("encoded-nothing", "/a%", "RFC 3986 2.1"),
    bad("encoded-no-digits", "/%zzadmin", "RFC 3986 2.1"),
    bad("encoded-unicode", "/%u002e%u002e/admin", "RFC 3986 2.1"),
    bad("overlong-slash", "/a%c0%afadmin", "RFC 3629 10"),
    bad("overlong-slash-upper-case", "/a%C0%AFadmin", "RFC 3629 10"),
    bad("overlong-dots", "/a/%c0%ae%c0%ae/admin", "RFC 3629 10"),
    bad("overlong-letter", "/%c1%a1dmin", "RFC 3629 10"),
    bad("overlong-three-octets", "/a%e0%80%afadmin", "RFC 3629 10"),
    bad("overlong-three-octets-letter", "/%e0%81%a1dmin", "RFC 3629 10"),
    bad("overlong-four-octets", "/a%f0%80%80%afadmin", "RFC 3629 10"),
    bad("overlong-nul", "/admin%c0%80", "RFC 3629 10"),
]

DOTS = [
    to("dot", "/./admin", "/admin", "/admin", "RFC 3986 5.2.4"),
    to("dot-last", "/admin/.", "/admin", "/admin/", "RFC 3986 5.2.4"),
    to("dot-dot", "/a/../admin", "/admin", "/admin", "RFC 3986 5.2.4"),
    to("dot-dot-out", "/admin/../a", "/", "/a", "RFC 3986 5.2.4"),
    to("dot-dot-last", "/admin/..", "/", "/", "RFC 3986 5.2.4"),
    to("dot-dot-deep", "/a/b/c/../../../admin/a", "/admin", "/admin/a", "RFC 3986 5.2.4"),
    to("dot-dot-exact", "/a/../exact", "/exact", "/exact", "RFC 3986 5.2.4"),
    to("dot-dot-encoded", "/a/%2e%2e/admin", "/admin", "/admin", "RFC 3986 5.2.4"),
    to("dot-dot-half-encoded", "/a/.%2E/admin", "/admin", "/admin", "RFC 3986 5.2.4"),
    to("dot-encoded-last", "/admin/%2e", "/admin", "/admin/", "RFC 3986 5.2.4"),
    to("three-dots-are-a-name", "/a/.../admin", "/", rfc="RFC 3986 5.2.4"),
    to("dots-in-a-name", "/a..b/..c/admin", "/", rfc="RFC 3986 5.2.4"),
    bad("above-the-root", "/../admin", "RFC 3986 5.2.4"),
    bad("above-the-root-encoded", "/%2e%2e/admin", "RFC 3986 5.2.4"),
    bad("above-the-root-deep", "/a/../../admin", "RFC 3986 5.2.4"),
    bad("above-the-root-at-last", "/a/../..", "RFC 3986 5.2.4"),
    bad("dots-and-encoded-slash", "/a/..%2fadmin", "RFC 3986 2.2"),
    bad("dots-between-encoded-slashes", "/a%2f..%2fadmin", "RFC 3986 2.2"),
    bad("dots-and-encoded-backslash", "/a/..%5cadmin", "RFC 3986 2.2"),
    bad("dots-and-backslash", "/a/..\\admin", "RFC 3986 2.2"),
    bad("dots-between-backslashes", "/a\\..\\admin", "RFC 3986 2.2"),
    bad("encoded-dots-and-encoded-slash", "/a/%2e%2e%2fadmin", "RFC 3986 2.2"),
    bad("dots-behind-encoded-slash", "/a%2f../admin", "RFC 3986 2.2"),
    bad("dot-and-encoded-slash", "/a/.%2fadmin", "RFC 3986 2.2"),
    bad("dots-with-parameters", "/a/..;x/admin", "RFC 3986 3.3"),
    bad("dots-with-empty-parameters", "/a/..;/admin", "RFC 3986 3.3"),
    bad("dot-with-parameters", "/a/.;x/admin", "RFC 3986 3.3"),
    bad("encoded-dots-with-parameters", "/a/%2e%2e;/admin", "RFC 3986 3.3"),
    bad("dots-with-encoded-semicolon", "/a/..%3bx/admin", "RFC 3986 3.3"),
    to("parameters-are-part-of-a-segment", "/admin;x", "/", rfc="RFC 3986 3.3"),
    to("parameters-below", "/admin/a;x=1", "/admin", rfc="RFC 3986 3.3"),
]

SLASHES = [
    to("two-slashes", "//admin", "/admin", rfc="RFC 3986 3.3"),
    to("many-slashes", "////admin////a", "/admin", rfc="RFC 3986 3.3"),
    to("two-slashes-behind", "/admin//", "/admin", rfc="RFC 3986 3.3"),
    to("two-slashes-exact", "//exact", "/exact", rfc="RFC 3986 3.3"),
    to("only-slashes", "///", "/", rfc="RFC 3986 3.3"),
    bad("slashes-and-dots", "/a//../admin", "RFC 3986 5.2.4"),
    bad("slashes-and-dots-before", "//../admin", "RFC 3986 5.2.4"),
    bad("slashes-and-encoded-dots", "/a//%2e%2e/admin", "RFC 3986 5.2.4"),
    bad("slashes-and-dot", "//./admin", "RFC 3986 5.2.4"),
]

VECTORS = PLAIN + ENCODED + DOTS + SLASHES
