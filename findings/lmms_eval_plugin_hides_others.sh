#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: a model plugin (an entry point in the group `lmms_eval.models`) that cannot be imported costs its own model, or ends the run.
# Happens:  the first one that raises ends the reading of all. Plugins before it are there, those after it are not, and nobody is told which:
#           one warning has the text of the exception, without the name of the plugin that raised or of those that were skipped.
# Hurts:    installing or upgrading an unrelated package with such an entry point makes one's own model "not found". Which models survive depends on the order of
#           `sys.path` and of the folder's entries, so it differs between two machines with the same packages.
# Instead:  register the manifest oneself, `MODEL_REGISTRY_V2.register_manifest(...)`, and call lmms-eval from Python.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
# Reading plugins needs none of the other dependencies.
uv pip install --quiet --python "$folder/venv/bin/python" --no-deps "lmms-eval==0.7.3" "loguru==0.7.3"
cat > "$folder/list.py" <<'PYTHON'
import sys
from importlib.metadata import entry_points, version

from lmms_eval.models import MODEL_REGISTRY_V2

plugins = {point.name for point in entry_points(group="lmms_eval.models")}
known = plugins & set(MODEL_REGISTRY_V2.list_model_names())
print(f"lmms-eval {version('lmms-eval')}: installed plugins {sorted(plugins)}, models found {sorted(known)}")
assert sorted(known) == sys.argv[1:], f"expected {sys.argv[1:]}"
PYTHON
for name in first broken last; do
    mkdir -p "$folder/$name/$name-1.0.dist-info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' "$name" > "$folder/$name/$name-1.0.dist-info/METADATA"
    printf '[lmms_eval.models]\n%s = %s_plugin:manifest\n' "$name" "$name" > "$folder/$name/$name-1.0.dist-info/entry_points.txt"
    cat > "$folder/$name/${name}_plugin.py" <<PYTHON
from lmms_eval.models.registry_v2 import ModelManifest

manifest = ModelManifest(model_id="$name", simple_class_path="${name}_plugin.Model")
PYTHON
done
PYTHONPATH="$folder/first:$folder/last" "$folder/venv/bin/python" "$folder/list.py" first last
echo 'raise ImportError("needs a newer release of something")' > "$folder/broken/broken_plugin.py"
PYTHONPATH="$folder/first:$folder/broken:$folder/last" "$folder/venv/bin/python" "$folder/list.py" first
echo "as described"
