#!/usr/bin/env bash
# Builds the benchmarks, installs their peers, runs both side by side and writes docs/benchmarks/cpu.md and cpu.json.
# On a quiet machine it takes about half an hour. With --quick: few rounds, to see that it runs; the tables go
# to build/benchmarks. With --only NUMBER...: only these goals; the others stay in the tables as they were.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash cmake/install_packages.sh
packages=(libbenchmark-dev python3 python3-venv)
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
fi

build=build/benchmarks
mkdir -p "$build"
venv=${CAPRL_BENCHMARK_VENV:-$build/venv}
peers=tests/benchmarks/peers
if ! cmp -s "$peers/requirements.txt" "$venv/installed.txt"; then
  echo "installing the peers into $venv (about 5 GB: PyTorch for Linux carries CUDA)"
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet ${CAPRL_WHEELS:+--find-links "$CAPRL_WHEELS"} -r "$peers/requirements.txt"
  # Readers of video are compared where they install.
  while read -r package; do
    "$venv/bin/pip" install --quiet "$package" || echo "left out: $package"
  done <"$peers/optional.txt"
  cp "$peers/requirements.txt" "$venv/installed.txt"
fi
cmake --preset benchmarks >"$build/configure.log"
cmake --build --preset benchmarks --target benchmarks >"$build/build.log" || { tail -30 "$build/build.log"; exit 1; }
export PYTHONPYCACHEPREFIX=$PWD/$build/pycache TORCHINDUCTOR_CACHE_DIR=$PWD/$build/inductor
exec "$venv/bin/python" tests/benchmarks/side_by_side.py --programs "$build/tests/benchmarks" --work "$build/work" "$@"
