"""What `shirg_core.hf.prune` costs and saves, on a mid-size random Qwen2.5-VL: 1,024 visual tokens, 8 layers of 512.

The features are there already: encoding is the model's own, with pruning and without. So `prune` is what stands between
them and the language model (edges, choice, cut prompts, positions), and a prefill is the language model's alone.
"""

from __future__ import annotations

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from shirg_core import shirg_v2, shirg_v3
from shirg_core.hf import prune
from shirg_core.hf.context import replaced

SIDE, IMAGE, PAIRS = 32, 3, 7
SIZES = {"hidden_size": 512, "intermediate_size": 1408}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 1e6}
    heads = {"num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 8}
    text = {"vocab_size": 1000, "rope_parameters": rope, "eos_token_id": 2, "pad_token_id": 0, **SIZES, **heads}
    vision = {"depth": 2, "num_heads": 4, "hidden_size": 64, "intermediate_size": 128, "out_hidden_size": 512}
    ids = {"image_token_id": IMAGE, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)).eval()


@pytest.fixture(scope="module")
def inputs():
    words = torch.arange(10, 42)
    prompt = torch.cat([torch.tensor([1, 5]), torch.full((SIDE**2,), IMAGE), torch.tensor([6]), words])[None]
    draws = torch.Generator().manual_seed(0)
    return {
        "input_ids": prompt,
        "attention_mask": torch.ones_like(prompt),
        "mm_token_type_ids": (prompt == IMAGE).int(),
        "pixel_values": torch.randn(4 * SIDE**2, 3 * 2 * 14**2, generator=draws),
        "image_grid_thw": torch.tensor([[1, 2 * SIDE, 2 * SIDE]]),
    }


@pytest.fixture
def encoded(model, inputs):
    """The model, whose features of the image are there already."""
    with torch.no_grad():
        output = model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"], return_dict=True)

    def get_image_features(pixel_values, image_grid_thw=None, **_):  # noqa: ARG001 — `prune` reads these names
        return output

    with replaced(model.model, "get_image_features", get_image_features):
        yield model


def prefill(model, inputs):
    with torch.no_grad():
        return model(**inputs, logits_to_keep=1).logits


@pytest.mark.parametrize(("selector", "bar"), [(shirg_v2(0.25), 0.05), (shirg_v3(0.25), None)], ids=["v2", "v3"])
def test_v2_takes_at_most_a_twentieth_of_a_prefill(track, encoded, inputs, selector, bar):
    everything = prune(encoded, inputs, shirg_v2(1.0))
    assert torch.equal(prefill(encoded, everything), prefill(encoded, inputs))
    name = f"hf-prune-{type(selector).__name__}-over-prefill"
    track(name, lambda: prune(encoded, inputs, selector), lambda: prefill(encoded, everything), bar=bar, pairs=PAIRS)


def test_a_prefill_of_a_quarter_takes_at_most_45_percent(track, encoded, inputs):
    quarter, everything = (prune(encoded, inputs, shirg_v2(budget)) for budget in (0.25, 1.0))
    assert int((quarter["input_ids"] == IMAGE).sum()) == SIDE**2 // 4 + 1
    fewer, all_ = (lambda: prefill(encoded, quarter)), (lambda: prefill(encoded, everything))
    track("hf-prefill-quarter-over-full", fewer, all_, bar=0.45, pairs=PAIRS)
