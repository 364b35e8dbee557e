"""Folders of tiny random models of transformers, with processors, that lmms-eval's own models load offline."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

BOS, EOS, IMAGE, VIDEO, START, END = "<s>", "</s>", "<image>", "<video>", "<start>", "<end>"
SPECIAL = (BOS, EOS, IMAGE, VIDEO, START, END)
CHARACTERS = [ch for ch in string.printable if ch not in "\r\v\f"]
ID = {name: len(CHARACTERS) + i for i, name in enumerate(SPECIAL)}
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LANGUAGE = SIZES | {
    "vocab_size": len(CHARACTERS) + len(SPECIAL),
    "num_key_value_heads": 2,
    "bos_token_id": ID[BOS],
    "eos_token_id": ID[EOS],
    "pad_token_id": ID[EOS],
    "tie_word_embeddings": False,
}
IDS = {"image_token_id": ID[IMAGE], "video_token_id": ID[VIDEO]}
VISION_IDS = {"vision_start_token_id": ID[START], "vision_end_token_id": ID[END]}
ROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}}


def template(image: str) -> str:
    """A chat template for texts and for lists of parts."""
    return (
        "{% for message in messages %}{{ message['role'] }}: {% if message['content'] is string %}"
        "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
        f"{image}"
        "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )


def tokenizer(image: str = IMAGE, **named: str) -> Any:
    """One token a character; `named` are special tokens by the names that a processor asks for."""
    made = Tokenizer(WordLevel({ch: i for i, ch in enumerate(CHARACTERS)} | ID, unk_token="?"))
    made.pre_tokenizer, made.decoder = Split("", behavior="isolated"), Fuse()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        padding_side="left",
        chat_template=template(image),
        extra_special_tokens=named,
    )


def _qwen(
    config: Any, build: Any, processor: Any, vision: dict[str, Any], text: dict[str, Any], patch: int = 14
) -> Any:
    made = config(text_config=LANGUAGE | text, vision_config=vision, **IDS, **VISION_IDS)
    kinds = {"patch_size": patch, "merge_size": 2, "min_pixels": 28**2, "max_pixels": 112**2}
    tok = tokenizer(f"{START}{IMAGE}{END}", image_token=IMAGE, video_token=VIDEO)
    video = hf.Qwen2VLVideoProcessor if "3" not in processor.__name__ else hf.Qwen3VLVideoProcessor
    return build(made), processor(
        hf.Qwen2VLImageProcessor(**kinds), tok, video(**kinds), chat_template=tok.chat_template
    )


def qwen2_vl() -> Any:
    vision = {"depth": 2, "num_heads": 2, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2, "patch_size": 14}
    return _qwen(hf.Qwen2VLConfig, hf.Qwen2VLForConditionalGeneration, hf.Qwen2VLProcessor, vision, ROPE)


_VISION = {"depth": 2, "num_heads": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}


def qwen2_5_vl() -> Any:
    vision = _VISION | {"window_size": 56, "fullatt_block_indexes": [1]}
    return _qwen(hf.Qwen2_5_VLConfig, hf.Qwen2_5_VLForConditionalGeneration, hf.Qwen2_5_VLProcessor, vision, ROPE)


def qwen3_vl() -> Any:
    rope = {"rope_parameters": ROPE["rope_parameters"] | {"mrope_interleaved": True}, "head_dim": 16}
    vision = _VISION | {"patch_size": 16, "num_position_embeddings": 144, "deepstack_visual_indexes": [0, 1]}
    return _qwen(hf.Qwen3VLConfig, hf.Qwen3VLForConditionalGeneration, hf.Qwen3VLProcessor, vision, rope, 16)


def llava() -> Any:
    vision = hf.CLIPVisionConfig(image_size=112, patch_size=14, **SIZES)
    config = hf.LlavaConfig(vision_config=vision, text_config=hf.LlamaConfig(**LANGUAGE), **IDS)
    images = hf.CLIPImageProcessor(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112})
    tok = tokenizer()
    processor = hf.LlavaProcessor(images, tok, 14, "default", tok.chat_template, num_additional_image_tokens=1)
    return hf.LlavaForConditionalGeneration(config), processor


CANVASES = [[56 * r, 56 * c] for r in (1, 2, 3) for c in (1, 2, 3)]


def llava_next() -> Any:
    vision = hf.CLIPVisionConfig(image_size=56, patch_size=14, **SIZES)
    text = hf.LlamaConfig(**LANGUAGE)
    config = hf.LlavaNextConfig(
        vision_config=vision, text_config=text, image_grid_pinpoints=CANVASES, image_token_id=ID[IMAGE]
    )
    size = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}, "image_grid_pinpoints": CANVASES}
    tok = tokenizer()
    images = hf.LlavaNextImageProcessor(**size)
    processor = hf.LlavaNextProcessor(images, tok, 14, "default", tok.chat_template, num_additional_image_tokens=1)
    return hf.LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> Any:
    vision = hf.SiglipVisionConfig(image_size=56, patch_size=14, vision_use_head=False, **SIZES)
    text = hf.Qwen2Config(**LANGUAGE)
    config = hf.LlavaOnevisionConfig(vision_config=vision, text_config=text, image_grid_pinpoints=CANVASES, **IDS)
    images = hf.LlavaOnevisionImageProcessor(size={"height": 56, "width": 56}, image_grid_pinpoints=CANVASES)
    tok = tokenizer()
    video = hf.LlavaOnevisionVideoProcessor(size={"height": 56, "width": 56})
    processor = hf.LlavaOnevisionProcessor(images, tok, video, 16, "full", tok.chat_template)
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def internvl() -> Any:
    vision = hf.InternVLVisionConfig(image_size=112, patch_size=14, **SIZES)
    config = hf.InternVLConfig(
        vision_config=vision, text_config=hf.Qwen2Config(**LANGUAGE), image_token_id=ID[IMAGE], image_seq_length=16
    )
    images = hf.GotOcr2ImageProcessor(size={"height": 112, "width": 112}, crop_to_patches=True)
    tok = tokenizer(start_image_token=START, end_image_token=END, context_image_token=IMAGE, video_token=VIDEO)
    video = hf.InternVLVideoProcessor(size={"height": 112, "width": 112})
    processor = hf.InternVLProcessor(images, tok, video, 16, tok.chat_template)
    return hf.InternVLForConditionalGeneration(config), processor


def gemma3() -> Any:
    vision = hf.SiglipVisionConfig(image_size=112, patch_size=14, vision_use_head=False, **SIZES)
    text = hf.Gemma3TextConfig(**LANGUAGE | {"num_key_value_heads": 1, "head_dim": 16})
    config = hf.Gemma3Config(
        vision_config=vision,
        text_config=text,
        mm_tokens_per_image=16,
        image_token_id=ID[IMAGE],
        boi_token_id=ID[START],
        eoi_token_id=ID[END],
    )
    model = hf.Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)
    images = hf.Gemma3ImageProcessor(size={"height": 112, "width": 112})
    tok = tokenizer(START, image_token=IMAGE, boi_token=START, eoi_token=END)
    return model, hf.Gemma3Processor(images, tok, tok.chat_template, image_seq_length=16)


def gemma4() -> Any:
    rope = {"rope_theta": 100.0, "rope_type": "axial"}
    heads = {
        "head_dim": 16,
        "num_key_value_heads": 2,
        "patch_size": 4,
        "pooling_kernel_size": 2,
        "position_embedding_size": 64,
    }
    text = LANGUAGE | {
        "num_key_value_heads": 1,
        "head_dim": 16,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": LANGUAGE["vocab_size"],
        "layer_types": ["sliding_attention", "full_attention"],
        "use_bidirectional_attention": "vision",
    }
    config = hf.Gemma4Config(
        vision_config=SIZES | heads | {"rope_parameters": rope},
        text_config=text,
        audio_token_id=LANGUAGE["vocab_size"] - 1,
        boi_token_id=ID[START],
        eoi_token_id=ID[END],
        **IDS,
    )
    images = hf.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70)
    tok = tokenizer(
        image_token=IMAGE, boi_token=START, eoi_token=END, audio_token=VIDEO, boa_token=START, eoa_token=END
    )
    return hf.Gemma4ForConditionalGeneration(config), hf.Gemma4Processor(
        hf.Gemma4AudioFeatureExtractor(),
        images,
        tok,
        hf.Gemma4VideoProcessor(patch_size=4, pooling_kernel_size=2),
        tok.chat_template,
    )


def mistral3() -> Any:
    vision = hf.PixtralVisionConfig(image_size=112, patch_size=14, head_dim=16, **SIZES)
    text = hf.MistralConfig(**LANGUAGE, head_dim=16)
    config = hf.Mistral3Config(vision_config=vision, text_config=text, image_token_id=ID[IMAGE], spatial_merge_size=2)
    images = hf.PixtralImageProcessor(size={"longest_edge": 112}, patch_size=14)
    tok = tokenizer()
    processor = hf.PixtralProcessor(images, tok, 14, 2, tok.chat_template, IMAGE, START, END)
    return hf.Mistral3ForConditionalGeneration(config), processor


def glm4v() -> Any:
    ids = IDS | {"image_start_token_id": ID[START], "image_end_token_id": ID[END]}
    text = LANGUAGE | {"rope_parameters": ROPE["rope_parameters"] | {"partial_rotary_factor": 1.0}, "head_dim": 16}
    config = hf.Glm4vConfig(text_config=text, vision_config=_VISION | {"image_size": 112}, **ids)
    size = {"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    kinds = {"patch_size": 14, "merge_size": 2, "size": size}
    tok = tokenizer(f"{START}{IMAGE}{END}", image_token=IMAGE, video_token=VIDEO)
    return hf.Glm4vForConditionalGeneration(config), hf.Glm4vProcessor(
        hf.Glm4vImageProcessor(**kinds), tok, hf.Glm4vVideoProcessor(**kinds), tok.chat_template
    )


def qwen3_5() -> Any:
    rope = {"rope_parameters": ROPE["rope_parameters"] | {"mrope_interleaved": True}, "head_dim": 16}
    linear = {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "layer_types": ["full_attention", "linear_attention"],
    }
    vision = _VISION | {"patch_size": 16, "num_position_embeddings": 144}
    return _qwen(hf.Qwen3_5Config, hf.Qwen3_5ForConditionalGeneration, hf.Qwen3VLProcessor, vision, rope | linear, 16)


def idefics2() -> Any:
    vision = {**SIZES, "image_size": 112, "patch_size": 14}
    resampler = {"resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2, "resampler_head_dim": 16}
    text = hf.MistralConfig(**LANGUAGE, head_dim=16)
    config = hf.Idefics2Config(
        vision_config=vision,
        text_config=text,
        perceiver_config=resampler | {"hidden_size": 32, "num_key_value_heads": 1},
        image_token_id=ID[IMAGE],
    )
    tok = tokenizer()
    images = hf.Idefics2ImageProcessor(size={"longest_edge": 112, "shortest_edge": 56})
    return hf.Idefics2ForConditionalGeneration(config), hf.Idefics2Processor(images, tok, 4, tok.chat_template)


@dataclass(frozen=True)
class Backend:
    """A model of lmms-eval that is run, and the tiny model that it loads."""

    name: str
    build: Callable[[], Any]
    batched: bool = True
    arguments: str = ""

    @property
    def label(self) -> str:
        return f"{self.name}-{self.build.__name__}"


BACKENDS = (
    Backend("gemma3", gemma3),
    Backend("gemma4", gemma4),
    Backend("glm4v", glm4v),
    Backend("internvl_hf", internvl, batched=False),
    Backend("llava_hf", llava, batched=False),
    Backend("llava_hf", llava_next, batched=False),
    Backend("llava_hf", llava_onevision, batched=False),
    Backend("mistral3_vl", mistral3),
    Backend("qwen2_vl", qwen2_vl),
    Backend("qwen2_5_vl", qwen2_5_vl),
    Backend("qwen3_vl", qwen3_vl),
    Backend("qwen3_5", qwen3_5, arguments="enable_thinking=False"),
)


def write(build: Callable[[], Any], folder: Path) -> Path:
    """The model and its processor, as their own `save_pretrained` write them."""
    torch.manual_seed(0)
    model, processor = build()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)  # so that an answer depends on the image
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = ID[EOS], ID[EOS]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
