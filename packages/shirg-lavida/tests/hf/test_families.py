"""Two truths for every family: keeping all tokens is the model itself, and dropping them is masking them out."""

import pytest
import torch

from shirg_core import shirg_v2, shirg_v3
from shirg_core.hf import prune
from shirg_core.hf.cut import packed_positions, prompt_positions

from .families import FAMILIES, IMAGE, OTHERS, WORDS

GREEDY = {
    "max_new_tokens": 4,
    "min_new_tokens": 4,
    "do_sample": False,
    "return_dict_in_generate": True,
    "output_logits": True,
}
ALL = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
AND_OTHERS = pytest.mark.parametrize("family", FAMILIES + OTHERS, ids=lambda family: family.name)
BY_TOKEN = pytest.mark.parametrize(
    "family", [family for family in FAMILIES if not family.by_canvas], ids=lambda family: family.name
)
WITH_POSITIONS = pytest.mark.parametrize(
    ("family", "positions"),
    [
        pytest.param(family, positions, id=f"{positions}-{family.name}")
        for positions in ("original", "packed")
        for family in FAMILIES + OTHERS
        # A family by canvas has no original positions: one error, tested below.
        if positions == "packed" or not family.by_canvas
    ],
)


def positions_of(family):
    return "packed" if family.by_canvas else "original"


def generate(family, inputs, **options):
    """New ids `[B, 4]` (16 of two canvases), and their logits `[B, 4, V]`, or None."""
    torch.manual_seed(0)
    if family.by_canvas:
        answer = family.model().generate(**inputs, max_new_tokens=16, max_denoising_steps=2)
        return answer.sequences[:, inputs["input_ids"].shape[1] :], None
    answer = family.model().generate(**inputs, **GREEDY, **options)
    return answer.sequences[:, inputs["input_ids"].shape[1] :], torch.stack(answer.logits, dim=1)


def same(given, wanted):
    assert given[0].tolist() == wanted[0].tolist()
    if given[1] is not None:
        torch.testing.assert_close(given[1], wanted[1], rtol=0, atol=1e-5)


def states(family, inputs, mask, at):
    """Last hidden states of the language model over a prompt, `[B, L, D]`."""
    given = {name: value for name, value in inputs.items() if name not in ("attention_mask", "position_ids")}
    with torch.no_grad():
        if not family.by_canvas:
            run = family.model()(**given, attention_mask=mask, position_ids=at, output_hidden_states=True)
            return run.hidden_states[-1]
        # The encoder's own forward makes no use of the token types; `generate` gives it these masks.
        encoder, width = family.encoder, torch.empty(*mask.shape, 0)
        types = {"mm_token_type_ids": inputs["mm_token_type_ids"]}
        made = {"config": encoder.config, "inputs_embeds": width, "attention_mask": mask, "past_key_values": None}
        masks = encoder.create_masks_for_generate(**made, position_ids=at, **types)
        return encoder(**given, attention_mask=masks, position_ids=at).last_hidden_state


@AND_OTHERS
@pytest.mark.parametrize("pictures", [([0],), ([0], [1]), ([1, 0], [1])], ids=["one", "batch", "several"])
def test_keeping_all_is_the_model_itself(family, pictures):
    inputs = family.prompts(*pictures)
    pruned = prune(family.model(), inputs, shirg_v2(1.0), positions=positions_of(family))
    assert pruned["input_ids"].tolist() == inputs["input_ids"].tolist()
    same(generate(family, pruned), generate(family, inputs))


