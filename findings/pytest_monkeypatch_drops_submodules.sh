#!/usr/bin/env bash
# pytest 9.2.0, torch 2.15.0
#
# Expected: `monkeypatch.setattr(model, "head", torch.nn.Identity())` puts the model's own `head` back when the test ends, as in pytest 9.1.
# Happens:  the model has no `head` afterwards, neither the stand-in nor its own, and its weights are gone from `state_dict()`. pytest restores what stands in the
#           object's `__dict__`; a module's submodules and parameters do not stand there, so it takes them for inherited and deletes them.
# Hurts:    tests that share a model (a fixture of module or session scope): the patched test passes, and a later one fails with an AttributeError, or saves or
#           compares a model that lacks a layer. Which one it is depends on the order.
# Instead:  patch what is in the class: `monkeypatch.setattr(model.head, "forward", lambda x: x)`; or give the test a model of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "pytest==9.2.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/test_shared.py" <<'PYTHON'
import pytest
import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.fixture(scope="module")
def model():
    return Model()


def test_states_of_the_body(model, monkeypatch):
    monkeypatch.setattr(model, "head", torch.nn.Identity())
    assert model(torch.zeros(1, 4)).shape == (1, 4)


def test_the_whole_model(model):
    print("in the next test:", sorted(model.state_dict()))
    assert model(torch.zeros(1, 4)).shape == (1, 2)
PYTHON
"$folder/venv/bin/python" -c 'import pytest, torch; print(f"pytest {pytest.__version__}, torch {torch.__version__.partition(chr(43))[0]}")'
"$folder/venv/bin/pytest" -q -p no:cacheprovider test_shared.py > out.txt 2>&1 && { cat out.txt; echo "the submodule is put back now"; exit 1; }
grep -E "^in the next test|^E .*AttributeError: |passed|failed" out.txt
grep -q "in the next test: \['body.bias', 'body.weight'\]" out.txt || { echo "the weights are still there"; exit 1; }
grep -q "object has no attribute 'head'" out.txt || { echo "it fails otherwise"; exit 1; }
grep -q "1 failed, 1 passed" out.txt || { echo "other tests fail"; exit 1; }
echo "as described"
