"""lmms-eval's own models of transformers through `PrunedBackend`, on tiny random models that their classes load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lmms_eval.api.instance import Instance
from PIL import Image

from shirg_bench.lmms.backends.model import PrunedBackend
from shirg_core.cli.errors import BadInput, RunFailed

from .backends_setup import BACKENDS, idefics2, llava, qwen2_5_vl, write

# As in an evaluation: upstream's warnings are for its developers.
pytestmark = pytest.mark.filterwarnings("ignore")
DATA = {"a": {"test": [[Image.effect_noise((90, 60 + 40 * i), 80).convert("RGB")] for i in range(3)]}}
WORDS = ("What is the value of bolts?", "Which?", "How many are there in all?")
BY_LABEL = {backend.label: backend for backend in BACKENDS}


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    folders: dict[str, Path] = {}

    def build(model):
        if model.__name__ not in folders:
            folders[model.__name__] = write(model, tmp_path_factory.mktemp(model.__name__))
        return folders[model.__name__]

    return build


@pytest.fixture
def load(folder_of, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def build(backend, model, **arguments):
        given = {"backend": backend, "pretrained": str(folder_of(model)), "device": "cpu", **arguments}
        lm = PrunedBackend(**given)
        lm.task_dict = DATA
        return lm

    return build


def requests(lm, documents=(0, 1, 2), **gen_kwargs):
    """As lmms-eval makes them: for models that read chat messages, with those."""
    found = []
    for i in documents:
        how = {"max_new_tokens": 4, "temperature": 0, **gen_kwargs}

        def messages(images, words=WORDS[i]):
            parts = [*({"type": "image", "url": image} for image in images), {"type": "text", "text": words}]
            return [{"role": "user", "content": parts}]

        shown = (how, lambda images: images) if lm.is_simple else (messages, how)
        metadata = {"task": "a", "doc_id": i, "repeats": 1}
        found.append(Instance("generate_until", (WORDS[i], *shown, i, "a", "test"), i, metadata))
    return found


def answers(lm, *documents, **gen_kwargs):
    results = lm.generate_until(requests(lm, documents or (0, 1, 2), **gen_kwargs))
    return [result.text for result in results], [result.token_counts for result in results]


@pytest.mark.parametrize("label", [backend.label for backend in BACKENDS])
def test_all_tokens_are_the_backends_own_answers_and_fewer_are_counted(load, label):
    name, model, more = BY_LABEL[label].name, BY_LABEL[label].build, {"backend_args": BY_LABEL[label].arguments}
    own, whole = answers(load(name, model, **more))
    everything, costs = answers(load(name, model, method="v2", budget="1.0", **more))
    assert everything == own
    assert [one.visual_tokens for one in costs] == [one.visual_tokens for one in whole]
    fewer, kept = answers(load(name, model, method="v2", budget="1/4", **more))
    assert fewer != own
    for few, all_ in zip(kept, whole, strict=True):
        assert 1 < few.visual_tokens <= all_.visual_tokens // 2
        assert few.input_tokens - few.visual_tokens == all_.input_tokens - all_.visual_tokens
        assert 0 < few.kv_bytes < all_.kv_bytes
        for cost in (few, all_):
            assert 1 <= cost.nfe <= 4
            assert 0 < cost.output_tokens <= 4
            assert cost.latency_ms > cost.embed_ms > 0
            assert cost.prefill_ms > 0
    if BY_LABEL[label].batched:
        _, together = answers(load(name, model, method="v2", budget="1/4", batch_size=3, **more))
        assert [one.batch_size for one in together] == [3, 3, 3]
        assert [(one.input_tokens, one.visual_tokens) for one in together] == [
            (one.input_tokens, one.visual_tokens) for one in kept
        ]


def test_the_model_is_left_as_lmms_eval_built_it(load):
    lm = load("qwen2_5_vl", qwen2_5_vl, method="v2", budget="1/4")
    model = lm.backend.model
    before = [dict(vars(part)) for part in (model, model.model)]
    pruned, _ = answers(lm, 0)
    assert [dict(vars(part)) for part in (model, model.model)] == before
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    upstream = lm.settings.open(torch.device("cpu"))
    for one in (lm.backend, upstream):
        one.task_dict = DATA
    (after,), (alone,) = (one.generate_until(requests(lm, (0,))) for one in (lm.backend, upstream))
    assert after.text == alone.text != pruned[0]


def test_a_methods_own_attention_is_the_towers(load):
    lm = load("llava_hf", llava, method="v3-tower", budget=9)
    _, costs = answers(lm)
    assert [cost.visual_tokens for cost in costs] == [10, 10, 10]


def test_an_error_that_upstream_swallows_is_no_empty_answer(load):
    lm = load("llava_hf", llava, method="v2", budget=5000)
    with pytest.raises(ValueError, match=r"task 'a', document 0: budget K=5000 is larger than the 64"):
        answers(lm)


def test_a_task_without_images_is_answered_and_a_video_refused(load):
    lm = load("qwen2_5_vl", qwen2_5_vl, method="v2", budget="1/4")
    lm.task_dict = {"a": {"test": [[], ["film.mp4"]]}}
    (words,), (cost,) = answers(lm, 0)
    assert words
    assert cost.visual_tokens == 0
    with pytest.raises(ValueError, match="task 'a', document 1: a pruned backend is shown texts and images, got a str"):
        answers(lm, 1)


def test_only_the_questions_words_are_what_a_selector_reads(load, monkeypatch):
    from shirg_core import ShirgV2

    lm, seen, choose = load("qwen2_5_vl", qwen2_5_vl, method="v2", budget="1/4", batch_size=3), [], ShirgV2.__call__
    monkeypatch.setattr(ShirgV2, "__call__", lambda *a, **k: seen.append(k["text"].shape[1]) or choose(*a, **k))
    answers(lm)
    assert sorted(seen) == sorted(map(len, WORDS))  # one token a character


def test_what_upstream_passes_over_is_refused(load):
    lm = load("llava_hf", llava, followed={"top_k": 5})
    with pytest.raises(BadInput, match="backend 'llava_hf' passes over top_k=5: its model got None"):
        answers(lm, 0, top_k=5)
    hot = load("llava_hf", llava, followed={"temperature": 0.5, "max_new_tokens": 3})
    _, (cost,) = answers(hot, 0, temperature=0.5, max_new_tokens=3, block_length=4, top_p=None)
    assert cost.nfe == 3


def test_answers_come_from_the_journal(load, tmp_path, monkeypatch):
    given = {"method": "v2", "budget": "1/4", "journal": tmp_path, "seed": 3}
    first = load("qwen2_5_vl", qwen2_5_vl, **given).generate_until(requests(load("qwen2_5_vl", qwen2_5_vl)))
    again = load("qwen2_5_vl", qwen2_5_vl, **given)
    monkeypatch.setattr(again.backend, "generate_until", None)
    assert again.generate_until(requests(again)) == first
    other = load("qwen2_5_vl", qwen2_5_vl, **{**given, "positions": "packed"})
    monkeypatch.setattr(other.backend, "generate_until", None)
    with pytest.raises(TypeError):
        other.generate_until(requests(other))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backend": "qwen25_vl"}, "unknown backend 'qwen25_vl', did you mean 'qwen2_5_vl'"),
        ({"backend": "shirg_lavida"}, "unknown backend 'shirg_lavida'"),
        ({"backend": "whisper"}, "backend 'whisper' needs librosa, which is not installed$"),
        ({"backend": "dummy"}, "loads no weights from a folder"),
        ({"backend_args": "max_pixel=9"}, "unknown argument of backend 'qwen2_5_vl': 'max_pixel', did you mean 'max_p"),
        ({"dtype": "float32"}, "unknown argument of backend 'qwen2_5_vl': 'dtype'"),
        ({"method": "baseline"}, "method 'baseline' needs LaViDa's views"),
        ({"method": "fastv"}, "runs only in `shirg ablate"),
        ({"method": "tome", "budget": 4}, "merges tokens.*give --positions packed"),
        ({"budget": 4}, "method 'full' takes no budget, got 4"),
        ({"method": "v2"}, "method 'v2' needs budget"),
        ({"pretrained": "nowhere"}, "neither a folder nor a hub id"),
        ({"positions": "own"}, "positions must be one of original, packed, got 'own'"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused_before_weights_are_loaded(folder_of, given, message):
    with pytest.raises((ValueError, BadInput), match=message):
        PrunedBackend(**{"backend": "qwen2_5_vl", "pretrained": str(folder_of(qwen2_5_vl)), "device": "cpu", **given})


def test_a_model_that_cannot_be_pruned_is_one_line(load, tmp_path):
    with pytest.raises(BadInput, match=r"backend 'idefics2' cannot be pruned: Idefics2.* resamples its images"):
        answers(load("idefics2", idefics2), 0)
    with pytest.raises(BadInput, match="backend 'huggingface' has loaded a LlavaModel, which has no generate"):
        answers(load("huggingface", llava), 0)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunFailed, match=rf"backend 'llava_hf' cannot load {tmp_path}: ValueError"):
        answers(load("llava_hf", llava, pretrained=str(tmp_path)), 0)


def test_a_missing_video_reader_names_the_extra(folder_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    for module in ("lmms_eval.models.chat.qwen2_5_vl", "lmms_eval.models.simple.qwen2_5_vl"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(BadInput, match=r"needs decord, which is not installed: install shirg-bench\[backends\]"):
        PrunedBackend(backend="qwen2_5_vl", pretrained=str(folder_of(qwen2_5_vl)), device="cpu")


def test_the_page_lists_the_backends_that_are_run_here_and_no_other():
    page = Path(__file__).parents[3] / "docs" / "integrate.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    start = lines.index("| backend | models that were run | batches |") + 2
    models: dict[str, list[str]] = {}
    for backend in BACKENDS:
        models.setdefault(backend.name, []).append(backend.build.__name__)
    batched = {backend.name: "yes" if backend.batched else "no" for backend in BACKENDS}
    rows = [f"| {name} | {', '.join(built)} | {batched[name]} |" for name, built in models.items()]
    assert lines[start : start + len(rows) + 1] == [*rows, ""]
