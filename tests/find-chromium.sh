#!/bin/sh
# Prints the path of a chromedriver, by which the tests drive Chromium.
#
#   find-chromium.sh   $CHROMEDRIVER, else chromedriver on PATH, else Debian's packages
#
# The packages are unpacked into .cache/chromium; nothing is installed. Where there is no Chromium and none
# can be had, or CHROMEDRIVER is empty, it says so and fails.
set -eu
cd "$(dirname "$0")/.."

instead="Or install Chromium and its driver yourself (Debian: apt-get install chromium chromium-driver)."

fail() {
    echo "find-chromium: $*" >&2
    exit 1
}

if [ "${CHROMEDRIVER+set}" ]; then
    [ -n "$CHROMEDRIVER" ] || fail "CHROMEDRIVER is empty: no tests in a browser"
    path=$(command -v "$CHROMEDRIVER") || fail "CHROMEDRIVER=$CHROMEDRIVER is not a program"
    case $path in
    /*) echo "$path" ;;
    *) echo "$(pwd)/$path" ;;
    esac
    exit
fi
for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null && command -v chromedriver; then
        exit
    fi
done

cache=$(pwd)/.cache
driver=$cache/chromium/chromedriver
if [ -x "$driver" ]; then
    echo "$driver"
    exit
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "there is no Chromium, and no apt-get to fetch Debian's. $instead"
fi
echo "find-chromium: fetching Debian's chromium and chromium-driver" >&2
mkdir -p "$cache"
staged=$(mktemp -d "$cache/chromium.XXXXXX")
trap 'rm -rf "$staged"' EXIT
mkdir -p "$staged/archives/partial" "$staged/lists/partial"

# With what the packages need and this machine lacks.
download() {
    apt-get install --yes --quiet --download-only --no-install-recommends \
        -o Dir::Cache::archives="$staged/archives" -o Debug::NoLocking=true "$@" \
        chromium chromium-driver >"$staged/log" 2>&1
}

# The machine's lists of packages may be missing, or too old.
own_lists="-o Dir::State::lists=$staged/lists"
# shellcheck disable=SC2086
download ||
    { apt-get update -qq -o Debug::NoLocking=true $own_lists >"$staged/log" 2>&1 && download $own_lists; } ||
    { cat "$staged/log" >&2 && fail "apt-get could not fetch chromium: no network, or no such package. $instead"; }
for package in "$staged"/archives/*.deb; do
    dpkg-deb --extract "$package" "$staged/root"
done
rm -rf "$staged/archives" "$staged/lists" "$staged/log"

wrap() {
    cat >"$staged/$1" <<END
#!/bin/sh
root=\$(dirname "\$0")/root
for folder in "\$root"/usr/lib/*-linux-gnu* "\$root"/lib/*-linux-gnu* "\$root"/usr/lib/*-linux-gnu*/*/; do
    LD_LIBRARY_PATH=\$folder\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
[ -e /etc/fonts ] || export FONTCONFIG_PATH="\$root/etc/fonts"
exec "\$root/$2" "\$@"
END
    chmod 755 "$staged/$1"
    "$staged/$1" --version >/dev/null || fail "Debian's $1 does not run on this machine. $instead"
}
wrap chromium usr/lib/chromium/chromium
wrap chromedriver usr/bin/chromedriver
chmod 755 "$staged"

# Another run may have been quicker.
[ -d "$cache/chromium" ] || mv "$staged" "$cache/chromium"
echo "$driver"
