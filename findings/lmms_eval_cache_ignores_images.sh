#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: --use_cache answers from its store only what was asked before: the same model, question and image.
# Happens:  the key holds the task, the document's number, the prompt's text, options and the model's arguments, and nothing of the image. After pages were scanned again, re-rendered
#           or cut at another size, every question whose wording and number stayed gets the answer to the old image, and the model is not called.
# Hurts:    comparisons of resolution, cropping or rendering, and any corrected dataset: the second score equals the first to the last digit, so "no difference" is what one finds.
# Instead:  a cache folder of its own for every version of the images, or no --use_cache.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/cache.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.api.instance import Instance
from lmms_eval.caching.response_cache import ResponseCache
from PIL import Image


class ReadsColour:
    """A model that looks at its image."""

    def __init__(self):
        self.calls = 0

    def generate_until(self, requests):
        self.calls += len(requests)
        return [str(request.args[2]().getpixel((0, 0))) for request in requests]


def answer(question, colour):
    Image.new("RGB", (8, 8), colour).save("page.png")
    request = Instance(
        request_type="generate_until",
        arguments=(question, {"max_new_tokens": 16}, lambda: Image.open("page.png"), 0, "pages", "test"),
        idx=0,
        metadata={"task": "pages", "doc_id": 0, "repeats": 1},
    )
    model, store = ReadsColour(), ResponseCache.create("cache", model="reader", model_args="pretrained=weights")
    found = store.execute(model, "generate_until", [request])[0]
    store.finalize(success=True)
    print(f"{question!r} of a page that is {colour}: {found}, {model.calls} call(s) of the model")
    return found, model.calls


print(f"lmms-eval {version('lmms-eval')}")
first = answer("Which colour?", "red")
second = answer("Which colour?", "blue")
other = answer("Which colour is it?", "blue")
assert first == ("(255, 0, 0)", 1) and other == ("(0, 0, 255)", 1), "a first question is not asked, or answered otherwise"
assert second == ("(255, 0, 0)", 0), "the image is part of the key now"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/cache.py" 2>/dev/null
