#!/usr/bin/env bash
# Installs what is missing, builds the examples, makes a small world of pictures with questions, and reinforces a
# captioner on them. Ends with captions before and after, a table, and build/quickstart/report.html.
# A run that was stopped goes on where it was when started again. With --few: a few steps, to see that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
images=4000 test_images=400 steps=60 validation_items=128
case "${1:-}" in
  "") ;;
  --few) images=200 test_images=24 steps=3 validation_items=16 ;;
  *) echo "usage: examples/quickstart.sh [--few]" >&2; exit 2 ;;
esac
out=build/quickstart${1:+-few}
mkdir -p "$out"
started=$SECONDS

echo "[1/4] packages"
bash cmake/install_packages.sh
echo "[2/4] building the examples"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make caption_images >"$out/build.log" || { tail -30 "$out/build.log"; exit 1; }
build_seconds=$((SECONDS - started))
echo "[3/4] a world of pictures and questions"
world=$out/world
if [ ! -f "$world/images_test.jsonl" ]; then
  build/release/examples/world/world_make --out "$world" --train-images "$images" --validation-images 400 \
    --test-images "$test_images"
fi
echo "[4/4] reinforcing the captioner"
build/release/examples/caption_images --data "$world/images_train.jsonl" \
  --validation "$world/images_validation.jsonl" --test "$world/images_test.jsonl" \
  --model examples/weights/captioner --judge examples/weights/judge --steps "$steps" \
  --validation-items "$validation_items" --test-items "$test_images" --out "$out"
echo "built in $build_seconds s, $((SECONDS - started)) s in all"
