"""Tiny random models of every family that `shirg_core.hf` is tested with, and prompts as their processors write them.

Each id `IMAGE` stands for one row of features. Models come from configs, pixels from a random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import transformers as hf
from torch import Tensor

BOS, EOS, PAD, VIDEO, START, END, IMAGE = 1, 2, 0, 96, 97, 98, 99
WORDS = [[40, 41, 42], [50, 51, 52, 53, 54]]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LANGUAGE = {**SIZES, "vocab_size": 100, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
IDS = {"image_token_id": IMAGE, "video_token_id": VIDEO}
VISION_IDS = {"vision_start_token_id": START, "vision_end_token_id": END}
GEMMA = {**LANGUAGE, "num_key_value_heads": 1, "head_dim": 16}

Pictures = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Family:
    """One family.

    Attributes:
        name: model type in transformers.
        config: of a tiny model.
        build: model class.
        picture: number → the processor's inputs of one picture; they differ in content, and in size where the family
            has several.
        deepstack: whether features of deeper layers belong to a token.
        newline: whether rows of newlines stand among the tokens.
        by_canvas: whether `generate` takes no `position_ids`.
        chunked: whether a prompt may be prefilled in chunks; Gemma's images see themselves in both directions, so that
            no chunk may end inside one, and PaliGemma's whole prompts do so.
        types: what the processor writes of token types: the name, and the types of images, of other ids, and of what is
            generated.
    """

    name: str
    config: Callable[[], Any]
    build: Any
    picture: Callable[[int], Pictures]
    deepstack: bool = False
    newline: bool = False
    by_canvas: bool = False
    chunked: str = "yes"
    types: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @cache  # noqa: B019 — families live as long as the tests
    def model(self) -> Any:
        torch.manual_seed(0)
        model = self.build(self.config()).eval()
        for name, weight in model.named_parameters():
            if name.endswith("mm_input_projection_weight"):  # Gemma3's, which starts at zero
                torch.nn.init.normal_(weight, std=0.2)
        return model

    def prompts(self, *pictures: Sequence[int], words: Sequence[list[int]] = WORDS) -> dict[str, Tensor]:
        """A batch of prompts, padded at the left; `pictures` numbers those of each prompt."""
        seen = [[self.picture(n) for n in row] for row in pictures]
        rows = [self._prompt(row, words[b % len(words)]) for b, row in enumerate(seen)]
        length = max(map(len, rows))
        ids = torch.stack([torch.nn.functional.pad(row, (length - len(row), 0), value=PAD) for row in rows])
        inputs = {"input_ids": ids, "attention_mask": (ids != PAD).long(), **self._joined(seen)}
        image = (ids == IMAGE).long()
        return inputs | {name: image * (own - other) + other for name, (own, other, _) in self.types.items()}

    def _prompt(self, pictures: Sequence[Pictures], words: list[int]) -> Tensor:
        runs = (id_ for picture in pictures for id_ in (START, *[IMAGE] * self.rows(picture), END))
        return torch.tensor([BOS, 5, *runs, *words, 6])

    @torch.no_grad()
    def rows(self, picture: Pictures) -> int:
        pooled = self.encoder.get_image_features(**picture, return_dict=True).pooler_output
        return pooled[..., 0].numel() if isinstance(pooled, Tensor) else sum(map(len, pooled))

    @property
    def encoder(self) -> Any:
        return self.model().model.encoder if self.by_canvas else self.model().model

    def _joined(self, seen: Sequence[Sequence[Pictures]]) -> Pictures:
        if "smolvlm" in self.name or "idefics3" in self.name:  # [B, images, 3, H, W], filled up with zeros
            most = max(map(len, seen))
            rows = [torch.cat([p["pixel_values"][0] for p in row]) for row in seen]
            return {"pixel_values": torch.stack([_filled(row, most) for row in rows])}
        flat = [picture for row in seen for picture in row]
        most = max(len(p["pixel_values"][0]) for p in flat)
        joined = {name: [p[name] for p in flat] for name in flat[0]}
        if self.newline:  # crops filled up with zeros
            joined["pixel_values"] = [_filled(p[0], most)[None] for p in joined["pixel_values"]]
        return {name: torch.cat(given) for name, given in joined.items()}


def _filled(x: Tensor, length: int) -> Tensor:
    return torch.cat([x, x.new_zeros(length - len(x), *x.shape[1:])])


def noise(number: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(number))


def square(side: int) -> Callable[[int], Pictures]:
    return lambda number: {"pixel_values": noise(number, 1, 3, side, side)}


def tiles(number: int) -> Pictures:
    return {"pixel_values": noise(number, (1, 3)[number % 2], 3, 112, 112)}


def crops(number: int) -> Pictures:
    height, width, n = ((60, 150, 7), (150, 40, 4))[number % 2]
    return {"pixel_values": noise(number, 1, n, 3, 56, 56), "image_sizes": torch.tensor([[height, width]])}


def blocks(number: int, patch: int = 14) -> Pictures:
    h, w = ((8, 12), (6, 4))[number % 2]
    return {
        "pixel_values": noise(number, h * w, 3 * 2 * patch**2),
        "image_grid_thw": torch.tensor([[1, h, w]]),
    }


def by_line(number: int) -> Pictures:
    given = blocks(number)
    return given | {"pixel_values": noise(number, len(given["pixel_values"]), 3, 14, 14)}


def patches(number: int) -> Pictures:
    h, w = ((8, 12), (6, 4))[number % 2]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    places = torch.full((1, 96, 2), -1)
    places[0, : h * w] = torch.stack([x, y], dim=-1).flatten(0, 1)
    pixels = noise(number, 1, 96, 3 * 4**2).masked_fill(places[..., :1] < 0, 0)
    return {"pixel_values": pixels, "image_position_ids": places}


def _llava() -> Any:
    vision = hf.CLIPVisionConfig(image_size=112, patch_size=14, **SIZES)
    return hf.LlavaConfig(vision_config=vision, text_config=hf.LlamaConfig(**LANGUAGE), **IDS)


def _llava_next() -> Any:
    canvases = [[56 * r, 56 * c] for r in (1, 2, 3) for c in (1, 2, 3)]
    vision = hf.CLIPVisionConfig(image_size=56, patch_size=14, **SIZES)
    return hf.LlavaNextConfig(
        vision_config=vision,
        text_config=hf.LlamaConfig(**LANGUAGE),
        image_grid_pinpoints=canvases,
        image_token_id=IMAGE,
    )


def _llava_onevision() -> Any:
    canvases = [[56 * r, 56 * c] for r in (1, 2, 3) for c in (1, 2, 3)]
    vision = hf.SiglipVisionConfig(image_size=56, patch_size=14, vision_use_head=False, **SIZES)
    language = hf.Qwen2Config(num_key_value_heads=2, **LANGUAGE)
    return hf.LlavaOnevisionConfig(vision_config=vision, text_config=language, image_grid_pinpoints=canvases, **IDS)


def _rope(**more: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4, **more}
    return {**LANGUAGE, "rope_parameters": rope, "num_key_value_heads": 2}


def _qwen2_vl() -> Any:
    vision = {"depth": 2, "num_heads": 2, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2, "patch_size": 14}
    return hf.Qwen2VLConfig(text_config=_rope(), vision_config=vision, **IDS, **VISION_IDS)


def _qwen2_5_vl() -> Any:
    vision = {"depth": 2, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}
    vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
    return hf.Qwen2_5_VLConfig(text_config=_rope(), vision_config=vision, **IDS, **VISION_IDS)


def _qwen3_vl() -> Any:
    text = _rope(mrope_interleaved=True) | {"num_hidden_layers": 3, "head_dim": 16}
    vision = {"depth": 3, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}
    vision |= {"patch_size": 14, "num_position_embeddings": 144, "deepstack_visual_indexes": [0, 1]}
    return hf.Qwen3VLConfig(text_config=text, vision_config=vision, **IDS, **VISION_IDS)


def _internvl() -> Any:
    vision = hf.InternVLVisionConfig(image_size=112, patch_size=14, **SIZES)
    language = hf.Qwen2Config(num_key_value_heads=2, **LANGUAGE)
    return hf.InternVLConfig(vision_config=vision, text_config=language, image_token_id=IMAGE, image_seq_length=16)


def _qianfan_ocr() -> Any:
    vision = hf.QianfanOCRVisionConfig(image_size=[112, 112], **SIZES)
    language = hf.Qwen3Config(num_key_value_heads=2, head_dim=16, **LANGUAGE)
    return hf.QianfanOCRConfig(vision_config=vision, text_config=language, image_token_id=IMAGE, image_seq_length=16)


def _smolvlm() -> Any:
    vision = {**SIZES, "image_size": 112, "patch_size": 14}
    language = hf.LlamaConfig(**LANGUAGE)
    return hf.SmolVLMConfig(vision_config=vision, text_config=language, image_token_id=IMAGE, scale_factor=2)


def _idefics3() -> Any:
    vision = {**SIZES, "image_size": 112, "patch_size": 14}
    language = hf.LlamaConfig(**LANGUAGE)
    return hf.Idefics3Config(vision_config=vision, text_config=language, image_token_id=IMAGE, scale_factor=2)


def _gemma3() -> Any:
    vision = hf.SiglipVisionConfig(image_size=112, patch_size=14, vision_use_head=False, **SIZES)
    return hf.Gemma3Config(
        vision_config=vision, text_config=hf.Gemma3TextConfig(**GEMMA), image_token_id=IMAGE, mm_tokens_per_image=16
    )


def _paligemma() -> Any:
    vision = hf.SiglipVisionConfig(image_size=56, patch_size=14, vision_use_head=False, **SIZES)
    language = hf.GemmaConfig(**GEMMA)
    return hf.PaliGemmaConfig(
        vision_config=vision, text_config=language, image_token_index=IMAGE, projection_dim=32, hidden_size=32
    )


def _patched() -> dict[str, Any]:
    rope = {"rope_theta": 100.0, "rope_type": "axial"}
    heads = {"head_dim": 16, "num_key_value_heads": 2}
    return {
        **SIZES,
        **heads,
        "patch_size": 4,
        "pooling_kernel_size": 2,
        "position_embedding_size": 64,
        "rope_parameters": rope,
    }


def _gemma4_text() -> dict[str, Any]:
    return GEMMA | {"layer_types": ["sliding_attention", "full_attention"], "use_bidirectional_attention": "vision"}


def _gemma4() -> Any:
    text = _gemma4_text() | {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 100}
    return hf.Gemma4Config(vision_config=_patched(), text_config=text, audio_token_id=95, **IDS)


def _diffusion_gemma() -> Any:
    text = _gemma4_text() | {
        "num_experts": 2,
        "top_k_experts": 1,
        "moe_intermediate_size": 16,
        "final_logit_softcapping": 30.0,
    }
    return hf.DiffusionGemmaConfig(vision_config=_patched(), text_config=text, image_token_id=IMAGE, canvas_length=8)


def wide(number: int) -> Pictures:
    height, width = ((56, 112), (112, 84))[number % 2]
    pixels = noise(number, 1, 3, 112, 112)
    pixels[..., height:, :], pixels[..., width:] = 0, 0
    return {"pixel_values": pixels, "image_sizes": torch.tensor([[height, width]])}


def _mistral3() -> Any:
    vision = hf.PixtralVisionConfig(image_size=112, patch_size=14, head_dim=16, **SIZES)
    language = hf.MistralConfig(num_key_value_heads=2, head_dim=16, **LANGUAGE)
    return hf.Mistral3Config(vision_config=vision, text_config=language, image_token_id=IMAGE, spatial_merge_size=2)


def _glm4v() -> Any:
    vision = {"depth": 2, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}
    ids = IDS | {"image_start_token_id": START, "image_end_token_id": END}
    return hf.Glm4vConfig(text_config=_rope() | {"head_dim": 16}, vision_config=vision | {"image_size": 112}, **ids)


def _aya_vision() -> Any:
    vision = hf.SiglipVisionConfig(image_size=112, patch_size=14, vision_use_head=False, **SIZES)
    language = hf.Qwen2Config(num_key_value_heads=2, **LANGUAGE)
    return hf.AyaVisionConfig(vision_config=vision, text_config=language, image_token_id=IMAGE, downsample_factor=2)


def _paddleocr_vl() -> Any:
    text = {**_rope(), "head_dim": 16}
    vision = {**SIZES, "image_size": 112, "patch_size": 14}
    return hf.PaddleOCRVLConfig(text_config=text, vision_config=vision, **IDS, **VISION_IDS)


def _kimi_k25() -> Any:
    heads = {"num_key_value_heads": 2, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 16}
    heads |= {"qk_rope_head_dim": 16, "v_head_dim": 16, "first_k_dense_replace": 2}
    experts = {
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "n_group": 1,
        "topk_group": 1,
    }
    vision = {**SIZES, "patch_size": 14, "pos_emb_height": 16, "pos_emb_width": 16}
    text = hf.DeepseekV3Config(**LANGUAGE, **heads, **experts)
    return hf.Kimi_K25Config(vision_config=vision, text_config=text, projection_hidden_size=32, **IDS, **VISION_IDS)


def _video_llama_3() -> Any:
    vision = {**SIZES, "patch_size": 14}
    language = hf.Qwen2Config(num_key_value_heads=2, **LANGUAGE)
    return hf.VideoLlama3Config(vision_config=vision, text_config=language, **IDS)


def one_frame(number: int) -> Pictures:
    given = blocks(number)
    merge = torch.tensor([(2, 1)[number % 2]])
    return given | {"pixel_values": noise(number, len(given["pixel_values"]), 3 * 14**2), "image_merge_sizes": merge}


def _ovis2() -> Any:
    vision = {**SIZES, "image_size": 112, "patch_size": 14, "vocab_size": 64, "hidden_stride": 2}
    language = hf.Qwen2Config(num_key_value_heads=2, **LANGUAGE)
    indicators = [START, END, 94, 93, 92]
    ids = {"image_token_id": IMAGE, "visual_indicator_token_ids": indicators, "hidden_size": 32, "vocab_size": 100}
    return hf.Ovis2Config(vision_config=vision, text_config=language, **ids)


TYPES = {"mm_token_type_ids": (1, 0, 0)}
FAMILIES = [
    Family("llava", _llava, hf.LlavaForConditionalGeneration, square(112)),
    Family("llava_next", _llava_next, hf.LlavaNextForConditionalGeneration, crops, newline=True),
    Family("llava_onevision", _llava_onevision, hf.LlavaOnevisionForConditionalGeneration, crops, newline=True),
    Family("qwen2_vl", _qwen2_vl, hf.Qwen2VLForConditionalGeneration, blocks, types=TYPES),
    Family("qwen2_5_vl", _qwen2_5_vl, hf.Qwen2_5_VLForConditionalGeneration, blocks, types=TYPES),
    Family("qwen3_vl", _qwen3_vl, hf.Qwen3VLForConditionalGeneration, blocks, deepstack=True, types=TYPES),
    Family("internvl", _internvl, hf.InternVLForConditionalGeneration, tiles),
    Family(
        "smolvlm", _smolvlm, hf.SmolVLMForConditionalGeneration, lambda n: {"pixel_values": noise(n, 1, 1, 3, 112, 112)}
    ),
    Family(
        "idefics3",
        _idefics3,
        hf.Idefics3ForConditionalGeneration,
        lambda n: {"pixel_values": noise(n, 1, 1, 3, 112, 112)},
    ),
    Family(
        "gemma3",
        _gemma3,
        hf.Gemma3ForConditionalGeneration,
        square(112),
        chunked="behind images",
        types={"token_type_ids": (1, 0, 0)},
    ),
    Family(
        "paligemma",
        _paligemma,
        hf.PaliGemmaForConditionalGeneration,
        square(56),
        chunked="no",
        types={"token_type_ids": (0, 0, 1)},
    ),
    Family("gemma4", _gemma4, hf.Gemma4ForConditionalGeneration, patches, chunked="behind images", types=TYPES),
    Family(
        "diffusion_gemma",
        _diffusion_gemma,
        hf.DiffusionGemmaForBlockDiffusion,
        patches,
        by_canvas=True,
        chunked="no",
        types=TYPES,
    ),
]

OTHERS = [
    Family("mistral3", _mistral3, hf.Mistral3ForConditionalGeneration, wide),
    Family("glm4v", _glm4v, hf.Glm4vForConditionalGeneration, blocks, types=TYPES),
    Family("paddleocr_vl", _paddleocr_vl, hf.PaddleOCRVLForConditionalGeneration, by_line, types=TYPES),
    Family("aya_vision", _aya_vision, hf.AyaVisionForConditionalGeneration, square(112)),
    Family("qianfan_ocr", _qianfan_ocr, hf.QianfanOCRForConditionalGeneration, tiles),
    Family("kimi_k25", _kimi_k25, hf.Kimi_K25ForConditionalGeneration, by_line),
    Family("video_llama_3", _video_llama_3, hf.VideoLlama3ForConditionalGeneration, one_frame),
    Family("ovis2", _ovis2, hf.Ovis2ForConditionalGeneration, square(112)),
]
"""Models that `shirg_core.hf` has no line about, but for how some lay out their patches: the convention is enough."""