@WITH_POSITIONS
@pytest.mark.parametrize("pictures", [([0],), ([1, 0], [1])], ids=["one", "several"])
def test_dropping_is_masking(family, positions, pictures):
    model, inputs = family.model(), family.prompts(*pictures)
    pruned = prune(model, inputs, shirg_v2(0.4, summary="none"), positions=positions)
    real = inputs["attention_mask"].bool()
    keep = real & ~(inputs["input_ids"] == IMAGE)
    keep[inputs["input_ids"] == IMAGE] = torch.cat(list(kept_rows(family, pruned)))
    at = prompt_positions(family.encoder, inputs, real) if positions == "original" else packed_positions(keep)
    wanted = states(family, inputs, keep.long(), at)[keep]
    at = packed(pruned) if family.by_canvas else pruned["position_ids"]
    given = states(family, pruned, pruned["attention_mask"], at)[pruned["attention_mask"].bool()]
    assert len(given) < int(real.sum())
    torch.testing.assert_close(given, wanted, rtol=0, atol=1e-5)


def kept_rows(family, pruned):
    """Which placeholders of every image stay, told from its selection alone."""
    for layout, selection in zip(pruned.layouts, pruned.selections, strict=True):
        base, tokens = layout.views[0].n_tokens, selection.mask[0]
        if not family.newline:
            yield tokens
        elif len(layout.views) == 1:
            yield torch.cat([tokens, torch.ones(1, dtype=torch.bool)])
        else:
            lines = tokens[base:].reshape(layout.views[1].h, -1)
            yield torch.cat([tokens[:base], torch.cat([lines, lines.any(dim=1, keepdim=True)], dim=1).flatten()])


@ALL
@pytest.mark.parametrize("selector", [shirg_v2(0.3), shirg_v3(0.3, summary="none")], ids=["summary", "none"])
def test_a_batch_is_its_prompts_one_by_one(family, selector):
    rows = [([1, 0], WORDS[0]), ([0], WORDS[1]), ([1], WORDS[0])]
    batch = family.prompts(*(pictures for pictures, _ in rows), words=[words for _, words in rows])
    together = prune(family.model(), batch, selector, positions=positions_of(family))
    ids, logits = (None, None) if family.by_canvas else generate(family, together)
    number = 0
    for b, (pictures, words) in enumerate(rows):
        alone = prune(family.model(), family.prompts(pictures, words=[words]), selector, positions=positions_of(family))
        for selection in alone.selections:
            assert selection.indices.tolist() == together.selections[number].indices.tolist()
            number += 1
        real = together["attention_mask"][b].bool()
        assert together["input_ids"][b][real].tolist() == alone["input_ids"][0].tolist()
        if family.by_canvas:  # whose canvases start from random tokens
            mine, own = (states(family, x, x["attention_mask"], packed(x)) for x in (together, alone))
            torch.testing.assert_close(mine[b][real], own[0], rtol=0, atol=1e-5)
        else:
            same((ids[b : b + 1], logits[b : b + 1]), generate(family, alone))


def packed(inputs):
    return packed_positions(inputs["attention_mask"].bool())


@BY_TOKEN
@pytest.mark.parametrize("positions", ["original", "packed"])
def test_chunked_prefill_and_no_cache_agree_with_the_cache(family, positions):
    model = family.model()
    pruned = prune(model, family.prompts([0]), shirg_v3(0.4), positions=positions)
    wanted = generate(family, pruned)
    after = int((pruned["input_ids"] == IMAGE).nonzero()[-1, 1]) + 1
    chunk = {"yes": 5, "behind images": after, "no": None}[family.chunked]
    same(generate(family, pruned, prefill_chunk_size=chunk), wanted)
    inputs = {name: value for name, value in pruned.items() if name != "mm_encoder_outputs"}
    for n in range(4):
        with torch.no_grad():
            logits = model(**inputs, mm_encoder_outputs=pruned["mm_encoder_outputs"], use_cache=False).logits[:, -1]
        torch.testing.assert_close(logits, wanted[1][:, n], rtol=0, atol=1e-5)
        longer = {"input_ids": wanted[0][:, n : n + 1], "attention_mask": torch.ones(1, 1, dtype=torch.long)}
        longer["position_ids"] = inputs["position_ids"][..., -1:] + 1
        longer |= {name: torch.tensor([[new]]) for name, (_, _, new) in family.types.items()}
        inputs = {name: torch.cat([inputs[name], value], dim=-1) for name, value in longer.items()}


