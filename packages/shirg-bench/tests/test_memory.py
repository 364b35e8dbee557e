import torch

from shirg_bench.memory import peak_workspace_bytes


def test_one_tensor_counts_its_own_bytes():
    size = 4 * 100_000
    assert size <= peak_workspace_bytes(lambda: torch.ones(100_000)) <= 1.1 * size


def test_freed_memory_is_not_counted_twice():
    def in_turn() -> torch.Tensor:
        total = torch.zeros(())
        for _ in range(10):
            total = total + torch.ones(100_000).sum()
        return total

    assert peak_workspace_bytes(in_turn) < 2 * 4 * 100_000


def test_tensors_held_together_add_up():
    assert peak_workspace_bytes(lambda: [torch.ones(100_000) for _ in range(5)]) >= 5 * 4 * 100_000
