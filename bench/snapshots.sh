#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Snapshots: how long they take, and a start from one beside a start from what it stands on.
# usage: bench/snapshots.sh [BUILD]; milliseconds, least and median. Bounds: a copy of 200 MB at the
# speed of sha256 on this machine; a start as from `host`.
set -eu
build=${1:-build}
work=$(mktemp -d)
export XDG_RUNTIME_DIR="$work/run" XDG_CACHE_HOME="$work/cache" SANDBOXES_PROVIDER=local
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_CACHE_HOME"
s="$build/src/cli/sandboxes"
trap '"$s" destroy --all --yes >/dev/null 2>&1; rm -rf "$work"' EXIT

# WHAT COUNT COMMAND...
measure() {
    what=$1 count=$2
    shift 2
    : >"$work/times"
    i=0
    while [ $i -lt "$count" ]; do
        begin=$(date +%s%N)
        "$@" >/dev/null
        echo $((($(date +%s%N) - begin) / 1000)) >>"$work/times"
        i=$((i + 1))
    done
    sort -n "$work/times" | awk -v what="$what" \
        '{ t[NR] = $1 } END { printf "%-36s %8.2f / %.2f\n", what, t[1] / 1000, t[int((NR + 1) / 2)] / 1000 }'
}

small=$("$s" create --network none)
"$s" exec "$small" 'echo x >~/file'
large=$("$s" create --network none -m 1g --disk 400m)
"$s" exec "$large" 'head -c 200000000 /dev/urandom >~/file'
measure 'first snapshot of one file, to disk' 1 "$s" snapshot "$small" small
measure 'first snapshot of 200 MB, to disk' 1 "$s" snapshot "$large" large
# The same contents again are found to be there.
measure 'snapshot of one file' 10 "$s" snapshot "$small" small
measure 'snapshot of 200 MB' 5 "$s" snapshot "$large" large
measure 'fork with one file' 10 "$s" fork "$small"
measure 'sha256sum of 200 MB in it' 5 "$s" exec "$large" 'sha256sum ~/file'
"$s" destroy --all --yes >/dev/null 2>&1
measure 'run true on host' 40 "$s" run --network none -- true
measure 'run true on the small snapshot' 40 "$s" run --network none --image small -- true
measure 'run true on the 200 MB snapshot' 40 "$s" run --network none --image large -- true