@BY_TOKEN
def test_beams_repeat_what_each_prompt_keeps(family):
    rows = [([1, 0], WORDS[0]), ([0], WORDS[1])]
    batch = family.prompts(*(pictures for pictures, _ in rows), words=[words for _, words in rows])
    options = {"num_beams": 2, "max_new_tokens": 3, "do_sample": False, "output_scores": True}
    options["return_dict_in_generate"] = True
    together = prune(family.model(), batch, shirg_v2(0.3))
    for _ in range(2):  # `generate` writes into features: a second call must not meet those of the first
        answers = family.model().generate(**together, **options)
    for b, (pictures, words) in enumerate(rows):
        alone = prune(family.model(), family.prompts(pictures, words=[words]), shirg_v2(0.3))
        answer = family.model().generate(**alone, **options)
        torch.testing.assert_close(answers.sequences_scores[b : b + 1], answer.sequences_scores, rtol=0, atol=1e-5)
        own, length = (given["input_ids"].shape[1] for given in (alone, together))
        assert answers.sequences[b, length:].tolist() == answer.sequences[0, own:].tolist()


@ALL
def test_a_summary_takes_the_place_of_the_last_dropped_token(family):
    inputs = family.prompts([0])
    pruned = prune(family.model(), inputs, shirg_v2(5), positions=positions_of(family))
    none = prune(family.model(), inputs, shirg_v2(5, summary="none"), positions=positions_of(family))
    (selection,), features = pruned.selections, pruned["mm_encoder_outputs"]["image"]
    counts = [int((given["input_ids"] == IMAGE).sum()) for given in (none, pruned)]
    newlines = 0 if not family.newline else counts[0] - 5
    assert counts == [5 + newlines, 6 + newlines]
    assert family.newline == (newlines > 0)
    rows = features.pooler_output
    rows = rows.reshape(-1, rows.shape[-1]) if isinstance(rows, torch.Tensor) else torch.cat(list(rows))
    last = int((~selection.mask[0]).nonzero()[-1])
    before = int((selection.indices[0] < last).sum())
    at = (rows == selection.summary[0, 0]).all(dim=1).nonzero().flatten().tolist()
    assert len(at) == 1
    if not family.newline:
        assert at == [before]
        assert torch.equal(torch.cat([rows[:before], rows[before + 1 :]]), selection.kept[0])
    if family.deepstack:
        whole = family.encoder.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
        for layer, own in zip(features.deepstack_features, whole.deepstack_features, strict=True):
            torch.testing.assert_close(layer[0][before], own[0][~selection.mask[0]].mean(dim=0))


@BY_TOKEN
def test_positions_are_the_tokens_own_or_packed(family):
    inputs = family.prompts([0], [1])
    pruned, packed = (prune(family.model(), inputs, shirg_v3(0.3), positions=p) for p in ("original", "packed"))
    for b in range(2):
        real = pruned["attention_mask"][b].bool()
        assert packed["position_ids"][..., b, :][..., real].tolist() == list(range(int(real.sum())))
        own = pruned["position_ids"][..., b, :][..., real]
        whole = prompt_positions(family.encoder, inputs, inputs["attention_mask"].bool())[..., b, :]
        assert own[..., -5:].tolist() == whole[..., -5:].tolist()
        assert own[..., 0].tolist() == whole[..., inputs["attention_mask"][b].bool()][..., 0].tolist()


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.by_canvas], ids=lambda family: family.name)
def test_a_family_without_positions_says_so(family):
    with pytest.raises(ValueError, match=r"generate takes no position_ids.*packed"):
        prune(family.model(), family.prompts([0]), shirg_v3(4))


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.by_canvas], ids=lambda family: family.name)
def test_several_canvases_read_the_features_once_and_each_call_anew(family):
    pruned = prune(family.model(), family.prompts([0]), shirg_v3(4), positions="packed")
    first, second = (generate(family, pruned)[0] for _ in range(2))
    assert first.shape == (1, 16)
    assert first.tolist() == second.tolist()
