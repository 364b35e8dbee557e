#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: DiffusionGemma, whose `generate` writes one canvas of `canvas_length` tokens after another
#
# Expected: `generate` obeys the options that every other model of transformers obeys, or refuses them; it refuses misspelled ones elsewhere ("model_kwargs are not used").
# Happens:  options of ordinary decoding are taken without a word and change nothing: `do_sample=False` and `temperature=0.0` still sample (another seed, another answer),
#           `num_return_sequences=2` returns one sequence, and a misspelled `max_denoising_step=1` runs all steps. `max_new_tokens` is rounded up to whole canvases, so 1
#           returns a full canvas (256 tokens in the released configuration).
# Hurts:    evaluation harnesses pass exactly these options: greedy answers that are not reproducible, answer lengths and times that are not what was asked for, and ablations of
#           the number of steps that all ran with the default.
# Instead:  set the seed, cut the answer yourself, and compare the names of your options with DiffusionGemmaGenerationConfig before the call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "torchvision==0.29.2" "pillow==13.0.0"
cat > "$folder/options.py" <<'PYTHON'
import torch
import transformers
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
CANVAS = 8
text = dict(
    vocab_size=64, hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_experts=2, top_k_experts=1, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, head_dim=16, global_head_dim=16, layer_types=["sliding_attention", "full_attention"],
)  # fmt: skip
vision = dict(
    model_type="gemma4_vision", hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=16
)
config = DiffusionGemmaConfig(text_config=text, vision_config=vision, image_token_id=60, boi_token_id=61, eoi_token_id=62, canvas_length=CANVAS)
model = DiffusionGemmaForBlockDiffusion(config).eval()
prompt = torch.tensor([[2, 5, 9, 12]])


def answer(seed, **options):
    torch.manual_seed(seed)
    options = {"max_new_tokens": CANVAS, "eos_token_id": None, "pad_token_id": 0, "max_denoising_steps": 4} | options
    return model.generate(prompt, **options).sequences[:, prompt.shape[1] :]


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
greedy = [answer(seed, do_sample=False, temperature=0.0) for seed in (0, 1)]
print(f"do_sample=False, temperature=0.0, seeds 0 and 1: same answer {torch.equal(*greedy)}; as without these options {torch.equal(greedy[0], answer(0))}")
two = answer(0, num_return_sequences=2)
print(f"num_return_sequences=2: {len(two)} sequence(s)")
misspelled, meant, default = answer(0, max_denoising_step=1), answer(0, max_denoising_steps=1), answer(0)
print(f"max_denoising_step=1: as by default {torch.equal(misspelled, default)}, as with max_denoising_steps=1 {torch.equal(misspelled, meant)}")
lengths = {n: answer(0, max_new_tokens=n).shape[1] for n in (1, CANVAS, CANVAS + 1)}
print(f"max_new_tokens → tokens, canvases of {CANVAS}: {lengths}")
llama = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2))
try:
    llama.generate(prompt, max_new_token=1)
    refused = False
except ValueError as error:
    refused = True
    print(f"Llama, max_new_token=1: ValueError: {str(error)[:76]}…")
assert refused, "another model takes misspelled options, too"
assert not torch.equal(*greedy) and torch.equal(greedy[0], answer(0)), "options of sampling are obeyed now"
assert len(two) == 1 and torch.equal(misspelled, default) and not torch.equal(default, meant), "other options are obeyed now"
assert lengths == {1: CANVAS, CANVAS: CANVAS, CANVAS + 1: 2 * CANVAS}, "max_new_tokens is obeyed now"
print("as described")
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/options.py" 2>/dev/null
