"""The kernels, interpreted, against dense attention in float64: output, log-sum-exp, gradients."""

import doctest
import math
import re
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint
from triton.runtime import errors as triton_errors

import minitx.kernels.attention as operators
from minitx.cores import FlashAttention, FullAttention
from minitx.kernels import calls, flash_attention, launch, tuning
from minitx.kernels.launch import Launch
from minitx.masks import Mask, causal, padding
from minitx.multihead import MultiHeadAttention
from minitx.user_cache import cache_folder

from . import dense

# Scores of -inf and NaN planted in the padding are computed with, in NumPy, and never read.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")

# Roundings in sums of some dozen terms near 1; in half precision P, dS and the results are rounded.
CLOSE = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-12},
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float16: {"rtol": 1e-2, "atol": 5e-3},
    torch.bfloat16: {"rtol": 5e-2, "atol": 5e-2},
}


def drawn(B, H, H_kv, T_q, T_k, D_k, D_v, *, dtype=torch.float64, seed=0, layout="BHTD"):
    """q, k, v and a gradient for the output, in memory in the order of the letters."""
    random = torch.Generator().manual_seed(seed)
    order = ["BHTD".index(letter) for letter in layout]
    tensors = []
    for shape in ((B, H, T_q, D_k), (B, H_kv, T_k, D_k), (B, H_kv, T_k, D_v), (B, H, T_q, D_v)):
        stored = torch.randn([shape[axis] for axis in order], generator=random).to(dtype)
        tensors.append(stored.permute([order.index(axis) for axis in range(4)]))
    return tensors


def log_sums(q, k, v, *, causal=False, window=None, key_lengths=None, scale=None):
    scale = 1 / math.sqrt(q.size(3)) if scale is None else scale
    if q.dtype == torch.float64 or scale <= 0:
        q, scale = q * scale, 1.0
    return operators.flash_forward(q, k, v, key_lengths, causal, window, scale, False)[1]


def assert_right(q, k, v, d_output, *, close=None, **rules):
    """Everything that the kernels compute, against the same by definition."""
    close = close or CLOSE[q.dtype]
    leaves = [x.detach().clone(memory_format=torch.preserve_format) for x in (q, k, v)]
    leaves = [x.requires_grad_() for x in leaves]
    output = flash_attention(*leaves, **rules)
    assert output.dtype == q.dtype
    wanted, log_sum = dense.attention(*leaves, **rules)
    torch.testing.assert_close(output.double(), wanted, **close)
    precise = close if q.dtype == torch.float64 else {"rtol": 1e-6, "atol": 1e-5}
    torch.testing.assert_close(log_sums(q, k, v, **rules).double(), log_sum.detach(), **precise)
    got = torch.autograd.grad(output, leaves, d_output)
    want = torch.autograd.grad(wanted, leaves, d_output.double())
    for name, a, b in zip("qkv", got, want, strict=True):
        torch.testing.assert_close(
            a.double(), b.double(), **close, msg=lambda m, name=name: f"gradient of {name}: {m}"
        )
    empty = log_sum == -math.inf
    assert (output[empty] == 0).all() and (got[0][empty] == 0).all()


F16, F32, F64 = torch.float16, torch.float32, torch.float64
#  T_q T_k  H H_kv D_k D_v  tiles      described layout  dtype  rules
GRID = [
    (37, 37, 1, 1, 16, 16, (16, 16), True, "BHTD", F32, {}),
    (37, 53, 2, 1, 11, 13, (16, 32), False, "BTHD", F32, {"causal": True}),
    (53, 37, 2, 2, 24, 17, (32, 16), False, "BHDT", F16, {"causal": True}),
    (53, 37, 2, 1, 24, 16, (16, 16), True, "BTHD", F16, {"window": 5}),
    (41, 67, 2, 1, 32, 8, (16, 16), True, "BTHD", F32, {"causal": True, "window": 3}),
    (67, 41, 1, 1, 11, 13, (16, 32), False, "DBHT", F64, {"window": 11}),
    (29, 43, 1, 1, 16, 16, (16, 16), True, "BHTD", F64, {"key_lengths": [0, 17]}),
    (43, 29, 3, 1, 7, 5, (32, 16), False, "BHTD", F32, {"key_lengths": [29, 1], "causal": True}),
    (31, 61, 2, 1, 8, 24, (16, 16), True, "BTHD", F64,
     {"key_lengths": [33, 0], "causal": True, "window": 9}),
    (61, 31, 2, 2, 5, 3, (16, 16), False, "BTHD", F32, {"key_lengths": [7, 30], "window": 0}),
    (1, 1, 1, 1, 3, 5, (16, 16), False, "BHTD", F32, {}),
    (1, 47, 4, 2, 16, 16, (16, 16), True, "BHTD", F16, {"causal": True, "window": 20}),
    (47, 1, 1, 1, 16, 3, (16, 16), False, "BHTD", F32, {"causal": True}),
    (19, 23, 1, 1, 80, 96, (16, 16), True, "BHTD", F32, {"scale": 0.3}),
    (17, 19, 1, 1, 256, 200, (16, 16), False, "BTHD", F16, {"causal": True}),
    (32, 32, 1, 1, 16, 16, (16, 16), True, "BHTD", F64, {"causal": True, "window": 16}),
]  # fmt: skip


