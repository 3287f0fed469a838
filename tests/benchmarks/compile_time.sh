#!/usr/bin/env bash
# Measures how long it takes to include each public header and to compile each example and test, in seconds of processor
# time, and writes docs/benchmarks/compile_time.md. Takes about half an hour on a quiet core.
# usage: tests/benchmarks/compile_time.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
export CCACHE_DISABLE=1
build=build/compile_time page=docs/benchmarks/compile_time.md
mkdir -p "$build" docs/benchmarks
cmake --preset release -B "$build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >"$build/configure.log"
seconds=$build/seconds
TIMEFORMAT=%U

user_seconds() { { time "$@" >"$build/log" 2>&1 || { cat "$build/log" >&2; exit 1; }; } 2>&1; }

# The command that CMake has for a source, without a launcher; its output goes to $build/unit.o.
command_of() {
  grep -F "\"command\"" "$build/compile_commands.json" | grep -F -e "-c $PWD/$1\"" | head -1 |
    sed -e 's/^ *"command": "//' -e 's/",\{0,1\}$//' -e 's/\\"/"/g' -e 's/^.* \([^ ]*ccache\) //' -e 's/ -o [^ ]* / -o unit.o /'
}

compile_seconds() {  # SOURCE
  local line
  line=$(command_of "$1")
  user_seconds bash -c "cd '$build' && ${line//\\\\/\\}"
}

table() {  # LINES: seconds and name, the slowest first
  sort -rn "$seconds" | head -"$1" | awk '{ printf "| `%s` | %s |\n", $2, $1 }'
  awk -v count="$(wc -l <"$seconds")" '{ total += $1 } END { printf "| all %d | %.1f |\n", count, total }' "$seconds"
}

{
  echo "# Compile time"
  echo
  echo "Written by \`tests/benchmarks/compile_time.sh\`: seconds of processor time, $(g++ --version | head -1),"
  echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1). Budgets: an example 40, a test file 20, a slot's concept 0.3."
  echo
  echo "## Including a public header"
  echo
  echo "| header | seconds |"
  echo "| --- | --- |"
} >"$page"
flags=$(command_of cmake/precompiled/kernels.cpp | grep -o -e '-isystem [^ ]*' -e '-march=[^ ]*' -e '-DCAPRL_WITH_[^ ]*')
: >"$seconds"
for header in $(cd include && find caprl -name '*.hpp' | sort); do
  echo "#include \"$header\"" >"$build/header.cpp"
  echo "$(user_seconds g++ -std=c++20 -fopenmp -Iinclude $flags -fsyntax-only "$build/header.cpp") $header" >>"$seconds"
done
table 20 >>"$page"

{
  echo
  echo "## Compiling programs"
  echo
  echo "Optimised, with \`caprl::precompiled\`, which is compiled once:"
  echo
  echo "| source | seconds |"
  echo "| --- | --- |"
} >>"$page"
: >"$seconds"
pch=CMakeFiles/caprl_precompiled.dir/cmake_pch.hxx.gch
echo "$(user_seconds cmake --build "$build" --target "$pch") precompiled.hpp" >>"$seconds"
for source in cmake/precompiled/*.cpp examples/*.cpp examples/world/*.cpp tests/*/*_test.cpp; do
  [ -n "$(command_of "$source")" ] || continue
  echo "$(compile_seconds "$source") $source" >>"$seconds"
done
table 1000 >>"$page"
echo "wrote $page"
