#!/usr/bin/env bash
# Runs every example program on a tiny world for a few steps and looks at what it promises: its outputs, --help, errors
# that name the setting, and that a run that was stopped or killed goes on to the same bytes.
# usage: examples.sh PROGRAMS_DIR
set -euo pipefail
recipes=$(realpath "$(dirname "$0")/../docs/recipes")
source "$(dirname "$0")/support/programs.sh"

make_world 32  # as many pictures as custom_loop takes in a step
has world/images_train.jsonl '"images"' '"reward_model"'
has tokenizer.json '"merges"'
has taught/model/model.safetensors
lines taught/run/metrics.jsonl 4
has taught/run/metrics.jsonl validation_loss
has judge/model/model.safetensors
lines judge/run/metrics.jsonl 3
[ "$(grep -c '"probability":' judge/run/metrics.jsonl)" -eq 1 ] || fail "a drill asks for no letter"  # 2 of 3 steps
has judge/run/metrics.jsonl '"probability.word"'
run train_judge --model judge/model --steps 1 --drill-steps 0 --groups 2 --out judge_on
has judge_on/model/config.json '"hidden_size": 32'
captioner=(--model taught/model --judge judge/model)

# The main job, on images and on videos.
small_images=(--data world/images_train.jsonl --validation world/images_validation.jsonl
  --test world/images_test.jsonl "${captioner[@]}" --batch 4 --samples 3 --maximum-tokens 24)
images=("${small_images[@]}" --steps 24 --validate-every 8)
reports() {  # FOLDER NAME STEPS
  has "$1/report.html" '<svg' 'data:image/png;base64,'
  if grep -q -e 'src="http' "$1/report.html"; then fail "$1/report.html is not self-contained"; fi
  has "$1/summary.json" "$2.accuracy.base" "$2.accuracy.trained.low" "$2.recall.trained" "$2.accuracy.greedy.trained"
  has "$1/model/model.safetensors"
  lines "$1/run/metrics.jsonl" "$3"
  has "$1/run/metrics.jsonl" '"reward"' validation.accuracy
  has "$1/run/timings.jsonl" seconds.judge
}
run caption_images "${images[@]}" --out whole
reports whole image 24
grep -qE '"judge_tokens":[1-9]' whole/run/metrics.jsonl || fail "the judge's tokens were not counted"
[ "$(ls whole/run/checkpoints | grep -c step)" -eq 2 ] || fail "two checkpoints are kept"
run caption_images "${small_images[@]}" --steps 3 --checkpoint-every 2 --no-report --out saved_often
[ -d saved_often/run/checkpoints/step-000002 ] || fail "--checkpoint-every saved nothing"
run sft --model taught/model --data world/images_train.jsonl --validation world/images_validation.jsonl --steps 3 \
  --validate-every 2 --checkpoint-every 1 --batch 4 --out taught_on
[ "$(grep -c validation_loss taught_on/run/metrics.jsonl)" -eq 2 ] || fail "the last step is not validated"
[ -d taught_on/run/checkpoints/step-000002 ] || fail "--checkpoint-every saved nothing"
run caption_images "${images[@]}" --reward sampled --draws 2 --no-report --bf16 --out sampled
has sampled/model/model.safetensors BF16
! grep -q BF16 whole/model/model.safetensors || fail "weights are rounded without being asked to"
lines sampled/run/metrics.jsonl 24
! cmp -s whole/run/metrics.jsonl sampled/run/metrics.jsonl || fail "the sampled judge is the exact one"
# What is measured is what is saved, rounded weights too: the captioner of the folder has the same figures, of so many
# captions that rounding changes some.
run world_make --out tested --train-images 1 --validation-images 1 --test-images 64 --seed 4
tested=("${small_images[@]/world\/images_test/tested/images_test}" --steps 1 --no-report)
run caption_images "${tested[@]}" --learning-rate 0.01 --bf16 --out rounded
run caption_images "${tested[@]}" --learning-rate 0.01 --out unrounded
figures() {  # FOLDER WHEN
  sed -nE "s/.*\"(image\..*)\.$2\": (.*[0-9]),?$/\1 \2/p" "$1/summary.json" | grep . || fail "$1 has no figures"
}
for folder in rounded unrounded; do
  run caption_images "${tested[@]/taught\/model/$folder/model}" --out "${folder}_on"
  figures "$folder" trained >trained_figures
  figures "${folder}_on" base >saved_figures
  diff trained_figures saved_figures >log || fail "$folder/model has not $folder's figures"
  mv saved_figures "$folder.figures"
