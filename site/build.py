"""Lays the pages of the repository out for MkDocs, in target/site/pages, with the files that they link to.

Pages stay as they are, but for links to folders: one with a README leads to that, any other is text.
"""

import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "target/site/pages"
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]+)(#[^()\s]*)?\)")
FENCE = re.compile(r"^ {0,3}(```|~~~)")


def tracked():
    """Every page that is part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    others = ("tests/vectors/", "target/")
    return [path for path in listed.stdout.split() if not path.startswith(others)]


def lay_out(path, linked):
    page = ROOT / path

    def follow(match):
        text, target, fragment = match.group(1), match.group(2), match.group(3) or ""
        if "://" in target or target.startswith("mailto:"):
            return match.group(0)
        found = (page.parent / target).resolve()
        if found.is_dir():
            if not (found / "README.md").is_file():
                return text
            return f"[{text}]({target.rstrip('/')}/README.md{fragment})"
        if found.suffix != ".md":
            linked.add(found)
        return match.group(0)

    lines, is_code = [], False
    for line in page.read_text().splitlines():
        if FENCE.match(line):
            is_code = not is_code
        lines.append(line if is_code else LINK.sub(follow, line))
    place = PAGES / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(lines) + "\n")


def main():
    shutil.rmtree(PAGES, ignore_errors=True)
    linked = set()
    for path in tracked():
        lay_out(path, linked)
    for source in linked:
        place = PAGES / source.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        # A link that leads nowhere is for MkDocs to tell.
        if source.is_file():
            shutil.copyfile(source, place)


main()
