"""A module seen as one function, so that all that names a function's mistakes names a module's.

    module = Heads(6, 2); module.load(weights); module(x)    is    f(6, 2, *weights, x)

The arguments are the constructor's, the weights under the names that the exercise gives them, and
those of `forward`; in evaluation mode there is one more, `training=False`. A call that came to
nothing on the way, in the constructor or because the weights do not fit, is a call of that function
that raised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minitx.grading import values
from minitx.grading.calling import Call, Caller, Counted, Facts, ObjectRef, Outcome, Target
from minitx.grading.own import OwnCaller

Arguments = dict[str, Any]
MODE = "training"  # among the arguments only where it is False


@dataclass(frozen=True)
class ModuleForm:
    """The name of a class, and those of the parameters of its constructor and its `forward`."""

    name: str
    made_of: tuple[str, ...]
    called_with: tuple[str, ...]

    def weights(self, given: Mapping[str, Any]) -> Arguments:
        """Those arguments that are weights."""
        others = {*self.made_of, *self.called_with, MODE}
        return {name: value for name, value in given.items() if name not in others}

    def calls(self, calls: Sequence[Call]) -> list[Call]:
        """The calls of the constructor and of methods that a check made, as calls of one function.

        A module that was only made is a call, too; one that was called without weights that are
        known is none, for nobody else can be asked the same.
        """
        made: dict[int, tuple[str, Arguments]] = {}
        only_made: dict[int, Call] = {}
        flat: list[Call] = []
        for call in calls:
            if call.target == self.name:
                given = _named(self.made_of, call)
                ref = call.outcome.value
                if isinstance(ref, ObjectRef):
                    made[ref.id] = ref.name, given
                    only_made[ref.id] = self._flat(call, given, replace(call.outcome, value=True))
                else:
                    flat.append(self._flat(call, given, call.outcome))
                continue
            whose, method = call.target if isinstance(call.target, tuple) else (None, "")
            if not isinstance(whose, int) or whose not in made:
                continue
            name, given = made[whose]
            if method == "load":
                given = {**given, **call.args[0]}
                made[whose] = name, given
                only_made.pop(whose, None)
                if call.outcome.kind != "returned":
                    flat.append(self._flat(call, given, self.renamed(call.outcome, name)))
            elif method == "train":
                mode = {} if all(call.args) else {MODE: False}
                given = {n: value for n, value in given.items() if n != MODE}
                made[whose] = name, {**given, **mode}
            elif method == "forward":
                only_made.pop(whose, None)
                if self.weights(given):
                    given = {**given, **_named(self.called_with, call)}
                    flat.append(self._with_gradients(call, given))
        return [*flat, *only_made.values()]

    def renamed(self, outcome: Outcome, name: str) -> Outcome:
        """With the name of the exercise's class in a text that names another."""
        return replace(outcome, text=outcome.text.replace(name, self.name))

    def joined(self, outcome: Outcome, given: Mapping[str, Any]) -> Outcome:
        """With the gradients of weights and inputs as one function's, in the order of `given`."""
        if isinstance(outcome.gradients, str) or not outcome.parameter_gradients:
            return outcome
        of_weights = tuple(outcome.parameter_gradients.get(name) for name in self.weights(given))
        return replace(outcome, gradients=(*of_weights, *outcome.gradients))

    def _flat(self, call: Call, given: Arguments, outcome: Outcome) -> Call:
        return replace(call, target=self.name, args=(), kwargs=given, outcome=outcome)

    def _with_gradients(self, call: Call, given: Arguments) -> Call:
        """A forward pass; where its gradients were asked for, the weights require them."""
        if call.cotangent is not None:
            known = {n: values.copied(w).requires_grad_() for n, w in self.weights(given).items()}
            given = {name: known.get(name, value) for name, value in given.items()}
        return self._flat(call, given, self.joined(call.outcome, given))


@dataclass
class AsFunction:
    """A caller for which the module of an exercise is a function."""

    form: ModuleForm
    caller: Caller

    @property
    def facts(self) -> Facts:
        return self.caller.facts

    def call(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        seed: int,
        count: Counted = False,
        closed: tuple[str, ...] = (),
        cotangent: Any = None,
        parameters: bool = False,
    ) -> Outcome:
        """The outcome of `forward`, or of what came to nothing before."""
        form, caller = self.form, self.caller
        own = None
        if isinstance(caller, OwnCaller):  # modules are kept, and nobody asks for these again
            caller = own = OwnCaller(caller.functions, limited=caller.limited)

        def ask(target: Target, args: Any, kwargs: Any = None, **options: Any) -> Outcome:
            return caller.call(
                target, args, kwargs or {}, seconds=seconds, seed=seed, closed=closed, **options
            )

        given = {**dict(zip(form.made_of + form.called_with, args, strict=False)), **kwargs}
        made = ask(form.name, *_placed(form.made_of, given))
        if not isinstance(made.value, ObjectRef):
            return made
        number, weights = made.value.id, form.weights(given)
        if weights:
            dtype = values.dtype_name(next(iter(weights.values())))
            plain = {name: weight.detach() for name, weight in weights.items()}
            if own is None or not own.fits(number, dtype, plain):
                ask((number, "to"), (dtype,))
                loaded = ask((number, "load"), (plain,))
                if loaded.kind != "returned":
                    return form.renamed(loaded, made.value.name)
        if not any(name in given for name in form.called_with):
            return replace(made, value=True)
        if not given.get(MODE, True):
            ask((number, "train"), (False,))
        outcome = ask(
            (number, "forward"),
            *_placed(form.called_with, given),
            count=count,
            cotangent=cotangent,
            parameters=cotangent is not None,
        )
        return form.joined(outcome, given)


def _named(parameters: tuple[str, ...], call: Call) -> Arguments:
    return {**dict(zip(parameters, call.args, strict=False)), **call.kwargs}


def _placed(parameters: tuple[str, ...], given: Mapping[str, Any]) -> tuple[Any, Arguments]:
    """By place as long as none is left out, by name from there on."""
    args = []
    for name in parameters:
        if name not in given:
            break
        args.append(given[name])
    rest = parameters[len(args) :]
    return tuple(args), {name: given[name] for name in rest if name in given}
