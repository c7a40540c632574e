"""Writes the Public Suffix List as one line for each top-level domain; src/origin/public_suffix.rs reads it."""

import re
import sys

HEADER = """\
// This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was
// not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.
// The Public Suffix List (https://publicsuffix.org), {version}, written as a tree by
// tests/vectors/public-suffixes/compact.py: labels from the last to the first, what is below one in parentheses,
// `!` an exception, `?` no suffix itself. Rules of one label are left out: a name that no rule is for has them.
"""


def ascii(label):
    return label if label.isascii() else label.encode("idna").decode()


def rules(lines):
    for line in lines:
        rule = line.split()[0] if line.strip() else "//"
        if not rule.startswith("//"):
            yield rule.removeprefix("!"), rule.startswith("!")


def tree(lines):
    root = {}
    for rule, exception in rules(lines):
        labels = [ascii(label) for label in reversed(rule.split("."))]
        level = root
        for label in labels:
            node = level.setdefault(label, {"mark": "?", "below": {}})
            level = node["below"]
        node["mark"] = "!" if exception else ""
    return root


def written(label, node):
    below = ",".join(written(*each) for each in sorted(node["below"].items()))
    before, after = ("!", "") if node["mark"] == "!" else ("", node["mark"])
    return before + label + after + (f"({below})" if below else "")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = file.readlines()
    version = next(re.sub("// VERSION: ", "version ", line).strip() for line in lines if "VERSION" in line)
    print(HEADER.format(version=version), end="")
    for label, node in sorted(tree(lines).items()):
        if node["below"]:
            print(written(label, {**node, "mark": ""}))


main()