def case_name(case):
    T_q, T_k, *_, dtype, rules = case
    return f"{T_q}x{T_k}-{str(dtype)[6:]}-{'-'.join(rules) or 'full'}"


@pytest.mark.parametrize("case", GRID, ids=case_name)
def test_output_log_sum_and_gradients(case, tiles):
    T_q, T_k, H, H_kv, D_k, D_v, sizes, described, layout, dtype, rules = case
    tiles(*sizes, described=described)
    if "key_lengths" in rules:
        rules = rules | {"key_lengths": torch.tensor(rules["key_lengths"])}
    x = drawn(2, H, H_kv, T_q, T_k, D_k, D_v, dtype=dtype, layout=layout)
    assert_right(*x, **rules)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32), T_q=st.integers(1, 35), T_k=st.integers(1, 35),
    H_kv=st.integers(1, 2), group=st.integers(1, 2), D=st.integers(1, 9), D_v=st.integers(1, 9),
    causal=st.booleans(), window=st.none() | st.integers(0, 40),
    short=st.none() | st.integers(0, 35),
)  # fmt: skip
@settings(max_examples=20)
def test_any_sizes_and_rules(seed, T_q, T_k, H_kv, group, D, D_v, causal, window, short):
    x = drawn(1, H_kv * group, H_kv, T_q, T_k, D, D_v, seed=seed)
    lengths = None if short is None else torch.tensor([min(short, T_k)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "INTERPRETED", {2**31: Launch(16, 16, 1, 1)})
        assert_right(*x, causal=causal, window=window, key_lengths=lengths)


def test_bfloat16_is_right_in_the_interpreter(tiles):
    tiles(16, 16, described=True)
    assert_right(*drawn(1, 2, 1, 19, 23, 16, 16, dtype=torch.bfloat16), causal=True)


@pytest.mark.parametrize("scale", [-0.7, 0.0])
def test_any_scale(scale):
    assert_right(*drawn(1, 1, 1, 5, 7, 11, 13, dtype=F32), scale=scale)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, -500.0), (1000.0, 0.0), (1.0, -3e4)])
def test_scores_of_any_size(factor, shift, tiles):
    """A last column of 1 in q adds what stands there in k to every score."""
    tiles(16, 16)
    q, k, v, d_output = drawn(1, 1, 1, 19, 37, 11, 13)
    q[..., -1], k[..., -1] = 1.0, shift
    q[..., :-1] *= factor
    # Of scores near 30,000 the rounding alone is 1e-12, and q's gradient is that times 30,000.
    assert_right(q, k, v, d_output, scale=1.0, close={"rtol": 1e-6, "atol": 1e-6})


def test_nothing_beyond_the_length_is_read(tiles):
    """Not even multiplied by 0: that would be NaN where the padding is."""
    for described in (False, True):
        tiles(16, 16, described=described)
        q, k, v, d_output = drawn(2, 1, 1, 19, 37, 16, 16)
        lengths = torch.tensor([0, 21])
        wanted = flash_attention(q, k, v, key_lengths=lengths)
        for b, n in enumerate(lengths):
            k[b, :, n:], v[b, :, n:] = math.nan, math.nan
        leaves = [x.requires_grad_() for x in (q, k, v)]
        output = flash_attention(*leaves, key_lengths=lengths)
        assert torch.equal(output, wanted)
        for gradient in torch.autograd.grad(output, leaves, d_output):
            assert gradient.isfinite().all()


