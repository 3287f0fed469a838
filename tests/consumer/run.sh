#!/usr/bin/env bash
# Uses caprl from separate projects: installed and found, and as a subdirectory.
# usage: run.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cmake -S "$source/tests/consumer/installed" -B "$work/installed" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/installed" >/dev/null
"$work/installed/consumer"
cmake -G Ninja -S "$source/tests/consumer/subdirectory" -B "$work/subdirectory" -DCMAKE_BUILD_TYPE=Release \
  -DCAPRL_SOURCE="$source" >/dev/null
cmake --build "$work/subdirectory" --target consumer precompiled_consumer >/dev/null
"$work/subdirectory/consumer"
