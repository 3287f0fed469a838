#!/usr/bin/env bash
# Installs what is missing, builds the tests and runs them. With --sanitize: under the address and undefined-behaviour
# sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=release
case "${1:-}" in
  "") ;;
  --sanitize) preset=sanitize ;;
  *) echo "usage: tests/run.sh [--sanitize]" >&2; exit 2 ;;
esac
bash cmake/install_packages.sh
cmake --preset "$preset" >"$(mktemp)"
cmake --build --preset "$preset" --target tests
# Everything that tests use is there now, so what is absent is a failure; a few large files of others are not ours.
CAPRL_TESTS_COMPLETE=1 ctest --preset "$preset"
grep -h "[Ss][Kk][Ii][Pp][Pp][Ee][Dd]: " "build/$preset/Testing/Temporary/LastTest.log" || true
