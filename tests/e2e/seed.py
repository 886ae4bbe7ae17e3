# SPDX-License-Identifier: GPL-3.0-or-later
"""seed.py - how tests/seed/*.py tell of the seed document: each line as it stands there, how it was done where it could not be typed so, and
what came of it."""

ACME, DATABASE = "123123.1d.pt", "96jpgtx8.1d.pt"
failed = []


def line(command, instead=None):
    print(f"\n$ {command}")
    if instead:
        print(f"  # here: {instead}")


def outcome(good, text):
    print(f"  {'ok' if good else 'NOT AS IN THE SEED'}: {text}")
    if not good:
        failed.append(text)


def verdict():
    """The exit code."""
    print(f"\n{len(failed)} outcomes are not the seed's" if failed else "\nevery outcome is the seed's")
    return bool(failed)
