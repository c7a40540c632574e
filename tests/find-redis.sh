#!/bin/sh
# Prints the path of a Redis server, in which the tests' rate limit service keeps its counts.
#
#   find-redis.sh   $REDIS_SERVER, else redis-server on PATH, else Debian's package
#
# The package is unpacked into .cache/redis; nothing is installed, and no service is started.
set -eu
cd "$(dirname "$0")/.."

instead="Or install Redis yourself and set REDIS_SERVER=/path/to/redis-server."

fail() {
    echo "find-redis: $*" >&2
    exit 1
}

if [ -n "${REDIS_SERVER:-}" ]; then
    path=$(command -v "$REDIS_SERVER") || fail "REDIS_SERVER=$REDIS_SERVER is not a program"
    case $path in
    /*) echo "$path" ;;
    *) echo "$(pwd)/$path" ;;
    esac
    exit
fi
if command -v redis-server; then
    exit
fi

cache=$(pwd)/.cache
redis=$cache/redis/redis-server
if [ -x "$redis" ]; then
    echo "$redis"
    exit
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "there is no redis-server, and no apt-get to fetch Debian's. $instead"
fi
echo "find-redis: fetching Debian's redis-server" >&2
mkdir -p "$cache"
staged=$(mktemp -d "$cache/redis.XXXXXX")
trap 'rm -rf "$staged"' EXIT
mkdir -p "$staged/archives/partial" "$staged/lists/partial"

# With what the package needs and this machine lacks.
download() {
    apt-get install --yes --quiet --download-only --no-install-recommends \
        -o Dir::Cache::archives="$staged/archives" -o Debug::NoLocking=true "$@" redis-server >"$staged/log" 2>&1
}

# The machine's lists of packages may be missing, or too old.
own_lists="-o Dir::State::lists=$staged/lists"
# shellcheck disable=SC2086
download ||
    { apt-get update -qq -o Debug::NoLocking=true $own_lists >"$staged/log" 2>&1 && download $own_lists; } ||
    { cat "$staged/log" >&2 && fail "apt-get could not fetch redis-server: no network, or no such package. $instead"; }
for package in "$staged"/archives/*.deb; do
    dpkg-deb --extract "$package" "$staged/root"
done
rm -rf "$staged/archives" "$staged/lists" "$staged/log"

cat >"$staged/redis-server" <<'END'
#!/bin/sh
root=$(dirname "$0")/root
for folder in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/redis-server" "$@"
END
chmod 755 "$staged" "$staged/redis-server"
"$staged/redis-server" --version >/dev/null || fail "Debian's redis-server does not run on this machine. $instead"

# Another run may have been quicker.
[ -d "$cache/redis" ] || mv "$staged" "$cache/redis"
echo "$redis"
