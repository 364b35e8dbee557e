#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0
#
# Expected: left padding, masked by `attention_mask`, does not change a PaliGemma prompt's logits, as for other models.
# Happens:  without `token_type_ids` a prompt without padding is read in both directions and a padded one causally: the logits differ by more than 0.1.
#           Both calls are accepted, and neither warns. With `token_type_ids` they agree.
# Hurts:    prompts that are built by hand, or inputs from which a harness takes only ids, mask and pixels, answer otherwise in a batch than alone.
# Instead:  always pass the processor's `token_type_ids` on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/padding.py" <<'PYTHON'
import torch
import transformers
from transformers import GemmaConfig, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

torch.manual_seed(0)
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
text = GemmaConfig(vocab_size=100, num_key_value_heads=2, head_dim=16, initializer_range=0.3, **sizes)
vision = SiglipVisionConfig(image_size=28, patch_size=14, vision_use_head=False, initializer_range=0.3, **sizes)
config = PaliGemmaConfig(vision_config=vision, text_config=text, image_token_index=99, projection_dim=32, vocab_size=100)
model = PaliGemmaForConditionalGeneration(config).eval()
pixels = torch.randn(1, 3, 28, 28)
ids = torch.tensor([[99, 99, 99, 99, 2, 40, 41, 42, 43]])
padded = torch.cat([torch.zeros(1, 2, dtype=torch.long), ids], dim=1)
mask = (torch.arange(11) >= 2).long()[None]

def logits(tokens, mask, **more):
    with torch.no_grad():
        return model(input_ids=tokens, attention_mask=mask, pixel_values=pixels, **more).logits[0, -1]

print(f"transformers {transformers.__version__}, torch {torch.__version__}")
without = (logits(ids, torch.ones_like(ids)) - logits(padded, mask)).abs().max().item()
types = {"token_type_ids": torch.zeros_like(ids)}, {"token_type_ids": torch.zeros_like(padded)}
given = (logits(ids, torch.ones_like(ids), **types[0]) - logits(padded, mask, **types[1])).abs().max().item()
print(f"largest difference of logits by two padding tokens on the left: {without:.1e} without token types, {given:.1e} with them")
assert without > 0.1, "padding changes nothing without token types now"
assert given < 1e-4, "padding changes logits in spite of token types"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python padding.py
echo "as described"
