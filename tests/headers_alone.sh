#!/usr/bin/env bash
# Compiles every public header alone, as the first and only include. With ccache, only those that changed.
# usage: headers_alone.sh COMPILER INCLUDE_DIR WORK_DIR FLAGS...
set -euo pipefail
compiler=$1 include=$2 work=$3
shift 3
mkdir -p "$work"

check() {
  local unit="$CHECK_WORK/${1//\//_}"
  echo "#include \"$1\"" >"$unit.cpp"
  if ! $CHECK_COMPILER $CHECK_FLAGS -c "$unit.cpp" -o "$unit.o"; then
    echo "header does not compile alone: $1" >&2
    return 1
  fi
  rm -f "$unit.o"
}
export -f check
export CHECK_COMPILER="$(command -v ccache || true) $compiler" CHECK_WORK=$work
export CHECK_FLAGS="-std=c++20 -O0 -fopenmp -Wall -Wextra -Werror -I$include $*"

cd "$include"
headers=$(find caprl -name '*.hpp' | sort)
echo "$headers" | xargs -P "$(nproc)" -I{} bash -c 'check {}'
echo "$(echo "$headers" | wc -l) headers compile alone"
