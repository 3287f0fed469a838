#!/usr/bin/env bash
# Makes the start weights of examples/weights anew: a world, captioners that describe too little, and judges. Stages that
# are done are skipped, and one that was stopped goes on, when started again. One thread: the same bytes on the same
# machine.
# usage: train_weights.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
trap 'exit 130' INT TERM  # a program that Ctrl-C stops has saved and ends well, but the rest must not run
cd "$(dirname "$0")/.."
images=20000 held_out=1000 clips=10000 held_out_clips=400 short_clips=6000 held_out_short_clips=200 some=2000
image_steps=2000 short_steps=2000 clip_steps=1500 base_steps=600
judge_steps=(--steps 9000 --drill-steps 3000)
if [ "${1:-}" = --few ]; then
  images=128 held_out=32 clips=32 held_out_clips=32 short_clips=32 held_out_short_clips=8 some=8
  image_steps=3 short_steps=2 clip_steps=2 base_steps=3
  judge_steps=(--steps 4 --drill-steps 2)
  shift
fi
out=${1:-build/weights}
programs=build/release/examples
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make sft train_judge >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }

world=$out/world short_world=$out/short_world
[ -f "$world/videos_validation.jsonl" ] ||
  "$programs/world/world_make" --out "$world" --train-images "$images" --validation-images "$held_out" \
    --train-clips "$clips" --validation-clips "$held_out_clips" --seed 1
[ -f "$short_world/videos_validation.jsonl" ] ||
  "$programs/world/world_make" --out "$short_world" --train-clips "$short_clips" \
    --validation-clips "$held_out_short_clips" --longest-clip 5 --seed 2
head -n "$some" "$world/images_train.jsonl" >"$world/images_some.jsonl"
# The tokenizer stays (`train_tokenizer --vocabulary 560` made it, from questions and captions of such a world): another
# one would be another start for all that follow.
cp examples/weights/judge1/tokenizer.json "$out/tokenizer.json"

# First everything that is there is to be said: of pictures, so that the captioner learns to see; of short clips, so that
# it learns what happens, and of long ones, so that it finds it, with some pictures among them lest they are forgotten.
# Then mostly terse captions of both, which it is left with.
sft() {  # OUT OPTIONS...
  local folder=$1
  shift
  [ -d "$folder/model" ] || "$programs/sft" --out "$folder" --threads 1 "$@"
}
pictures=(--data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl")
short=(--data "$short_world/videos_train.jsonl" "$world/images_some.jsonl"
  --validation "$short_world/videos_validation.jsonl")
long=(--data "$world/videos_train.jsonl" "$world/images_some.jsonl" --validation "$world/videos_validation.jsonl")
both=(--data "$world/images_train.jsonl" "$world/videos_train.jsonl" --validation "$world/videos_validation.jsonl")
for i in 1 2; do
  seed=$((10 * i - 9))  # 1, 11
  sft "$out/pictures$i" --new --tokenizer "$out/tokenizer.json" "${pictures[@]}" --caption-field caption_dense \
    --steps "$image_steps" --seed "$seed"
  sft "$out/short$i" --model "$out/pictures$i/model" "${short[@]}" --caption-field caption_dense \
    --steps "$short_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 1))
  sft "$out/clips$i" --model "$out/short$i/model" "${long[@]}" --caption-field caption_dense \
    --steps "$clip_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 2))
  sft "$out/captioner$i" --model "$out/clips$i/model" "${both[@]}" \
    --steps "$base_steps" --learning-rate 1e-3 --seed $((seed + 3)) --bf16
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
