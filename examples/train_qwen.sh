#!/usr/bin/env bash
# Takes small Qwen2.5-VL and Qwen3-VL with random weights through everything: taught to describe pictures and clips, and
# then mostly to be brief; reinforced on pictures and then on clips, with all their weights and with LoRA adapters alone,
# and, as a control, with permuted rewards, from which nothing is to be learnt, with three seeds each. Ends with a table
# of the first and the last rewards, and of held-out accuracy and precision before and after. Stages that are done are
# skipped, and one that was stopped goes on, when started again.
# usage: train_qwen.sh [--few] [OUT]    (--few: a few steps, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
source examples/support/world.sh
images=(--train-images 6000 --validation-images 100 --test-images 400)
clips=(--train-clips 3000 --validation-clips 64 --test-clips 150)
see=2500 watch=1200 brief=1500 image_steps=60 clip_steps=40 some=1000 kept=300 seeds=(1 2 3)
out=build/qwen
if [ "${1:-}" = --few ]; then
  images=(--train-images 64 --validation-images 8 --test-images 8)
  clips=(--train-clips 16 --validation-clips 8 --test-clips 8)
  see=3 watch=2 brief=2 image_steps=2 clip_steps=2 some=16 kept=8 seeds=(1)
  out=build/qwen-few
  shift
fi
case "${1:-}" in -*) echo "usage: examples/train_qwen.sh [--few] [OUT]" >&2; exit 2 ;; esac
out=${1:-$out}
frames=(--frames-per-second 1 --maximum-frames 16)
programs=build/release/examples
judge=examples/weights/judge1
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target world_make new_captioner sft caption_images caption_videos >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }
world=$out/world
make_world_once "$world" "${images[@]}" "${clips[@]}" --longest-clip 4 --seed 4
head -n "$kept" "$world/images_train.jsonl" >"$world/images_kept.jsonl"
head -n "$some" "$world/images_train.jsonl" >"$world/images_some.jsonl"

once() {  # FOLDER PROGRAM ARGUMENTS...: unless the folder says that it is done, after the same stages before it
  local folder=$1 program=$2
  shift 2
  history+="$program $*;"
  [ "$(cat "$folder/done" 2>/dev/null)" != "$history" ] || return 0
  [ ! -e "$folder/done" ] || rm -r "$folder"
  mkdir -p "$folder"
  "$programs/$program" "$@" --out "$folder" --threads 1 >>"$folder/log" 2>&1 || { tail -20 "$folder/log" >&2; return 1; }
  echo "$history" >"$folder/done"
}
teach() {  # FOLDER MODEL FIELD STEPS RATE DATA...
  local folder=$1 model=$2 field=$3 steps=$4 rate=$5
  shift 5
  once "$folder" sft --model "$model" --caption-field "$field" --steps "$steps" --batch 32 --learning-rate "$rate" \
    "${frames[@]}" --data "$@"
}
reinforce() {  # FOLDER NAME OPTIONS...: the base on pictures, then what came of it on clips
  local folder=$1 name=$2
  shift 2
  once "$folder/image_$name" caption_images --model "$folder/base/model" --judge "$judge" \
    --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
    --test "$world/images_test.jsonl" --steps "$image_steps" --maximum-tokens 96 "$@"
  once "$folder/video_$name" caption_videos --model "$folder/image_$name/model" --judge "$judge" \
    --data "$world/videos_train.jsonl" "$world/images_kept.jsonl" --validation "$world/videos_validation.jsonl" \
    --test "$world/videos_test.jsonl" --steps "$clip_steps" --batch 24 --maximum-tokens 96 "${frames[@]}" "$@"
}
train() {  # ARCHITECTURE
  local folder=$out/$1 seed history
  history=$(cat "$world/made_by")
  [ -d "$folder/new" ] ||
    "$programs/new_captioner" --architecture "$1" --tokenizer "$judge/tokenizer.json" --out "$folder/new"
  local pictures=$world/images_train.jsonl clips=$world/videos_train.jsonl
  teach "$folder/seeing" "$folder/new" caption_dense "$see" 2e-3 "$pictures"
  teach "$folder/watching" "$folder/seeing/model" caption_timeline "$watch" 2e-3 \
    "$clips" "$world/images_some.jsonl"
  teach "$folder/base" "$folder/watching/model" caption "$brief" 1e-3 "$pictures" "$clips"
  for seed in "${seeds[@]}"; do
    reinforce "$folder" "full_seed$seed" --seed "$seed" "${all_weights[@]}"
    reinforce "$folder" "lora_seed$seed" --seed "$seed" "${adapters[@]}"
    reinforce "$folder" "permuted_seed$seed" --seed "$seed" "${all_weights[@]}" --reward permuted
  done
}
all_weights=(--learning-rate 2e-4 --epsilon 1e-3)
adapters=(--lora-rank 8 --lora-alpha 16 --learning-rate 1e-3)
train qwen2_5_vl &
first=$!
trap 'kill "$first" 2>/dev/null || true' EXIT
train qwen3_vl
wait "$first"

first_and_last() {  # FOLDER: the mean reward of the first and of the last five steps
  sed -nE 's/.*"reward":([-0-9.e+]+).*/\1/p' "$1/run/metrics.jsonl" |
    awk '{ r[NR] = $1 } END { n = NR < 5 ? NR : 5; for (i = 1; i <= n; ++i) { a += r[i]; b += r[NR + 1 - i] }
         printf "%.3f | %.3f", a / n, b / n }'
}
figure() { sed -nE "s/.*\"$2\": ([-0-9.e+]+),?$/\1/p" "$1/summary.json" | awk '{ printf "%.3f", $1 }'; }
{
  echo "| model | stage | trained | seed | reward, first 5 steps | last 5 | held-out accuracy before | after" \
    "| precision before | after |"
  echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
  for model in qwen2_5_vl qwen3_vl; do
    for stage in image video; do
      for what in full lora permuted; do
        for folder in "$out/$model/${stage}_${what}_seed"*; do
          echo "| $model | $stage | $what | ${folder##*_seed} | $(first_and_last "$folder")" \
            "| $(figure "$folder" $stage.accuracy.base) | $(figure "$folder" $stage.accuracy.trained)" \
            "| $(figure "$folder" $stage.precision.base) | $(figure "$folder" $stage.precision.trained) |"
        done
      done
    done
  done
} | tee "$out/table.md"
