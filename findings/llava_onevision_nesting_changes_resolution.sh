#!/usr/bin/env bash
# transformers 5.23.0: LlavaOnevisionProcessor
#
# Expected: one prompt with two placeholders and two images is the same input, whether they come as `[a, b]` or as `[[a, b]]`: the texts say which image is whose.
# Happens:  `[a, b]` counts as two samples of one image each, and both get any-resolution tiles; `[[a, b]]` counts as one sample of two, and each is squeezed
#           to 384x384, one view. The visual tokens of two pages differ almost eightfold, and a page is readable in one form and not in the other.
# Hurts:    `apply_chat_template` always nests, a direct call usually does not: the same conversation is long and sharp by one way, short and blurred by the other.
#           Batches suffer likewise: a sample's resolution depends on how the caller wrote the list. No shape check can notice.
# Instead:  always nest, one list for each text, and log `batch_num_images`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "torchvision==0.29.2" "pillow==13.0.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlavaOnevisionImageProcessor, LlavaOnevisionProcessor, LlavaOnevisionVideoProcessor, PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"<unk>": 0, "<pad>": 1, "<image>": 2, "<video>": 3, "compare": 4}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", extra_special_tokens={"image_token": "<image>", "video_token": "<video>"}
)
template = "{% for part in messages[0]['content'] %}{{ '<image> ' if part['type'] == 'image' else part['text'] }}{% endfor %}"
processor = LlavaOnevisionProcessor(
    LlavaOnevisionImageProcessor(),
    tokenizer,
    LlavaOnevisionVideoProcessor(),
    num_image_tokens=729,
    vision_feature_select_strategy="full",
    chat_template=template,
)
pages = [Image.new("RGB", (800, 1100), colour) for colour in ("white", "gray")]
message = [{"role": "user", "content": [{"type": "image", "image": page} for page in pages] + [{"type": "text", "text": "compare"}]}]
inputs = {
    "[a, b]": processor(images=pages, text="<image> <image> compare"),
    "[[a, b]]": processor(images=[pages], text="<image> <image> compare"),
    "chat template": processor.apply_chat_template(message, tokenize=True, return_dict=True),
}
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
counts = {}
for name, batch in inputs.items():
    ids = torch.as_tensor(batch["input_ids"]).flatten()
    counts[name] = int((ids == 2).sum())
    print(f"{name:14} batch_num_images {torch.as_tensor(batch['batch_num_images']).tolist()}: {counts[name]} visual tokens for two 800x1100 pages")
assert counts["[[a, b]]"] == counts["chat template"] and counts["[a, b]"] > 2 * counts["[[a, b]]"], "nesting no longer changes the resolution"
print("as described")
PYTHON
