"""Typical mistakes, put into the kernels' source one at a time: each must be noticed."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from minitx.kernels import calls, tiles

from .test_flash import F16, F32, assert_right, drawn

pytestmark = pytest.mark.slow

FOLDER = Path(tiles.__file__).parent
FILES = ("tiles", "forward", "backward")


def probes():
    """Small inputs, each of which brings something out that the others hide."""
    q, k, v, d_output = drawn(1, 4, 2, 19, 37, 11, 13, dtype=F32)
    growing = k * torch.linspace(0.2, 2, 37)[:, None]  # the maximum moves in every block
    yield "grouped, ragged", (q, growing, v, d_output), {}
    yield "causal", (q, k, v, d_output), {"causal": True}
    x = drawn(2, 1, 1, 37, 29, 13, 11, seed=1)
    yield "a window", x, {"window": 3}
    yield "lengths", x, {"key_lengths": torch.tensor([29, 5]), "causal": True}
    q, k, v, d_output = drawn(1, 1, 1, 17, 33, 5, 5)
    q[..., -1], k[..., -1] = 1.0, -3e4  # every score is near -30,000
    close = {"rtol": 1e-6, "atol": 1e-6}
    yield "very low scores", (q, k, v, d_output), {"scale": 1.0, "close": close}
    x = drawn(1, 1, 1, 33, 17, 5, 5, dtype=F16)
    yield "half precision", x, {}
    x = drawn(1, 1, 1, 32, 32, 16, 16, layout="BTHD")
    yield "full blocks", x, {"causal": True, "window": 16}


def check():
    for name, tensors, rules in probes():
        try:
            assert_right(*tensors, **rules)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def mutated(folder, wrong):
    """The kernels' modules, loaded from a copy of their text with something replaced."""
    texts = {name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in FILES}
    for name, before, after in wrong:
        assert before in texts[name], f"{name}.py has no {before!r} any more"
        texts[name] = texts[name].replace(before, after)
    modules = {}
    for name, text in texts.items():
        path = folder / f"mutant_{name}.py"
        text = text.replace("from minitx.kernels.tiles import", "from mutant_tiles import")
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        modules[name] = module
    return modules


