"""What a command waits for before it can answer: modules that take seconds to import, and are not needed."""

import subprocess
import sys

import torch
from PIL import Image

from shirg_lavida.checkpoint.empty import no_weights
from shirg_lavida.testing import tiny_lavida, write_tiny_checkpoint, write_tiny_tokenizer

SLOW = ("transformers", "jinja2", "httpx", "torch._dynamo", "sympy", "accelerate", "peft", "pypdfium2")
ANSWER = """
import sys
from PIL import Image
from shirg_lavida import LavidaPipeline

pipe = LavidaPipeline.from_pretrained(sys.argv[1])
pipe(Image.new("RGB", (40, 30)), "What is it?", max_new_tokens=2)
print(*sys.modules)
"""
ASK = """
import sys
import torch
from shirg_core.cli.app import main

before = set(sys.modules)
code = main(sys.argv[1:])
print(*(set(sys.modules) - before))
sys.exit(code)
"""


def test_answering_imports_nothing_slow(tmp_path):
    folder = write_tiny_tokenizer(write_tiny_checkpoint(tmp_path / "tiny", side=6, patch_size=4))
    ran = subprocess.run([sys.executable, "-c", ANSWER, str(folder)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert "shirg_lavida.pipeline" in loaded
    assert sorted(loaded & set(SLOW)) == []


def test_asking_imports_little_beside_torch(tmp_path):
    """Half of it is typer and pydantic, rich, Pillow and tokenizers."""
    folder = write_tiny_tokenizer(write_tiny_checkpoint(tmp_path / "tiny", side=6, patch_size=4))
    Image.new("RGB", (40, 30), "white").save(tmp_path / "page.png")
    asked = ["ask", "page.png", "What is it?", "--model", str(folder), "--max-new-tokens", "2"]
    ran = subprocess.run([sys.executable, "-c", ASK, *asked], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    loaded = ran.stdout.splitlines()[-1].split()
    assert "shirg_lavida.pipeline" in loaded
    assert sorted({*SLOW, "huggingface_hub", "matplotlib", "rich.live"} & set(loaded)) == []
    assert len(loaded) <= 320, sorted(loaded)


def test_no_weights_has_shapes_and_draws_nothing():
    filled = tiny_lavida()
    before = torch.random.get_rng_state()
    with no_weights():
        empty = type(filled)(filled.config)
    assert torch.equal(torch.random.get_rng_state(), before)
    shapes = {name: weight.shape for name, weight in filled.named_parameters()}
    assert {name: weight.shape for name, weight in empty.named_parameters()} == shapes
    assert all(weight.is_meta for weight in empty.parameters())
