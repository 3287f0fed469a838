#!/usr/bin/env bash
# Makes the start weights from nothing: a world, a tokenizer, a captioner that describes too little, and a judge.
# Stages that are done are skipped, and one that was stopped goes on, when started again.
# usage: train_weights.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
images=20000 held_out=1000 dense_steps=1400 base_steps=600 judge_steps=12000
if [ "${1:-}" = --few ]; then
  images=128 held_out=32 dense_steps=3 base_steps=3 judge_steps=3
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
[ -f "$world/images_validation.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$held_out" \
    --train-clips $((held_out / 4)) --seed 7
[ -f "$out/tokenizer.json" ] ||
  "$programs/train_tokenizer" --data "$world/images_validation.jsonl" "$world/videos_train.jsonl" --vocabulary 560 \
    --out "$out/tokenizer.json"

# First everything that is there, so that the captioner learns to see; then mostly terse captions, which it is left with.
[ -d "$out/dense/model" ] ||
  "$programs/sft" --new --tokenizer "$out/tokenizer.json" --data "$world/images_train.jsonl" \
    --validation "$world/images_validation.jsonl" --caption-field caption_dense --steps "$dense_steps" --out "$out/dense"
[ -d "$out/captioner/model" ] ||
  "$programs/sft" --model "$out/dense/model" --data "$world/images_train.jsonl" \
    --validation "$world/images_validation.jsonl" --learning-rate 1e-3 --steps "$base_steps" --seed 2 --bf16 \
    --out "$out/captioner"
[ -d "$out/judge/model" ] ||
  "$programs/train_judge" --tokenizer "$out/tokenizer.json" --layers 6 --steps "$judge_steps" --bf16 --out "$out/judge"
