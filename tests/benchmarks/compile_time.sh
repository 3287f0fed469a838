#!/usr/bin/env bash
# Measures how long it takes to include each public header and to compile each example and test, in seconds of processor
# time, and writes docs/benchmarks/compile_time.md. Takes half an hour on one quiet core; needs GNU time.
# usage: tests/benchmarks/compile_time.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/compile_time page=docs/benchmarks/compile_time.md
headers=$PWD/$build/headers.txt sources=$PWD/$build/sources.txt
rm -rf "$build"
mkdir -p "$build" docs/benchmarks
timed=(/usr/bin/time -a -f "%U %C")
export CCACHE_DISABLE=1
cmake --preset release -B "$build" "-DCMAKE_CXX_COMPILER_LAUNCHER=/usr/bin/time;-a;-o;$sources;-f;%U %C" >"$build/log"

flags=$(sed -n 's/^  \(DEFINES\|FLAGS\|INCLUDES\) = //p' "$build/build.ninja" | tr ' ' '\n' |
  sed -n '/^-isystem/{N;s/\n/ /;p};/^-march=/p;/^-DCAPRL_WITH/p' | sort -u)
for header in $(cd include && find caprl -name '*.hpp' | sort); do
  echo "#include \"$header\"" >"$build/header.cpp"
  "${timed[@]}" -o "$headers" g++ -std=c++20 -fopenmp -Iinclude $flags -fsyntax-only "$build/header.cpp"
  sed -i "\$s|[^ ]*header.cpp|$header|" "$headers"
done
cmake --build "$build" --target tests -- -j1 >"$build/log"

table() {  # FILE LINES: the slowest first, then the sum
  echo "| | seconds |"
  echo "| --- | --- |"
  sort -rn "$1" | head -"$2" | awk -v here="$PWD/" '{ sub(here, "", $NF); sub(/.*\/cmake_pch.hxx.cxx/, "precompiled.hpp", $NF)
                                                      printf "| `%s` | %s |\n", $NF, $1 }'
  awk '{ total += $1 } END { printf "| all %d | %.0f |\n", NR, total }' "$1"
}
cat >"$page" <<END
# Compile time

Written by \`tests/benchmarks/compile_time.sh\`: seconds of processor time, $(g++ --version | head -1), $(sed -n \
  's/^model name.*: //p' /proc/cpuinfo | head -1).

## Including a public header

The heaviest, and the sum over all:

$(table "$headers" 20)

## Compiling a source

Optimised, with \`caprl::precompiled\`:

$(table "$sources" 1000)
END
echo "wrote $page"
