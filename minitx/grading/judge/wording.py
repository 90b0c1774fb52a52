"""What was changed in the worked answer, without its names: no learner has seen it.

A sentence may name what stands in the exercise's text: its formulas, its code, the parameters.
Any other name is replaced by what the worked answer makes it of, or its piece of the sentence by
words; where neither says anything, there is no sentence.
"""

import ast
import builtins
import copy
import re
from collections.abc import Collection, Mapping

WIDTH = 48
_WIDEST = 64  # of code that took a name's place

_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"(?<!\w)[A-Za-z_]\w*")
_EVERYBODYS = frozenset(dir(builtins)) | frozenset(
    re.findall(
        r"\w+",
        "self and or not in is if else for lambda torch np math nn F numpy nan inf"
        " shape size dim axis keepdim keepdims dtype T mT float long double half"
        " mean var std sum max min amax amin argmax argmin abs exp exp2 log log2 sqrt sin cos tanh"
        " relu softmax square zeros ones zeros_like ones_like tril triu maximum minimum any all",
    )
)

# Said in place of a sentence whose names nobody knows. The first that matches.
_TAILS = re.compile(r" (?:in|of|for `[^`]+` of) `\?`(?=[ .;]|$)")
_IN_WORDS: tuple[tuple[str, str], ...] = (
    (r"`\?` is left out: `(?!\?)(.+?)` is used as it is\.", r"a step is left out: `\1` is used "
     "as it is."),
    (r"`\?` is returned already; the steps after it are missing\.",
     "a result on the way is returned already; the steps after it are missing."),
    (r"`\?` is written anew each time, .*", "a sum is written anew each time, so that only the "
     "last term is kept."),
    (r"`\?` (runs along|counts from) (.*)", r"a step \1 \2"),
    (r"the loop over `\?` (.*)", r"a loop \1"),
    (r"the condition `\?` is turned round\.", "a condition is turned round."),
    (r"(the minus sign|`not`|the opposite `~`) is missing in front of `\?`\.", r"\1 is missing."),
    (r"two arguments of `\?` are exchanged\.", "two arguments of a call are exchanged."),
    (r"`.+?` is asked where `.+?` belongs \(off by one\)\.",
     "a comparison is off by one (< and <=, or > and >=)."),
    (r"`\?` is one too (large|small)\.", r"a number or a length is one too \1."),
    (r"`\?` is turned round (.*)", r"a table of truth values is turned round \1"),
    (r"`\?` is rounded (.*)", r"a number is rounded \1"),
    (r"the factor `\?` is missing\.", "a factor is missing."),
    (r"the division by `\?` is missing\.", "a division is missing."),
    (r"the fraction is upside down: .*", "a fraction is upside down."),
    (r"the difference is turned round: .*", "a difference is turned round."),
)  # fmt: skip


def shortened(sentence: str) -> str:
    """Every piece of code in it at most so many characters long."""
    return _CODE.sub(lambda code: f"`{short(code[1])}`", sentence)


def short(text: str) -> str:
    """At most so many characters, the middle left out."""
    text = " ".join(text.split())
    if len(text) <= WIDTH:
        return text
    half = WIDTH // 2
    return f"{text[:half].rstrip()}…{text[-half:].lstrip()}"


def in_known_names(sentence: str, known: Collection[str], function: ast.FunctionDef) -> str:
    """The sentence without names that only the worked answer has; "" if nothing is left to say.

    Args:
        sentence: about a change of the worked answer, its code between backticks.
        known: the names in the exercise's text.
        function: the worked answer as it is.

    >>> answer = ast.parse('''def f(x):
    ...     inner = x - 1
    ...     return inner * inner''').body[0]
    >>> in_known_names("`inner` stands where `x` belongs in `g(x)`.", {"x"}, answer)
    '`x - 1` stands where `x` belongs.'
    >>> in_known_names("only `g(x)` is left of `x + g(x)`.", {"x"}, answer)
    ''
    """
    made_of = _definitions(function)

    def told(match: re.Match[str]) -> str:
        return f"`{_told(match[1], known, made_of) or '?'}`"

    replaced = _CODE.sub(told, sentence)
    replaced = _TAILS.sub("", replaced)
    if "`?`" not in replaced:
        return shortened(replaced)
    for pattern, words in _IN_WORDS:
        match = re.fullmatch(pattern, replaced)
        if match:
            return shortened(match.expand(words))
    return ""


def names_in(text: str) -> set[str]:
    """The names in a piece of code."""
    return set(_NAME.findall(text))


def _told(code: str, known: Collection[str], made_of: Mapping[str, ast.expr]) -> str:
    """The code in known names, or "" if there is none that is short enough."""

    def is_known(text: str) -> bool:
        return all(name in known or name in _EVERYBODYS for name in names_in(text))

    if is_known(code):
        return code
    try:
        tree: ast.AST = ast.parse(code, mode="eval").body
    except SyntaxError:
        return ""
    for _ in range(3):
        tree = _Inlined(known, made_of).visit(copy.deepcopy(tree))
        text = ast.unparse(tree)
        if is_known(text) and len(text) <= _WIDEST:
            return text
    return ""


class _Inlined(ast.NodeTransformer):
    """Unknown names become what they are made of."""

    def __init__(self, known: Collection[str], made_of: Mapping[str, ast.expr]) -> None:
        self.known, self.made_of = known, made_of

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.known or node.id not in self.made_of:
            return node
        return copy.deepcopy(self.made_of[node.id])  # it is a piece of the worked answer


def _definitions(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """Names that get a value once, by one line, and what it is."""
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and _is_stored(n)]
    return {
        node.targets[0].id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and len(node.targets) == 1
        and stored.count(node.targets[0].id) == 1
    }


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
