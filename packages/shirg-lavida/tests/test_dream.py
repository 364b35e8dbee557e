"""LaViDa-Dream: what the golden outputs of the released code do not show."""

import math
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from shirg_lavida import load_lavida, save_lavida
from shirg_lavida.checkpoint.load import checkpoint_keys
from shirg_lavida.families.dream import DREAM, read_dream
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.language.masks import prefix_mask
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.rerank import Rerank
from shirg_lavida.testing import tiny_dream, write_tiny_checkpoint

from .ask_setup import asked
from .language_models import MASK, answer, backbone, image_prefix, prefix, sample

SHAPE = {"qkv_bias": True, "shifted": True, "n_kv_heads": 2}
RAW = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
}


def dream(**changes) -> Backbone:
    return backbone(**{**SHAPE, **changes})


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    model = tiny_dream(3, side=6, patch_size=4, num_key_value_heads=2)
    save_lavida(model, tmp_path / "saved")
    loaded = load_lavida(tmp_path / "saved")
    assert loaded.config == model.config
    assert loaded.config.family is DREAM
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_keys_are_upstreams():
    keys = checkpoint_keys(tiny_dream(side=6, patch_size=4))
    assert {
        "model.embed_tokens.weight",
        "model.layers.1.self_attn.q_proj.bias",
        "model.layers.1.self_attn.o_proj.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.norm.weight",
        "lm_head.weight",
        "model.mm_projector.0.weight",
    } <= set(keys)
    assert "model.layers.1.self_attn.o_proj.bias" not in keys


def test_reads_upstreams_keys_and_defaults():
    config = read_dream(RAW)
    assert (config.d_model, config.kv_heads, config.mlp_hidden_size) == (64, 2, 96)
    assert (config.max_sequence_length, config.rope_theta, config.rms_norm_eps) == (32768, 10000.0, 1e-6)
    assert (config.weight_tying, config.qkv_bias, config.shifted) == (False, True, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "gelu"), ("rope_scaling", {"type": "yarn"}), ("use_sliding_window", True), ("hidden_size", None)],
)
def test_unsupported_value_is_an_error_that_names_its_key(key, value):
    with pytest.raises(ValueError, match=key):
        read_dream({**RAW, key: value})


def test_a_token_is_predicted_by_the_one_before():
    model, x, ids = dream(), prefix(2), answer(2)
    cache = model.prefill(x, torch.arange(20).expand(2, -1), answer_length=8)
    with torch.no_grad():
        whole = torch.cat([x, model.embed(ids)], dim=1)
        states = model(whole, torch.arange(28).expand(2, -1), prefix_mask(20, 8))
    torch.testing.assert_close(cache.last, states[:, 19:20], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.predicting(states[:, 20:], cache.last), states[:, 19:-1], rtol=1e-4, atol=1e-5)


def test_padding_before_a_short_prompt_changes_nothing():
    model, x = dream(), prefix(1, 9)
    padded, mask = torch.cat([torch.full((1, 4, 32), 7.0), x], dim=1), torch.arange(13)[None] >= 4
    alone = model.prefill(x, torch.arange(9)[None], answer_length=4)
    cache = model.prefill(padded, (mask.cumsum(dim=1) - 1).clamp(min=0), mask, answer_length=4)
    torch.testing.assert_close(cache.last, alone.last, rtol=1e-4, atol=1e-5)


OPTIONS = {**DREAM.sampling, "mask_id": MASK, "eos_id": 61, "answer_length": 9}


def test_the_prefix_alone_settles_the_first_token():
    model, x, seen = dream(), prefix(2), []
    result = sample(model, x, **OPTIONS, on_step=lambda _, ids: seen.append(ids))
    last = model.prefill(x, torch.arange(20).expand(2, -1), answer_length=9).last
    likeliest = model.logits(last)[:, 0].softmax(dim=-1).max(dim=-1)
    assert all(torch.equal(ids[:, 0], likeliest.indices) for ids in seen)
    torch.testing.assert_close(result.probabilities[:, 0], likeliest.values)
    # Two of the nine steps settle nothing and are not run.
    assert result.nfe == 7
    assert torch.equal(result.ids, sample(model, x, **OPTIONS, cache=False).ids)


def test_the_first_token_is_never_the_mask_and_a_draft_keeps_its_own():
    model, x = dream(), prefix()
    first = int(sample(model, x, **OPTIONS).ids[0, 0])
    banned = sample(model, x, **{**OPTIONS, "mask_id": first})
    assert banned.ids[0, 0] != first
    draft = torch.tensor([[(first + 1) % 60]])
    kept = sample(model, x, **OPTIONS, draft_ids=draft)
    assert (kept.ids[0, 0], kept.probabilities[0, 0]) == (draft[0, 0], 1)


def test_a_batch_answers_as_its_rows_do():
    model, x = dream(), prefix(3)
    together = sample(model, x, **OPTIONS).ids
    assert torch.equal(together, torch.cat([sample(model, x[b : b + 1], **OPTIONS).ids for b in range(3)]))


@pytest.mark.parametrize("option", [{"top_p": 0.9}, {"top_k": 5}])
def test_filters_need_a_categorical_draw(option):
    with pytest.raises(ValueError, match="needs draw=\"categorical\", got 'gumbel'"):
        sample(dream(), prefix(), **{**OPTIONS, "draw": "gumbel"}, **option)


def test_filtered_draws_stay_among_the_likeliest():
    model, x, at_once = dream(), prefix(), {**OPTIONS, "steps": 1, "temperature": 2.0}
    likeliest = sample(model, x, **{**at_once, "temperature": 0.0}).ids
    assert torch.equal(sample(model, x, **at_once, top_k=1).ids, likeliest)
    assert torch.equal(sample(model, x, **at_once, top_p=math.ulp(0.0)).ids, likeliest)
    generator = torch.Generator().manual_seed(0)
    assert not torch.equal(sample(model, x, **at_once, generator=generator).ids, likeliest)


@pytest.mark.parametrize("method", [partial(FastV, layer=1), Rerank], ids=["fastv", "redvtp"])
def test_methods_inside_the_model_that_keep_everything_change_nothing(method):
    model, x = dream(), image_prefix(2)
    pruned = sample(model, x, **OPTIONS, pruning=method(1.0))
    assert torch.equal(pruned.ids, sample(model, x, **OPTIONS).ids)
    assert not (sample(model, x, **OPTIONS, pruning=method(0.3)).ids == MASK).any()


def test_shirg_ask_answers_as_the_family_does(page, tmp_path):
    ids = {"mask_token_id": 386, "eos_token_id": 382, "pad_token_id": 382}
    folder = write_tiny_checkpoint(tmp_path / "dream", family=DREAM, side=6, patch_size=4, vocab_size=400, **ids)
    shutil.copytree(Path(__file__).parent / "golden" / "dream_tokenizer", folder, dirs_exist_ok=True)
    report = asked(page, folder, "--budget", 12, "--no-stop-at-eos")
    assert (report["sampling"]["schedule"], report["sampling"]["remasking"]) == ("timesteps", "margin")
    assert (report["nfe"], len(report["answer_ids"])) == (6, 8)
    assert asked(page, folder, "--top-p", 0.9, "--temperature", 1)["sampling"]["draw"] == "categorical"
    pipe = LavidaPipeline.from_pretrained(folder)
    assert pipe.chat.turns == DREAM.turns
    assert pipe(page, "What is the total?", max_new_tokens=4).stops == {382, 384}
