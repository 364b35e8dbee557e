#!/usr/bin/env bash
# peft 0.21.2, transformers 5.23.0, torch 2.15.0
#
# Expected: `exclude_modules=["vision_tower"]` keeps LoRA out of the vision tower, or says that it excluded nothing.
# Happens:  a list holds names' ends: only a module that is itself called `vision_tower` would be left out, none inside it. `target_modules=["q_proj", "v_proj"]`
#           goes on to adapt the tower, which has layers of these names, too. A misspelled name is warned of; this one is not, as the tower itself counts as excluded.
# Hurts:    the tower that was to stay frozen is trained along with the language model, and its features change under whatever relies on them: a cache of features,
#           a selector tuned on them, a second adapter. The loss does not show it; the count of trainable parameters does.
# Instead:  one regular expression, as text and not in a list: `exclude_modules=r".*vision_tower.*"`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "peft==0.21.2" "transformers==5.23.0" "torch==2.15.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import warnings

import peft
import transformers
from peft import LoraConfig, get_peft_model
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
config = LlavaConfig(text_config=LlamaConfig(vocab_size=64, **small), vision_config=CLIPVisionConfig(image_size=28, patch_size=14, **small), image_token_index=63)


def adapted(**options):
    """How many layers of tower and language model get a LoRA, and how often peft warned."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = get_peft_model(LlavaForConditionalGeneration(config), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], **options))
    layers = [name for name, _ in model.named_modules() if name.endswith("lora_A.default")]
    in_tower = sum("vision_tower" in name for name in layers)
    return in_tower, len(layers) - in_tower, sum("match" in str(one.message) or "exclude" in str(one.message) for one in said)


print(f"peft {peft.__version__}, transformers {transformers.__version__}")
found = {}
for options in ({}, {"exclude_modules": ["vision_tower"]}, {"exclude_modules": r".*vision_tower.*"}, {"exclude_modules": ["vision_towr"]}):
    tower, language, warned = found[str(options)] = adapted(**options)
    print(f"{options or 'nothing excluded'}: LoRA in {tower} layers of the tower and {language} of the language model, {warned} warning(s)")
everything, in_list, as_text, misspelled = found.values()
assert in_list == everything == (4, 4, 0), "a list excludes what is inside, or warns, now"
assert as_text[:2] == (0, 4) and misspelled[2] == 1, "the others behave otherwise now"
print("as described")
PYTHON