def test_a_head_behind_2_to_the_31_elements(tiles):
    """Rows, heads and samples that lie so far apart; one buffer of bytes holds them all."""
    tiles(16, 16)
    far = 2**31 + 16
    try:
        buffer = torch.empty(far + 4096, dtype=torch.float16)  # untouched memory costs nothing
    except RuntimeError:
        pytest.skip("no address space for 4 GiB")
    for strides in ((far, 512, 16, 1), (2048, far, 16, 1), (2048, 1024, far, 1)):
        shape = (2, 1, 5, 16) if strides[0] == far else (1, 2, 5, 16)
        shape = (1, 1, 2, 16) if strides[2] == far else shape
        q, *_ = drawn(*shape[:2], shape[1], shape[2], shape[2], 16, 16, dtype=F16)
        spread = buffer.as_strided(shape, strides).copy_(q).detach()
        output = flash_attention(spread, spread, spread)
        wanted, _ = dense.attention(q, q, q)
        torch.testing.assert_close(output.double(), wanted, **CLOSE[F16])


def test_expanded_tensors_are_not_for_the_copy_engine(tiles):
    tiles(16, 16, described=True)
    q, k, v, _ = drawn(2, 4, 1, 19, 35, 16, 16, dtype=F32)
    d_output = torch.ones(()).expand(2, 4, 19, 16)  # what .sum().backward() gives
    assert_right(q, k, v, d_output, causal=True)
    expanded = k.expand(2, 4, 35, 16), v[:1].expand(2, 4, 35, 16)
    assert not any(map(calls.fit_for_descriptors, (d_output, *expanded)))
    same = flash_attention(q, *(x.contiguous() for x in expanded))
    assert torch.equal(flash_attention(q, *expanded), same)


def test_an_expanded_gradient_does_not_leave_the_fast_path(tiles, monkeypatch):
    tiles(16, 16, described=True)
    asked = []
    monkeypatch.setattr(calls.triton, "set_allocator", asked.append)  # before every descriptor
    q, k, v, _ = drawn(1, 2, 2, 19, 35, 16, 16, dtype=F32)
    flash_attention(q.requires_grad_(), k, v).sum().backward()
    assert len(asked) == 3  # forward, keys, queries


def test_lengths_beyond_32_bits_count_as_all_keys(monkeypatch):
    monkeypatch.setattr(calls, "require_lengths", lambda lengths, T_k: None)  # as on a GPU
    q, k, v, _ = drawn(3, 1, 1, 5, 7, 8, 8)
    beyond = flash_attention(q, k, v, key_lengths=torch.tensor([2**32 + 5, 2**31, -3]))
    assert torch.equal(beyond, flash_attention(q, k, v, key_lengths=torch.tensor([7, 7, 0])))


def test_two_runs_are_equal_bit_for_bit():
    runs = []
    for _ in range(2):
        q, k, v, d_output = drawn(1, 4, 2, 37, 37, 16, 16, dtype=F32)
        leaves = [x.requires_grad_() for x in (q, k, v)]
        output = flash_attention(*leaves, causal=True)
        runs.append((output, *torch.autograd.grad(output, leaves, d_output)))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_the_output_lies_in_memory_as_the_queries_do():
    for layout in ("BHTD", "BTHD"):
        q, k, v, _ = drawn(2, 3, 3, 5, 7, 11, 13, layout=layout)
        output = flash_attention(q, k, v)
        assert output.transpose(1, 2).is_contiguous() == (layout == "BTHD")


# --- with the rest of PyTorch ---------------------------------------------------------------------


def small():
    q, k, v, d_output = drawn(2, 2, 1, 5, 7, 11, 13, dtype=F32)
    return [x.requires_grad_() for x in (q, k, v)], d_output


@pytest.mark.slow
def test_the_operators_keep_pytorchs_rules():
    (q, k, v), d_output = small()
    lengths = torch.tensor([7, 3])
    arguments = (lengths, True, 3, 0.3, False)
    torch.library.opcheck(operators.flash_forward, (q, k, v, *arguments))
    with torch.no_grad():
        output, log_sum = operators.flash_forward(q, k, v, *arguments)
    x = [t.detach() for t in (d_output, q, k, v, output, log_sum)]
    torch.library.opcheck(operators.flash_backward, (*x, *arguments))


COMPILED = """
import torch
from minitx.cores import FlashAttention
from minitx.masks import causal, padding
core, mask = FlashAttention(window=3), causal() & padding([7, 3], max_len=7)
x = [torch.randn(2, 3, T, 11, requires_grad=True) for T in (5, 7, 7)]
def call(q, k, v):
    return 2 * core(q, k, v, mask=mask)
compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
outputs = [f(*x) for f in (compiled, call)]
gradients = [torch.autograd.grad(y.sum(), x) for y in outputs]
assert torch.equal(*outputs)
assert all(torch.equal(a, b) for a, b in zip(*gradients))
print("equal")
"""


