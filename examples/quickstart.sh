#!/usr/bin/env bash
# Installs what is missing, builds the examples, makes a small world of pictures with questions, and reinforces the
# captioner of examples/weights on them. Ends with captions before and after, a table, and build/quickstart/report.html.
# A run that was stopped goes on where it was when started again.
# With --few: start weights made from nothing, and a few steps of everything, to see that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=build/release/examples
case "${1:-}" in
  "")
    out=build/quickstart captioner=examples/weights/captioner1 judge=examples/weights/judge1
    images=3000 held_out=128 test_images=400 steps=60 batch=32
    ;;
  --few)
    out=build/quickstart-few captioner=$out/weights/captioner1/model judge=$out/weights/judge1/model
    images=64 held_out=16 test_images=24 steps=3 batch=8
    ;;
  *) echo "usage: examples/quickstart.sh [--few]" >&2; exit 2 ;;
esac
mkdir -p "$out"
started=$SECONDS

echo "[1/3] packages and programs"
bash cmake/install_packages.sh
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make caption_images caption report >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }
build_seconds=$((SECONDS - started))
[ "${1:-}" != --few ] || bash examples/train_weights.sh --few "$out/weights"

echo "[2/3] a world of pictures and questions"
world=$out/world
[ -f "$world/images_test.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$held_out" \
    --test-images "$test_images" --seed 3

echo "[3/3] reinforcing the captioner on images"
"$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
  --test "$world/images_test.jsonl" --model "$captioner" --judge "$judge" --steps "$steps" --batch "$batch" \
  --validation-items "$held_out" --test-items "$test_images" --no-report --out "$out/image"
"$programs/report" "$out/image" --out "$out" --figure "seconds.build=$build_seconds" \
  --figure "seconds.total=$((SECONDS - started))"
