#!/usr/bin/env bash
# Makes the start weights of examples/weights from nothing: a world, a tokenizer, captioners that describe too little, and
# judges. Stages that are done are skipped, and one that was stopped goes on, when started again. One thread: the same
# bytes on the same machine.
# usage: train_weights.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
trap 'exit 130' INT TERM  # a program that Ctrl-C stops has saved and ends well, but the rest must not run
cd "$(dirname "$0")/.."
images=20000 held_out=1000 clips=4000 held_out_clips=400
image_steps=2000 clip_steps=1500 base_steps=600
judge_steps=(--steps 9000 --drill-steps 3000)
if [ "${1:-}" = --few ]; then
  images=128 held_out=32 clips=32 held_out_clips=32
  image_steps=3 clip_steps=2 base_steps=3
  judge_steps=(--steps 4 --drill-steps 2)
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

# Pictures with everything that is there, so that the captioner learns to see; clips among them, so that it learns what
# happens when; then mostly terse captions of both, which it is left with.
sft() {  # OUT OPTIONS...
  local folder=$1
  shift
  [ -d "$folder/model" ] || "$programs/sft" --out "$folder" --threads 1 "$@"
}
pictures=(--data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl")
both=(--data "$world/images_train.jsonl" "$world/videos_train.jsonl" --validation "$world/videos_validation.jsonl")
for i in 1 2; do
  seed=$((10 * i - 9))  # 1, 11
  sft "$out/pictures$i" --new --tokenizer "$out/tokenizer.json" --temporal-patch 1 "${pictures[@]}" \
    --caption-field caption_dense --steps "$image_steps" --seed "$seed"
  sft "$out/clips$i" --model "$out/pictures$i/model" "${both[@]}" --caption-field caption_dense \
    --steps "$clip_steps" --learning-rate 1.5e-3 --seed $((seed + 1))
  sft "$out/captioner$i" --model "$out/clips$i/model" "${both[@]}" \
    --steps "$base_steps" --learning-rate 1e-3 --seed $((seed + 2)) --bf16
done
# The second judge is larger and never trained against: it tells whether a captioner only pleases the first.
for i in 1 2; do
  [ -d "$out/judge$i/model" ] ||
    "$programs/train_judge" --out "$out/judge$i" --tokenizer "$out/tokenizer.json" "${judge_steps[@]}" --groups 16 \
      --clip-share 0.5 --width $((64 + 32 * i)) --learning-rate 2e-3 --seed "$i" --threads 1 --bf16  # 96, 128
done
for name in captioner1 captioner2 judge1 judge2; do
  mkdir -p "$out/weights/$name"
  cp "$out/$name/model/"* "$out/weights/$name/"
done
echo "the start weights: $out/weights"
