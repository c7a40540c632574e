#!/bin/sh
# Builds the documentation as a site, into target/site/html. A link that leads nowhere and a page that is not in the
# navigation are errors. MkDocs comes from PyPI, by the hashes in requirements.txt, into .cache/site.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "site: $*" >&2
    exit 1
}

command -v python3 >/dev/null || fail "python3 is missing"
# Other requirements are another folder.
wanted=$(cksum <site/requirements.txt)
tools=$(pwd)/.cache/site/${wanted%% *}
mkdocs() {
    # By module: programs in a folder that was moved name a Python that is gone.
    NO_MKDOCS_2_WARNING=1 "$tools/bin/python" -m mkdocs "$@"
}
if ! mkdocs --version >/dev/null 2>&1; then
    echo "site: fetching MkDocs from PyPI" >&2
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || fail "python3 has no venv; on Debian: apt-get install python3-venv"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r site/requirements.txt ||
        { rm -rf "$tools" && fail "pip could not fetch MkDocs: no network, or none for this Python"; }
fi
python3 site/build.py
# With --quiet, MkDocs does not count warnings, and what is strict passes.
mkdocs build --strict --clean --config-file site/mkdocs.yml >target/site/log 2>&1 ||
    { grep -v '^INFO' target/site/log >&2 && fail "the site is not built"; }
echo "target/site/html/index.html"
