"""The lines of docs/integrate.md for Qwen2.5-VL, on a tiny random model and in place of a processor its outputs."""

import re
from types import SimpleNamespace

import transformers
from PIL import Image

from .families import FAMILIES, WORDS
from .test_docs_table import PAGE


class Processor:
    def __init__(self, family):
        self.inputs = family.prompts([0])
        self.decoded = []

    def apply_chat_template(self, chat, *, add_generation_prompt):
        assert add_generation_prompt
        (text,) = [part["text"] for part in chat[0]["content"] if part["type"] == "text"]
        return text

    def __call__(self, *, images, text, return_tensors):
        assert (images.mode, text, return_tensors) == ("RGB", "What is the total?", "pt")
        return transformers.BatchFeature(self.inputs)

    def tokenizer(self, _):
        return SimpleNamespace(input_ids=WORDS[0])

    def decode(self, ids, *, skip_special_tokens):
        assert skip_special_tokens
        self.decoded = ids.tolist()
        return "an answer"


def test_the_lines_run(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python no-run\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    family = next(family for family in FAMILIES if family.name == "qwen2_5_vl")
    processor, model = Processor(family), family.model()
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lambda _: processor)
    monkeypatch.setattr(transformers.Qwen2_5_VLForConditionalGeneration, "from_pretrained", lambda *_, **__: model)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (120, 80), "white").save("page.png")
    whole = {"__name__": "integrate"}
    exec(compile(block.replace("budget=0.25", 'budget=1.0, summary="none"'), str(PAGE), "exec"), whole)
    own = model.generate(**processor.inputs, max_new_tokens=64)[0, processor.inputs["input_ids"].shape[1] :]
    assert processor.decoded == own.tolist()
    kept = {"__name__": "integrate"}
    exec(compile(block, str(PAGE), "exec"), kept)
    assert kept["pruned"].selections[0].indices.shape == (1, 6)
    assert capsys.readouterr().out == "an answer\n" * 2
    assert (tmp_path / "kept.png").is_file()
