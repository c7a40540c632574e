#!/bin/sh
# Prints the path of the MDN HTTP Observatory's scorer, from npm, in .cache/observatory.
set -eu
cd "$(dirname "$0")/../.."

version=1.4.8
folder=$(pwd)/.cache/observatory/$version
package=$folder/node_modules/@mdn/mdn-http-observatory
if [ ! -f "$folder/ready" ]; then
    command -v npm >/dev/null || { echo "observatory: there is no npm; install Node.js 20 or later" >&2 && exit 1; }
    echo "observatory: fetching @mdn/mdn-http-observatory $version" >&2
    mkdir -p "$folder"
    # Its own scripts fetch lists of preloaded hosts and of domains, in which no test host is.
    npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent --omit=optional \
        "@mdn/mdn-http-observatory@$version" >&2
    echo '{}' >"$package/conf/hsts-preload.json"
    echo '[]' >"$package/conf/tld-list.json"
    touch "$folder/ready"
fi
echo "$package"