done
! cmp -s rounded.figures unrounded.figures || fail "rounding changed no caption: this tells nothing"
run caption_images "${small_images[@]}" --steps 1 --rollout-items 3 --no-report --out by_three
figures whole base >whole_figures
figures by_three base >by_three_figures
diff whole_figures by_three_figures >log || fail "other captions where not all items are captioned at once"
# What a control trained is its last weights, whichever of them validation would choose.
for every in 1 3; do
  run caption_images "${small_images[@]}" --steps 3 --validate-every "$every" --learning-rate 0.02 --spread-floor 0 \
    --reward permuted --no-report --out "permuted$every"
done
[ ! -e permuted1/run/checkpoints/best-000003 ] || fail "validation chose the last step: this tells nothing"
cmp -s permuted1/model/model.safetensors permuted3/model/model.safetensors || fail "a control's weights were chosen"
run caption_videos --data world/videos_train.jsonl world/images_train.jsonl --validation world/videos_validation.jsonl \
  --test world/videos_test.jsonl "${captioner[@]}" --steps 2 --batch 2 --samples 2 --maximum-tokens 24 \
  --maximum-frames 4 --out videos
reports videos video 2

# Killed or stopped at any moment and started again: the same bytes as a run that never was.
same() {  # FOLDER
  for file in run/metrics.jsonl model/model.safetensors; do
    cmp -s "whole/$file" "$1/$file" || fail "$1/$file differs from the run that was never stopped"
  done
}
run_images=("$(program caption_images)" "${images[@]}")
for steps in 1 $((2 + RANDOM % 4)); do
  start killed "$steps" "${run_images[@]}"
  sleep "0.$((RANDOM % 30))"
  kill -9 "$pid" 2>/dev/null || true  # it may have ended
  wait "$pid" 2>/dev/null || true
done
run caption_images "${images[@]}" --out killed
same killed
start stopped 1 "${run_images[@]}"
kill -INT "$pid" || fail "the run ended before Ctrl-C"
status=0
wait "$pid" || status=$?
[ "$status" -eq 130 ] || fail "Ctrl-C ended with status $status"
has log "the same command goes on"
ls stopped/run/checkpoints | grep -q . || fail "Ctrl-C saved no checkpoint"
run caption_images "${images[@]}" --out stopped
has log 'goes on after step'
same stopped
refuses caption_images learning_rate "${images[@]}" --learning-rate 0.5 --out stopped  # a run's settings are its own
refuses caption_images judge "${images[@]/judge\/model/judge_on/model}" --out stopped
refuses caption_images test_items "${images[@]}" --test-items 2 --out stopped

# Adapters and frozen parts: stopped and started again, the same bytes; an adapter, and a captioner that it is merged into.
adapted=("${images[@]}" --no-report --lora-rank 2 --lora-alpha 8 --lora-targets q_proj projection --freeze blocks.0
  --learning-rate-factor visual=10)
