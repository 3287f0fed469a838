#!/usr/bin/env bash
# Compiles every program in the README and docs/: the C++ blocks that have a main function.
# usage: docs_programs.sh COMPILER SOURCE_DIR FLAGS...
set -euo pipefail
compiler=$1 source=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for page in "$source"/README.md "$source"/docs/*.md; do
  name=$(basename "$page" .md)
  awk -v stem="$work/$name" '/^```cpp/ { inside = 1; file = stem "-" ++n ".cpp"; next }
                             /^```/ { inside = 0; next }
                             inside { print > file }' "$page"
done

check() {
  if ! "$CHECK_COMPILER" $CHECK_FLAGS "$1"; then
    echo "a program in the documentation does not compile: $(basename "$1")" >&2
    return 1
  fi
}
export -f check
export CHECK_COMPILER=$compiler CHECK_FLAGS="-std=c++20 -fopenmp -fsyntax-only -I$source/include $*"

programs=$(grep -l 'int main(' "$work"/*.cpp)
echo "$programs" | xargs -P "$(nproc)" -I{} bash -c 'check {}'
echo "$(echo "$programs" | wc -l) programs of the documentation compile"
