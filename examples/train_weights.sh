#!/usr/bin/env bash
# Makes the start weights from nothing: a world, a tokenizer, two captioners that describe too
# little, and two judges. About three hours on one core. Stages that are done are skipped, and one that was stopped
# goes on, when started again. One thread: the same bytes for the same machine.
# usage: train_weights.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
images=20000 held_out=1000 clips=4000 held_out_clips=400 dense_steps=1400 base_steps=600
judge=(--steps 4000 --drill-steps 700)
if [ "${1:-}" = --few ]; then
  images=128 held_out=32 clips=32 held_out_clips=32 dense_steps=3 base_steps=3
  judge=(--steps 4 --drill-steps 2)
  shift
fi
out=${1:-build/weights}
programs=build/release/examples
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make train_tokenizer sft train_judge >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }

world=$out/world
[ -f "$world/videos_validation.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$held_out" \
    --train-clips "$clips" --validation-clips "$held_out_clips" --seed 1
[ -f "$out/tokenizer.json" ] ||
  "$programs/train_tokenizer" --data "$world/images_validation.jsonl" "$world/videos_validation.jsonl" \
    --vocabulary 560 --out "$out/tokenizer.json"

sft() { "$programs/sft" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" --threads 1 "$@"; }
# First everything that is there, so that the captioner learns to see; then mostly terse captions, which it is left with.
for i in 1 2; do
  seed=$((10 * i - 9))  # 1, 11
  [ -d "$out/dense$i/model" ] ||
    sft --new --tokenizer "$out/tokenizer.json" --caption-field caption_dense --steps "$dense_steps" --seed "$seed" \
      --out "$out/dense$i"
  [ -d "$out/captioner$i/model" ] ||
    sft --model "$out/dense$i/model" --learning-rate 1e-3 --steps "$base_steps" --seed $((seed + 1)) --bf16 \
      --out "$out/captioner$i"
done
# The second judge is smaller and never trained against: it tells whether a captioner only pleases the first.
train_judge() {
  "$programs/train_judge" --tokenizer "$out/tokenizer.json" "${judge[@]}" --groups 16 --learning-rate 2e-3 --bf16 \
    --threads 1 "$@"
}
[ -d "$out/judge1/model" ] || train_judge --seed 1 --out "$out/judge1"
[ -d "$out/judge2/model" ] || train_judge --seed 2 --width 96 --out "$out/judge2"
