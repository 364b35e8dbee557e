#!/usr/bin/env bash
# timm 1.0.22 and transformers 5.23.0, with torch 2.15.0
#
# Expected: the same DINOv2 weights see an image in the same way in both libraries, at every size.
# Happens:  only at the native 518 px. timm resamples the position embeddings with antialiasing, transformers without, and torch's bicubic kernel is another one with
#           antialiasing (a = -0.5 instead of -0.75), so that they differ when enlarged, too. DINOv2 with registers is the same in both.
# Hurts:    features, and whatever is chosen or trained on them, change with the library; at 224 px, the usual size, the position embeddings differ by about 9 %.
# Instead:  keep to one library for training and inference, or to the native size; say which one made the features.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "torch==2.15.0" "timm==1.0.22" "transformers==5.23.0"
cat > "$folder/positions.py" <<'PYTHON'
import timm
import torch
import torch.nn.functional as F
import transformers
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

print(f"timm {timm.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
torch.manual_seed(0)
smooth = F.interpolate(torch.randn(1, 384, 8, 8), size=(37, 37), mode="bicubic")  # as trained positions are, neighbours resemble each other
patches = (smooth + 0.1 * torch.randn(1, 384, 37, 37)).flatten(2).transpose(1, 2)
first = torch.zeros(1, 1, 384)
shape = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}
pairs = {
    "DINOv2": (Dinov2Model(Dinov2Config(**shape)), "vit_small_patch14_dinov2"),
    "DINOv2 with registers": (Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**shape)), "vit_small_patch14_reg4_dinov2"),
}
differences = {}
for name, (theirs, timm_name) in pairs.items():
    other = timm.create_model(timm_name, pretrained=False, dynamic_img_size=True, depth=1)
    with torch.no_grad():
        theirs.embeddings.position_embeddings.copy_(torch.cat([first, patches], dim=1))
        other.pos_embed.copy_(patches if other.pos_embed.shape[1] == 37 * 37 else torch.cat([first, patches], dim=1))
        for size in (224, 336, 518, 672):
            side = size // 14
            empty = torch.zeros(1, 1 + side * side, 384)
            one = theirs.embeddings.interpolate_pos_encoding(empty, size, size)[:, 1:]
            two = other._pos_embed(torch.zeros(1, side, side, 384))[:, -side * side :]
            differences[name, size] = float((one - two).norm() / one.norm())
            print(f"{name}, {size} px: position embeddings differ by {differences[name, size]:.1%}")
assert differences["DINOv2", 518] < 1e-6, "the native size differs, too"
assert differences["DINOv2", 224] > 0.05 and differences["DINOv2", 672] > 0.01, "both resample alike now"
assert all(differences["DINOv2 with registers", size] < 1e-5 for size in (224, 336, 518, 672)), "registers differ now"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/positions.py" 2>/dev/null
