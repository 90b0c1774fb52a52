"""What the drawings of chapter 3 show is what torch and the library compute."""

import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minitx import functional
from minitx.cache import KVCache
from minitx.measure import heads
from minitx.multihead import MultiHeadAttention
from minitx.viz import drawings
from minitx.viz.drawings import (
    cross,
    head_flow,
    head_work,
    looks,
    out_projection,
    roles,
    shared_heads,
    splitting,
)
from tests.core.drawn import has_in_order, texts


def cells(parts):
    """Rows and columns of the cells among the parts."""
    boxes = [box for box in parts if not isinstance(box, str)]
    return len({box.y for box in boxes}), len({box.x for box in boxes})


def test_one_head_mixes_what_two_keep_apart():
    """The scores are so far apart that torch's numbers round to what is drawn."""
    shown = texts(drawings.two_looks())
    k, v = torch.from_numpy(looks.KEYS), torch.from_numpy(looks.VALUES)
    for queries in (looks.ONE, looks.TWO):
        weights = (torch.from_numpy(queries) @ k.T).softmax(dim=-1)
        for row, mixture in zip(weights.tolist(), (weights @ v).tolist(), strict=True):
            assert has_in_order(shown, [f"{round(n, 2):g}" for n in [*row, *mixture]])
    one, two = (looks.look(queries)[1].round(2).tolist() for queries in (looks.ONE, looks.TWO))
    cat, food = (looks.VALUES[looks.WORDS.index(word)].tolist() for word in ("cat", "food"))
    assert one == [[(a + b) / 2 for a, b in zip(cat, food, strict=True)]]
    assert two == [cat, food]


def test_the_cut_is_the_library_s():
    T, H, D = splitting.T, splitting.H, splitting.D
    attention = MultiHeadAttention(H * D, H)
    seen = []
    attention.core.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(1, T, H * D)
    attention(x)
    q = attention.q_proj(x)
    assert torch.equal(seen[0], q.view(1, T, H, D).transpose(1, 2))
    shown = texts(drawings.split_heads())
    code = [words for words in shown if words.startswith(".")]
    assert code == [".view(B, T, H, D)", ".transpose(1, 2)"]
    assert {f"C = H · D = {q.size(2)}", f"H = {seen[0].size(1)}", f"D = {seen[0].size(3)}"} <= {
        *shown
    }
    assert shown.count(f"T = {seen[0].size(2)}") == 2
    assert drawings.split_heads().svg().count('rx="0"') == 2 * seen[0].numel()


