#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0
#
# Expected: `generate(mm_encoder_outputs=features)` only reads the features, so that one encoding of an image serves several questions.
# Happens:  with `num_beams` above 1 the caller's features are repeated in place, once for each beam. The next call with them is refused, because
#           features and image tokens no longer match.
# Hurts:    encoding an image once for many questions, which is what the argument is for, breaks at the first beam search.
# Instead:  give every call a copy of the containers (the tensors themselves can be shared).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/beams.py" <<'PYTHON'
import torch
import transformers
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

torch.manual_seed(0)
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
vision = CLIPVisionConfig(image_size=28, patch_size=14, **sizes)
language = LlamaConfig(vocab_size=100, eos_token_id=2, initializer_range=0.2, **sizes)
model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=language, image_token_id=99)).eval()
ids = torch.tensor([[1, 99, 99, 99, 99, 40, 41]])
with torch.no_grad():
    features = model.get_image_features(torch.randn(1, 3, 28, 28))
given = {"image": features}


def shape():
    return [tuple(rows.shape) for rows in given["image"].pooler_output]

call = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
before = shape()
model.generate(**call, mm_encoder_outputs=given)
greedy = shape()
model.generate(**call, mm_encoder_outputs=given, num_beams=2)
beams = shape()
print(f"rows of the image's features: {before} as given, {greedy} after greedy search, {beams} after two beams")
try:
    model.generate(**call, mm_encoder_outputs=given)
    again = "works"
except Exception as error:
    again = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
print(f"the same call once more: {again}")
assert greedy == before, "greedy search changes the features, too"
assert beams != before and "do not match" in again, "beam search leaves the caller's features alone now"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python beams.py
echo "as described"
