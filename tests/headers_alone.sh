#!/usr/bin/env bash
# Compiles every public header alone, as the first and only include. With ccache, only those that changed. A header
# whose optional dependency (oneDNN, libav) is not installed is passed over, and said.
# usage: headers_alone.sh COMPILER INCLUDE_DIR WORK_DIR FLAGS...
set -euo pipefail
compiler=$1 include=$2 work=$3
shift 3
mkdir -p "$work"

check() {
  local unit="$CHECK_WORK/${1//\//_}"
  echo "#include \"$1\"" >"$unit.cpp"
  if ! $CHECK_COMPILER $CHECK_FLAGS -c "$unit.cpp" -o "$unit.o" 2>"$unit.log"; then
    if grep -qE 'fatal error: (oneapi|libav[a-z]*|libsw[a-z]*)/[^ ]*: No such file' "$unit.log"; then
      echo "passed over without its optional dependency: $1"
      return 0
    fi
    cat "$unit.log" >&2
    echo "header does not compile alone: $1" >&2
    return 1
  fi
  rm -f "$unit.o" "$unit.log"
}
export -f check
export CHECK_COMPILER="$(command -v ccache || true) $compiler" CHECK_WORK=$work
export LC_ALL=C CHECK_FLAGS="-std=c++20 -O0 -fopenmp -Wall -Wextra -Werror -I$include $*"

cd "$include"
headers=$(find caprl -name '*.hpp' | sort)
echo "$headers" | xargs -P "$(nproc)" -I{} bash -c 'check {}'
echo "each of $(echo "$headers" | wc -l) headers was compiled alone, or passed over"
