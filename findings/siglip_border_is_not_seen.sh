#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: SigLIP with 384-pixel images and 14-pixel patches, the geometry of siglip-so400m-patch14-384
#
# Expected: a vision tower made for 384x384 sees all of it, or refuses a size that is no multiple of its patch.
# Happens:  384 is 27 patches and 6 pixels. The last 6 rows and columns reach nothing: any other content there gives the same features, bit for bit.
#           `interpolate_pos_encoding=True` drops up to 13 pixels of any other size in the same way.
# Hurts:    LLaVA-OneVision's and LaViDa's tower is this one. With any-resolution tiles the blind strip is inside the page, at every seam: a stroke
#           or a column of digits that falls there is lost, and no token can be blamed for it. Pixel positions computed as 384 / 27 are off by 1.6 %, too.
# Instead:  place patches at multiples of 14, not 384 / 27, and let tiles overlap, or resize to 378, where a page's seams matter.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import SiglipVisionConfig, SiglipVisionModel

torch.manual_seed(0)
tower = SiglipVisionModel(
    SiglipVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=384, patch_size=14)
).eval()


@torch.no_grad()
def change(size, blank, **options):
    """How much any feature changes when the last `blank` rows and columns of an image are inverted."""
    image = torch.rand(1, 3, size, size) * 2 - 1
    inverted = image.clone()
    inverted[..., size - blank :, :] *= -1
    inverted[..., : size - blank, size - blank :] *= -1
    features, others = (tower(pixel_values=pixels, **options).last_hidden_state for pixels in (image, inverted))
    return features.shape[1], float((features - others).abs().max())


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
for size, blank, options in ((384, 6, {}), (384, 7, {}), (405, 13, {"interpolate_pos_encoding": True}), (405, 14, {"interpolate_pos_encoding": True})):
    tokens, difference = change(size, blank, **options)
    print(f"{size} px, {tokens} tokens, last {blank} rows and columns inverted: features change by {difference:.3g}")
    assert (difference == 0) == (blank in (6, 13)), "the blind border is another one now"
print("as described")
PYTHON
