"""The cache of keys and values."""

import re

import pytest
import torch

from minitx.cache import KVCache

B, H, D_k, D_v = 2, 3, 5, 7


def entries(T, *, start=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(start)
    k = torch.randn(B, H, T, D_k, generator=random).to(dtype)
    v = torch.randn(B, H, T, D_v, generator=random).to(dtype)
    return k, v, torch.arange(start, start + T)[None]


def filled(*lengths):
    cache, start = KVCache(), 0
    for T in lengths:
        cache.append(*entries(T, start=start))
        start += T
    return cache


@pytest.mark.parametrize("lengths", [(7,), (1,) * 13, (5, 1, 1, 3, 1)])
def test_it_holds_what_was_appended_in_order(lengths):
    cache, start, every = KVCache(), 0, []
    for T in lengths:
        every.append(entries(T, start=start))
        start += T
        got = cache.append(*every[-1])
        assert len(cache) == start
        for kept, parts, dim in zip(got, zip(*every, strict=True), (2, 2, 1), strict=True):
            assert torch.equal(kept, torch.cat(parts, dim=dim).expand_as(kept))
    assert cache.entries()[2].shape == (B, start)


def test_every_sequence_has_its_own_positions():
    cache, positions = KVCache(), torch.tensor([[0, 0, 1], [0, 1, 2]])
    k, v, _ = entries(3)
    cache.append(k, v, positions)
    assert torch.equal(cache.entries()[2], positions)


def test_the_callers_tensors_are_never_written_to():
    k, v, positions = entries(5)
    before = k.clone(), v.clone(), positions.clone()
    cache = KVCache()
    cache.append(k, v, positions)
    cache.crop(2)
    cache.append(*entries(3, start=11))
    for now, then in zip((k, v, positions), before, strict=True):
        assert torch.equal(now, then)
    assert cache.entries()[2].tolist() == [[0, 1, 11, 12, 13]] * B


def test_appending_copies_a_number_of_times_that_grows_with_the_logarithm():
    cache, storages = KVCache(), set()
    for t in range(257):
        k, _, _ = cache.append(*entries(1, start=t))
        storages.add(k.untyped_storage().data_ptr())
    assert len(storages) <= 11


def test_reorder_keeps_rows_in_the_order_asked_for():
    cache = filled(3, 2)
    k, v, positions = (t.clone() for t in cache.entries())
    rows = torch.tensor([1, 1, 0])
    cache.reorder(rows)
    for got, want in zip(cache.entries(), (k[rows], v[rows], positions[rows]), strict=True):
        assert torch.equal(got, want)


def test_crop_forgets_the_end():
    cache = filled(3, 4)
    k, _, _ = (t.clone() for t in cache.entries())
    cache.crop(2)
    assert len(cache) == 2 and torch.equal(cache.entries()[0], k[:, :, :2])
    cache.crop(0)
    assert len(cache) == 0


def test_with_gradients_nothing_is_written_in_place():
    cache = KVCache()
    leaves = [entries(1, start=t)[0].requires_grad_() for t in range(5)]
    total = torch.zeros(())
    for t, k in enumerate(leaves):
        kept, _, _ = cache.append(k, *entries(1, start=t)[1:])
        total = total + kept.square().sum()  # leaf t is summed 5 - t times
    for t, gradient in enumerate(torch.autograd.grad(total, leaves)):
        torch.testing.assert_close(gradient, 2 * (5 - t) * leaves[t])


def test_what_does_not_belong_together_is_refused(as_users_run):
    cache = filled(3)
    k, v, positions = entries(1)
    shape = f"(B={B}, H={H}, T, D="
    cases = [
        ((k[:1], v[:1], positions), "k", D_k, "(1, 3, 1, 5) in torch.float32"),
        ((k[:, :2], v[:, :2], positions), "k", D_k, "(2, 2, 1, 5) in torch.float32"),
        ((k[..., 1:], v, positions), "k", D_k, "(2, 3, 1, 4) in torch.float32"),
        ((k.double(), v, positions), "k", D_k, "(2, 3, 1, 5) in torch.float64"),
        ((k, v.bfloat16(), positions), "v", D_v, "(2, 3, 1, 7) in torch.bfloat16"),
    ]
    for arguments, name, D, got in cases:
        text = f"the cache holds {name} of shape {shape}{D}) in torch.float32, got {got}"
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            cache.append(*arguments)
    assert len(cache) == 3


@pytest.mark.parametrize("cache", [KVCache, lambda: filled(3)], ids=["empty", "filled"])
@pytest.mark.parametrize(
    ("v", "positions"),
    [
        ((B, H, 2, D_v), (1, 3)),  # a key without a value
        ((B, H, 4, D_v), (1, 3)),  # a value without a key
        ((1, H, 3, D_v), (1, 3)),
        ((B, 1, 3, D_v), (1, 3)),
        ((B, H, 3, D_v), (1, 2)),
        ((B, H, 3, D_v), (1, 1)),
        ((B, H, 3, D_v), (B + 1, 3)),
    ],
)
def test_keys_values_and_positions_belong_together(cache, v, positions, as_users_run):
    cache = cache()
    before = len(cache)
    text = (
        f"keys of shape (B={B}, H={H}, T=3, D_k) need values (B, H, T, D_v) and positions "
        f"(B or 1, T), got {v} and {positions}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        cache.append(entries(3)[0], torch.zeros(v), torch.zeros(positions, dtype=torch.long))
    assert len(cache) == before


def test_an_empty_cache_says_so():
    for ask in (KVCache().entries, lambda: KVCache().reorder(torch.tensor([0]))):
        with pytest.raises(ValueError, match=r"^the cache is empty: append keys and values first$"):
            ask()


@pytest.mark.parametrize("length", [-1, 4])
def test_crop_refuses_what_it_does_not_hold(length):
    with pytest.raises(ValueError, match=rf"^length must lie between 0 and 3, got {length}$"):
        filled(3).crop(length)
