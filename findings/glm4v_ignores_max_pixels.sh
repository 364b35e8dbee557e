#!/usr/bin/env bash
# transformers 5.23.0: the image processors of Qwen2-VL, PaddleOCR-VL, GLM-4V and ERNIE 4.5 VL
#
# Expected: `max_pixels`, with which one bounds an image's visual tokens, bounds them in all processors that cut images into patches as Qwen2-VL's does, or is refused.
# Happens:  Qwen2-VL's and PaddleOCR-VL's follow it. GLM-4V's and ERNIE's take it in the constructor, and in `from_pretrained`, keep it, write it
#           to their configuration, and make the same number of patches as without it: ten times too many here. Only a call with it raises.
# Hurts:    a comparison of models at one budget gives two of them all their tokens. Nothing but the length of the prompt shows it.
# Instead:  set `size={"shortest_edge": …, "longest_edge": …}` (areas in pixels, too), and assert `image_grid_thw.prod(-1)`. GLM-4V counts the two frames that a still
#           image is doubled into, so the same `longest_edge` gives it about half as many patches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "torchvision==0.29.2" "pillow==13.0.0" "numpy==2.4.6"
cat > "$folder/try.py" <<'PYTHON'
import tempfile

import numpy as np
import transformers
from PIL import Image

transformers.logging.set_verbosity_error()
page = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1200, 900, 3), dtype=np.uint8))
AREA = 100_000
size = {"shortest_edge": 3136, "longest_edge": AREA}


def patches(processor):
    return processor(images=[page], return_tensors="pt")["image_grid_thw"].prod().item()


def loaded(kind):
    with tempfile.TemporaryDirectory() as place:
        kind().save_pretrained(place)
        return kind.from_pretrained(place, max_pixels=AREA)


print(f"transformers {transformers.__version__}, a page of 900 x 1200 pixels\n{'patches':32}default  max_pixels  from_pretrained  size")
follows = {}
for name in ("Qwen2VL", "PaddleOCRVL", "Glm4v", "Ernie4_5_VLMoe"):
    kind = getattr(transformers, f"{name}ImageProcessor")
    row = patches(kind()), patches(kind(max_pixels=AREA)), patches(loaded(kind)), patches(kind(size=size))
    print(f"{kind.__name__:32}" + "".join(f"{count:<10}" for count in row))
    assert row[3] < row[0] / 5, f"{name}: size no longer bounds the patches"
    follows[name] = [count < row[0] / 5 for count in row[1:3]]
assert follows["Qwen2VL"] == follows["PaddleOCRVL"] == [True, True], follows
assert follows["Glm4v"] == follows["Ernie4_5_VLMoe"] == [False, False], "max_pixels is followed now"
for kind in (transformers.Glm4vImageProcessor, transformers.Ernie4_5_VLMoeImageProcessor):
    assert kind(max_pixels=AREA).to_dict()["max_pixels"] == AREA, f"{kind.__name__} no longer keeps it"
    try:
        kind()(images=[page], max_pixels=AREA)
    except TypeError as error:
        print(f"{kind.__name__}, called with it: {str(error)[:100]}")
    else:
        raise AssertionError("a call with max_pixels is taken now")
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
