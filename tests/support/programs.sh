# Sourced by the tests of programs: a folder of their own, helpers that say what failed, and a tiny world with a captioner
# and a judge in it. Expects PROGRAMS_DIR as the first argument.
programs=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_NUM_THREADS=2

fail() {
  echo "$(basename "$0"): $*" >&2
  if [ -s log ]; then tail -20 log >&2; fi
  exit 1
}

program() {  # NAME: its path
  if [ "$1" = world_make ]; then echo "$programs/world/world_make"; else echo "$programs/$1"; fi
}

run() {  # NAME ARGUMENTS...
  local name=$1
  shift
  "$(program "$name")" "$@" >log 2>&1 || fail "$name $* failed"
}

refuses() {  # NAME WORD ARGUMENTS...: an error of at most a screen that names the word, not a crash
  local name=$1 word=$2 status=0
  shift 2
  "$(program "$name")" "$@" >log 2>&1 || status=$?
  [ "$status" -ne 0 ] || fail "$name $* was accepted"
  [ "$status" -lt 128 ] || fail "$name $* crashed: status $status"
  [ "$(wc -l <log)" -le 24 ] || fail "the error of $name $* is longer than a screen"
  grep -q -F -e "$word" log || fail "the error of $name $* does not name $word"
}

has() {  # FILE TEXT...
  local file=$1 text
  shift
  [ -s "$file" ] || fail "$file is missing or empty"
  for text in "$@"; do
    grep -q -F -e "$text" "$file" || fail "$file does not hold $text"
  done
}

lines() {  # FILE COUNT
  [ "$(wc -l <"$1")" -eq "$2" ] || fail "$1 has $(wc -l <"$1") lines instead of $2"
}

# A world of TRAIN_IMAGES pictures for training, a tokenizer, a captioner and a judge, all tiny.
make_world() {  # TRAIN_IMAGES
  run world_make --out world --train-images "$1" --validation-images 4 --test-images 4 --train-clips 4 \
    --validation-clips 3 --test-clips 3 --seed 3
  run train_tokenizer --data world/images_train.jsonl world/videos_train.jsonl --vocabulary 400 --out tokenizer.json
  run new_captioner --tokenizer tokenizer.json --width 32 --heads 2 --vision-layers 1 --language-layers 1 --out new
  run sft --model new --data world/images_train.jsonl world/videos_train.jsonl \
    --validation world/images_validation.jsonl --validate-every 2 --steps 4 --batch 4 --out taught
  run train_judge --tokenizer tokenizer.json --steps 3 --drill-steps 2 --groups 2 --width 32 --heads 2 --layers 4 \
    --out judge
}

steps_in() { if [ -f "$1/run/metrics.jsonl" ]; then wc -l <"$1/run/metrics.jsonl"; else echo 0; fi; }
start() {  # FOLDER STEPS PROGRAM ARGUMENTS...: in the background until the log holds that many steps; sets pid
  local folder=$1 steps=$2
  shift 2
  "$@" --out "$folder" >log 2>&1 &
  pid=$!
  while [ "$(steps_in "$folder")" -lt "$steps" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
}
