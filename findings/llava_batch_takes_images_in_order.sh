#!/usr/bin/env bash
# transformers 5.23.0: LlavaProcessor and LlavaNextProcessor (Qwen2-VL, InternVL and LLaVA-OneVision do the same, Idefics3 and Gemma 3 refuse)
#
# Expected: `images=[[a], [b, c]]` gives the first text one image and the second text two, and a text with another number of placeholders is an error.
# Happens:  the nesting is thrown away. Only the totals of the whole batch are compared, and placeholders take the images in order, across texts.
#           With `images=[[], [b]]` a text that has no image is given the image of the next one.
# Hurts:    one question that quotes `<image>` and one that lost its own cancel out: no error, and a model is trained or scored on someone else's page.
# Instead:  before the call compare `text.count(processor.image_token)` with `len(images)`, sample by sample.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "pillow==13.0.0" "numpy==2.4.6"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlavaNextProcessor, LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

words = Tokenizer(models.WordLevel({"<unk>": 0, "<pad>": 1, "<image>": 2, "read": 3, "hello": 4}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", extra_special_tokens={"image_token": "<image>"}
)
pages = {"red": Image.new("RGB", (336, 336), "red"), "green": Image.new("RGB", (336, 336), "lime"), "blue": Image.new("RGB", (336, 336), "blue")}


def colours(features):
    """The strongest channel of each image, in the order in which the placeholders get them."""
    first_crops = [np.asarray(crops).reshape(-1, 3, 336, 336)[0] for crops in features["pixel_values"]]
    return ["red green blue".split()[int(crop.mean(axis=(1, 2)).argmax())] for crop in first_crops]


print(f"transformers {transformers.__version__}")
geometry = dict(patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1)
for processor in (
    LlavaProcessor(LlavaImageProcessorPil(size={"height": 336, "width": 336}, crop_size=336), tokenizer, **geometry),
    LlavaNextProcessor(LlavaNextImageProcessorPil(size={"shortest_edge": 336}, crop_size=336), tokenizer, **geometry),
):
    name = type(processor).__name__
    one = processor(images=pages["red"], text="<image>")["input_ids"][0].count(2)
    for names, text in (
        ([["red"], ["green", "blue"]], ["<image> <image> read", "<image> read"]),
        ([[], ["green"]], ["<image> read", "hello"]),
    ):
        images = [[pages[name] for name in group] for group in names]
        batch = processor(images=images, text=text)
        slots = [ids.count(2) // one for ids in batch["input_ids"]]
        print(f"{name}: images for each text {names}, taken {slots}, in the order {colours(batch)}")
        assert slots == [sample.count("<image>") for sample in text] != [len(group) for group in images]
        assert colours(batch) == [colour for group in names for colour in group], "the images are no longer taken in order"
print("as described")
PYTHON