@pytest.mark.slow
def test_under_compile_there_is_one_graph():
    """In a process without the checked annotations, which cannot be compiled."""
    answer = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert answer.stdout == "equal\n", answer.stderr[-2000:]


def test_autocast_decides_the_type():
    (q, k, v), d_output = small()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = flash_attention(q, k.half(), v)
        assert output.dtype == torch.bfloat16
        assert flash_attention(q.double(), k.double(), v.double()).dtype == F64
    gradients = torch.autograd.grad(output, (q, k, v), d_output.bfloat16())
    assert [g.dtype for g in gradients] == [F32] * 3


def test_checkpointing_gives_the_same_gradients():
    (q, k, v), d_output = small()
    plain = torch.autograd.grad(flash_attention(q, k, v), (q, k, v), d_output)
    saved = checkpoint(flash_attention, q, k, v, use_reentrant=False)
    again = torch.autograd.grad(saved, (q, k, v), d_output)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def test_a_second_derivative_is_refused():
    (q, k, v), _ = small()
    (gradient,) = torch.autograd.grad(flash_attention(q, k, v).sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match=r"^flash_attention has no second derivative"):
        gradient.sum().backward()


def test_inside_multi_head_attention():
    torch.manual_seed(0)
    x = torch.randn(2, 7, 12)
    mask = causal() & padding([7, 3], max_len=7)
    outputs = []
    for core in (FlashAttention(), FullAttention()):
        torch.manual_seed(1)
        outputs.append(MultiHeadAttention(12, 4, num_kv_heads=2, core=core)(x, mask=mask))
    torch.testing.assert_close(*outputs, **CLOSE[F32])


def test_a_window_in_the_core():
    q, k, v, _ = drawn(2, 3, 3, 7, 7, 11, 13)
    near = (torch.arange(7)[:, None] - torch.arange(7)).abs() <= 2
    wanted = FullAttention()(q, k, v, mask=causal() & Mask(allowed=near[None, None]))
    got = FlashAttention(window=2)(q, k, v, mask=causal())
    torch.testing.assert_close(got, wanted, **CLOSE[F64])


# --- what is refused ------------------------------------------------------------------------------


def zeros(*shape, **options):
    return torch.zeros(*shape, **options)


