#!/usr/bin/env bash
# Compiles every public header alone, as the first and only include, and writes how long each took.
# usage: headers_alone.sh COMPILER INCLUDE_DIR TIMES_FILE FLAGS...
set -euo pipefail
compiler=$1 include=$2 times=$3
shift 3
: >"$times"

check() {
  local header=$1 start end
  start=$(date +%s%N)
  if ! echo "#include \"$header\"" | "$CHECK_COMPILER" $CHECK_FLAGS -x c++ -fsyntax-only -; then
    echo "header does not compile alone: $header" >&2
    return 1
  fi
  end=$(date +%s%N)
  printf '%d.%02d\t%s\n' $(((end - start) / 1000000000)) $(((end - start) / 10000000 % 100)) "$header" >>"$CHECK_TIMES"
}
export -f check
export CHECK_COMPILER=$compiler CHECK_FLAGS="-std=c++20 -fopenmp -Wall -Wextra -Werror -I$include $*" CHECK_TIMES=$times

cd "$include"
find caprl -name '*.hpp' | sort | xargs -P "$(nproc)" -I{} bash -c 'check {}'
sort -rn -o "$times" "$times"
echo "$(wc -l <"$times") headers compile alone; the slowest:"
head -5 "$times"
