"""A module of the learner's in a check: constructed, loaded, called, without ever being here."""

from dataclasses import dataclass
from typing import Any

from minitx.grading.calling import ObjectRef, Outcome
from minitx.grading.errors import Rejected


@dataclass(frozen=True)
class Gradients:
    """Vector-Jacobian products of one forward pass, None where no path leads back."""

    inputs: tuple[Any, ...]  # of the inputs that require grad, in order
    parameters: dict[str, Any]


class ModuleHandle:
    """`module = sub.MultiHead(8, 2)`; `module(x)`, `module.load(weights)`, `module.vjp(x)` …

    `parameters` and `buffers` are the shapes by name, as they were when it was made.
    """

    def __init__(self, ask: Any, ref: ObjectRef) -> None:
        self._ask = ask
        self._ref = ref
        self.name = ref.name
        self.parameters = ref.parameters
        self.buffers = ref.buffers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.method("forward", *args, **kwargs)

    def method(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """The result of one of its methods, of the learner's own as well."""
        return self._asked(name, args, kwargs).value

    def vjp(self, *args: Any, cotangent: Any = None, **kwargs: Any) -> Gradients:
        """Vector-Jacobian products with respect to inputs and parameters.

        Raises:
            Rejected: if the call came to nothing, or the way back breaks.
        """
        outcome = self._asked("forward", args, kwargs, cotangent=cotangent, parameters=True)
        if isinstance(outcome.gradients, str):
            raise Rejected(f"{self.name}: {outcome.gradients}")
        return Gradients(outcome.gradients, outcome.parameter_gradients)

    def load(self, weights: dict[str, Any], names: dict[str, str] | None = None) -> None:
        """Copies weights into the module; all of them, and no others.

        Args:
            weights: by the name that the exercise gives each.
            names: the exercise's name -> the module's own, where they differ.

        Raises:
            CallFailed: naming what is missing, unknown or of another shape.
        """
        named = {(names or {}).get(name, name): weight for name, weight in weights.items()}
        self._asked("load", (named,), {})

    def state_dict(self) -> dict[str, Any]:
        """All parameters and buffers by name."""
        return dict(self.method("state_dict"))

    def train(self, mode: bool = True) -> "ModuleHandle":
        """Switches dropout and the like on."""
        self._asked("train", (mode,), {})
        return self

    def eval(self) -> "ModuleHandle":
        """Switches dropout and the like off."""
        return self.train(False)

    def to(self, dtype: Any) -> "ModuleHandle":
        """Moves all parameters and buffers to a dtype."""
        self._asked("to", (str(dtype).removeprefix("torch."),), {})
        return self

    def _asked(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], **options: Any
    ) -> Outcome:
        name = self.name if method == "forward" else f"{self.name}.{method}"
        outcome: Outcome = self._ask((self._ref.id, method), args, kwargs, name=name, **options)
        return outcome