Q, K = zeros(2, 4, 5, 8), zeros(2, 2, 7, 8)
REFUSED = {
    "dtypes": (TypeError, (Q, K.half(), K), {},
               "q, k and v must have one dtype, got torch.float32, torch.float16 and "
               "torch.float32; convert them, or run under torch.autocast"),
    "integers": (TypeError, (Q.int(), K.int(), K.int()), {},
                 "q, k and v must be one of float16, bfloat16, float32, float64, got torch.int32"),
    "devices": (ValueError, (Q, K.to("meta"), K), {},
                "q, k and v must be on one device, got cpu, meta and cpu"),
    "axes": (ValueError, (Q[0], K, K), {}, "q must have shape (B, H, T, D), got (4, 5, 8)"),
    "empty": (ValueError, (Q, K[:, :, :0], K[:, :, :0]), {},
              "every size must be at least 1, got k (2, 2, 0, 8)"),
    "wide": (ValueError, (zeros(1, 1, 1, 257),) * 3, {},
             "a head may be at most 256 wide, got q (1, 1, 1, 257)"),
    "long": (ValueError, (zeros(1, 1, 1, 1).expand(1, 1, 2**29 + 1, 1),) * 3, {},
             "a sequence may be at most 536870912 long, got q (1, 1, 536870913, 1)"),
    "keys": (ValueError, (Q, K[..., :3], K), {},
             "k must have shape (B=2, H_kv, T_k, D_k=8) like q, got (2, 2, 7, 3)"),
    "values": (ValueError, (Q, K, K[:, :, :3]), {},
               "v must have shape (B=2, H_kv=2, T_k=7, D_v) like k, got (2, 2, 3, 8)"),
    "heads": (ValueError, (Q[:, :3], K, K), {},
              "the 3 heads of q must be divisible by the 2 of k and v"),
    "window": (ValueError, (Q, K, K), {"window": -1},
               "window must be at least 0 (a query sees itself), got -1"),
    "kind of lengths": (TypeError, (Q, K, K), {"key_lengths": zeros(2)},
                        "key_lengths must be integers, got torch.float32"),
    "number of lengths": (ValueError, (Q, K, K), {"key_lengths": torch.tensor([1])},
                          "key_lengths must have shape (B=2,) on cpu, got (1,) on cpu"),
    "lengths": (ValueError, (Q, K, K), {"key_lengths": torch.tensor([1, 8])},
                "key_lengths must lie between 0 and T_k (7), got [1, 8]"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_was_got_and_wanted(case, as_users_run):
    error, tensors, rules, text = REFUSED[case]
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        flash_attention(*tensors, **rules)


def test_padding_before_a_word_is_refused():
    q = zeros(2, 3, 5, 11)
    words = torch.tensor([[True, True, False, False, True], [True] * 5])
    with pytest.raises(ValueError, match=r"^FlashAttention can honour key_padding at the end"):
        FlashAttention()(q, q, q, mask=Mask(key_padding=words))


PRINTS_THE_ERROR = """
import sys
{before}
import torch
from minitx.kernels import flash_attention
q = torch.zeros(1, 1, 2, 3)
try:
    flash_attention(q, q, q)
except RuntimeError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("", "flash_attention runs on CUDA devices, got tensors on cpu; use"),
        ("sys.modules['triton'] = None", "flash_attention needs Triton, which is not installed"),
    ],
    ids=["on a CPU", "without Triton"],
)
def test_where_it_cannot_run_it_says_what_to_do(before, text, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    code = PRINTS_THE_ERROR.format(before=before)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.startswith(text), answer.stdout + answer.stderr


def test_on_a_gpu_float64_is_refused_and_slow_devices_are_named_once(monkeypatch):
    class Pretended:
        device = torch.device("cuda:0")
        dtype = F32

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    calls.advise.cache_clear()
    with pytest.warns(UserWarning, match=r"tensor cores of Tesla T4: .*FusedAttention is fast"):
        calls.require_device(Pretended())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls.require_device(Pretended())
    Pretended.dtype = F64
    with pytest.raises(TypeError, match=r"^on a GPU flash_attention takes float16, bfloat16 and"):
        calls.require_device(Pretended())


def test_the_examples_in_the_launch_table_are_right():
    assert doctest.testmod(launch).failed == 0


# --- tuning, when asked for -----------------------------------------------------------------------


def test_the_fastest_tiles_are_found_once_and_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("MINITX_CACHE", str(tmp_path / "not" / "there" / "yet"))
    timed = []

    def milliseconds(run, tiles):
        timed.append(tiles)
        return abs(tiles.B_r - 64) + abs(tiles.B_c - 32) + tiles.warps + tiles.stages

    monkeypatch.setattr(tuning, "milliseconds", milliseconds)
    first = Launch(128, 128, 8, 3)
    for _ in range(2):
        found = tuning.fastest("key", first, lambda tiles: None)
        assert (found.B_r, found.B_c, found.warps, found.stages) == (64, 32, 4, 2)
    assert timed[0] == first and len(timed) == len(set(timed)) == len(tuning.candidates(first))
    tuning.fastest("other", first, lambda tiles: None)
    assert len(timed) == 2 * len(tuning.candidates(first))
    assert (cache_folder() / "kernels.json").is_relative_to(tmp_path)
    assert (cache_folder() / "kernels.json").exists()


@pytest.mark.parametrize(
    "error",
    [triton_errors.OutOfResources(300, 227, "shared memory"), triton_errors.PTXASError("no")],
    ids=lambda error: type(error).__name__,
)
def test_tiles_without_room_are_no_candidates(monkeypatch, error):
    import triton.testing

    def fail(run, warmup, rep):
        raise error

    monkeypatch.setattr(triton.testing, "do_bench", fail)
    assert tuning.milliseconds(lambda tiles: None, Launch(128, 128, 8, 3)) == math.inf


def test_pointers_are_tried_beside_descriptors_and_not_the_other_way_round():
    for described, tried in ((True, {True, False}), (False, {False})):
        first = Launch(128, 128, 8, 3, described=described)
        assert {launch.described for launch in tuning.candidates(first)} == tried


def test_tuning_is_off_unless_asked_for(monkeypatch):
    monkeypatch.delenv("MINITX_AUTOTUNE", raising=False)
    assert not tuning.asked()
    monkeypatch.setenv("MINITX_AUTOTUNE", "1")
    assert tuning.asked()
