#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: SlideVQA shows a deck to the model as a few pictures of up to 2 × 2 slides, each slide whole and by itself.
# Happens:  the picture is as large as its first slide says, and every slide is placed by its own size. Where slides differ in size, a wider or higher one loses
#           what lies beyond the picture's edge, and a smaller one is drawn over its neighbour; which slide suffers depends on which of them comes first.
# Hurts:    decks that mix landscape and portrait, or scans of different resolution: the words that a question asks for never reach the model, and no method of
#           choosing tokens can keep them. The picture has the right size and nothing is logged.
# Instead:  hand over slides one by one (doc_to_visual of a task of your own), or bring all of a deck to one size first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/deck.py" <<'PYTHON'
from importlib.metadata import version

from PIL import Image

from lmms_eval.tasks.slidevqa.utils import slidevqa_doc_to_visual

SIZES = {"red": (400, 300), "green": (300, 400), "blue": (400, 300), "yellow": (300, 400)}
print(f"lmms-eval {version('lmms-eval')}, slides {SIZES}")


def share_shown(order):
    # Five of the same pages each, so that one picture holds four slides.
    deck = {f"page_{i + 1}": Image.new("RGB", SIZES[name], name) for i, name in enumerate(order * 5)}
    first = slidevqa_doc_to_visual(deck)[0]
    colours = {colour: count for count, colour in first.getcolors()}
    names = {name: Image.new("RGB", (1, 1), name).getpixel((0, 0)) for name in order}
    return first.size, {name: round(colours.get(names[name], 0) / (SIZES[name][0] * SIZES[name][1]), 2) for name in order}


alike = {name: (400, 300) for name in SIZES}
mixed = dict(SIZES)
for title, sizes in (("slides of one size", alike), ("landscape and portrait mixed", mixed)):
    SIZES.clear()
    SIZES.update(sizes)
    size, shown = share_shown(list(sizes))
    print(f"{title}: picture {size}, share of each slide that is in it: {shown}")
    if title == "slides of one size":
        assert set(shown.values()) == {1.0}, "slides of one size are not whole either"
    else:
        assert min(shown.values()) < 0.8, "every slide is whole now"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/deck.py" 2>/dev/null