run caption_images "${adapted[@]}" --out adapted
grep -qE 'training [0-9]+ of [0-9]+ numbers' log || fail "it is not said what is trained"
has adapted/adapter/adapter_config.json '"r": 2' '.q_proj"' '"base_model_name_or_path": "taught/model"'
has adapted/adapter/adapter_model.safetensors base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_B
start adapted_killed 2 "$(program caption_images)" "${adapted[@]}"
kill -9 "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
run caption_images "${adapted[@]}" --out adapted_killed
for file in run/metrics.jsonl model/model.safetensors adapter/adapter_model.safetensors; do
  cmp -s "adapted/$file" "adapted_killed/$file" || fail "adapted_killed/$file differs from the run that was never stopped"
done
refuses caption_images lora.scale "${adapted[@]/#8/9}" --out adapted
refuses caption_images trained.groups "${adapted[@]/#blocks.0/blocks}" --out adapted
run sft --model taught/model --data world/images_train.jsonl --steps 2 --batch 4 --lora-rank 2 --lora-dropout 0.1 \
  --out taught_adapted
has taught_adapted/adapter/adapter_config.json '"lora_dropout": 0.1'
! cmp -s taught_adapted/model/model.safetensors taught/model/model.safetensors || fail "the adapter was not merged"

# A user's own components and loop; captions from the trained folder.
run custom_components --data world/images_train.jsonl "${captioner[@]}" --steps 2 --out components
lines components/run/metrics.jsonl 2
has components/run/metrics.jsonl repetition
has components/model/model.safetensors
refuses custom_components judge --data world/images_train.jsonl "${captioner[@]/judge\/model/judge_on/model}" --steps 2 --out components
run custom_loop --data world/images_train.jsonl "${captioner[@]}" --steps 1 --out loop
has log 'step 0'
has loop/model.safetensors
run caption --model whole/model --maximum-tokens 24 "world/images/test/000000."* world/videos/test
has log world/images/test/000000 .mp4
pictures=(world/images/test/*)
run caption --model whole/model --maximum-tokens 24 --batch 1 "${pictures[@]}"
mv log together
run caption --model whole/model --maximum-tokens 24 --stream "${pictures[@]}"
cmp -s log together || fail "captions that are streamed are others"
run caption --model whole/model --maximum-tokens 1 "${pictures[0]}"
has log '[cut at --maximum-tokens]'
run caption --model whole/model "${pictures[0]}" --out usual.jsonl
cp -r world/images/test same_names
run caption --model whole/model --maximum-tokens 2 world/images/test same_names --out both.jsonl
[ "$(grep -o '"id":"[^"]*"' both.jsonl | sort -u | wc -l)" -eq "$(wc -l <both.jsonl)" ] || fail "two captions have one id"
echo '{}' >strange.jsonl
refuses caption strange.jsonl.settings.json --model whole/model "${pictures[0]}" --out strange.jsonl
has usual.jsonl.settings.json '"maximum_tokens": 128'
run caption --model whole/model --maximum-tokens 24 --data world/images_test.jsonl --out captions.jsonl
lines captions.jsonl 4
refuses caption temperature --model whole/model --maximum-tokens 24 --data world/images_test.jsonl --temperature 1 \
  --out captions.jsonl  # begun with other settings
head -n 2 captions.jsonl >begun.jsonl
cp captions.jsonl.settings.json begun.jsonl.settings.json
run caption --model whole/model --maximum-tokens 24 --data world/images_test.jsonl --out begun.jsonl
cmp -s captions.jsonl begun.jsonl || fail "captions that were stopped differ from those that never were"
cp -r world other_pictures  # of the same names
pictures=(other_pictures/images/test/*)
cp "${pictures[0]}" "${pictures[1]}"
refuses caption items --model whole/model --maximum-tokens 24 --data other_pictures/images_test.jsonl --out captions.jsonl
same_pictures=(--model whole/model --maximum-tokens 24)
run caption "${same_pictures[@]}" world/images/test --out folder.jsonl
mv world/images world/images_before && cp -r other_pictures/images world/images
refuses caption items "${same_pictures[@]}" world/images/test --out folder.jsonl
rm -r world/images && mv world/images_before world/images

# Any architecture, chosen by config.json, with the model's own frames, sampling and end tokens; adapters are merged.
pictures=(world/images/test/*)
for architecture in qwen2_5_vl qwen3_vl; do
  model=small/$architecture
  run new_captioner --architecture $architecture --tokenizer tokenizer.json --width 32 --heads 2 --vision-layers 2 \
    --language-layers 2 --out $model
  run new_captioner --architecture $architecture --tokenizer tokenizer.json --width 32 --heads 2 --vision-layers 2 \
    --language-layers 2 --out $model --overwrite
  refuses new_captioner --overwrite --architecture $architecture --tokenizer tokenizer.json --out $model
  has $model/chat_template.jinja '<|image_pad|>'
  has $model/generation_config.json eos_token_id
  echo '{"do_sample": true, "temperature": 0.5, "top_k": 20}' >$model/generation_config.json
  run caption --model $model --maximum-tokens 24 "${pictures[0]}" world/videos/test
  has log "${pictures[0]}" .mp4
  for which in first again; do
    run caption --model $model --maximum-tokens 24 --published-sampling --seed 5 "${pictures[0]}" --out $model.$which.jsonl
    lines $model.$which.jsonl 1
    has $model.$which.jsonl '"caption":"'
  done
  cmp -s $model.first.jsonl $model.again.jsonl || fail "$model captions otherwise with the same seed"
  refuses caption frames_per_second --model $model --maximum-tokens 24 --published-sampling --seed 5 "${pictures[0]}" \
    --frames-per-second 1 --out $model.first.jsonl
done
mkdir chatty
cp tokenizer.json chatty
echo '{"chat_template": "its own"}' >chatty/tokenizer_config.json
run new_captioner --architecture qwen3_vl --tokenizer chatty/tokenizer.json --width 32 --heads 2 --vision-layers 2 \
  --language-layers 2 --out small/chatty
has small/chatty/tokenizer_config.json 'its own'
[ ! -e small/chatty/chat_template.jinja ] || fail "new_captioner wrote a template over the tokenizer's own"
run new_captioner --like small/qwen3_vl --seed 2 --out small/other
cmp -s small/other/config.json small/qwen3_vl/config.json || fail "--like gave another config.json"
! cmp -s small/other/model.safetensors small/qwen3_vl/model.safetensors || fail "another seed gave the same weights"
for prompt in '' --image-prompt='Please describe this image in detail.' --image-prompt='describe the image in detail .'; do
  run caption --model small/qwen3_vl --maximum-tokens 9 ${prompt:+"$prompt"} "${pictures[0]}"
  cp log "prompted_${prompt:15:1}"
done
cmp -s prompted_ prompted_P || fail "a published architecture is not asked in plain words"
! cmp -s prompted_ prompted_d || fail "the prompt changes no caption"
refuses new_captioner width --like small/qwen3_vl --width 64 --out refused
sed -i 's/qwen3_vl"/llava"/' small/other/config.json
refuses caption 'caprl_tiny_vlm, qwen2_5_vl, qwen3_vl' --model small/other "${pictures[0]}"
refuses caption 'a LoRA adapter' --model adapted/adapter "${pictures[0]}"
refuses caption 'take adapted/model' --model adapted "${pictures[0]}"
run caption --model small/qwen3_vl --maximum-tokens 2 --samples 2 "${pictures[0]}"
has log 'will be the same'
run caption --model small/qwen3_vl --maximum-tokens 2 --samples 2 --temperature 1 "${pictures[0]}"
grep -q 'will be the same' log && fail "drawn captions are not the same"

# Every recipe, from pictures to clips, with what would take long cut short.
short=(--validation-items 2 --test-items 2 --gallery-items 1 --steps 1 --batch 2 --samples 2 --maximum-tokens 12 --judge
  judge/model --out)
stage() {  # PROGRAM RECIPE MODEL KIND OPTIONS...
  local program=$1 recipe=$2 model=$3 kind=$4
  shift 4
  run "$program" --settings "$recipes/$recipe.toml" --model "$model" --data "world/${kind}_train.jsonl" \
    --validation "world/${kind}_validation.jsonl" --test "world/${kind}_test.jsonl" "$@" "${short[@]}" "recipes/$recipe"
  lines "recipes/$recipe/run/metrics.jsonl" 1
}
stage caption_images caprl_3b_images small/qwen2_5_vl images
has log "judge: answers"  # in the plan of memory
stage caption_images caprl_plus_plus_images small/qwen3_vl images
stage caption_videos caprl_plus_plus_videos recipes/caprl_plus_plus_images/model videos
stage caption_images exact_images small/qwen2_5_vl images --lora-rank 2
stage caption_videos exact_videos recipes/exact_images/model videos
has recipes/caprl_plus_plus_videos/run/metrics.jsonl '"reward.stamps"' '"reward.length"'
grep -q '"reward.length"' recipes/caprl_3b_images/run/metrics.jsonl && fail "CapRL-3B has no length term"
for recipe in "$recipes"/*.toml; do
  [ -d "recipes/$(basename "$recipe" .toml)" ] || fail "$recipe was not run"
done
refuses caption_images published-faults "${images[@]}" --published-faults --out refused
echo 'stepps = 3' >wrong.toml
refuses caption_images stepps "${images[@]}" --settings wrong.toml --out refused
run caption --model adapted/model --maximum-tokens 24 --data world/images_test.jsonl --out merged.jsonl
run caption --model taught/model --adapter adapted/adapter --maximum-tokens 24 --data world/images_test.jsonl \
  --out adapter.jsonl
cmp -s merged.jsonl adapter.jsonl || fail "an adapter captions otherwise than the model that it was merged into"

# Captions measured, leaks looked for, a judge checked, several runs in one report, figures in tables.
run caption --model whole/model --maximum-tokens 24 --data world/images_test.jsonl --samples 2 --temperature 1 \
  --other-media --out other.jsonl
run caption --model whole/model --maximum-tokens 24 --data world/images_validation.jsonl --out validation.jsonl
measured=(--data world/images_test.jsonl --judge judge/model --name image --out figures.json)
run measure "${measured[@]}" --captions captions.jsonl --before other.jsonl --which trained
cp figures.json asked.json
for answers in asked read; do
  run measure "${measured[@]}" --captions captions.jsonl --before other.jsonl --which trained --keep-answers answers
  cmp -s <(tr -d , <figures.json | sort) <(tr -d , <asked.json | sort) ||
    fail "answers that are kept ($answers) give other figures"
done
[ "$(find answers -type f | wc -l)" -eq 2 ] || fail "expected the answers of two files of captions"
run measure --data world/images_test.jsonl --judge judge_on/model --captions captions.jsonl --keep-answers answers
[ "$(find answers -type f | wc -l)" -eq 3 ] || fail "another judge was given the answers of the first"
for file in answers/*; do echo '[]' >"$file"; done
refuses measure 'kept answers' "${measured[@]}" --captions captions.jsonl --keep-answers answers  # they are read
run measure "${measured[@]}" --captions other.jsonl --best --which best
for source in '--truth --blind' '--captions captions.jsonl --truth' '--blind --before other.jsonl' '--blind --best'; do
  refuses measure excludes "${measured[@]}" $source
done
run measure "${measured[@]}" --truth --which truth
run measure "${measured[@]}" --blind --which blind
run measure --data world/videos_test.jsonl --judge judge/model --truth --name video --which truth --out figures.json
run leaks --data world/images_test.jsonl --train world/images_train.jsonl --validation world/images_validation.jsonl \
  --judge judge/model --captions captions.jsonl --validation-captions validation.jsonl --other-captions other.jsonl \
  --out figures.json

# What `leaks` says is what `measure` says of such captions, less chance. Sampled ones differ from picture to picture.
run caption --model whole/model --maximum-tokens 24 --data world/images_validation.jsonl --temperature 1 --seed 7 \
  --out validation_sampled.jsonl
run leaks --data world/images_test.jsonl --train world/images_test.jsonl --validation world/images_validation.jsonl \
  --judge judge/model --captions other.jsonl --validation-captions validation_sampled.jsonl \
  --other-captions captions.jsonl --out leaks.json
given() {  # TEXTS FILE LINE: the items of FILE with the captions of TEXTS one line on, or with those of its LINE
  awk -v line="$3" 'NR == FNR { texts[NR] = $0; next }
    { match($0, /"id":"[^"]*"/); ids[FNR] = substr($0, RSTART, RLENGTH) }
    END {
      for (i = 1; i <= FNR; ++i) {
        text = texts[line ? line : i % FNR + 1]
        sub(/"id":"[^"]*"/, ids[i], text)
        print text
      }
    }' "$1" "$2"
}
accuracy() {  # NAME DATA WHICH SOURCE...
  run measure --data "world/images_$2.jsonl" --judge judge/model --name "$1" --which "$3" --out leaks.json "${@:4}"
}
figure() { sed -n "s/^ *\"$1\": *\([^,]*\),*$/\1/p" "${2:-leaks.json}"; }  # NAME [FILE]
best=1
for line in 1 2 3 4; do
  given validation_sampled.jsonl validation_sampled.jsonl $line >constant.jsonl
  accuracy validation validation constant$line --captions constant.jsonl
  ahead="$(figure validation.accuracy.constant$line) - $(figure validation.accuracy.constant$best)"
  if awk "BEGIN { exit !($ahead > 0) }"; then best=$line; fi
done
given other.jsonl other.jsonl 0 >swapped.jsonl
accuracy image test swapped --captions swapped.jsonl
accuracy image test other_media --captions captions.jsonl
accuracy image test blind --blind
given validation_sampled.jsonl other.jsonl $best >constant.jsonl
accuracy image test constant --captions constant.jsonl
for leak in blind swapped other_media constant; do
  awk "BEGIN { apart = $(figure leak.image.$leak) - ($(figure image.accuracy.$leak) - $(figure image.chance))
    exit !(-1e-9 < apart && apart < 1e-9) }" || fail "the leak $leak is not what is measured"
done
# Of one constant that is tried it is the most frequent caption: the last by the alphabet, put in two places.
frequent=$(awk '{ match($0, /"caption":"[^"]*"/); print substr($0, RSTART, RLENGTH) "\t" NR }' validation_sampled.jsonl |
  LC_ALL=C sort | tail -n 1 | cut -f 2)
{
  given validation_sampled.jsonl validation_sampled.jsonl "$frequent" | head -n 2
  tail -n +3 validation_sampled.jsonl
} >frequent.jsonl
run leaks --data world/images_test.jsonl --train world/images_test.jsonl --validation world/images_validation.jsonl \
  --judge judge/model --captions other.jsonl --validation-captions frequent.jsonl --constants 1 \
  --other-captions captions.jsonl --out frequent.json
given validation_sampled.jsonl other.jsonl "$frequent" >constant.jsonl
accuracy image test frequent --captions constant.jsonl
awk "BEGIN { apart = $(figure leak.image.constant frequent.json) - ($(figure image.accuracy.frequent) - $(figure image.chance))
  exit !(-1e-9 < apart && apart < 1e-9) }" || fail "the only constant tried is not the most frequent caption"
# The test items' own answers, counted, tell more than those of other items.
awk "BEGIN { exit !($(figure leak.image.questions) > $(figure leak.image.questions figures.json)) }" ||
  fail "the answers counted are not those of --train"
run compare_judges --judge judge/model --data world/images_test.jsonl --captions other.jsonl --seeds 1 --out figures.json
has log exact.cyclic_1 sampled.draws_8
run check_judge --judge judge/model --data world/videos_test.jsonl --name video --out figures.json
echo GGUF >bad.gguf
run answer_questions --judge judge/model --data world/images_test.jsonl --items 2 --beside judge/model --out figures.json
# The same captions in a file of their own: the same answers, where the items have none.
run answer_questions --judge judge/model --data world/images_test.jsonl --items 2 --out by_field.json
sed -E 's/.*"caption":"([^"]*)".*"id":"([^"]*)".*/{"caption":"\1","id":"\2","tokens":9,"truncated":false}/' \
  world/images_test.jsonl | head -2 >two_captions.jsonl
sed 's/"caption":"[^"]*",//' world/images_test.jsonl >world/uncaptioned.jsonl
asked=(--judge judge/model --data world/uncaptioned.jsonl --items 2)
refuses answer_questions caption "${asked[@]}"
run answer_questions "${asked[@]}" --captions two_captions.jsonl --out by_captions.json
cmp -s by_field.json by_captions.json || fail "the same captions are answered otherwise from --captions"
refuses answer_questions excludes --judge judge/model --data world/images_test.jsonl --captions captions.jsonl \
  --caption-field caption
refuses answer_questions caption_rhymed --judge judge/model --data world/images_test.jsonl --caption-field caption_rhymed
refuses answer_questions bad.gguf --judge bad.gguf --data world/images_test.jsonl
run write_logits --model judge/model --text tokenizer.json --positions 30 --window 16 --out logits.safetensors
has logits.safetensors ids.0 logits.1
has figures.json answers.image.by_letter answers.image.by_option answers.image.beside.low \
  image.accuracy.gain.trained.low image.accuracy.grammar.best image.recall.truth image.accuracy.blind \
  video.accuracy.temporal.truth leak.image.constant.high judge.video.removed_abstained \
  judges.image.sampled.draws_8.squared_error judges.image.exact.cyclic_all.tokens
run results --figures figures.json --runs whole --summary merged.json --out results.md
has results.md '| truth |' 'not measured'
cat >gates.json <<<'{"image.accuracy.truth.low": 0.96, "video.accuracy.truth.low": 0.94}'
cp -r whole image_seed1
mkdir -p image_seed2/run
echo '{}' >image_seed2/summary.json
printf '{"step":%s,"judge_tokens":20,"validation.accuracy":%s}\n' 0 0.7 1 0.8 2 0.9 >image_seed2/run/metrics.jsonl
run results --figures gates.json --runs image_seed1/ ./image_seed2 --out gates.md
has log '1 of '
has gates.md '| images: judge, from the truth | image.accuracy.truth.low | 0.960 | at least 0.950 | yes |' \
  '| videos: judge, from the truth | video.accuracy.truth.low | 0.940 | at least 0.950 | no |' \
  '| seed1 | never | never |' '| seed2 | 2.000 | 4.00e+01 |' '| seed3 | not measured | not measured |'
mkdir -p worse/run
sed 's/"image.logprob.max_difference": .*/"image.logprob.max_difference": 0.5,/; s/"seconds.image_rl": .*/"seconds.image_rl": 9e9,/' \
  whole/summary.json >worse/summary.json
sed -i ':a;N;$!ba;s/,\n}/\n}/' worse/summary.json
cp whole/run/metrics.jsonl worse/run
run results --figures figures.json --runs worse whole --summary several.json --out results.md
has several.json '"logprob.max_difference": 0.5'
run results --figures figures.json --runs whole worse --summary several.json --out results.md
! grep -q 9000000000 several.json || fail "the speed is not that of the first run"
has merged.json image.accuracy.gain.trained.low '"logprob.max_difference"' '"tokens_per_second.rollout"'
run report whole videos --out both --figure seconds.build=2
has both/report.html '<svg' 'data:image/png;base64,'
refuses report image whole whole --out twice
[ ! -e twice/summary.json ] || fail "a refused report wrote figures"
has both/summary.json image.accuracy.trained video.accuracy.trained '"seconds.build": 2'

# --help, unknown options and impossible settings.
loop="--data world/images_train.jsonl ${captioner[*]} --out refused"
reinforce="$loop --validation world/images_validation.jsonl --test world/images_test.jsonl"
declare -A valid=(
  [world_make]="--out refused --train-images 1"
  [train_tokenizer]="--data world/images_train.jsonl --out refused"
  [new_captioner]="--tokenizer tokenizer.json --out refused"
  [sft]="--model new --data world/images_train.jsonl --out refused"
  [train_judge]="--tokenizer tokenizer.json --out refused"
  [caption]="--model whole/model --data world/images_test.jsonl --out refused"
  [measure]="--data world/images_test.jsonl --judge judge/model --truth --out refused.json"
  [check_judge]="--data world/images_test.jsonl --judge judge/model --out refused.json"
  [compare_judges]="--data world/images_test.jsonl --judge judge/model --captions other.jsonl --out refused.json"
  [answer_questions]="--data world/images_test.jsonl --judge judge/model --out refused.json"
  [write_logits]="--model judge/model --text tokenizer.json --out refused.safetensors"
  [report]="whole --out refused"
  [results]="--figures figures.json --out refused.md"
  [caption_images]=$reinforce [caption_videos]=$reinforce [custom_components]=$loop [custom_loop]=$loop)
impossible() {  # NAME OPTION VALUE
  refuses "$1" "${2#--}" ${valid[$1]} "$2=$3"
}
for name in "${!valid[@]}"; do
  run "$name" --help
  has log --help --out
  impossible "$name" --nonsense 1
done
impossible world_make --validation-images -1
impossible train_tokenizer --vocabulary 10
refuses train_tokenizer nowhere.jsonl --data nowhere.jsonl --out refused
impossible sft --steps 0
impossible sft --validate-every 0
impossible new_captioner --heads 3
impossible new_captioner --architecture llava
refuses sft -model --data world/images_train.jsonl --out refused
impossible train_judge --layers 0
impossible train_judge --groups 0
refuses train_judge -model --out refused
impossible caption --batch 0
impossible check_judge --items 0
impossible answer_questions --orders -1
impossible write_logits --window 0
impossible compare_judges --seeds 0
impossible report --figure seconds
impossible caption_images --samples 1
impossible caption_videos --steps 0
impossible custom_components --steps 0
impossible custom_loop --steps 0
refuses caption_videos nothing $reinforce --freeze nothing
refuses caption_videos query $reinforce --lora-rank 2 --lora-targets query
refuses caption_images '[--batch]' $reinforce --batch 33  # of 32 items
refuses sft '[--batch]' --model new --data world/images_train.jsonl --batch 33 --out refused
sed 's/"caption_mixed":"[^"]*"/"caption_mixed":""/' world/images_test.jsonl >world/empty_captions.jsonl
refuses answer_questions '[caption_mixed]' --judge judge/model --data world/empty_captions.jsonl --caption-field caption_mixed
refuses caption_images PART=FACTOR $reinforce --learning-rate-factor visual
impossible caption_images --lora-alpha 8  # without --lora-rank
# Options that the run would not look at.
refuses caption_images '[--lora-rank]' $reinforce --lora-rank 0 --lora-alpha 8
refuses caption_images '[--draws]' $reinforce --draws 3
refuses caption_images '[--orders]' $reinforce --reward sampled --orders 2
refuses caption_images '[--length-weight]' $reinforce --reward length --length-weight 0.1
refuses caption_images '[--length-weight]' $reinforce --length-full 3
[ ! -e refused ] || fail "a refused command wrote something"
echo "all examples run"
