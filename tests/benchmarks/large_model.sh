#!/usr/bin/env bash
# A captioner of the shape of Qwen2.5-VL-3B (3.75 billion numbers) on the CPU: makes a folder with random bf16 weights,
# captions one picture with 16 tokens, prints seconds and peak memory of both programs, and removes the folder. Takes
# 8 GB of disk, some 17 GB of memory and a few minutes.
# usage: large_model.sh [EXAMPLES [WORK]]    (where new_captioner and caption are; where the folder is made)
set -euo pipefail
cd "$(dirname "$0")/../.."
examples=${1:-build/release/examples}
work=${2:-build/large_model}
tokenizer=../shared/assets/qwen3-tokenizer/tokenizer.json
if [ ! -f "$tokenizer" ]; then
  echo "large_model.sh: needs the tokenizer of Qwen, which is not here: $tokenizer" >&2
  exit 1
fi
for program in new_captioner caption; do
  [ -x "$examples/$program" ] || { echo "large_model.sh: build $program first: $examples/$program" >&2; exit 1; }
done
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work/like"
cp "$tokenizer" "$work/like/tokenizer.json"
cat >"$work/like/config.json" <<'CONFIG'
{"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"],
 "image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652, "vision_end_token_id": 151653,
 "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
 "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 128000, "rms_norm_eps": 1e-6,
 "hidden_act": "silu", "rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
 "tie_word_embeddings": true,
 "vision_config": {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "hidden_act": "silu",
                   "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2, "window_size": 112,
                   "fullatt_block_indexes": [7, 15, 23, 31], "out_hidden_size": 2048, "tokens_per_second": 2}}
CONFIG
cat >"$work/like/preprocessor_config.json" <<'PROCESSOR'
{"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14,
 "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.48145466, 0.4578275, 0.40821073],
 "image_std": [0.26862954, 0.26130258, 0.27577711]}
PROCESSOR
# A picture of 448 x 448 pixels: 256 tokens.
python3 - "$work/picture.png" <<'PICTURE'
import struct, sys, zlib
side = 448
rows = (bytes([0]) + bytes((x * 5 + y * 3 + channel * 80) % 256 for x in range(side) for channel in range(3))
        for y in range(side))
part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
                              + part(b"IDAT", zlib.compress(b"".join(rows))) + part(b"IEND", b""))
PICTURE

# measured COMMAND...: runs it, then prints its seconds and the most memory that it held.
measured() {
  python3 - "$@" <<'MEASURE'
import resource, subprocess, sys, time
begin = time.perf_counter()
status = subprocess.run(sys.argv[1:]).returncode
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024e-9
print(f"{sys.argv[1].rsplit('/', 1)[-1]}: {time.perf_counter() - begin:.1f} s, peak memory {memory:.2f} GB", flush=True)
sys.exit(status)
MEASURE
}

measured "$examples/new_captioner" --like "$work/like" --bf16 --out "$work/model"
echo "its weights on disk: $(du -h --apparent-size "$work/model/model.safetensors" | cut -f1)"
measured "$examples/caption" --model "$work/model" --maximum-tokens 16 --batch 1 "$work/picture.png"
