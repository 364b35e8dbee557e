"""Small training sets on disk, for the tests of `shirg_train.data`."""

import io
import json

from PIL import Image

from shirg_train.data.chat import Encode
from shirg_train.testbed.pages.tokenizer import build_tokenizer

encode = Encode(build_tokenizer())


def decode(ids):
    return encode.tokenizer.decode([i for i in ids.tolist() if i >= 0], skip_special_tokens=False)


def png(width, height, shade=0):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 10, 20)).save(out, "PNG")
    return out.getvalue()


def turns(answer, question="Say it.\n<image>"):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def write_llava(folder, n, broken=()):
    """`n` entries in LCS-558K's layout; images of different sizes; entry `i` answers `i`."""
    entries = []
    for i in range(n):
        name = f"{i % 3:05d}/{i:09d}.jpg"
        file = folder / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        data = png(20 + i, 30, i)
        file.write_bytes(data[:40] if i in broken else data)
        entries.append({"id": f"{i:09d}", "image": name, "conversations": turns(str(i))})
    path = folder / "blip_laion_cc_sbu_558k.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path