def test_the_reshapes_are_those_of_torch():
    names, right, wrong = splitting.two_ways()
    H = splitting.HEADS
    T, C = names.shape
    order = torch.arange(T * C).view(1, T, C)  # B = 1
    flat = names.reshape(-1)
    cut = order.view(1, T, H, C // H).transpose(1, 2)
    assert flat[cut.numpy()].tolist() == [right.tolist()]
    assert flat[order.view(1, H, T, C // H).numpy()].tolist() == [wrong.tolist()]
    shown = [words for words in texts(drawings.wrong_reshape()) if re.fullmatch(r"[A-D]\d", words)]
    tables = [*names[None], *right, *wrong]
    assert shown == [name for table in tables for name in table.reshape(-1).tolist()]
    for head, verdict in ((right[0], "✓ each head sees all tokens"), (wrong[0], "✗ head 1 sees")):
        tokens = sorted({name[0] for name in head.reshape(-1)})
        said = " and ".join(tokens) if len(tokens) < T else "all tokens"
        (line,) = [words for words in texts(drawings.wrong_reshape()) if words.startswith(verdict)]
        assert said in line


def test_the_flow_has_the_library_s_shapes():
    T, H, D = head_flow.T, head_flow.H, head_flow.D
    sizes = {"T": T, "H": H, "D": D, "C": H * D}
    attention = MultiHeadAttention(sizes["C"], H)
    shapes = {}
    for name in ("q_proj", "core", "out_proj"):
        getattr(attention, name).register_forward_hook(
            lambda _, inputs, output, name=name: shapes.update({name: (inputs[0], output)})
        )
    x = torch.randn(1, T, sizes["C"])
    y = attention(x)
    q, result = shapes["core"]
    weights = functional.attention_scores(q, q)
    order = [x, *[shapes["q_proj"][1]] * 3, q, weights, result, shapes["out_proj"][0], y]
    drawn = [re.search(r"\((.*)\)", words)[1] for words in texts(drawings.multi_head())
             if "(" in words]  # fmt: skip
    drawn = sorted(tuple(sizes[letter] for letter in shape.split(", ")) for shape in drawn)
    assert drawn == sorted(tuple(tensor.shape[1:]) for tensor in order)
    assert cells(head_flow._table(100, 0, "", "q")) == (T, sizes["C"])


def test_the_output_projection_is_a_sum_over_heads():
    H, D = out_projection.HEADS.shape
    W_O = torch.from_numpy(out_projection.W_O)
    project = nn.Linear(H * D, W_O.size(1), bias=False, dtype=torch.float64)
    heads = torch.from_numpy(out_projection.HEADS)
    with torch.no_grad():
        project.weight.copy_(W_O.T)
        terms = []
        for head in range(H):
            alone = torch.zeros_like(heads)
            alone[head] = heads[head]
            terms.append(project(alone.flatten()))
        whole = project(heads.flatten())
    shown = texts(drawings.concatenate_and_mix())
    for numbers in (*terms, whole):
        assert has_in_order(shown, [f"{n:.0f}" for n in numbers.tolist()])
    assert f"the output is {', '.join(f'{n:.0f}' for n in whole.tolist())}" in (
        drawings.concatenate_and_mix().alt
    )


@pytest.mark.parametrize("heads", [1, head_work.H])
def test_the_products_are_counted_by_torch(heads):
    T, C = head_work.T, head_work.H * head_work.D
    q = torch.zeros(1, heads, T, C // heads)
    with FlopCounterMode(display=False) as counter:
        scores = q @ q.transpose(-2, -1)
    shown = texts(drawings.one_wide_head())
    products = counter.get_total_flops() // 2  # a product and its addition are two operations
    left, right = (words for words in shown if words.endswith(f"= {products}"))
    line = left if heads == 1 else right
    factors = [int(factor) for factor in line.split(" = ")[0].split(" · ")]
    assert factors == [heads, T, T, C // heads][heads == 1 :]
    assert f"adds up {q.size(-1)}" in shown
    assert f"{scores.size(1)} table{'s' * (heads > 1)}" in shown


@pytest.mark.parametrize("name", shared_heads.GROUPS)
def test_what_is_kept_is_what_a_cache_holds(name):
    H, D, H_kv = shared_heads.H, shared_heads.D, shared_heads.GROUPS[name]
    attention, cache = MultiHeadAttention(H * D, H, num_kv_heads=H_kv), KVCache()
    attention(torch.zeros(1, 1, H * D), cache=cache)
    k, v, _ = cache.append(*torch.zeros(2, 1, H_kv, 0, D), torch.zeros(1, 0, dtype=torch.long))
    shown = texts(drawings.grouped_heads())
    number = next(words for words in shown[shown.index(name) :] if "numbers" in words)
    assert number == f"{k.numel() + v.numel():,} numbers"
    assert cells(shared_heads._shared(0, H_kv))[1] == H + (H_kv if H_kv < H else 0)


def test_the_latent_is_as_large_as_the_paper_says():
    """Its table 1: 2·n_h·d_h numbers a layer, and (d_c + d_h^R), which is 4.5·d_h there."""
    every, few = shared_heads.kept_numbers()
    assert few == 4.5 * shared_heads.DEEPSEEK_V2["width"]
    shown = texts(drawings.latent_cache())
    assert {f"{every:,} numbers", f"{few:,} numbers", f"{every / few:.0f} times less"} <= {*shown}
    (bar,) = re.findall(
        r'width="([\d.]+)" height="30"[^>]*fill-opacity="0.9"', drawings.latent_cache().svg()
    )
    assert float(bar) / 412 == pytest.approx(few / every, abs=1e-3)  # two digits are written


@pytest.mark.parametrize("memory", [None, cross.READ])
def test_the_same_module_makes_both_tables(memory):
    attention = MultiHeadAttention(8, 1)
    x = torch.zeros(1, len(cross.WRITTEN), 8)
    seen = []
    attention.core.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[:2]))
    y = attention(x, None if memory is None else torch.zeros(1, len(memory), 8))
    table = functional.attention_scores(*seen[0])[0, 0]
    parts = cross._panel(0, "", memory)
    drawn = [box for box in parts if not isinstance(box, str) and box.role == "score"]
    assert cells(drawn) == tuple(table.shape)
    assert cells([box for box in parts if not isinstance(box, str) and box.height == 13])[0] == (
        y.size(1)
    )
    shown = texts(drawings.cross_attention())
    assert f"{table.size(1)} keys" in shown and f"{table.size(0)} queries" in shown


def test_roles_are_what_the_chapter_measures_heads_by():
    tables = roles.patterns()
    assert all((table.sum(axis=1) == 1).all() for table in tables.values())
    dots = texts(drawings.head_roles()).count("●")
    assert dots == sum(int((table > 0).sum()) for table in tables.values())
    weights = torch.stack([torch.from_numpy(table) for table in tables.values()])
    measured = heads.places(weights)
    measured = {**measured, "same": heads.same_token(weights, [*roles.WORDS], [*roles.WORDS])}
    for head, name in enumerate(("previous", "itself", "first", "same")):
        assert measured[name][head] == 1
        others = [float(share) for i, share in enumerate(measured[name]) if i != head]
        assert name == "same" or max(others) < 1  # a token is also the same as itself
