"""Calls of `shirg ask`, and what they say."""

import json
from importlib.metadata import EntryPoint

from shirg_core.cli.app import main
from shirg_lavida.checkpoint import embedded

REPRODUCIBLE = {"schema", "model", "seed", "confidence", "versions", "image_sha256", "sampling", "device", "dtype"}
PROMISED = {"answer", "method", "budget", "prefix_tokens", "visual_tokens", "nfe", "kv_bytes", "timings_ms"}


def shirg(*argv):
    return main([str(part) for part in argv])


def asked(page, model, *options):
    """The JSON of a call that works, with eight new tokens."""
    out = page.parent / "out.json"
    argv = ("ask", page, "What is the total?", "--model", model, "--max-new-tokens", 8, "--json", out)
    assert shirg(*argv, *options) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def refused(capsys, *argv):
    """The one line that a bad call prints."""
    assert shirg("ask", *argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("shirg: error: ")
    assert output.err.count("\n") == 1
    return output.err


def embed(monkeypatch, value):
    entry = EntryPoint("micro-joint", value, embedded.MODELS)
    asked_for = {"name": "micro-joint", "group": embedded.MODELS}
    monkeypatch.setattr(embedded, "entry_points", lambda **asked: [entry] * (asked == asked_for))
