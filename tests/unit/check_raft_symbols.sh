#!/bin/sh
# check_raft_symbols.sh <libraft.a>: the consensus core computes and never acts. Fails, and says why, if
# the library needs anything of the outside but memory, strings, the allocator, abort and assert's helper.
set -eu

if [ $# -ne 1 ] || [ ! -r "$1" ]; then
    echo "usage: $0 <libraft.a>" >&2
    exit 2
fi

undefined=$(nm -u "$1" | awk 'NF == 2 && $1 == "U" { print $2 }' | sort -u)
defined=$(nm --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u)
if [ -z "$defined" ]; then
    echo "$1 defines nothing: not the library?" >&2
    exit 2
fi

bad=0
for symbol in $undefined; do
    case $symbol in
    mem*|str*|malloc|calloc|realloc|free|abort|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_) continue ;;
    esac
    if ! printf '%s\n' "$defined" | grep -qxF -- "$symbol"; then
        echo "the raft library must not use: $symbol" >&2
        bad=1
    fi
done

# No globals either: nothing writable may be defined.
globals=$(nm --defined-only "$1" | awk 'NF == 3 && $2 ~ /^[BbDdCGgSs]$/ { print $3 }')
if [ -n "$globals" ]; then
    echo "the raft library must not have globals: $globals" >&2
    bad=1
fi
exit $bad
