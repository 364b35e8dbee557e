"""What a question costs end to end: SHIRG's kept tokens against the released pooling, on one mid-size random LaViDa;
and what `shirg eval` adds to it, or takes from it by answering several at once, on an embedded model.

Tower of 8 layers and width 384 on five views of 384 px (so400m's grid, scaled down in width and depth), language model
of 8 layers and width 512, 32 answer tokens in 16 steps. Pairs are interleaved, on one thread, in thread time, which
other work on the machine disturbs least.
"""

import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from shirg_bench.latency.random_models import RANDOM, random_pipeline
from shirg_bench.latency.subject import text_page
from shirg_bench.lmms.model import ShirgLavida
from shirg_core import shirg_v2, shirg_v3
from shirg_lavida.prompt.chat import ChatStyle

BUDGET, PAIRS = 768, 5
QUESTION, ASK = (
    "What is the total?",
    {"max_new_tokens": 32, "stop_at_eos": False, "step_ratio": 0.5, "schedule": "shift", "timings": True},
)


@pytest.fixture(scope="module")
def pooled():
    return random_pipeline(RANDOM["random-small"], chat=ChatStyle())


@pytest.fixture(scope="module")
def page():
    return text_page()


@pytest.mark.parametrize("selector", [shirg_v2(BUDGET), shirg_v3(BUDGET)], ids=["v2", "v3"])
def test_shirg_768_costs_at_most_1_1_times_pooled(benchmark, track, pooled, page, selector):
    shirg = replace(pooled, selector=selector)
    # The cached prefix is proven untouched, and gives the answer of the uncached one, or nothing here is timed.
    few = {**ASK, "step_ratio": 1 / 8}
    checked = shirg(page, QUESTION, **few, verify_cache=True)
    assert torch.equal(checked.ids, shirg(page, QUESTION, **few, cache=False).ids)
    assert checked.selection.indices.shape == (1, BUDGET)

    answers = {name: [] for name in ("shirg", "pooled")}
    ask = {
        "shirg": lambda: answers["shirg"].append(shirg(page, QUESTION, **ASK)),
        "pooled": lambda: answers["pooled"].append(pooled(page, QUESTION, **ASK)),
    }
    track(f"ask-768-{type(selector).__name__}-over-pooled", ask["shirg"], ask["pooled"], bar=1.10, pairs=PAIRS)
    for name, given in answers.items():
        stages = {
            stage: statistics.median(each.timings_ms[stage] for each in given)
            for stage in ("embed", "prefill", "steps", "total")
        }
        last = given[-1]
        benchmark.extra_info[name] = {
            **{f"{stage}_ms": round(ms, 1) for stage, ms in stages.items()},
            "step_ms": round(statistics.median(ms for each in given for ms in each.step_ms), 2),
            "prefix_tokens": last.prefix_tokens,
            "visual_tokens": last.visual_tokens,
            "kv_bytes": last.kv_bytes,
            "nfe": last.nfe,
        }
    assert answers["pooled"][0].visual_tokens == 1008


@pytest.mark.parametrize("batch", [1, 8])
def test_an_evaluation_costs_little_more_than_asking(track, batch):
    examples = Path(__file__).parents[3] / "examples"
    labels = ("bolts", "nuts", "bolts", "nuts", "bolts", "nuts", "bolts", "nuts")
    page = Image.open(examples / "bars.png").convert("L")
    evaluation = ShirgLavida(pretrained="micro", batch_size=batch, device="cpu")
    evaluation.task_dict = {"pages": {"test": [[page]] * len(labels)}}
    requests = [
        SimpleNamespace(
            args=(f"What is the value of {label}?", {"max_new_tokens": 6}, lambda doc: doc, i, "pages", "test"),
            metadata={"task": "pages", "doc_id": i},
        )
        for i, label in enumerate(labels)
    ]
    pipe = evaluation.pipe

    def asked():
        return [pipe(page, request.args[0], max_new_tokens=6).text for request in requests]

    assert [reply.text for reply in evaluation.generate_until(requests)] == asked()
    track(f"eval-batch-{batch}-over-asking", lambda: evaluation.generate_until(requests), asked, pairs=PAIRS)
