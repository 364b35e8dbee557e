#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: Gemma 3
#
# Expected: `forward(input_ids, token_type_ids, pixel_values, past_key_values)` for a later turn gives the logits that the whole conversation gives; `token_type_ids` has
#           the shape of `input_ids`, as the processor returns it.
# Happens:  with types of the new tokens only, those of the new image see one another causally, as text does, instead of in both directions. Nothing is said. Types
#           over cache and new tokens together give the right logits, although they no longer have the shape of `input_ids`; `generate`, given the whole conversation, does so.
# Hurts:    whoever feeds turns by hand: streaming, training on long conversations in pieces, or keeping the cache of a first page while asking about a second.
#           Turns of text are exact, the first image is exact, every later image is read worse.
# Instead:  pass `token_type_ids` of everything that has been read so far.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

IMAGE, START, END = 150, 151, 152
torch.manual_seed(0)
text = dict(vocab_size=160, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
text |= dict(head_dim=16, sliding_window=64, layer_types=["full_attention", "full_attention"])
vision = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=14)
ids = dict(image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END)
model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, **ids)).eval()
pages = torch.randn(2, 3, 56, 56)
first, question, second = [1, START, *[IMAGE] * 4, END, 5], [7, 8, 9], [START, *[IMAGE] * 4, END, 6]


def types(tokens):
    return (torch.tensor([tokens]) == IMAGE).long()


@torch.no_grad()
def read(tokens, pixels, kinds, cache=None, before=0):
    seen = torch.ones(1, before + len(tokens), dtype=torch.long)
    given = {} if pixels is None else {"pixel_values": pixels}
    return model(input_ids=torch.tensor([tokens]), attention_mask=seen, token_type_ids=kinds, past_key_values=cache, use_cache=True, **given)


def difference(turn, pixels, kinds):
    """Largest difference of logits between `turn` on the cache of the first one and in the whole conversation, by position."""
    whole = first + turn
    true = read(whole, pages[: 1 + len(pixels)], types(whole)).logits[0, len(first) :]
    cache = read(first, pages[:1], types(first)).past_key_values
    return (read(turn, pixels if len(pixels) else None, kinds, cache, len(first)).logits[0] - true).abs().amax(-1)


print(f"transformers {transformers.__version__}, torch {torch.__version__}; logits on a cache, against the whole conversation")
turns = {
    "a turn of text, its own types": difference(question, pages[:0], types(question)),
    "a turn with an image, its own types": difference(second, pages[1:], types(second)),
    "a turn with an image, types of all": difference(second, pages[1:], types(first + second)),
}
for name, by_position in turns.items():
    print(f"{name}: {', '.join(f'{value:.0e}' for value in by_position.tolist())}")
text, own, all_types = turns.values()
assert max(text.max(), all_types.max()) < 1e-5, "reading on a cache is another thing now"
assert own[1:4].min() > 1e-3, "the second image is read in both directions now"
print("as described")
PYTHON
