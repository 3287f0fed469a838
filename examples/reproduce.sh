#!/usr/bin/env bash
# Makes every figure of docs/results.md, from the start weights of examples/weights: reinforcement with three seeds
# and a second base, on images and then on videos, controls, leaks, measured on 2,000 images and 1,000 clips with two
# judges and a grammar. What does not wait for each other runs side by side, each on one thread, so that the figures
# do not depend on the number of processors. Stages that are done are skipped, and one that was stopped goes on, when
# started again.
# usage: reproduce.sh [--few] [OUT]    (--few: a few steps and items, to see that it runs)
set -euo pipefail
log=
# Tells what runs side by side to stop and save; what did not end well shows the last of its log.
stop() {  # EXIT CODE
  trap - EXIT
  for job in $(jobs -p); do
    kill "$job" 2>/dev/null || true
    pkill -P "$job" 2>/dev/null || true
  done
  wait
  [ "$1" -eq 0 ] || [ "$1" -eq 130 ] || [ -z "$log" ] || tail -20 "$log" >&2
  exit "$1"
}
trap 'stop 130' INT TERM
trap 'stop $?' EXIT
cd "$(dirname "$0")/.."
images=(--train-images 6000 --validation-images 500 --test-images 2000) steps=40 batch=32
clips=(--train-clips 2000 --validation-clips 200 --test-clips 1400) clip_steps=60 clip_batch=16 test_clips=1000
kept_images=1000 kept_batch=8  # among the clips, so that what was learnt on images stays
best_of=64 best_items=250 compared_items=100 few=()
usage() { echo "usage: examples/reproduce.sh [--few] [OUT]" >&2; exit 2; }
if [ "${1:-}" = --few ]; then
  images=(--train-images 64 --validation-images 16 --test-images 24) steps=3 batch=8
  clips=(--train-clips 16 --validation-clips 8 --test-clips 12) clip_steps=2 clip_batch=4 test_clips=6
  kept_images=8 kept_batch=2
  best_of=4 best_items=4 compared_items=2 few=(--few)
  shift
