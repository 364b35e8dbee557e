#!/usr/bin/env bash
# safetensors 0.8.0 (0.7.0 is right), numpy arrays
#
# Expected: `safetensors.numpy.save` stores what the array holds, or refuses, as `safetensors.torch` does with a tensor that is not contiguous.
# Happens:  a transposed, strided or Fortran-ordered array is stored as its raw memory under its logical shape: other values in each place. No error, no warning.
# Hurts:    arrays from `x.T`, `np.moveaxis` (channels first to last) or scikit-learn's PCA and whitening are of this kind. The file loads; the numbers are shuffled.
#           0.7.0 stored them right, so an upgrade of one package changes saved features. Reported to its authors as issue 825.
# Instead:  wrap every array in `np.ascontiguousarray` before saving.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
cat > "$folder/try.py" <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, save

grid = np.arange(12, dtype=np.float32).reshape(3, 4)
picture = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
arrays = {
    "transposed": grid.T,
    "Fortran order": np.asfortranarray(grid),
    "every second column": grid[:, ::2],
    "channels last": np.moveaxis(picture, 0, -1),
}
print(f"safetensors {safetensors.__version__}, numpy {np.__version__}")
survived = {}
for name, array in arrays.items():
    back = load(save({"x": array}))["x"]
    survived[name] = bool(np.array_equal(back, array))
    print(f"  {name:20} {array.shape}: {'the same' if survived[name] else 'other values'}")
    assert np.array_equal(load(save({"x": np.ascontiguousarray(array)}))["x"], array)
print(f"  grid.T is {grid.T.tolist()}\n  read back {load(save({'x': grid.T}))['x'].tolist()}")
expected = sys.argv[1] == "right"
assert all(same == expected for same in survived.values()), f"expected every array to come back {sys.argv[1]}: {survived}"
PYTHON
for release in "0.7.0 right" "0.8.0 wrong"; do
    read -r version outcome <<< "$release"
    uv venv --quiet "$folder/venv-$version"
    uv pip install --quiet --python "$folder/venv-$version/bin/python" "safetensors==$version" "numpy==2.4.6"
    "$folder/venv-$version/bin/python" "$folder/try.py" "$outcome"
done
echo "as described"
