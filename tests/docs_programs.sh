#!/usr/bin/env bash
# Compiles every program in the README and docs/: the C++ blocks that have a main function.
# usage: docs_programs.sh COMPILER SOURCE_DIR FLAGS...
set -euo pipefail
compiler=$1 source=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
for page in "$source"/README.md "$source"/docs/*.md; do
  name=$(basename "$page" .md)
  awk -v stem="$work/$name" '/^```cpp/ { inside = 1; file = stem "-" ++n ".cpp"; next }
                             /^```/ { inside = 0; next }
                             inside { print > file }' "$page"
done
for program in "$work"/*.cpp; do
  grep -q 'int main(' "$program" || continue
  if ! "$compiler" -std=c++20 -fopenmp -fsyntax-only -I"$source/include" "$@" "$program"; then
    echo "a program in the documentation does not compile: $(basename "$program")" >&2
    exit 1
  fi
  count=$((count + 1))
done
echo "$count programs of the documentation compile"
[ "$count" -gt 0 ]
