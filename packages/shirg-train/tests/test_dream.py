"""LoRA on LaViDa-Dream: Qwen2's names, biases on q, k and v, and a loss that learns."""

from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from shirg_lavida.checkpoint.adapter import merge_adapter
from shirg_lavida.checkpoint.fingerprint import fingerprint
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.families.dream import DREAM
from shirg_lavida.testing import MASK_ID, tiny_dream
from shirg_train.adapter.files import save_adapter
from shirg_train.adapter.lora import LANGUAGE_LINEARS, AdapterConfig, attach, released_names, trainable
from shirg_train.data.chat import Encode, Exchange, answer_ids, load_encoder, prompt_ids
from shirg_train.loss import diffusion_nll
from shirg_train.noise import forward_process

CONFIG = AdapterConfig(r=4, dropout=0.0, language_blocks="all", language_linears=LANGUAGE_LINEARS)


def model():
    return tiny_dream(side=5, num_key_value_heads=2)


def nll(lavida, prefix, answer):
    noise = forward_process(torch.ones_like(answer).bool(), generator=torch.Generator().manual_seed(0))
    return diffusion_nll(lavida.backbone, prefix, answer, noise, mask_id=MASK_ID).mean


@pytest.fixture(scope="module")
def case():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, 64, generator=generator), torch.randint(0, 200, (2, 5), generator=generator)


def test_a_step_lowers_the_loss_and_the_adapter_comes_back(case, tmp_path):
    lavida = model()
    mark = fingerprint(lavida)
    torch.manual_seed(0)
    peft = attach(lavida, CONFIG)
    names = {name.split(".lora_A")[0] for name in trainable(lavida) if "backbone" in name and "lora_A" in name}
    assert names == {f"backbone.blocks.{block}.{linear}" for block in (0, 1) for linear in LANGUAGE_LINEARS}
    language = [p for name, p in trainable(lavida).items() if name.startswith("backbone.")]
    assert {p.dim() for p in language} == {1, 2}, "biases of q, k and v are trained, too"
    optimizer = torch.optim.AdamW(language, lr=1e-2)
    losses = []
    for _ in range(2):
        loss = nll(lavida, *case)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        losses.append(float(nll(lavida, *case)))
    assert losses[0] > losses[1] > losses[2]

    state = {name: p for name, p in peft.named_parameters() if p.requires_grad}
    assert "base_model.model.model.layers.1.self_attn.o_proj.lora_A.default.weight" in state
    save_adapter(peft, tmp_path, state=state, fingerprint=mark, card={})
    by_peft, merged = model(), model()
    PeftModel.from_pretrained(released_names(by_peft), str(tmp_path))
    merge_adapter(merged, tmp_path)
    with torch.no_grad():
        assert float(nll(by_peft, *case)) == pytest.approx(losses[2], rel=1e-5)
        assert float(nll(merged, *case)) == pytest.approx(losses[2], rel=1e-5)


class Recorder:
    """A tokenizer that remembers the texts."""

    def __init__(self):
        self.said = []

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens
        self.said.append(text)
        return SimpleNamespace(ids=[7])


def test_a_tokenizer_says_whose_turns_it_writes(tmp_path):
    special = {"<|im_start|>": 0, "<|im_end|>": 1}
    tokenizer = Tokenizer(WordLevel(special, unk_token="<|im_end|>"))
    tokenizer.add_special_tokens([*special])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_encoder(tmp_path).turns == DREAM.turns


def test_a_conversation_is_the_released_codes():
    encode = Encode(Recorder(), DREAM.turns)
    talk = [Exchange("<image>\nHow many?", "two", 1), Exchange("Which?", " left ", 0)]
    assert prompt_ids(talk, encode, system="Be brief.").tolist().count(IMAGE_TOKEN_ID) == 1
    answer_ids(talk[-1].answer, encode)
    head = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    asked = "\nHow many?<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n<|im_start|>user\nWhich?<|im_end|>\n"
    assert encode.tokenizer.said == [head, f"{asked}<|im_start|>assistant\n", "left<|im_end|>\n"]
