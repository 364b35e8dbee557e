#!/usr/bin/env bash
# torch 2.15.0, on a CPU
#
# Expected: `divmod(x.shape[0], 4)` inside `torch.compile` is `x.shape[0] // 4` and `x.shape[0] % 4`: with sizes fixed it is.
# Happens:  once the size is a symbol, from the second size that is met on, tracing ends with a TypeError for "divmod(): 'int' and 'int'", while // and % of the same size work.
# Hurts:    a function that compiles with `fullgraph=True` for its first image fails at an image of another size; tests with one size pass. The message speaks of two ints, for which
#           divmod is defined.
# Instead:  // and %.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "torch==2.15.0" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null
import torch

print(f"torch {torch.__version__}")


def by_divmod(x):
    whole, rest = divmod(x.shape[0], 4)
    return x.sum() * whole + rest


def by_operators(x):
    whole, rest = x.shape[0] // 4, x.shape[0] % 4
    return x.sum() * whole + rest


found = {}
for function in (by_divmod, by_operators):
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    for n in (9, 10, 11):
        try:
            found[function.__name__, n] = compiled(torch.ones(n)).item()
        except Exception as error:
            found[function.__name__, n] = type(error).__name__
            assert "divmod(): 'int' and 'int'" in str(error), error
        print(f"{function.__name__}, {n} rows: {found[function.__name__, n]}")
assert [found["by_operators", n] for n in (9, 10, 11)] == [19, 22, 25]
assert [found["by_divmod", n] for n in (9, 10, 11)] == [19, "Unsupported", "Unsupported"], "divmod of a symbol is another one now"
print("as described")
PYTHON
