#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: DiffusionGemma, whose `generate` writes one canvas of `canvas_length` tokens after another
#
# Expected: `generate(mm_encoder_outputs=...)`, image features in place of `pixel_values`, writes answers of any length: `forward` documents the argument.
# Happens:  the first canvas is right. From the second on the features are handed to the encoder again, whose new tokens have no image placeholders,
#           and it raises "Image features and image tokens do not match". `pixel_values` are dropped after the first canvas; this argument was forgotten.
#           Before that, a warning says that the image is missing, although it was given.
# Hurts:    who prunes or caches image features tests with a short answer, and long documents fail in the middle of a run.
# Instead:  encode the prompt and its image into the cache first and pass `past_key_values`, or stay within one canvas.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "torchvision==0.29.2" "pillow==13.0.0"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.modeling_outputs import BaseModelOutputWithPooling

torch.manual_seed(0)
width, canvas, image = 32, 8, 60
text = dict(
    vocab_size=64, hidden_size=width, intermediate_size=32, moe_intermediate_size=16, num_experts=2, top_k_experts=1, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, head_dim=16, global_head_dim=16, layer_types=["sliding_attention", "full_attention"],
)  # fmt: skip
vision = dict(
    model_type="gemma4_vision", hidden_size=width, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=16
)
config = DiffusionGemmaConfig(text_config=text, vision_config=vision, image_token_id=image, boi_token_id=61, eoi_token_id=62, canvas_length=canvas)
model = DiffusionGemmaForBlockDiffusion(config).eval()
prompt = torch.tensor([[2, 61, image, image, image, 62, 5]])
features = BaseModelOutputWithPooling(pooler_output=torch.randn(3, width))


def answer(new_tokens):
    given = dict(mm_encoder_outputs={"image": features}, mm_token_type_ids=(prompt == image).long())
    try:
        sequences = model.generate(prompt, **given, max_new_tokens=new_tokens, max_denoising_steps=2, eos_token_id=None).sequences
    except ValueError as error:
        return f"ValueError: {error}"
    return f"{sequences.shape[1] - prompt.shape[1]} tokens"


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
one, two = answer(canvas), answer(2 * canvas)
print(f"one canvas:   {one}\ntwo canvases: {two}")
assert one == f"{canvas} tokens", "one canvas fails, too"
assert two.startswith("ValueError: Image features and image tokens do not match"), "a second canvas is written now"
print("as described")
PYTHON
