#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: Qwen2.5-VL; Qwen2-VL, Qwen3-VL and GLM-4V keep the same attribute
#
# Expected: a conversation is continued from its own cache, whatever the model did in between.
# Happens:  `model.model.rope_deltas`, the distance between a token's place and its position behind images, belongs to the last prompt that was read. A second
#           question on a kept `past_key_values` is placed by it: after any other prompt, with text only, too, the continuation stands at other positions than
#           its own image and gives other logits. Neither `generate` nor `forward` says so.
# Hurts:    serving two users in turn, keeping an image's cache for several questions, or calling a model for a judge in between. Nothing fails, answers
#           only become worse, and one conversation by itself reproduces nothing.
# Instead:  keep `model.model.rope_deltas` with the cache and set it before going on, or pass `position_ids`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
from copy import deepcopy

import torch
import transformers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

IMAGE, START, END = 151, 150, 152
torch.manual_seed(0)
text = dict(vocab_size=160, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
text["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
vision = dict(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=32)
ids = dict(image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END, video_token_id=153)
model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)).eval()
options = dict(max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True)


def prompt(tokens):
    tokens = torch.as_tensor(tokens)[None]
    return dict(input_ids=tokens, attention_mask=torch.ones_like(tokens), mm_token_type_ids=(tokens == IMAGE).long())


page = dict(pixel_values=torch.randn(64, 3 * 2 * 14 * 14), image_grid_thw=torch.tensor([[1, 8, 8]]))
first = model.generate(**prompt([1, START, *[IMAGE] * 16, END, 5, 6]), **page, **options)
own = model.model.rope_deltas
second = [*first.sequences[0].tolist(), 20, 21, 22]


def ask_again():
    """Logits of the second question, on the first one's cache; and the offset of its positions."""
    cache = deepcopy(first.past_key_values)
    answer = model.generate(**prompt(second), past_key_values=cache, **options)
    return torch.stack(answer.logits), int(model.model.rope_deltas)


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
whole = torch.stack(model.generate(**prompt(second), **page, **options).logits)
changes = {}
for between in ("nothing", "a prompt of text", "a prompt of text, rope_deltas set back"):
    model.model.rope_deltas = own
    if between != "nothing":
        model.generate(**prompt([7, 8, 9]), **options)
    if "set back" in between:
        model.model.rope_deltas = own
    logits, offset = ask_again()
    changes[between] = float((logits - whole).abs().max() / whole.std())
    print(f"{between} in between: offset {offset:3}, logits differ by {changes[between]:.2g} standard deviations from those without a cache")
assert changes["nothing"] < 1e-4 and changes["a prompt of text, rope_deltas set back"] < 1e-4, "continuing from a cache is another thing now"
assert changes["a prompt of text"] > 1e-3, "a prompt in between changes nothing now"
print("as described")
PYTHON