FORWARD = {
    "the output is not rescaled": ("O_i = O_i * correction[:, None]", "O_i = O_i"),
    "the sum is not rescaled": ("l_i * correction + tl.sum", "l_i + tl.sum"),
    "exp(m_new - m_old)": ("tl.exp2(m_i - shift)", "tl.exp2(shift - m_i)"),
    "the maximum starts at 0": ('tl.full([B_R], float("-inf")', "tl.full([B_R], 0.0"),
    "the maximum starts at -10000": ('tl.full([B_R], float("-inf")', "tl.full([B_R], -1e4"),
    "a softmax per block, averaged": (
        "O_i = O_i * correction[:, None]",
        "P_ij = P_ij / tl.sum(P_ij, 1)[:, None]",
    ),
    "L = log l": ("(m_i + tl.log2(l_i))", "tl.log2(l_i)"),
    "L = m": ("(m_i + tl.log2(l_i))", "m_i"),
    "keys counted from the block": ("key = j + tl.arange", "key = tl.arange"),
    "no scale": ("tl.cast(scale, accumulator)", "tl.cast(1.0, accumulator)"),
    "the maximum is never used": (
        "m_new = tl.maximum(m_i, tl.max(S_ij, 1) * qk_scale)",
        "m_new = tl.maximum(m_i, 0.0) * 0.0",
    ),
    "-inf - -inf": ('tl.where(m_new == float("-inf"), 0.0, m_new) if MASKED else m_new', "m_new"),
    "exp2 of a natural logarithm": ("* LOG2_E", "* 1.0"),
    "L in base 2": ("* LN_2", "* 1.0"),
    "strides of K for V": (
        "j, length, stride_vh, stride_vt, stride_vd",
        "j, length, stride_kh, stride_kt, stride_kd",
    ),
    "the sum of rounded weights": (
        "tl.sum(P_ij, 1)",
        "tl.sum(P_ij.to(V_j.dtype).to(P_ij.dtype), 1)",
    ),
    "heads grouped in turn": ("h // GROUP, j", "h % (H // GROUP), j"),
    "an empty row is 0 / 0": ("l_i = tl.where(l_i == 0.0, 1.0, l_i)", "l_i = l_i"),
}
BACKWARD = {
    "D left out of dK": ("(dP_ji - D_i[None, :])", "dP_ji"),
    "D left out of dQ": ("(dP_ij - D_i[:, None])", "dP_ij"),
    "D = sum of dO": ("O_i.to(accumulator) * dO_i", "dO_i"),
    "no scale in dK": ("dK_j * scale", "dK_j"),
    "no scale in dQ": ("dQ_i * scale", "dQ_i"),
    "no mask in dK and dV": (
        'tl.where(between(-right, distance, left), S_ji, float("-inf"))',
        "S_ji",
    ),
    "no mask in dQ": ('tl.where(between(first_key, key, last_key), S_ij, float("-inf"))', "S_ij"),
    "dK from dS not transposed": ("dS_ji.to(Q_i.dtype)", "tl.trans(dS_ji).to(Q_i.dtype)"),
    "dV from P not transposed": ("P_ji.to(dO_i.dtype)", "tl.trans(P_ji).to(dO_i.dtype)"),
    "dQ overwritten": ("K_j, dQ_i, input", "K_j, dQ_i * 0.0, input"),
    "dK overwritten": ("Q_i, dK_j, input", "Q_i, dK_j * 0.0, input"),
    "one head of the group": ("h_kv * GROUP + m % GROUP", "h_kv * GROUP"),
    "padded values get a gradient": ("tl.where(is_key, dV_j, 0.0)", "dV_j"),
    "padded keys get a gradient": ("tl.where(is_key, dK_j * scale, 0.0)", "dK_j * scale"),
    "L in base e": ("L_i * LOG2_E", "L_i"),
    "the blocks of the band not turned round": ("last, right, left, T_q", "last, left, right, T_q"),
    "the band not turned round": (
        "between(-right, distance, left)",
        "between(-left, distance, right)",
    ),
    "keys are not counted as queries are": ("key = j - shift +", "key = j +"),
    "an empty row's L stays -inf": ('L_i == float("-inf")', "L_i == 1e30"),
    "the sums of another head": ("sample_of(L, b * H + h, T_q)", "sample_of(L, b * H, T_q)"),
    "one head's blocks only": ("range(GROUP * blocks)", "range(blocks)"),
}
TILES = {
    "padded keys get weight": ("tl.minimum(position + right, length - 1)", "position + right"),
    "queries counted from the block": ("position = first +", "position = T_k - T_q +"),
    "the loop ends with the queries": (
        "left, right, length, B_C)",
        "left, right, tl.minimum(length, T_q), B_C)",
    ),
    "causal is aligned to the top left": ("first = i + T_k - T_q", "first = i + 0"),
    "the first block comes late": ("(first - before, 0)", "(first - before + BLOCK, 0)"),
    "the last block is missing": ("(last + after + 1, 0)", "(last + after + 1 - BLOCK, 0)"),
    "whole blocks begin early": ("(last - before, 0), BLOCK", "(last - before - BLOCK, 0), BLOCK"),
    "whole blocks end late": ("(first + after + 1, 0), T)", "(first + after + BLOCK, 0), T)"),
    "the first is left out": ("x >= first", "x > first"),
    "the last is left out": ("x <= last", "x < last"),
    "the same head of K for all": ("tl.cast(h, tl.int64) * stride_h", "0 * stride_h"),
    "lengths ignored": ("tl.load(lengths + b)", "(tl.load(lengths + b) + T_k)"),
    "the lengths of sample 0": ("tl.load(lengths + b)", "tl.load(lengths)"),
}
MUTANTS = {
    **{name: [("forward", *change)] for name, change in FORWARD.items()},
    **{name: [("backward", *change)] for name, change in BACKWARD.items()},
    **{name: [("tiles", *change)] for name, change in TILES.items()},
}


@pytest.fixture(autouse=True)
def small_tiles(tiles):
    tiles(16, 16)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")
def test_the_kernels_themselves_pass(tmp_path, monkeypatch):
    use(mutated(tmp_path, []), monkeypatch)
    check()


def use(modules, monkeypatch):
    monkeypatch.setattr(calls, "forward", modules["forward"])
    monkeypatch.setattr(calls, "backward", modules["backward"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_noticed(name, tmp_path, monkeypatch):
    use(mutated(tmp_path, MUTANTS[name]), monkeypatch)
    with pytest.raises(AssertionError):
        check()
