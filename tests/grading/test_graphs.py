"""How many tensors a call keeps for the way back, at most at one time."""

from collections.abc import Callable
from typing import Any

import torch

from minitx.grading.invoke import invoke
from minitx.grading.judge.alike import same_outcome

W = torch.ones(3, 2)


def kept(function: Callable[[Any, int], Any], batches: int) -> Any:
    return invoke("f", function, (W, batches), {}, seed=0, count="kept")


def losses(weight: Any, batches: int) -> Any:
    return [(weight @ torch.ones(2)).square().sum() for _ in range(batches)]


def one_by_one(weight: Any, batches: int) -> float:
    weight = weight.clone().requires_grad_()
    total = 0.0
    for _ in range(batches):
        (loss,) = losses(weight, 1)
        loss.backward()
        total += loss.item()
    return total


def all_at_once(weight: Any, batches: int) -> float:
    weight = weight.clone().requires_grad_()
    total = sum(losses(weight, batches))
    total.backward()
    return float(total)


def test_a_graph_is_let_go_by_backward() -> None:
    few, many = kept(one_by_one, 1).kept, kept(one_by_one, 12).kept
    assert few == many > 0
    assert kept(all_at_once, 1).kept == few
    assert kept(all_at_once, 12).kept == 12 * few


def test_nothing_is_kept_without_a_graph() -> None:
    assert kept(lambda weight, batches: float(sum(losses(weight, batches))), 12).kept == 0


def test_nothing_is_counted_where_nobody_asks() -> None:
    assert invoke("f", all_at_once, (W, 12), {}, seed=0).kept == 0


def test_what_torch_cannot_count_is_called_all_the_same() -> None:
    def gradient(weight: Any, batches: int) -> Any:
        return torch.func.grad(lambda w: sum(losses(w, batches)))(weight)

    outcome = kept(gradient, 2)
    assert (outcome.kind, outcome.kept) == ("returned", 0)
    assert torch.equal(outcome.value, torch.full((3, 2), 8.0))


def test_who_keeps_all_graphs_gives_another_answer() -> None:
    one, all_, again = kept(one_by_one, 12), kept(all_at_once, 12), kept(one_by_one, 12)
    assert one.value == all_.value
    assert same_outcome(one, again)
    assert not same_outcome(one, all_)