fi
case "${1:-}" in -*) usage ;; esac
[ $# -le 1 ] || usage
out=${1:-build/reproduce${few[*]}}
source examples/support/world.sh
programs=build/release/examples
weights=examples/weights
bash cmake/install_packages.sh
mkdir -p "$out"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target \
  world_make caption_images caption_videos caption measure leaks check_judge compare_judges sft results >"$out/build.log" ||
  { tail -30 "$out/build.log"; exit 1; }

# All figures are of the same programs, weights and sizes.
sizes="${few[*]} ${images[*]} ${clips[*]} $steps $batch $clip_steps $clip_batch $test_clips $best_of $best_items"
sizes+=" $compared_items $kept_images $kept_batch"
made_by=$({
  echo "$sizes"
  cat examples/reproduce.sh examples/support/world.sh "$weights"/*/* "$programs"/world/world_make \
    "$programs"/{caption_images,caption_videos,caption,measure,leaks,check_judge,compare_judges,sft}
} | sha256sum)
if [ "$(cat "$out/made_by" 2>/dev/null || echo "$made_by")" != "$made_by" ]; then
  echo "$out was begun with other programs, weights or settings: remove it, or give another OUT" >&2
  exit 1
fi
echo "$made_by" >"$out/made_by"

world=$out/world
lanes=$(nproc)
export OMP_NUM_THREADS=1  # which nproc follows
judge=$weights/judge1 second_judge=$weights/judge2
declare -A test=([image]=$world/images_test.jsonl [video]=$world/videos_test_8s.jsonl)
stage() {  # NAME COMMAND...: runs the command once; its figures go to a file of the stage's own
  local name=$1 began=$SECONDS
  shift
  [ ! -e "$out/done/$name" ] || return 0
  mkdir -p "$out"/{done,figures,logs}
  figures=$out/figures/$name.json
  rm -f "$figures"
  echo "$name ..."
  log=$out/logs/$name
  "$@" >"$log" 2>&1
  log=
  echo $((SECONDS - began)) >"$out/done/$name"
  echo "$name: $((SECONDS - began)) s ($(find "$out/done" -type f | wc -l) stages done)"
}
side_by_side() {  # COMMAND...: as many at once as there are processors
  local command job jobs=()
  for command in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do wait -n; done
    (
      trap 'exit 130' TERM
      trap 'stop $?' EXIT
      $command
    ) &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job"; done
}

make_world() {
  make_world_once "$world" "${images[@]}" "${clips[@]}" --seed 7
  # Of the test clips those of 8 seconds and more.
  grep -E -m "$test_clips" '"seconds":([89]|1[0-9])' "$world/videos_test.jsonl" >"${test[video]}"
  head -n "$kept_images" "$world/images_train.jsonl" >"$world/images_kept.jsonl"
  head -n "$best_items" "${test[image]}" >"$world/best_of.jsonl"
  head -n "$compared_items" "${test[image]}" >"$world/compared.jsonl"
}

reinforce_images() {  # NAME BASE OPTIONS...
  local name=$1 base=$2
  shift 2
  "$programs/caption_images" --data "$world/images_train.jsonl" --validation "$world/images_validation.jsonl" \
    --test "${test[image]}" --test-items 16 --model "$base" --judge "$judge" --steps "$steps" --batch "$batch" \
    --learning-rate 2e-4 --epsilon 1e-3 --validate-every 5 --no-report --out "$out/$name" "$@"
}
reinforce_videos() {  # NAME BASE OPTIONS...
  local name=$1 base=$2
  shift 2
  "$programs/caption_videos" --validation "$world/videos_validation.jsonl" --test "${test[video]}" --test-items 16 \
    --model "$base" --judge "$judge" --steps "$clip_steps" --learning-rate 2e-4 --no-report --out "$out/$name" "$@"
}

captions() {  # DATA OUT MODEL OPTIONS...: a line that is there is not captioned again
  local data=$1 file=$2 model=$3
  shift 3
  "$programs/caption" --data "$data" --model "$model" --maximum-tokens 96 --batch 64 --out "$file" "$@"
}
# By the training judge, and by the second one where gates or tables ask for it.
measure() {  # image|video|PREFIX.image WHICH OPTIONS...
  local name=$1 which=$2
  shift 2
  local asked=(--data "${test[${name##*.}]}" --name "$name" --which "$which" --keep-answers "$out/answers" --out "$figures")
  "$programs/measure" "${asked[@]}" --judge "$judge" "$@"
  case ${which#greedy.} in
    base* | start.* | trained.* | truth) "$programs/measure" "${asked[@]}" --judge "$second_judge" --second-judge "$@" ;;
  esac
}
# A captioner's sampled and greedy captions of the test items, measured; the gain is over another captioner's.
caption_and_measure() {  # image|video|PREFIX.image FOLDER MODEL WHICH [FOLDER OF BASE]
  local medium=${1##*.} name=$1 model=$3 which=$4
  local folder=$out/captions/$medium/$2 base=${5:+$out/captions/$medium/$5}
  mkdir -p "$folder"
  captions "${test[$medium]}" "$folder/sampled.jsonl" "$model" --temperature 1 --seed 2
  captions "${test[$medium]}" "$folder/greedy.jsonl" "$model"
  measure "$name" "$which" --captions "$folder/sampled.jsonl" ${base:+--before "$base/sampled.jsonl"}
  measure "$name" "greedy.$which" --captions "$folder/greedy.jsonl" ${base:+--before "$base/greedy.jsonl"}
}

check_judges() {  # image|video
  "$programs/check_judge" --judge "$judge" --data "${test[$1]}" --name "$1" --out "$figures"
  "$programs/check_judge" --judge "$second_judge" --data "${test[$1]}" --name "$1.second" --out "$figures"
  measure "$1" truth --truth
  measure "$1" blind --blind
}
stage world make_world
side_by_side \
  "stage base2_video caption_and_measure video start2 $weights/captioner2 base2" \
  "stage base1_video caption_and_measure video start1 $weights/captioner1 base" \
  "stage base1_image caption_and_measure image start1 $weights/captioner1 base" \
  "stage base2_image caption_and_measure image start2 $weights/captioner2 base2" \
  "stage judges_video check_judges video" "stage judges_image check_judges image"

# RUN BASE SEED: reinforcement on images, then on videos from there; the video stage's image captions are held against
# those before it, its video captions against those of the image stage.
train_and_measure() {
  local run=$1 base=$2 seed=$3
  stage "image_$run" reinforce_images "image_$run" "$weights/captioner$base" --seed "$seed"
  stage "image_measure_$run" caption_and_measure image "$run" "$out/image_$run/model" "trained.$run" "start$base"
  stage "video_$run" reinforce_videos "video_$run" "$out/image_$run/model" --seed "$seed" \
    --data "$world/videos_train.jsonl" "$world/images_kept.jsonl" --batch $((clip_batch + kept_batch))
  stage "video_measure_start_$run" caption_and_measure video "start_$run" "$out/image_$run/model" "start.$run" "start$base"
  stage "video_measure_$run" caption_and_measure video "$run" "$out/video_$run/model" "trained.$run" "start_$run"
  stage "image_measure_kept_$run" caption_and_measure image "kept_$run" "$out/video_$run/model" "kept.$run" "$run"
}
# OPTIONS: the first base, reinforced otherwise.
other_reinforcement() {  # NAME PREFIX.image|image WHICH OPTIONS...
  local name=$1 prefix=$2 which=$3
  shift 3
  stage "image_$name" reinforce_images "image_$name" "$weights/captioner1" "$@"
  stage "image_measure_$name" caption_and_measure "$prefix" "$name" "$out/image_$name/model" "$which" start1
}
control() {  # REWARD SEED
  other_reinforcement "$1_seed$2" "control.$1.image" "seed$2" --reward "$1" --seed "$2"
}
sampled() { other_reinforcement sampled image sampled --reward sampled; }
no_penalty() { other_reinforcement no_penalty image no_penalty --penalty 0; }

look_for_leaks() {  # image|video
  local medium=$1 model=$out/$1_seed1/model folder=$out/captions/$1/seed1
  captions "${test[$medium]}" "$folder/other.jsonl" "$model" --temperature 1 --seed 2 --other-media
  captions "$world/${medium}s_validation.jsonl" "$folder/validation.jsonl" "$model" --temperature 1 --seed 2
  "$programs/leaks" --data "${test[$medium]}" --train "$world/${medium}s_train.jsonl" \
    --validation "$world/${medium}s_validation.jsonl" --judge "$judge" --captions "$folder/sampled.jsonl" \
    --validation-captions "$folder/validation.jsonl" --other-captions "$folder/other.jsonl" --name "$medium" \
    --out "$figures"
}
compare_judges() {
  captions "$world/compared.jsonl" "$out/captions/groups.jsonl" "$weights/captioner1" --temperature 1 --seed 3 \
    --samples 8
  "$programs/compare_judges" --judge "$judge" --data "$world/compared.jsonl" --captions "$out/captions/groups.jsonl" \
    --out "$figures"
}
best_of_base() {
  captions "$world/best_of.jsonl" "$out/captions/best_of.jsonl" "$weights/captioner1" --temperature 1 --seed 2 \
    --samples "$best_of"
  "$programs/measure" --data "$world/best_of.jsonl" --judge "$judge" --captions "$out/captions/best_of.jsonl" --best \
    --name image --which "best_of_$best_of" --out "$figures"
  "$programs/measure" --data "$world/best_of.jsonl" --judge "$judge" --captions "$out/captions/image/start1/sampled.jsonl" \
    --name image --which best_of_1 --out "$figures"
}
# As many updates of as many captions as the reinforcement, on the truth.
taught_densely() {
  "$programs/sft" --model "$weights/captioner1" --data "$world/images_train.jsonl" --caption-field caption_dense \
    --steps "$steps" --batch $((batch * 8)) --learning-rate 3e-4 --out "$out/sft_dense"
  caption_and_measure image sft_dense "$out/sft_dense/model" sft_dense start1
}
video_only() {
  reinforce_videos video_only "$weights/captioner1" --data "$world/videos_train.jsonl" --batch "$clip_batch"
  caption_and_measure video video_only "$out/video_only/model" video_only start1
}

# Whether time is seen: the same captioner with one frame of each clip, and with the frames in random order.
without_time() {  # NAME OPTIONS...
  local name=$1 folder=$out/captions/video/$1
  shift
  mkdir -p "$folder"
  captions "${test[video]}" "$folder/sampled.jsonl" "$out/video_seed1/model" --temperature 1 --seed 2 "$@"
  measure video "$name" --captions "$folder/sampled.jsonl" --before "$out/captions/video/seed1/sampled.jsonl"
}

side_by_side "train_and_measure seed1 1 1" "train_and_measure seed2 1 2" "train_and_measure seed3 1 3" \
  "train_and_measure base2 2 1" "stage video_only video_only" "stage best_of best_of_base" \
  "control permuted 1" "control permuted 2" "control permuted 3" \
  "control other_item 1" "control other_item 2" "control other_item 3" "control length 1" \
  sampled no_penalty "stage sft_dense taught_densely" "stage compare_judges compare_judges"
side_by_side "stage leaks_image look_for_leaks image" "stage leaks_video look_for_leaks video" \
  "stage one_frame without_time one_frame --maximum-frames 1" \
  "stage shuffled_frames without_time shuffled_frames --shuffle-frames"

results=docs/results.md
[ ${#few[@]} -eq 0 ] || results=$out/results.md
"$programs/results" --figures "$out"/figures/*.json --runs "$out"/{image,video}_{seed1,seed2,seed3,base2} \
  "$out"/image_{sampled,no_penalty} --summary "$out/summary.json" --out "$results"
