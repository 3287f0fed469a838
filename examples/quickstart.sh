#!/usr/bin/env bash
# Installs what is missing, builds the examples, makes a small world of pictures and clips with questions, and
# reinforces a captioner on pictures and then on clips. Ends with captions before and after, a table, and
# build/quickstart/report.html. A run that was stopped goes on where it was when started again.
# usage: quickstart.sh [--few]    (--few: a few steps, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
source examples/support/world.sh
programs=build/release/examples
out=build/quickstart
images=(--train-images 3000 --validation-images 128 --test-images 400) image_steps=40 image_batch=32
clips=(--train-clips 600 --validation-clips 64 --test-clips 150) clip_steps=30 clip_batch=16
kept_images=300 kept_batch=8  # among the clips, so that what was learnt on images stays
case "${1:-}" in
  "") ;;
  --few)
    out=build/quickstart-few
    images=(--train-images 64 --validation-images 16 --test-images 24) image_steps=3 image_batch=8
    clips=(--train-clips 16 --validation-clips 8 --test-clips 8) clip_steps=2 clip_batch=4
    kept_images=8 kept_batch=2
    ;;
  *) echo "usage: examples/quickstart.sh [--few]" >&2; exit 2 ;;
esac
mkdir -p "$out"
# Seconds of this start and of those before it that were stopped.
spent() {  # FILE: adds what has passed, and prints the sum
  echo "$SECONDS" >>"$out/$1"
  awk '{ sum += $1 } END { print sum }' "$out/$1"
}
trap 'spent seconds.total >/dev/null' EXIT

echo "[1/4] packages and programs"
bash cmake/install_packages.sh
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make caption_images caption_videos report >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }
build_seconds=$(spent seconds.build)

echo "[2/4] a world of pictures, clips and questions"
world=$out/world
make_world_once "$world" "${images[@]}" "${clips[@]}" --seed 3

weights=examples/weights
echo "[3/4] reinforcing the captioner on pictures"
"$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
  --test "$world/images_test.jsonl" --model "$weights/captioner1" --judge "$weights/judge1" --steps "$image_steps" \
  --batch "$image_batch" --learning-rate 2e-4 --epsilon 1e-3 --no-report --out "$out/image"
echo "[4/4] reinforcing it on clips"
head -n "$kept_images" "$world/images_train.jsonl" >"$world/images_kept.jsonl"
"$programs/caption_videos" --data "$world/videos_train.jsonl" "$world/images_kept.jsonl" \
  --validation "$world/videos_validation.jsonl" \
  --test "$world/videos_test.jsonl" --model "$out/image/model" --judge "$weights/judge1" --steps "$clip_steps" \
  --batch $((clip_batch + kept_batch)) --learning-rate 2e-4 --gallery-items 1 --no-report --out "$out/video"
trap - EXIT
"$programs/report" "$out/image" "$out/video" --out "$out" --figure "seconds.build=$build_seconds" \
  --figure "seconds.total=$(spent seconds.total)"
