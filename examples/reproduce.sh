#!/usr/bin/env bash
# Makes every figure of docs/results.md, from the start weights of examples/train_weights.sh: reinforcement with three
# seeds and a second base, controls, leaks, measured on 2,000 images with two judges and a grammar. Stages that are done
# are skipped, and one that was stopped goes on, when started again.
# usage: reproduce.sh [--few] [OUT]    (--few: a few steps and items, to see that it runs)
set -euo pipefail
cd "$(dirname "$0")/.."
train_images=6000 validation_images=500 test_images=2000 steps=100 batch=32 best_of=64 best_items=250 few=()
if [ "${1:-}" = --few ]; then
  train_images=64 validation_images=16 test_images=24 steps=3 batch=8 best_of=4 best_items=4 few=(--few)
  shift
fi
out=${1:-build/reproduce${few[*]}}
programs=build/release/examples
weights=$out/weights
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target \
  world_make caption_images caption measure leaks check_judge sft results >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }

summary=$out/summary.json
world=$out/world
test=$world/images_test.jsonl
judge=$weights/judge1/model second_judge=$weights/judge2/model
stage() {  # NAME COMMAND...: runs the command once
  local name=$1
  shift
  [ ! -e "$out/done/$name" ] || return 0
  echo "== $name"
  local began=$SECONDS
  "$@"
  mkdir -p "$out/done"
  echo $((SECONDS - began)) >"$out/done/$name"
}

make_world() {
  "$programs/world/world_make" --out "$world" --train-images "$train_images" \
    --validation-images "$validation_images" --test-images "$test_images" --seed 5
}
reinforce_images() {  # NAME BASE OPTIONS...
  local name=$1 base=$2
  shift 2
  "$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
    --test "$test" --test-items 16 --model "$base" --judge "$judge" --steps "$steps" --batch "$batch" --no-report \
    --out "$out/$name" "$@"
}
captions() {  # OUT MODEL OPTIONS...: captions of the test images
  local file=$1 model=$2
  shift 2
  "$programs/caption" --model "$model" --data "$test" --maximum-tokens 96 --batch 64 --out "$file" "$@"
}
measure() {  # WHICH OPTIONS...: by both judges
  local which=$1
  shift
  "$programs/measure" --data "$test" --judge "$judge" --name image --which "$which" --out "$summary" "$@"
  "$programs/measure" --data "$test" --judge "$second_judge" --second-judge --name image --which "$which" \
    --out "$summary" "$@"
}

# A captioner's sampled and greedy captions of the test images, measured; the gain is over another captioner's.
caption_and_measure() {  # FOLDER MODEL WHICH [FOLDER OF BASE]
  local folder=$out/captions/$1 model=$2 which=$3 base=${4:+$out/captions/$4}
  mkdir -p "$folder"
  captions "$folder/sampled.jsonl" "$model" --temperature 1 --seed 2
  captions "$folder/greedy.jsonl" "$model"
  measure "$which" --captions "$folder/sampled.jsonl" ${base:+--before "$base/sampled.jsonl"}
  measure "greedy.$which" --captions "$folder/greedy.jsonl" ${base:+--before "$base/greedy.jsonl"}
}

stage weights bash examples/train_weights.sh "${few[@]}" "$weights"
stage world make_world
stage judge_images "$programs/check_judge" --judge "$judge" --data "$test" --name image --out "$summary"
stage second_judge_images \
  "$programs/check_judge" --judge "$second_judge" --data "$test" --name image.second --out "$summary"
stage truth measure truth --truth
stage blind measure blind --blind

stage measure_base1 caption_and_measure base1 "$weights/captioner1/model" base
stage measure_base2 caption_and_measure base2 "$weights/captioner2/model" base2
for seed in 1 2 3; do
  stage "image_seed$seed" reinforce_images "image_seed$seed" "$weights/captioner1/model" --seed "$seed"
  stage "measure_image_seed$seed" \
    caption_and_measure "seed$seed" "$out/image_seed$seed/model" "trained.seed$seed" base1
done
stage image_base2 reinforce_images image_base2 "$weights/captioner2/model" --seed 1
stage measure_image_base2 caption_and_measure base2_trained "$out/image_base2/model" trained.base2 base2

for control in permuted other_item length; do
  stage "control_$control" reinforce_images "control_$control" "$weights/captioner1/model" --reward "$control"
  stage "measure_control_$control" \
    caption_and_measure "control_$control" "$out/control_$control/model" "control.$control" base1
done
stage no_penalty reinforce_images no_penalty "$weights/captioner1/model" --penalty 0
stage measure_no_penalty caption_and_measure no_penalty "$out/no_penalty/model" trained.no_penalty base1

look_for_leaks() {
  captions "$out/captions/seed1/other.jsonl" "$out/image_seed1/model" --temperature 1 --seed 2 --other-media
  "$programs/caption" --model "$out/image_seed1/model" --data "$world/images_validation.jsonl" --maximum-tokens 96 \
    --batch 64 --temperature 1 --seed 2 --out "$out/captions/seed1/validation.jsonl"
  "$programs/leaks" --data "$test" --train "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
    --judge "$judge" --captions "$out/captions/seed1/sampled.jsonl" \
    --validation-captions "$out/captions/seed1/validation.jsonl" \
    --other-captions "$out/captions/seed1/other.jsonl" --name image --out "$summary"
}
stage leaks look_for_leaks

best_of_base() {
  head -n "$best_items" "$test" >"$world/best_of.jsonl"
  "$programs/caption" --model "$weights/captioner1/model" --data "$world/best_of.jsonl" --maximum-tokens 96 --batch 16 \
    --temperature 1 --seed 2 --samples "$best_of" --out "$out/captions/best_of.jsonl"
  "$programs/measure" --data "$world/best_of.jsonl" --judge "$judge" --captions "$out/captions/best_of.jsonl" --best \
    --name image --which best_of_64 --out "$summary"
}
stage best_of_64 best_of_base

# As many updates of as many captions as the reinforcement, on the truth.
taught_densely() {
  "$programs/sft" --model "$weights/captioner1/model" --data "$world/images_train.jsonl" --caption-field caption_dense \
    --steps "$steps" --batch $((batch * 8)) --learning-rate 3e-4 --out "$out/sft_dense"
}
stage sft_dense taught_densely
stage measure_sft_dense caption_and_measure sft_dense "$out/sft_dense/model" sft_dense base1

results=docs/results.md
[ ${#few[@]} -eq 0 ] || results=$out/results.md
"$programs/results" --summary "$summary" --out "$results"
