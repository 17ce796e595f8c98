#!/bin/sh
# check_no_fork.sh: pitfall 25: a child of a process with an open LMDB environment shares its locks and its map. The server makes
# no child.
#
#   tests/unit/check_no_fork.sh PROGRAM      e.g. build/kvd
set -eu
if ! nm -D --undefined-only "$1" | grep -q ' mdb_env_open'; then
    echo "$1 opens no environment: is it the server?"
    exit 1
fi
if nm -D --undefined-only "$1" | grep -E ' (_Fork|fork|vfork|clone|clone3|posix_spawnp?|system|popen|daemon|wordexp)(@|$)'; then
    echo "pitfall 25: $1 may make a child of itself while its environments are open"
    exit 1
fi
