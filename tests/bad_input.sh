#!/usr/bin/env bash
# Gives the example programs files that are cut off, empty, missing or wrong, weights that are no numbers and a disk that
# is full: each is an error of at most a screen that names the file, and nothing saved before is lost.
# usage: bad_input.sh PROGRAMS_DIR
set -euo pipefail
source "$(dirname "$0")/support/programs.sh"

make_world 4
held_out=(--validation world/images_validation.jsonl --test world/images_test.jsonl --steps 4 --batch 4 --samples 2
  --maximum-tokens 16 --no-report)
bad=0
spoiled() {  # a fresh copy of the world to be spoiled: its folder
  bad=$((bad + 1))
  cp -r world "bad$bad"
}
refuses_data() {  # WORD: bad world, images
  refuses caption_images "$1" --data "bad$bad/images_train.jsonl" "${held_out[@]}" --model taught/model \
    --judge judge/model --out refused
}
refuses_clips() {  # WORD
  refuses caption_videos "$1" --data "bad$bad/videos_train.jsonl" --validation world/videos_validation.jsonl \
    --test world/videos_test.jsonl --model taught/model --judge judge/model --steps 2 --batch 4 --samples 2 \
    --maximum-tokens 16 --no-report --out refused
}
cut() {  # FILE BYTES
  head -c "$2" "$1" >whole.part
  mv whole.part "$1"
}

# Pictures and clips.
for picture in world/images/train/*; do
  name=${picture#world/}
  spoiled
  cut "bad$bad/$name" 300
  refuses_data "bad$bad/$name"
  : >"bad$bad/$name"
  refuses_data "bad$bad/$name"
  rm "bad$bad/$name"
  refuses_data "bad$bad/$name"
done
ls world/images/train | grep -q png && ls world/images/train | grep -q jpg || fail "expected PNG and JPEG pictures"
clip=videos/train/000000.mp4
spoiled
cut "bad$bad/$clip" 600
refuses_clips "bad$bad/$clip"
: >"bad$bad/$clip"
refuses_clips "bad$bad/$clip"

# Lines of data. The second line is spoiled, and named.
spoil_line() {  # SED SCRIPT
  spoiled
  sed -i "2$1" "bad$bad/images_train.jsonl"
  ! cmp -s world/images_train.jsonl "bad$bad/images_train.jsonl" || fail "nothing was spoiled: $1"
  refuses_data "bad$bad/images_train.jsonl:2"
}
spoil_line 's/.\{200\}$//'                               # cut off
spoil_line 's/.*/not JSON/'                              #
spoil_line 's/"reward_model"/"reward"/'                  # no questions
spoil_line 's/"answer":"[A-D]"/"answer":"H"/'            # an answer that is no choice
spoil_line 's/"choices":\["A) /"choices":["B) /'         # a label twice
spoil_line 's/"choices":\["A) /"choices":["/'            # a label missing
spoil_line 's/"choices":\[[^]]*\]/"choices":[]/'         # an empty list
spoil_line 's/"images":\[[^]]*\]/"images":[]/'           #
spoil_line 's/<image>//'                                 # a picture without its mark
spoil_line 's/"content":"[^"]*"/"content":7/'            # a number for a text
spoiled
: >"bad$bad/images_train.jsonl"
refuses_data "bad$bad/images_train.jsonl"

# Weights.
cp -r taught/model spoiled_model
weights=spoiled_model/model.safetensors
refuses_model() {
  refuses caption_images "$1" --data world/images_train.jsonl "${held_out[@]}" --model "$2" --judge "$3" --out refused
}
for bytes in 0 4 5000 200000; do
  cut "$weights" "$bytes"
  refuses_model "$weights" spoiled_model judge/model
  cp taught/model/model.safetensors "$weights"
done
not_numbers() {  # FILE: the last four floats
  printf '\xff\xff\xff\x7f%.0s' 1 2 3 4 | dd of="$1" bs=1 seek=$(($(wc -c <"$1") - 16)) conv=notrunc status=none
}
not_numbers "$weights"
refuses_model "$weights" spoiled_model judge/model
cp -r judge/model spoiled_judge
not_numbers spoiled_judge/model.safetensors
refuses_model spoiled_judge/model.safetensors taught/model spoiled_judge
rm "$weights"
refuses_model "$weights" spoiled_model judge/model
[ ! -e refused/model ] || fail "a refused command saved a model"

# A disk that is full while a run saves: what was saved before is there, and the same command goes on from it.
# So many steps that the run is not through before Ctrl-C.
images=("$(program caption_images)" --data world/images_train.jsonl "${held_out[@]:0:4}" --steps 60 --batch 4 --samples 2
  --maximum-tokens 16 --no-report --model taught/model --judge judge/model)
"${images[@]}" --out whole >log 2>&1 || fail "the run failed"
start full 1 "${images[@]}"
kill -INT "$pid" || fail "the run ended before Ctrl-C"
status=0
wait "$pid" || status=$?
[ "$status" -eq 130 ] || fail "Ctrl-C ended with status $status"
saved=$(cd full/run/checkpoints && sha256sum */*)
status=0
(
  trap '' XFSZ  # writing beyond the limit is an error then, as on a full disk
  ulimit -f 60
  "${images[@]}" --out full >log 2>&1
) || status=$?
[ "$status" -ne 0 ] && [ "$status" -lt 128 ] || fail "a full disk ended with status $status"
has log full/run/checkpoints "what was saved before is unchanged"
[ "$(cd full/run/checkpoints && sha256sum -c --quiet <<<"$saved")" = "" ] || fail "a full disk changed what was saved"
"${images[@]}" --out full >log 2>&1 || fail "the run did not go on"
cmp -s whole/model/model.safetensors full/model/model.safetensors || fail "the run that went on differs"
echo "bad input is refused"
