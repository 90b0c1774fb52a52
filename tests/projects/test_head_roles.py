"""The heads of small translators: told right, whatever they have learned."""

import re

import pytest
import torch

from minitx.data import numbers
from minitx.measure.heads import Head
from minitx.models.recurrent import RecurrentTranslator, RecurrentTranslatorConfig
from minitx.projects import head_roles, translation
from minitx.projects.translation import Translator


@pytest.fixture(scope="module")
def translator() -> Translator:
    return head_roles.learned(num_steps=20)


@pytest.mark.slow
def test_twelve_heads_whose_weights_sum_to_one(translator: Translator) -> None:
    pairs = head_roles.never_seen()[:3]
    seen = head_roles.watched(translator, pairs)
    assert [*seen] == [("encoder", 1), ("decoder", 1), ("cross", 1)]
    for pair, *tables in zip(pairs, *seen.values(), strict=True):
        source, target = translator.ids(pair)
        T_src, T_tgt = len(source) + 1, len(target) + 1
        shapes = [tuple(table.shape) for table in tables]
        assert shapes == [(4, T_src, T_src), (4, T_tgt, T_tgt), (4, T_tgt, T_src)]
        for table in tables:
            torch.testing.assert_close(table.sum(dim=-1), torch.ones(table.shape[:2]))
    assert all(float(table.triu(1).abs().max()) == 0 for table in seen["decoder", 1])


@pytest.mark.slow
def test_looks_and_widths_are_of_all_heads(translator: Translator) -> None:
    looks, widths = head_roles.looks(translator), head_roles.widths(translator)
    assert [*looks] == [*widths]
    assert len(looks) == 12
    assert looks[Head("decoder", 1, 2)]["next"] == 0  # the future
    assert all(0 <= share <= 1 for row in looks.values() for share in row.values())
    assert all(1 <= width <= 8 for width in widths.values())


@pytest.mark.slow
def test_an_even_head_would_give_the_first_token_its_share(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def even(*_: object) -> dict[tuple[str, int], list[torch.Tensor]]:
        table = torch.ones(4, 5, 5).tril()
        return {("decoder", 1): [table / table.sum(dim=-1, keepdim=True)]}

    monkeypatch.setattr(head_roles, "watched", even)
    expected = (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 4
    assert head_roles.first_if_even(translator) == pytest.approx(expected)


def test_shuffled_labels_are_the_same_words_under_other_numbers() -> None:
    pairs = numbers.split().train[1000:1100]
    plain, shuffled = head_roles.NUMBERS.lessons(pairs), head_roles._shuffled(pairs)
    assert [source for source, _ in plain] == [source for source, _ in shuffled]
    assert sorted(target for _, target in plain) == sorted(target for _, target in shuffled)
    assert sum(one == other for one, other in zip(plain, shuffled, strict=True)) < len(plain) / 10


def test_pruning_tells_each_kind_by_itself(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        head_roles,
        "right_without",
        lambda _, removed, every: asked.append([*map(str, removed)]) or 0.5,
    )
    told = head_roles.pruned(translator)
    assert len(told) == 9
    assert all([*row] == ["encoder", "decoder", "cross"] for row in told.values())
    assert asked[1] == ["decoder 1.1"]
    assert asked[3 * 4 + 2] == ["cross 1.2", "cross 1.3", "cross 1.4"]
    assert asked[-3] == [f"encoder 1.{number}" for number in (1, 2, 3, 4)]


def test_a_recurrent_translator_has_no_heads(translator: Translator) -> None:
    config = RecurrentTranslatorConfig(len(translator.src), len(translator.tgt), d_model=8)
    recurrent = translation.Translator(
        translator.project, RecurrentTranslator(config).eval(), translator.src, translator.tgt
    )
    with pytest.raises(TypeError, match=re.escape("got a RecurrentTranslator")):
        head_roles.looks(recurrent)
