#!/usr/bin/env bash
# datasets 5.2.0 with Pillow 13.0.0
#
# Expected: a `map` that looks at an image and adds another column leaves the image column as it is.
# Happens:  looking at the image is enough. The decoded image is written back, and because Pillow says that it came from a JPEG, it is
#           encoded as a JPEG again, at Pillow's quality 75, whatever the original quality was. A `map` that does not touch the image column keeps the bytes.
# Hurts:    every such step of a pipeline loses detail in the training pages: small print first. Nothing is logged, and the column's type stays the same.
# Instead:  `cast_column("image", Image(decode=False))` before such a `map`, open the bytes in it, and cast back after it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "datasets==5.2.0" "pillow==13.0.0" "numpy==2.4.6"
HF_HOME="$folder/cache" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/venv/bin/python" - <<'PYTHON'
import io

import datasets
import numpy as np
import PIL
from PIL import Image, ImageDraw

print(f"datasets {datasets.__version__}, Pillow {PIL.__version__}")
page = Image.new("RGB", (160, 48), "white")
for row in range(4):
    ImageDraw.Draw(page).text((3, 1 + 11 * row), "No. 8864 total 1,088.30", fill=(40, 0, 120))
encoded = io.BytesIO()
page.save(encoded, "JPEG", quality=95, subsampling=0)

kind = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
table = datasets.Dataset.from_list([{"image": {"bytes": encoded.getvalue(), "path": None}, "label": 1}], features=kind)


def stored(dataset):
    return dataset.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"]


def pixels(dataset):
    return np.asarray(dataset[0]["image"]).astype(int)


untouched = table.map(lambda row: {"twice": 2 * row["label"]})
looked_at = table.map(lambda row: {"width": row["image"].width})
undecoded = table.cast_column("image", datasets.Image(decode=False)).map(lambda row: {"size": len(row["image"]["bytes"])})
changed = np.abs(pixels(looked_at) - pixels(table))
print(f"stored before:                        {len(stored(table))} bytes")
print(f"after a map that reads the label:     {len(stored(untouched))} bytes")
print(f"after a map that reads the image:     {len(stored(looked_at))} bytes, a pixel changed by {changed.max()}, mean {changed.mean():.1f} of 255")
print(f"after the same with decode=False:     {len(stored(undecoded))} bytes")

assert stored(untouched) == encoded.getvalue(), "a map of another column changed the image, too"
assert stored(undecoded) == encoded.getvalue(), "decode=False no longer keeps the bytes"
assert changed.max() > 20, "reading the image in a map no longer changes it"
print("as described")
PYTHON
