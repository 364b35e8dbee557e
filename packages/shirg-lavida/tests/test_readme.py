import re
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image

from shirg_core import shirg_v3
from shirg_lavida.cli.command import ask
from shirg_lavida.testing import tiny_lavida

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
ROWS = re.findall(r"^\| `(\w+)` \| .* \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", README, flags=re.MULTILINE)


def run(block):
    namespace = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), namespace)
    return namespace


def test_the_pipeline_example_runs():
    names = run(BLOCKS[0])
    assert names["answer"].selection.indices.shape == (1, 768)
    assert names["answer"].layout.n_tokens == 3645
    assert names["answer"].nfe == 16
    assert names["first"].text == names["pipe"](names["image"], "What is the total?", step_ratio=0.5).text


def test_the_example_below_the_tokenizer_runs():
    names = run(BLOCKS[1])
    assert names["logits"].shape == (1, 16, 256)
    assert names["ids"].shape == (1, 16)


def test_the_example_of_choosing_again_runs():
    names = run(BLOCKS[2])
    assert names["rerank"].budget == 30
    assert (names["answer"].nfe, names["answer"].extra_passes, names["answer"].extra_tokens) == (8, 1, 10)
    assert len(BLOCKS) == 3


def test_the_table_tells_real_counts():
    assert [row[0] for row in ROWS] == ["anyres", "anyres_full", "pooled_base", "single", "single384"]
    model = tiny_lavida()
    ids = torch.tensor([[1, -200, 2]])
    for views, *counts in ROWS:
        for size, selectable, read in (((1000, 1000), *counts[:2]), ((900, 600), *counts[2:])):
            image = Image.new("RGB", size)
            assert model.embed_prompt(ids, [image], views=views).visual_tokens == (int(read),)
            chosen = model.embed_prompt(ids, [image], views=views, selector=shirg_v3(0.5, coverage="none"))
            assert chosen.layouts[0].n_selectable == int(selectable)


def options_of_ask():
    app = typer.Typer(add_completion=False)
    app.command()(ask)
    return {name for each in typer.main.get_command(app).params for name in (*each.opts, *each.secondary_opts)}


OF_OTHERS = re.compile(r"`(uv |shirg (?!ask))[^`]*`")


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z][a-z-]+", OF_OTHERS.sub("", README)))))
def test_options_exist(option):
    assert option in options_of_ask()
