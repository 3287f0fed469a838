#!/usr/bin/env bash
# Installs what is missing, builds the examples, makes a small world of pictures with questions, and reinforces a
# captioner on them. Ends with captions before and after, a table, and build/quickstart/report.html.
# A run that was stopped goes on where it was when started again. With --few: a few steps, to see that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=build/release/examples
few=() out=build/quickstart images=3000 held_out=128 test_images=400 steps=60 batch=32
case "${1:-}" in
  "") ;;
  --few) few=(--few) out=build/quickstart-few images=64 held_out=16 test_images=24 steps=3 batch=8 ;;
  *) echo "usage: examples/quickstart.sh [--few]" >&2; exit 2 ;;
esac
mkdir -p "$out"
started=$SECONDS

echo "[1/4] packages and programs"
bash cmake/install_packages.sh
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make caption_images caption report >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }
build_seconds=$((SECONDS - started))
echo "[2/4] start weights (made on the first run)"
bash examples/train_weights.sh "${few[@]}" "$out/weights"
captioner=$out/weights/captioner1/model judge=$out/weights/judge1/model

echo "[3/4] a world of pictures and questions"
world=$out/world
[ -f "$world/images_test.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$held_out" \
    --test-images "$test_images" --seed 3

echo "[4/4] reinforcing the captioner on images"
"$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
  --test "$world/images_test.jsonl" --model "$captioner" --judge "$judge" --steps "$steps" --batch "$batch" \
  --validation-items "$held_out" --test-items "$test_images" --no-report --out "$out/image"
"$programs/report" "$out/image" --out "$out" --figure "seconds.build=$build_seconds" \
  --figure "seconds.total=$((SECONDS - started))"
