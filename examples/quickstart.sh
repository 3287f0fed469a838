#!/usr/bin/env bash
# Installs what is missing, builds the examples, makes a small world of pictures with questions, and reinforces a
# captioner on them. Ends with captions before and after, a table, and build/quickstart/report.html.
# A run that was stopped goes on where it was when started again. With --few: a few steps, to see that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
few=() images=4000 test_images=400 steps=60 batch=32 validation_items=128 out=build/quickstart
case "${1:-}" in
  "") ;;
  --few) few=(--few) images=64 test_images=24 steps=3 batch=8 validation_items=16 out=build/quickstart-few ;;
  *) echo "usage: examples/quickstart.sh [--few]" >&2; exit 2 ;;
esac
weights=$out/weights programs=build/release/examples
mkdir -p "$out"
started=$SECONDS

echo "[1/3] packages, programs and start weights (made on the first run)"
bash examples/train_weights.sh "${few[@]}" "$weights"
cmake --build --preset release --target caption_images caption >"$out/build.log" || { tail -30 "$out/build.log"; exit 1; }
echo "[2/3] a world of pictures and questions"
world=$out/world
[ -f "$world/images_test.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$validation_items" \
    --test-images "$test_images"
echo "[3/3] reinforcing the captioner"
"$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
  --test "$world/images_test.jsonl" --model "$weights/captioner/model" --judge "$weights/judge/model" --steps "$steps" \
  --batch "$batch" --validation-items "$validation_items" --test-items "$test_images" --out "$out"
"$programs/caption" --model "$out/model" "$world/images/test/"000000.*
echo "$((SECONDS - started)) s in all"
