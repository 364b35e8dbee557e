#!/usr/bin/env bash
# lmms-eval 0.7.3, Pillow 13.0.0
#
# Expected: a backend gives the model the page that the data set holds, and two backends give two models the same page.
# Happens:  gemma3, gemma4, qwen2_vl and glm4v compress every image to JPEG at quality 85, with halved colour resolution, before the processor sees it. qwen2_5_vl and
#           qwen3_vl, which read chat messages, get the data set's own pixels; with `force_simple` qwen2_5_vl compresses, too. Nothing is said, and no option turns it off.
# Hurts:    thin coloured print and chart lines fade before any token is chosen: blue letters on white change by up to 162 of 255 grey levels. Scores of two backends
#           differ for a reason that is neither model's, and a lossless data set does not help.
# Instead:  compare models that are read in one way, or replace `_encode_image_data_url` of the backend's class by one that writes PNG.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0" "pillow==13.0.0" "qwen-vl-utils==0.0.14" "decord==0.6.0"
cat > "$folder/backends.py" <<'PYTHON'
import importlib
import io
from base64 import b64decode
from functools import partial
from importlib.metadata import version
from unittest.mock import MagicMock

import numpy as np
from lmms_eval.api.instance import Instance
from lmms_eval.protocol import ChatMessages
from PIL import Image, ImageDraw

INKS = ("black", "red", "blue", "green")
page = Image.new("RGB", (400, 200), "white")
for row, ink in enumerate(INKS):
    ImageDraw.Draw(page).text((20, 10 + 48 * row), "Total 4,250.00 due 2018-12-25", fill=ink)


class Reached(Exception):
    """The processor was called: what it got is known, and no weights are needed."""


def image_of(module, kind):
    """The image that lmms-eval's own `generate_until` hands to the processor for a question about the page."""
    backend = getattr(importlib.import_module(f"lmms_eval.models.simple.{module}"), kind)
    model = MagicMock(batch_size=1, rank=0, reasoning_prompt=None, interleave_visuals=False, system_prompt="")
    model.task_dict = {"task": {"test": [{"image": page}]}}
    model.tokenizer.decode.return_value = "</s>"
    model.processor.apply_chat_template.side_effect = Reached
    for name in {"_encode_image_data_url", "_image_to_base64"} & vars(backend).keys():
        setattr(model, name, partial(vars(backend)[name], model))
    arguments = ("total?", {}, lambda document: [document["image"]], 0, "task", "test")
    try:
        backend.generate_until(model, [Instance("generate_until", arguments, 0, {"task": "task", "doc_id": 0, "repeats": 1})])
    except Reached:
        messages = model.processor.apply_chat_template.call_args.args[0]
    messages = messages[0] if isinstance(messages[0], list) else messages
    parts = [part for message in messages for part in message["content"] if isinstance(part, dict) and part["type"] == "image"]
    return Image.open(io.BytesIO(b64decode((parts[0].get("image") or parts[0]["url"]).split(",")[1])))


def changes(image):
    """For every line of print, the largest change of any pixel, in grey levels."""
    difference = np.abs(np.asarray(image, int) - np.asarray(page, int))
    return {ink: int(difference[48 * row : 48 * row + 48].max()) for row, ink in enumerate(INKS)}


print(f"lmms-eval {version('lmms-eval')}, Pillow {version('pillow')}; largest change of a pixel, in grey levels of 255")
for module, kind in (("gemma3", "Gemma3"), ("gemma4", "Gemma4"), ("glm4v", "GLM4V"), ("qwen2_vl", "Qwen2_VL"), ("qwen2_5_vl", "Qwen2_5_VL")):
    image = image_of(module, kind)
    print(f"{module + ' (simple)':20} {image.format}: {changes(image)}")
    assert image.format == "JPEG" and changes(image)["blue"] > 150, "the page is handed on otherwise now"
question = [{"role": "user", "content": [{"type": "image", "url": page}, {"type": "text", "text": "total?"}]}]
[message] = ChatMessages(messages=question).to_hf_messages()
given = next(part["image"] for part in message["content"] if part["type"] == "image")
print(f"{'chat messages':20} {changes(given)}")
assert not any(changes(given).values()), "chat messages change the page now, too"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/backends.py" 2>/dev/null
