"""What crosses between judge and worker arrives as it was sent, or is refused in words."""

import io
import json
import math
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitx.grading.calling import Facts, Opaque, Outcome, Problem
from minitx.grading.frames import MOST_BODY, MOST_HEADER, Garbage, read_frame, write_frame
from minitx.grading.messages import pack_facts, pack_outcome, unpack_facts, unpack_outcome
from minitx.grading.plain import plain
from minitx.grading.wire import pack, unpack


def crossed(value: Any) -> Any:
    chunks: list[bytes] = []
    tree = json.loads(json.dumps(pack(value, chunks)))
    return unpack(tree, b"".join(chunks))


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray | np.generic):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
            and (a.size < 2 or _memory(a.strides, a.shape) == _memory(b.strides, b.shape))
        )
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.requires_grad == b.requires_grad
            and _memory(a.stride(), a.shape) == _memory(b.stride(), b.shape)
            and torch.equal(*(t.detach().reshape(-1).view(torch.uint8) for t in (a, b)))
        )
    return a == b or (a != a and b != b)


def _memory(strides: Any, shape: Any) -> list[int]:
    """The axes that matter, from the longest stride to the shortest."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    return sorted(axes, key=lambda axis: -abs(strides[axis]))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from([np.float32(1.5), np.int8(-3), np.bool_(True), np.float64("nan")])
)
arrays = hnp.arrays(
    st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "c16", "<U3", ">i4", "M8[D]"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
).flatmap(lambda a: st.permutations(range(a.ndim)).map(lambda p: a.transpose(p)))
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool]


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    shape = draw(st.lists(st.integers(1, 4), max_size=4))
    count = math.prod(shape)
    tensor = (torch.arange(count).reshape(shape) - 3).to(draw(st.sampled_from(DTYPES)))
    tensor = tensor.permute(draw(st.permutations(range(tensor.ndim))))
    return tensor.requires_grad_(tensor.is_floating_point() and draw(st.booleans()))


values = st.recursive(
    scalars | arrays | tensors(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("abc", max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(values)
def test_what_is_plain_arrives_as_it_was_sent(value: Any) -> None:
    once = plain(value)
    assert same(crossed(once), once)


@settings(deadline=None, max_examples=100)
@given(values)
def test_making_plain_changes_nothing_that_is_plain(value: Any) -> None:
    assert same(plain(value), value)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint8, torch.int16])
def test_rarer_dtypes(dtype: torch.dtype) -> None:
    assert same(crossed(torch.ones(2, 3, dtype=dtype)), torch.ones(2, 3, dtype=dtype))
    assert crossed(torch.ones(2, dtype=torch.complex64).conj()).tolist() == [1, 1]


def test_a_copy_arrives() -> None:
    array, tensor = np.ones(3), torch.ones(3)
    crossed(array)[0], crossed(tensor)[0] = 7, 7
    assert array[0] == tensor[0] == 1
    crossed(np.zeros((0, 3)))
    assert crossed(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    "value",
    [object(), np.array([None]), torch.ones(2, device="meta"), torch.eye(2).to_sparse(), 2**9999],
)
def test_what_is_not_plain_cannot_be_sent(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        pack(value, [])


class Odd(torch.Tensor):
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "description", "kind"),
    [
        (ValueError("x"), "ValueError", "exception"),
        (ValueError, "ValueError", "exception"),
        (np.sum, "a function or class (sum)", "callable"),
        (object(), "an object of type object", "object"),
        (np.array([None]), "an array of shape (1,) and dtype object", "array"),
        (
            np.matrix([[1.0]]),
            "an array of shape (1, 1) and dtype float64 and class matrix (`np.asarray(…)` makes a "
            "plain one)",
            "array",
        ),
        (
            np.broadcast_to(1.0, (10**6, 10**7)),
            "an array of shape (1000000, 10000000) and dtype float64, more than can be looked at",
            "array",
        ),
        (
            torch.ones(1).expand(10**6, 10**7),
            "a tensor of shape (1000000, 10000000) and dtype float32, more than can be looked at",
            "tensor",
        ),
        (
            torch.ones(2, device="meta"),
            "a tensor of shape (2,) and dtype float32 on the device meta, which holds no numbers",
            "tensor",
        ),
        (
            torch.eye(2).to_sparse(),
            "a tensor of shape (2, 2) and dtype float32, stored sparsely (`.to_dense()` makes a "
            "plain one)",
            "tensor",
        ),
        (
            torch.ones(2).as_subclass(Odd),
            "a tensor of shape (2,) and dtype float32 and class Odd",
            "tensor",
        ),
        ({(1, 2): 3}, "a dict of 1 tuple", "object"),
        ([0] * 20_000, "a list of 20000 numbers, more than can be looked at", "object"),
        (LOOP, "a list of 1 list, more than can be looked at", "object"),
    ],
)
def test_what_stands_for_the_rest(value: Any, description: str, kind: str) -> None:
    made = plain(value)
    assert made == Opaque(description, kind)  # type: ignore[arg-type]
    assert crossed(made) == made


def test_a_parameter_is_a_tensor() -> None:
    made = plain(torch.nn.Parameter(torch.ones(2)))
    assert type(made) is torch.Tensor
    assert made.requires_grad


# --- frames --------------------------------------------------------------------------------------


def frame(message: Any, body: bytes = b"") -> bytes:
    stream = io.BytesIO()
    write_frame(stream, message, [body])
    return stream.getvalue()


def test_frames_follow_each_other() -> None:
    stream = io.BytesIO(frame({"a": 1}, b"xyz") + frame({}))
    assert read_frame(stream) == ({"a": 1}, b"xyz")
    assert read_frame(stream) == ({}, b"")
    assert read_frame(stream) is None


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_garbage_is_refused(raw: bytes) -> None:
    try:
        assert read_frame(io.BytesIO(raw)) is None
    except Garbage as refused:
        assert str(refused).startswith(("bytes", "a message"))


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 37))
def test_a_truncated_frame_is_refused(end: int) -> None:
    whole = frame({"a": [1, 2, 3]}, b"0123456789")
    assert len(whole) == 38
    with pytest.raises(Garbage, match="ends in the middle"):
        read_frame(io.BytesIO(whole[:end]))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (struct.pack("!4sII", b"mtx1", MOST_HEADER + 1, 0), "no message"),
        (struct.pack("!4sII", b"mtx1", 2, MOST_BODY + 1) + b"{}", "no message"),
        (struct.pack("!4sII", b"mtx1", 2**31, 2**31), "no message"),
        (b"some text that a program printed", "no message"),
        (struct.pack("!4sII", b"mtx1", 2, 0) + b"[]", "without names"),
        (struct.pack("!4sII", b"mtx1", 2, 0) + b"{]", "no JSON"),
        (struct.pack("!4sII", b"mtx1", 10**5, 0) + b"[" * 10**5, "no JSON"),
        (struct.pack("!4sII", b"mtx1", 4, 0) + b'"\xff\xff"', "no JSON"),
    ],
)
def test_wrong_frames(raw: bytes, text: str) -> None:
    with pytest.raises(Garbage, match=text):
        read_frame(io.BytesIO(raw))


def test_too_long_a_message_is_not_sent() -> None:
    with pytest.raises(ValueError, match=r"a message of \d+ and 0 bytes is too long; at most"):
        write_frame(io.BytesIO(), {"a": "x" * MOST_HEADER})


ARRAY = {"is": "array", "dtype": "<f8", "shape": [2], "order": [0]}


@pytest.mark.parametrize(
    ("tree", "body"),
    [
        ({"is": "array"}, b""),
        (ARRAY, b"short"),
        (ARRAY, b"x" * 17),
        (ARRAY | {"dtype": "O"}, b"x" * 16),
        (ARRAY | {"dtype": "V8"}, b"x" * 16),
        (ARRAY | {"dtype": 7}, b"x" * 16),
        (ARRAY | {"shape": [-1]}, b""),
        (ARRAY | {"shape": [2**50]}, b""),
        (ARRAY | {"shape": [2.0]}, b"x" * 16),
        (ARRAY | {"order": [1]}, b"x" * 16),
        (ARRAY | {"is": "tensor", "dtype": "qint8", "grad": False}, b"xx"),
        (ARRAY | {"is": "tensor", "dtype": "int64", "grad": True}, b"x" * 16),
        (ARRAY | {"is": "tensor", "dtype": "Tensor", "grad": False}, b"x" * 16),
        ({"is": "int", "text": "9" * 5000}, b""),
        ({"is": "int", "text": "seven"}, b""),
        ({"is": "float", "text": 3}, b""),
        ({"is": "complex", "text": "1"}, b""),
        ({"is": "pickle", "text": "cos"}, b""),
        ({"is": "opaque", "description": "x", "kind": "what"}, b""),
        ({"is": "list", "items": 5}, b""),
        ({"is": "dict", "items": [[1, 2, 3]]}, b""),
        ({"is": "dict", "items": [[{"is": "list", "items": []}, None]]}, b""),
        (7, b""),
        ("text", b""),
        ([], b""),
        (None, b"left over"),
    ],
)
def test_wrong_values_are_refused(tree: Any, body: bytes) -> None:
    with pytest.raises(Garbage):
        unpack(tree, body)


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    tree: Any = None
    for _ in range(500):
        tree = {"is": "list", "items": [tree]}
    with pytest.raises(Garbage, match="nested too deeply"):
        unpack(tree, b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["is", "items", "text", "shape", "a"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(json_values, st.binary(max_size=8))
def test_any_json_is_a_value_or_garbage(tree: Any, body: bytes) -> None:
    messages = [{"alive": tree, "kind": "returned"}, {"problems": tree, "printed": tree}]
    messages += [tree] if isinstance(tree, dict) else []
    for read in (
        lambda: unpack(tree, body),
        *(lambda m=m: unpack_outcome(m, body) for m in messages),
        *(lambda m=m: unpack_facts(m, "a.py") for m in messages),
    ):
        try:
            read()
        except Garbage as refused:
            assert str(refused)


# --- outcomes and facts --------------------------------------------------------------------------


def test_outcomes_and_facts_cross() -> None:
    outcome = Outcome(
        "raised",
        value=None,
        error_kinds=("ValueError", "Exception"),
        text="no",
        where="line 3 (`x`)",
        changed=(0, "scale"),
        changed_names=("x", "scale"),
        steps=5,
        printed="a\nb",
        warning="w",
        gradients=(None, None),
        seconds=0.25,
    )
    message, chunks = pack_outcome(outcome)
    assert unpack_outcome(json.loads(json.dumps(message)), b"".join(chunks)) == outcome
    facts = Facts("a.py", (Problem("p", frozenset({"f"}), True),), "hello", {"f": ("x", "y")})
    assert unpack_facts(json.loads(json.dumps(pack_facts(facts))), "a.py") == facts


def test_texts_are_cleaned_and_bounded() -> None:
    outcome = Outcome("raised", error_kinds=("E\x1b",), text="\x1b[2Jx" * 1000, printed="\a" * 10)
    message, chunks = pack_outcome(outcome)
    got = unpack_outcome(message, b"".join(chunks))
    assert got.error_kinds == ("E",)
    assert got.printed == ""
    assert got.text.startswith("[2Jx[2Jx")
    assert len(got.text) <= 1001
    assert "\x1b" not in got.text
    facts = unpack_facts(
        {"problems": [["\x1b]0;t\x07 text", ["\x1bf"], 0]], "printed": "", "parameters": {}}, "a"
    )
    assert facts.problems == (Problem("]0;t text", frozenset({"f"}), False),)


@pytest.mark.parametrize(
    "change",
    [
        *({"kind": "died"}, {"kind": 3}, {"alive": None}),
        *({"steps": "x"}, {"error_kinds": 3}, {"changed": 1}),
    ],
)
def test_wrong_outcomes_are_refused(change: dict[str, Any]) -> None:
    message, chunks = pack_outcome(Outcome("returned"))
    with pytest.raises(Garbage):
        unpack_outcome(message | change, b"".join(chunks))
