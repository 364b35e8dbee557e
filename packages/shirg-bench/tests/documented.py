"""What docs/json.md says of the JSON that commands write, and whether a document is so."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
    "null": type(None),
}  # fmt: skip


def documented():
    """Schema → field → its type in words."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        fields = dict(re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \|", body, flags=re.MULTILINE))
        found |= dict.fromkeys(re.findall(r"`(shirg\.\w+/\d+)`", heading), fields)
    return found


FIELDS = documented()


def check_documented(document):
    """Every field is documented, with its type, and every documented one is there unless it is optional."""
    _check(document, "", FIELDS[document.get("schema") or f"shirg.{document['kind']}/1"])


def _check(value, prefix, fields):
    own = {path.removeprefix(prefix): words for path, words in fields.items() if path.startswith(prefix)}
    own = {name: words for name, words in own.items() if not re.search(r"[.\[]", name)}
    assert not value.keys() - own.keys(), f"{prefix}: not documented"
    assert not {name for name, words in own.items() if "optional" not in words} - value.keys(), f"{prefix}: not there"
    for name, item in value.items():
        words = [word for word in re.split(r", | or ", own[name]) if word != "optional"]
        fits = any(isinstance(item, TYPES[word]) and isinstance(item, bool) <= (word == "boolean") for word in words)
        assert fits, f"{prefix}{name} is documented as {own[name]}, got {item!r}"
        if item is not None and any(path.startswith(f"{prefix}{name}.") for path in fields):
            _check(item, f"{prefix}{name}.", fields)
        if any(path.startswith(f"{prefix}{name}[].") for path in fields):
            for each in item:
                _check(each, f"{prefix}{name}[].", fields)
