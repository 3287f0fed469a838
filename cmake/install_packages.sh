#!/usr/bin/env bash
# Installs, on Debian and its relatives, the packages that the build needs and that are missing. Sourced or run.
set -euo pipefail
packages=(g++ cmake ninja-build pkg-config git ccache
  libeigen3-dev libfmt-dev nlohmann-json3-dev libpcre2-dev libcli11-dev doctest-dev libstb-dev libdnnl-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev ffmpeg opencv-doc)
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing: ${missing[*]}"
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
