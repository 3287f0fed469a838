#!/usr/bin/env bash
# Makes the start weights of examples/weights anew: a world, captioners that describe too little, and judges. Started
# again, it goes on where it was stopped. One thread: the same bytes on the same machine.
# usage: train_weights.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
source examples/support/world.sh
out=build/weights
images=20000 held_out=1000 clips=10000 held_out_clips=400 short_clips=6000 held_out_short_clips=200 some=2000
image_steps=2000 short_steps=1200 clip_steps=1000 brief_steps=600 base_steps=1500
judge1=(--steps 9000 --drill-steps 3000) judge2=(--steps 7500 --drill-steps 2500)
if [ "${1:-}" = --few ]; then
  images=128 held_out=32 clips=32 held_out_clips=32 short_clips=32 held_out_short_clips=8 some=8
  image_steps=3 short_steps=2 clip_steps=2 brief_steps=4 base_steps=2
  judge1=(--steps 4 --drill-steps 2) judge2=("${judge1[@]}")
  out=build/weights-few
  shift
fi
case "${1:-}" in -*) echo "usage: examples/train_weights.sh [--few] [OUT]" >&2; exit 2 ;; esac
out=${1:-$out}
programs=build/release/examples
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make new_captioner sft train_judge >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }

world=$out/world short_world=$out/short_world
make_world_once "$world" --train-images "$images" --validation-images "$held_out" --train-clips "$clips" \
  --validation-clips "$held_out_clips" --seed 1
make_world_once "$short_world" --train-clips "$short_clips" --validation-clips "$held_out_short_clips" \
  --longest-clip 5 --seed 2
head -n "$some" "$world/images_train.jsonl" >"$world/images_some.jsonl"
# The tokenizer stays (`train_tokenizer --vocabulary 560` made it, from questions and captions of such a world): another
# one would be another start for all that follow.
cp examples/weights/judge1/tokenizer.json "$out/tokenizer.json"

# First everything that is there is to be said: of pictures, so that the captioner learns to see; of short clips
# second by second, so that it learns what happens and when; of all clips with ever fewer of the seconds in which
# nothing happens, so that it learns to look ahead; of all clips without them. Some pictures are among the clips lest
# they are forgotten. Then terse to dense captions of both; because it sees clips less well after that, everything of
# clips once more. Then, at lower rates, mostly terse captions, and last those of the base's mixture, for so long that
# it is firmly terse.
# A stage that is done writes its model once more; one whose settings or start are not those it was made with is
# refused.
sft() {  # OUT OPTIONS...
  "$programs/sft" --out "$@" --threads 1
}
pictures=(--data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl")
short=(--data "$short_world/videos_train.jsonl" "$world/images_some.jsonl"
  --validation "$short_world/videos_validation.jsonl")
long=(--data "$world/videos_train.jsonl" "$world/images_some.jsonl" --validation "$world/videos_validation.jsonl")
both=(--data "$world/images_train.jsonl" "$world/videos_train.jsonl" --validation "$world/videos_validation.jsonl")
for i in 1 2; do
  seed=$((10 * i - 9))  # 1, 11
  "$programs/new_captioner" --tokenizer "$out/tokenizer.json" --seed "$seed" --out "$out/new$i" --overwrite
  sft "$out/pictures$i" --model "$out/new$i" "${pictures[@]}" --caption-field caption_dense \
    --steps "$image_steps" --seed "$seed"
  sft "$out/short$i" --model "$out/pictures$i/model" "${short[@]}" --caption-field caption_timeline \
    --steps "$short_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 1))
  sft "$out/thinned$i" --model "$out/short$i/model" "${long[@]}" --caption-field caption_timeline_thinned \
    --steps "$clip_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 2))
  sft "$out/clips$i" --model "$out/thinned$i/model" "${long[@]}" --caption-field caption_dense \
    --steps "$clip_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 3))
  sft "$out/mixture$i" --model "$out/clips$i/model" "${both[@]}" --caption-field caption_mixed \
    --steps "$brief_steps" --learning-rate 1e-3 --seed $((seed + 4)) --bf16
  sft "$out/again$i" --model "$out/mixture$i/model" "${long[@]}" --caption-field caption_dense \
    --steps "$clip_steps" --batch 32 --learning-rate 1e-3 --seed $((seed + 5))
  sft "$out/longer$i" --model "$out/again$i/model" "${long[@]}" --caption-field caption_dense \
    --steps $((2 * clip_steps)) --batch 32 --learning-rate 1e-3 --seed $((seed + 7))
  sft "$out/brief$i" --model "$out/longer$i/model" "${both[@]}" --caption-field caption_brief \
    --steps $((brief_steps / 2)) --learning-rate 3e-4 --seed $((seed + 6)) --bf16
  sft "$out/captioner$i" --model "$out/brief$i/model" "${both[@]}" \
    --steps "$base_steps" --learning-rate 5e-4 --seed $((seed + 8)) --bf16
done
# The second judge is larger and never trained against: it tells whether a captioner only pleases the first.
judge() {  # OUT OPTIONS...
  "$programs/train_judge" --out "$@" --tokenizer "$out/tokenizer.json" --groups 16 --clip-share 0.5 \
    --learning-rate 2e-3 --threads 1 --bf16
}
judge "$out/judge1" --width 96 --seed 1 "${judge1[@]}"
judge "$out/judge2" --width 112 --seed 2 "${judge2[@]}"
for name in captioner1 captioner2 judge1 judge2; do
  mkdir -p "$out/weights/$name"
  cp "$out/$name/model/"* "$out/weights/$name/"
done
echo "the start weights: $out/weights"
