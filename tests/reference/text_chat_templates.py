"""Writes tests/data/text/chat_cases.json: two tiny tokenizers, with the special tokens of Qwen and of Llama 3, and the ids
that apply_chat_template of transformers gives for chat templates of the forms in which those of Qwen2.5, Qwen2.5-VL, Qwen3,
SmolLM2 and Llama 3 are published: a default system message in a literal, in plain template text, none; and for the templates
that the library writes ("written": tests/text/chat_template_test.cpp holds it to these texts), with pictures and videos.

    pip install transformers==5.24.0 tokenizers==0.23.3 jinja2 && python tests/reference/text_chat_templates.py
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "text" / "chat_cases.json"

QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VISION = QWEN + ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
LLAMA = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
GENERATION = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

WRITTEN = ("<|im_start|>{{ message.role }}\n{% if message.content is string %}{{ message.content }}{% else %}"
           "{% for part in message.content %}{% if part.type in ['image', 'image_url'] %}"
           "<|vision_start|><|image_pad|><|vision_end|>{% elif part.type == 'video' %}"
           "<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
           "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")

TEMPLATES = {
    "written": "{% for message in messages %}{% if loop.first and message.role != 'system' %}<|im_start|>system\n"
               "You are a helpful assistant.<|im_end|>\n{% endif %}" + WRITTEN,
    "written_without": "{% for message in messages %}" + WRITTEN,
    "literal": "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {{- 'With tools.' }}\n    {{- '<|im_end|>\\n' }}\n"
               "{%- elif messages[0]['role'] == 'system' %}\n"
               "    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n{%- else %}\n"
               "    {{- '<|im_start|>system\\nYou are made in a test. You help.<|im_end|>\\n' }}\n{%- endif %}\n"
               "{%- for message in messages %}\n    {%- if message.role != 'system' or not loop.first %}\n"
               "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
               "    {%- endif %}\n{%- endfor %}\n" + GENERATION.replace("{%", "{%-").replace("{{", "{{-"),
    "plain": "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
             "You are a test.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
             "{% endfor %}" + GENERATION,
    "first": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
             "{{ '<|im_start|>system\nYou are an AI named Test, of two\\nlines<|im_end|>\n' }}{% endif %}"
             "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" + GENERATION,
    "none": "{%- if messages[0].role == 'system' %}\n"
            "    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n{%- endif %}\n"
            "{%- for message in messages %}\n    {%- if message.role != 'system' or not loop.first %}\n"
            "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
            "    {%- endif %}\n{%- endfor %}\n" + GENERATION.replace("{%", "{%-").replace("{{", "{{-"),
    "llama3": "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
              "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
              "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
}

SYSTEM = dict(role="system", content="Be brief.\nAnd kind.")
USER = dict(role="user", content="Say: what colour?\n\nA) red")
ANSWER = dict(role="assistant", content="A, surely")
SEEN = dict(role="user", content=[dict(type="image"), dict(type="text", text="Say: what?"), dict(type="video"),
                                  dict(type="text", text="\nA) red")])
CHATS = [[USER], [SYSTEM, USER], [USER, ANSWER, USER], [SYSTEM, USER, ANSWER]]


def tokenizer_of(special):
    """One token for each byte, a few merges, then the special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ċ", "Ċ"), ("a", "y"), ("Ġ", "A"), ("s", "y"), ("sy", "s")]
    tokens = alphabet + [left + right for left, right in merges]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


FAMILIES = dict(qwen=QWEN, llama3=LLAMA, vision=VISION)
TOKENIZERS = {name: tokenizer_of(special) for name, special in FAMILIES.items()}

cases = []
for name, template in TEMPLATES.items():
    family = "llama3" if name == "llama3" else "vision" if name.startswith("written") else "qwen"
    special = FAMILIES[family]
    fast = PreTrainedTokenizerFast(tokenizer_object=TOKENIZERS[family], chat_template=template, bos_token=special[0])
    for chat in CHATS + [[SEEN], [SYSTEM, SEEN, ANSWER, SEEN]] * (family == "vision"):
        for generation in (False, True):
            ids = fast.apply_chat_template(chat, add_generation_prompt=generation, return_dict=False)
            cases.append(dict(tokenizer=family, template=name, messages=chat, generation_prompt=generation, ids=ids))
OUT.write_text(json.dumps(dict(tokenizers={name: json.loads(t.to_str()) for name, t in TOKENIZERS.items()},
                               templates=TEMPLATES, cases=cases), ensure_ascii=False) + "\n")
