"""What is wrong with an answer that was turned down, in at most three sentences.

Evidence is what the checks' own calls gave: each is put to the worked answer, and those on which
the two differ are explained, by (in this order)

1. a mistake of the exercise's bank that agrees on every call; inputs changed in place; another
   answer to the same question;
2. how the results are related: a factor, a turned axis, the right answer to changed inputs;
3. a mistake of the bank that fits most of the calls that differ, and what else differs;
4. mistakes of the exercises this one is built from, and the worked answer with one thing changed;
5. which calls go wrong, and what an exception asks for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import MARKED, Call, Caller, ObjectRef
from minitx.grading.course import Chapter
from minitx.grading.judge.alike import SINGLE, Tolerance, alike, same_answer
from minitx.grading.judge.alterations import Alteration, alterations, cut_axis
from minitx.grading.judge.as_function import AsFunction
from minitx.grading.judge.as_numbers import AsNumbers, of_calls
from minitx.grading.judge.banks import (
    Candidate,
    composed_bank,
    operator_bank,
    own_bank,
    sister_bank,
)
from minitx.grading.judge.conditions import Condition, telling
from minitx.grading.judge.notation import notation
from minitx.grading.judge.probes import (
    Asker,
    Probe,
    differing,
    like,
    redrawn,
    replay,
    scaled,
    without_dtypes,
)
from minitx.grading.judge.relations.precision import FEWER_DIGITS
from minitx.grading.judge.relations.relate import relate
from minitx.grading.judge.relations.relation import LITTLE, Relation
from minitx.grading.judge.remedies import PRODUCTS, WHERE_AXES_MEET, Remedy, Scene, remedy
from minitx.grading.judge.remembered import remembered
from minitx.grading.judge.smallest import smallest
from minitx.grading.judge.worked import defaults, documentation, module_form
from minitx.grading.own import OwnCaller
from minitx.grading.registry import Exercise
from minitx.grading.report import Case, Named, count

MOST_NAMED = 3  # a match with more mistakes than that says little
FEWEST_PROBES = 3  # that a relation must hold on
MOST_REDRAWN = 4
CALLS = 4000  # of the course's own functions, to explain one answer
MODULE_CALLS = 1200  # a module is made and loaded for each, which takes milliseconds
MODULE_ALTERATIONS = 400  # of them, so that enough is left for what comes after
_LEFT_OUT = "left out"  # what stands for an argument that has a value of its own then
_FEW_DIGITS = (
    "Besides, it does so to a few digits only: somewhere on the way the numbers were float32."
)
_ENOUGH = 24  # numbers that no two functions have in common by chance
_PAIRED = {  # what people do at the same time as something else
    "scaled", "scaled by another", "turned round", "ignored", "exchanged", "in place of",
    "transposed", "first for all", "axes exchanged",
}  # fmt: skip
_PAIRED_WITH = {"curve", "missing curve", "normaliser", "axes", "dtype", "NaN", "opposite"}


def diagnose(
    chapter: Chapter, exercise: Exercise, calls: Sequence[Call], caller: Caller | None = None
) -> tuple[tuple[Named, ...], Case | None]:
    """Names for what is wrong, the surest first, and the smallest call that shows it.

    Args:
        chapter: with the worked answers.
        exercise: what was asked.
        calls: those that its checks made, with their outcomes.
        caller: the submission, to be asked a few questions more; None where it must not be.
    """
    reference = chapter.reference()
    if reference is None:
        return (), None
    right: Caller = reference
    form, in_order = None, calls
    if exercise.returns == ("module",):
        form = module_form(chapter, exercise)
        calls, right = form.calls(calls), AsFunction(form, right)
        caller = caller and AsFunction(form, caller)
    elif right is not None:
        calls, right = of_calls(calls, exercise.returns), AsNumbers(right, exercise.returns)
        caller = caller and AsNumbers(caller, exercise.returns)
    calls = [call for call in calls if call.name == exercise.function]
    kinds = {call.outcome.kind for call in calls}
    shut = any("ClosedDoor" in call.outcome.error_kinds for call in calls)
    if shut or not kinds or not kinds <= {"returned", "raised"}:
        return (), None
    text, parameters = documentation(chapter, exercise)
    letters = notation(text)
    asker = Asker(
        exercise.function,
        parameters,
        letters,
        caller,
        right,
        reference.functions.get(exercise.function),
        form,
        legal=exercise.legal,
        defaults=defaults(chapter, exercise),
        within=exercise.within,
        left_right=MODULE_CALLS if form else CALLS,
    )
    probes = [asker.seen(call) for call in calls]
    if form:  # a module that was made or refused as it should be says nothing
        probes = [p for p in probes if p.differs or form.weights(p.arguments)]
    evidence = Evidence(chapter, exercise, asker, without_dtypes(probes), in_order)
    return evidence.names(), smallest(asker, evidence.wrong)


@dataclass
class Fit:
    """How well a candidate explains the calls."""

    candidate: Candidate
    fits: int  # of the calls that differ, on so many it does the same
    misses: list[Probe]  # those on which it does something else
    contradicts: int  # of the calls on which all is right, on so many it would not be
    raises: int  # of the calls that raised an exception, on so many it raises the same

    @property
    def merit(self) -> tuple[int, int, int]:
        return self.fits, -self.contradicts, self.raises


@dataclass
class Evidence:
    """All calls of an exercise, and whoever can be asked more."""

    chapter: Chapter
    exercise: Exercise
    asker: Asker
    probes: Sequence[Probe]
    in_order: Sequence[Call] = ()  # all calls as they were made, a module's methods one by one

    def __post_init__(self) -> None:
        self.wrong = sorted(differing(self.probes), key=telling_power, reverse=True)
        agreeing = [probe for probe in self.probes if not probe.differs]
        self.right = sorted(agreeing, key=telling_power, reverse=True)
        self.key = (self.chapter, self.exercise.id)
        self.usual = {name: x for name, x in self.asker.defaults.items() if x is not None}
        self.valued = [probe for probe in self.wrong if probe.has_values]
        self.raised = [probe for probe in self.wrong if probe.got.kind == "raised"]
        self.agreeing: list[Probe] = []
        self.answers: dict[tuple[Probe, Candidate, bool, Tolerance | None], bool] = {}

    def names(self) -> tuple[Named, ...]:
        if not self.wrong:
            return tuple(self.short())
        order = self.parameter_order()
        if order:
            return order
        exact = self.exact(own_bank(self.exercise))
        if len(exact) > MOST_NAMED:
            return ()
        if exact:
            return tuple(self.told(self.settled(exact)))
        changed = [probe for probe in self.valued if probe.got.changed != probe.want.changed]
        in_place = self.in_place(changed)
        right = sum(alike(plain(p.got.value), plain(p.want.value)) for p in changed)
        if 2 * right > len(self.valued):
            return (*in_place, *self.remedies())
        found = self.known() or self.guessed()
        told = [*found, *in_place, *self.remedies()]
        # What crashes is mended first: lost digits can wait.
        told.sort(key=lambda each: (each.id,) in FEWER_DIGITS)
        return tuple(told[:MOST_NAMED])

    def known(self) -> list[Named]:
        """By the exercise's own mistakes, by those of its parts, and by what surely holds."""
        return (
            self.unsteady()
            or self.looping()
            or self.short()
            or self.not_finite()
            or self.nearly(own_bank(self.exercise), 1.0)
            or self.told(self.exact(composed_bank(*self.key)))[:1]
            or self.told(self.exact(sister_bank(*self.key)))[:1]
            or self.lost_digits()
            or self.related(LITTLE)
            or self.nearly(own_bank(self.exercise), 0.6)
            or self.nearly(own_bank(self.exercise), 0.6, within=SINGLE)
        )

    def guessed(self) -> list[Named]:
        """By changed lines of the worked answer, and by what fits in part."""
        return (
            self.told(self.exact(operator_bank(*self.key)))[:1]
            or self.related()
            or self.nearly(composed_bank(*self.key), 0.7)
            or self.nearly(sister_bank(*self.key), 0.7)
            or self.nearly([c for c in operator_bank(*self.key) if c.certain], 0.7)
            or self.combined()
            or self.partly()
        )

    # --- candidates ---

    def exact(self, candidates: Sequence[Candidate], *, raised: bool = False) -> list[Candidate]:
        """Those that agree on every call; with `raised` also where nothing but exceptions came."""
        strict = all(probe.got.kind == "raised" for probe in self.wrong)
        found = []
        for candidate in candidates:
            if candidate.source == "operator" and not self.valued and not raised:
                continue
            if self.asker.left_right <= 0:
                break
            if all(self.agrees(probe, candidate, strict) for probe in self.wrong) and all(
                self.agrees(probe, candidate)  # a right refusal may be said in other words
                for probe in self.right
            ):
                found.append(candidate)
        return found

    def settled(self, exact: list[Candidate]) -> list[Candidate]:
        """Where a changed worked answer agrees as well, further questions decide between them.

        The numbers are made larger and smaller; where nothing but exceptions came, all lengths
        are made equal, so that operands fit which are turned.
        """
        silent = all(probe.got.kind == "raised" for probe in self.wrong)
        known = [c for c in operator_bank(*self.key) if c.certain or silent]
        rivals = self.exact(known, raised=silent)
        if not rivals:
            return exact
        for probe, arguments in self.deciding(silent):
            new = self.asker.ask(probe.call, arguments)
            if new is None or new.got.kind != "returned":
                continue
            fit = [c for c in exact if self.agrees(new, c)]
            others = [c for c in rivals if self.agrees(new, c)]
            if not fit and others:
                return others[:1]
            rivals = others
        return exact

    def deciding(self, silent: bool) -> Iterator[tuple[Probe, dict[str, Any]]]:
        """Questions on which mistakes differ that agreed so far."""
        for probe in self.wrong[:2]:
            arguments = dict(probe.arguments)
            if silent:
                sizes = self.asker.notation.sizes(arguments)
                side = min((n for n in sizes.values() if n > 1), default=0)
                for letter in sizes:
                    cut = cut_axis(letter, self.asker.notation, slice(0, side), arguments)
                    arguments = cut or arguments
                yield probe, arguments
            else:
                for factor in (0.4, 0.1, -1.0):
                    yield probe, {name: scaled(x, factor) for name, x in arguments.items()}

    def agrees(
        self,
        probe: Probe,
        candidate: Candidate,
        strict: bool = False,
        *,
        within: Tolerance | None = None,
    ) -> bool:
        within = within or self.exercise.within
        question = (probe, candidate, strict, within)
        if question not in self.answers:
            self.asker.left_right -= 1
            twin = self.twin(candidate)
            other = remembered(candidate.function, probe.question, lambda: replay(probe.call, twin))
            self.answers[question] = same_answer(probe.got, other, strict, within=within)
        return self.answers[question]

    def does_the_same(self, candidate: Candidate) -> bool:
        """Whether a module answers alike where something is kept: asked everything, in order."""
        other = OwnCaller({self.exercise.function: candidate.function})
        loaded = set()  # without weights that are known, an answer is drawn by lot
        for call in self.in_order:
            if call.name == "load":
                loaded.add(call.target[0])
            elif call.name == "forward" and call.target[0] not in loaded:
                continue
            with_parameters = call.cotangent is not None and not isinstance(call.target, str)
            outcome = replay(call, other, call.target, parameters=with_parameters)
            made = [isinstance(each.value, ObjectRef) for each in (call.outcome, outcome)]
            if made[0] != made[1] or not (made[0] or same_answer(call.outcome, outcome)):
                return False
        return True

    def twin(self, candidate: Candidate) -> Caller:
        """Somebody who makes that mistake."""
        own = OwnCaller(
            {self.exercise.function: candidate.function}, limited=candidate.source == "operator"
        )
        if self.asker.form:
            return AsFunction(self.asker.form, own)
        return AsNumbers(own, self.exercise.returns)

    def nearly(
        self, candidates: Sequence[Candidate], share: float, *, within: Tolerance | None = None
    ) -> list[Named]:
        """The one that fits most of the calls that differ, and what else differs.

        Args:
            candidates: what is known.
            share: how many of the calls it must fit.
            within: for what was float32 on the way, in which other mistakes would hide.
        """
        best: list[Fit] = []
        for candidate in candidates:
            fit = self.fit(candidate, share, within)
            if fit is None:
                continue
            if not best or fit.merit > best[0].merit:
                best = [fit]
            elif fit.merit == best[0].merit:
                best.append(fit)
        if not best:
            return []
        if best[0].candidate.source == "operator":
            best = best[:1]
        if len(best) > 2:
            return []
        told = self.told([fit.candidate for fit in best])
        extra = self.rest(best[0]) or (_FEW_DIGITS if within else "")
        return [replace(each, extra=extra) for each in told]

    def fit(
        self, candidate: Candidate, share: float, within: Tolerance | None = None
    ) -> Fit | None:
        misses: list[Probe] = []
        fits = 0
        for probe in self.more:
            right = within and same_answer(probe.got, probe.want, within=within)
            if self.agrees(probe, candidate, within=within) and not right:
                fits += 1
            else:
                misses.append(probe)
            if len(misses) > (1 - share) * len(self.more):
                return None
        few = 1 if candidate.source == "bank" and not misses else FEWEST_PROBES
        if fits < min(few, max(len(self.valued), 2)):
            return None
        contradicts = sum(not self.agrees(p, candidate, within=within) for p in self.right)
        if 4 * contradicts > fits:  # what would show elsewhere, and does not, weighs most
            return None
        raises = sum(self.agrees(probe, candidate) for probe in self.raised)
        return Fit(candidate, fits, misses, contradicts, raises)

    def rest(self, fit: Fit) -> str:
        """What else differs, where the candidate does not fit."""
        if not fit.misses:
            let_pass = [p for p in self.wrong if p.want.kind == "raised" != p.got.kind]
            if let_pass:
                return f"Besides, {self.accepted(let_pass[0])}"
            return ""
        # A relation to what the mistake gives has misled: two mistakes meet there.
        calls = count(len(fit.misses), "more call")
        return f"Besides, something else is wrong in {calls}: mend this first, then check again."

    def accepted(self, probe: Probe) -> str:
        """For a call that must be refused and is not."""
        kind = probe.want.error_kinds[0]
        return f"a call that must raise {kind} ({probe.want.text}) returns a result."

    def told(self, candidates: Sequence[Candidate]) -> list[Named]:
        returned = any(probe.got.kind == "returned" for probe in self.wrong)
        opening = (
            "Your output equals what you get when"
            if returned
            else "Your code fails as one does in which"
        )
        # One mistake may sit in several rungs; of some there is nothing to say but a hidden name.
        told = {c.id: c for c in candidates if c.sentence}.values()
        return [Named(c.id, c.sentence, c.advice, c.page, c.source, opening) for c in told]

    # --- relations ---

    def parameter_order(self) -> tuple[Named, ...]:
        """The function's first line with the same names in another order."""
        caller = self.asker.caller
        mine = caller.facts.parameters.get(self.exercise.function, ()) if caller else ()
        wanted = self.asker.parameters
        if mine == wanted or sorted(mine) != sorted(wanted):
            return ()
        return (
            self.relation(
                "parameter order",
                f"Your function takes its inputs as ({', '.join(mine)}), but is called with "
                f"({', '.join(wanted)}).",
                "Keep the first line the exercise came with: inputs are handed over by place.",
            ),
        )

    def related(self, below: int = 9) -> list[Named]:
        """What holds on every call that returned something wrong; 0 is surest."""
        if not self.valued:
            return []
        sets = [self.relations(probe) for probe in self.more]
        shared = [r for r in sets[0] if all(any(r.key == o.key for o in s) for s in sets[1:])]
        best = min(shared, key=lambda r: r.certainty, default=None)
        if best and best.certainty <= 1 and len(self.more) >= FEWEST_PROBES:
            return [self.of(best, sets)]
        altered = self.altered()
        if altered:
            return [self.relation(str(altered.key), self.only(altered.sentence), altered.advice)]
        if best and best.certainty < below:
            return [self.of(best, sets)]
        return []

    def of(self, relation: Relation, sets: list[list[Relation]]) -> Named:
        """The relation, in the words of the call that shows it best."""
        same = [r for s in sets for r in s if r.key == relation.key]
        shown = min(same, key=lambda r: r.certainty)
        return self.relation(str(shown.key), self.only(shown.sentence), shown.advice)

    def only(self, sentence: str) -> str:
        """With the calls to which it is limited, if they have something in common."""
        return f"Only {self.where.words}: {sentence}" if self.where else sentence

    @cached_property
    def where(self) -> Condition | None:
        return telling(self.wrong, self.right, self.asker.defaults)

    @cached_property
    def more(self) -> list[Probe]:
        """The wrong calls that returned, and as many more as a relation needs.

        `self.agreeing` are then those of the new questions that were answered rightly.
        """
        probes = list(self.valued)
        for seed in range(1, MOST_REDRAWN + 1):
            for probe in self.valued[:2]:
                if len(probes) >= FEWEST_PROBES:
                    return probes
                other = {name: redrawn(x, seed) for name, x in probe.arguments.items()}
                new = self.asker.ask(probe.call, other)
                if new is None or not new.has_values:
                    continue
                (probes if new.differs else self.agreeing).append(new)
        return probes

    def relations(self, probe: Probe) -> list[Relation]:
        found = relate(probe.got.value, probe.want.value, probe.given)
        return found + (self.gradients(probe) if not found else [])

    def gradients(self, probe: Probe) -> list[Relation]:
        """Right values with other gradients."""
        mine, wanted = probe.got.gradients, probe.want.gradients
        names = [n for n, x in probe.arguments.items() if getattr(x, "requires_grad", False)]
        if isinstance(mine, str):
            return [
                Relation(
                    ("gradient", "breaks"),
                    f"The values are right, but the way back breaks: {mine}.",
                    "Changing a tensor in place after it was used is the usual cause.",
                    0,
                )
            ]
        if isinstance(wanted, str) or len(mine) != len(wanted):
            return []
        cut = [
            n for n, a, b in zip(names, mine, wanted, strict=False) if a is None and b is not None
        ]
        if cut:
            several = " and ".join(f"`{name}`" for name in cut)
            return [
                Relation(
                    ("gradient", "cut"),
                    f"The values are right, but no gradient reaches {several}.",
                    "detach(), .data, item(), tolist(), numpy(), torch.tensor(…) and "
                    "torch.no_grad() cut the connection.",
                    0,
                )
            ]
        found = []
        for name, a, b in zip(names, mine, wanted, strict=False):
            if a is None or b is None:
                continue
            for each in relate(a, b, probe.given)[:1]:
                found.append(
                    Relation(
                        ("gradient", *each.key),
                        f"The values are right, the gradient of `{name}` is not: {each.sentence}",
                        "A detach, a NaN covered up at the end, or a step that is flat changes "
                        "the way back only.",
                        1,
                    )
                )
        return found

    def altered(self) -> Alteration | None:
        """The right answer to changed inputs that equals the submission's on every wrong call."""
        first = max(self.more, key=_generality)
        probes = [first, *(probe for probe in self.more if probe is not first)]
        most = MODULE_ALTERATIONS if self.asker.form else None
        for alteration in islice(self.alterations(first), most):
            matched = 0
            for probe in probes:
                verdict = self.equals(probe, alteration)
                if verdict is False:
                    break
                matched += verdict is True
            else:
                if matched >= max(FEWEST_PROBES, 0.6 * len(probes)) and not self.denied(alteration):
                    return alteration
        return None

    def alterations(self, probe: Probe) -> Iterator[Alteration]:
        given = {  # deeper weights, such as attention.q_proj.weight, are some part's own affair
            name: x for name, x in {**self.usual, **probe.arguments}.items() if name.count(".") < 2
        }
        return alterations(given, self.asker.notation, self.usual)

    def combined(self) -> list[Named]:
        """Two things at once: the right answer to changed inputs, and a relation to that."""
        if len(self.more) < FEWEST_PROBES:
            return []
        probes = sorted(self.more, key=_generality, reverse=True)
        for alteration in self.alterations(probes[0]):
            if alteration.key[0] not in _PAIRED:
                continue
            shared: list[Relation] = []
            for number, probe in enumerate(probes):
                found = self.related_to(probe, alteration)
                shared = [r for r in (shared or found) if any(r.key == o.key for o in found)]
                if not shared:
                    break
                if number >= 4:
                    break
            if shared:
                best = min(shared, key=lambda r: r.certainty)
                text = f"Two things at once. {alteration.sentence} And from there: {best.sentence}"
                advice = f"{alteration.advice} {best.advice}"
                return [self.relation(f"{alteration.key} {best.key}", self.only(text), advice)]
        return []

    def related_to(self, probe: Probe, alteration: Alteration) -> list[Relation]:
        """Sure relations between what was returned and the right answer to changed inputs."""
        other = self.altered_value(probe, alteration)
        if other is None or alike(plain(other), plain(probe.want.value)):
            return []
        found = relate(probe.got.value, other, probe.given, places=False)
        return [r for r in found if r.certainty <= 1 and r.key[0] in _PAIRED_WITH]

    def denied(self, alteration: Alteration) -> bool:
        """Whether it would show on calls that were answered rightly."""
        innocent = ([] if self.where else self.right) + self.agreeing
        return any(
            self.equals(probe, alteration) is False for probe in innocent if probe.has_values
        )

    def equals(self, probe: Probe, alteration: Alteration) -> bool | None:
        """Whether the right answer to changed inputs is what was returned; None: not to be had."""
        value = self.altered_value(probe, alteration)
        return None if value is None else alike(plain(probe.got.value), plain(value))

    def altered_value(self, probe: Probe, alteration: Alteration) -> Any:
        changed = alteration.change({**self.usual, **probe.arguments})
        if changed is None:
            return None
        other = self.asker.expected(probe.call, changed)
        if other is None or other.kind != "returned":
            return None
        value = other.value
        if hasattr(value, "shape"):
            value = like(value, alteration.back(values.to_numpy(value)))
            if np.size(values.to_numpy(value)) == np.size(values.to_numpy(probe.want.value)):
                value = value.reshape(tuple(probe.want.value.shape))
        return value

    def short(self) -> list[Named]:
        """Right to a few digits only, which does not show on every call."""
        returned = [probe for probe in self.probes if probe.has_values]
        found: dict[str, list[Relation]] = {}
        for probe in returned:
            for each in relate(probe.got.value, probe.want.value, probe.given, places=False):
                found.setdefault(str(each.key[-1]), []).append(each)
        for key, share in (("small number", 0.5), ("seven digits", 0.0)):
            told = found.get(key, [])
            if len(told) >= max(FEWEST_PROBES, share * len(returned)):
                return [self.relation(key, told[0].sentence, told[0].advice)]
        return []

    def lost_digits(self) -> list[Named]:
        """The right answer to the same numbers in float64: too few digits, or too little range."""
        short = {"float32", "float16", "bfloat16"}
        for probe in self.wrong:
            if not probe.has_values or getattr(probe.got.value, "dtype", 0) != getattr(
                probe.want.value, "dtype", 1
            ):
                return []
            if values.dtype_name(probe.want.value) not in short:
                return []
            new = self.asker.ask(probe.call, {n: _wide(x) for n, x in probe.arguments.items()})
            if new is None or new.differs:
                return []
        return [
            self.relation(
                "lost digits",
                "For the same numbers in float64 your function is right: in "
                f"{values.dtype_name(self.wrong[0].want.value)} too little is left of them on the "
                "way.",
                "A difference of two large numbers keeps few digits: subtract first, then square "
                "or sum. A square or a sum may also be too large for the format.",
            )
        ]

    def not_finite(self) -> list[Named]:
        """NaN in places that have a name, in most calls: it has many causes, which look alike."""
        sets = [self.relations(probe) for probe in self.valued]
        found = [r for s in sets for r in s[:1] if r.key[0] == "NaN" and r.certainty == 0]
        same = [each for each in found if each.key == found[0].key]
        if len(same) < max(FEWEST_PROBES, 0.6 * len(sets)):
            return []
        sentence = self.only(found[0].sentence)
        if len(same) < len(sets):
            sentence = f"In {len(same)} of {len(sets)} calls that go wrong: {found[0].sentence}"
        return [self.relation(str(found[0].key), sentence, found[0].advice)]

    def in_place(self, changed: Sequence[Probe]) -> list[Named]:
        """Inputs that are not what they were before the call."""
        told = dict.fromkeys(name for probe in changed for name in probe.got.changed_names)
        names = [name for name in told if not name.endswith(MARKED)]
        several = " and ".join(f"`{name.removesuffix(MARKED)}`" for name in names or told)
        if not told:
            return []
        if not names:
            return [
                self.relation(
                    "marked",
                    f"Your function calls requires_grad_() on its input {several}, which belongs "
                    "to whoever calls it: its .grad is added to from call to call.",
                    "Mark a copy of your own: x.clone().requires_grad_(), or x.detach() and then "
                    "requires_grad_().",
                )
            ]
        return [
            self.relation(
                "in place",
                f"Your function changes its input {several}, which belongs to whoever calls it.",
                "x -= y, x[i] = …, .data and methods that end in _ write into the array they are "
                "given: make a new one, x = x - y.",
            )
        ]

    def unsteady(self) -> list[Named]:
        """Another answer to the same question: random numbers, or something that was kept."""
        for probe in self.valued[:1]:
            for seed in (0, 1):
                again = self.asker.ask(probe.call, probe.arguments, seed)
                if again is None or not alike(again.want.value, probe.want.value):
                    return []
                if again.has_values and alike(again.got.value, probe.got.value):
                    continue
                if seed == 0:
                    advice = (
                        "Something is kept from one call to the next (a global, a default argument "
                        "that is changed), or drawn anew by a generator of its own."
                    )
                else:
                    advice = (
                        "Random numbers take part: a dropout, or weights made inside the function. "
                        "The result may depend on the inputs only."
                    )
                sentence = "Asked the same again, your function gives another answer."
                if self.asker.form:
                    known = [c for c in own_bank(self.exercise) if self.does_the_same(c)]
                    if known:
                        return self.told(known)
                return [self.relation("unsteady", sentence, advice)]
        return []

    def looping(self) -> list[Named]:
        """Right values, but Python acts once for each entry."""
        slow = [p for p in self.wrong if p.call.count and p.got.steps > 3 * max(p.want.steps, 17)]
        if not slow or any(not alike(p.got.value, p.want.value) for p in self.valued):
            return []
        most = max(slow, key=lambda p: p.got.steps)
        return [
            self.relation(
                "loop",
                f"The numbers are right, but Python runs {most.got.steps} lines in a call in which "
                f"the worked answer needs {most.want.steps}.",
                "A for, a comprehension, np.vectorize or np.apply_along_axis is a loop in Python: "
                "one product of arrays does the same.",
            )
        ]

    def partly(self) -> list[Named]:
        """Which calls go wrong, and how in most of them."""
        sets = [self.relations(probe) for probe in self.valued]
        best: Relation | None = None
        most = 0
        for each in sorted((r for s in sets for r in s), key=lambda r: r.certainty):
            count = sum(any(each.key == other.key for other in s) for s in sets)
            if count > most and each.certainty < 9:
                best, most = each, count
        let_pass = [p for p in self.wrong if p.want.kind == "raised" != p.got.kind]
        if len(let_pass) == len(self.wrong):
            sentence = self.accepted(let_pass[0])
            advice = "Ask for it first, before anything is computed, and raise the exception."
            return [self.relation("accepted", sentence[0].upper() + sentence[1:], advice)]
        if self.where:
            words = f"It is right except {self.where.words}."
            advice = ""
            if best and most >= 0.6 * len(self.valued):
                words += f" There: {best.sentence}"
                advice = best.advice
            elif self.raised and not self.valued:
                first = self.raised[0]
                kind = first.got.error_kinds[0]
                words += f" There it raises {kind}"
                wanted = first.want.error_kinds[:1]
                words += f", wanted is {wanted[0]}." if wanted else "."
            return [self.relation(str(self.where.key), words, advice)]
        if best and most >= max(2, 0.5 * len(self.valued)):
            share = f"In {most} of {len(self.valued)} calls that go wrong: "
            return [self.relation(str(best.key), share + best.sentence, best.advice)]
        return []

    def remedies(self) -> list[Named]:
        """What the first exception asks for that is known."""
        found: list[Remedy] = []
        left_out: dict[str, Any] = dict.fromkeys(self.asker.parameters, _LEFT_OUT)
        left_out |= self.asker.defaults
        for probe in self.raised:
            if probe.want.kind == "raised":
                continue
            scene = Scene(
                probe.got,
                probe.given.sizes,
                {**left_out, **probe.arguments},
                function=self.exercise.function,
            )
            made = remedy(scene)
            if made:
                found.append(made)
        if not found:
            return []
        first = found[0]
        advices = {each.advice for each in found if each.key == first.key}
        # What fits the sizes of one call by chance does not fit those of another.
        advice = WHERE_AXES_MEET if first.key in PRODUCTS and len(advices) > 1 else first.advice
        return [Named(first.key, first.sentence, advice, page="", source="remedy")]

    def relation(self, key: str, sentence: str, advice: str) -> Named:
        return Named(key, sentence, advice, self.exercise.page, "relation")


def _wide(value: Any) -> Any:
    """Floating-point numbers in float64."""
    if not hasattr(value, "shape") or values.dtype_kind(value) != "f":
        return value
    if not values.is_tensor(value):
        return value.astype(np.float64)
    wide = value.detach().double()
    return wide.requires_grad_() if value.requires_grad else wide


def telling_power(probe: Probe) -> tuple[bool, int, int, int]:
    """How soon a call settles a question: enough numbers do, more of them only take longer.

    So do more weights: of two models the one with fewer blocks is asked first.
    """
    many = values.to_numpy(probe.want.value).size if hasattr(probe.want.value, "shape") else 0
    return not probe.call.count, min(many, _ENOUGH), -len(probe.arguments), -many


def _generality(probe: Probe) -> tuple[int, int]:
    """Calls with floating-point numbers and many axes are those to which most alterations fit."""
    floats = sum(1 for _ in probe.given.arrays("f"))
    return floats, len(getattr(probe.want.value, "shape", ()))


def plain(value: Any) -> Any:
    """Without its graph: whether a result requires grad is the gradients' business."""
    if values.is_tensor(value):
        return value.detach()
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
