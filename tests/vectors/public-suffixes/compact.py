"""Writes the Public Suffix List as one line for each top-level domain, and the same packed, which is what
src/exchange/origin/public_suffix.rs reads.

    compact.py public_suffix_list.dat src/exchange/origin/public_suffixes.txt src/exchange/origin/public_suffixes.packed
    compact.py - src/exchange/origin/public_suffixes.txt src/exchange/origin/public_suffixes.packed    packs what is there
"""

import collections
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


def shorter(text, pair, byte):
    """The text with a byte in place of each pair, from the left on."""
    out = []
    rest = iter(text)
    before = next(rest, None)
    for after in rest:
        if (before, after) == pair:
            out.append(byte)
            before = next(rest, None)
        else:
            out.append(before)
            before = after
    return out if before is None else out + [before]


def packed(lines):
    """What is below each top-level domain, with a byte that no label has for each of the most frequent pairs. In front of
    it, for each of the 256 bytes, the pair that it stands for; two zeros where it is itself."""
    tops, belows = zip(*(line[:-1].split("(", 1) for line in lines))
    belows = [list(below.encode()) for below in belows]
    literal = {0, *b"\n()"}.union(*belows)
    table = bytearray(512)
    for byte in (byte for byte in range(256) if byte not in literal):
        pairs = collections.Counter()
        for below in belows:
            pairs.update(zip(below, below[1:]))
        pair, count = min(pairs.items(), key=lambda each: (-each[1], each[0]))
        if count < 4:
            break
        table[2 * byte : 2 * byte + 2] = pair
        belows = [shorter(below, pair, byte) for below in belows]
    lines = [top.encode() + b"(" + bytes(below) + b")\n" for top, below in zip(tops, belows)]
    return bytes(table) + b"".join(lines)


def listed(path):
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    version = next(re.sub("// VERSION: ", "version ", line).strip() for line in lines if "VERSION" in line)
    text = HEADER.format(version=version)
    for label, node in sorted(tree(lines).items()):
        if node["below"]:
            text += written(label, {**node, "mark": ""}) + "\n"
    return text


def main():
    source, path, packed_path = sys.argv[1:]
    if source != "-":
        with open(path, "w", encoding="ascii") as file:
            file.write(listed(source))
    with open(path, encoding="ascii") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("//")]
    with open(packed_path, "wb") as file:
        file.write(packed(lines))


main()
