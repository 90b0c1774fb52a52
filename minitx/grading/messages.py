"""Outcomes and facts as messages: whatever a worker writes into them, the texts are harmless."""

import dataclasses
from typing import Any

from minitx.grading.calling import Facts, Outcome, Problem
from minitx.grading.frames import Garbage
from minitx.grading.texts import cleaned
from minitx.grading.wire import pack, unpack

_KINDS = ("returned", "raised", "missing", "signature", "unattempted", "timeout", "exit")


def pack_outcome(outcome: Outcome) -> tuple[dict[str, Any], list[bytes]]:
    """An outcome as one message."""
    chunks: list[bytes] = []
    message = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    alive = [message.pop(name) for name in ("value", "gradients", "parameter_gradients")]
    return {**message, "alive": pack(alive, chunks)}, chunks


def unpack_outcome(message: dict[str, Any], body: bytes) -> Outcome:
    """The outcome in a message; its texts are cleaned and bounded.

    Raises:
        Garbage: if it holds something else.
    """
    try:
        value, gradients, learnt = unpack(message["alive"], body)
        sound = isinstance(gradients, tuple | str) and isinstance(learnt, dict)
        if not sound or message["kind"] not in _KINDS:
            raise Garbage("an outcome that is none")
        changed = [c if type(c) is int else cleaned(str(c), 100) for c in message["changed"]]
        return Outcome(
            message["kind"],
            value,
            error_kinds=_texts(message["error_kinds"]),
            text=cleaned(str(message["text"]), 1000),
            where=cleaned(str(message["where"]), 300),
            changed=tuple(changed),
            changed_names=_texts(message["changed_names"]),
            steps=int(message["steps"]),
            kept=int(message["kept"]),
            printed=cleaned(str(message["printed"])),
            warning=cleaned(str(message["warning"])),
            gradients=cleaned(gradients, 1000) if isinstance(gradients, str) else gradients,
            parameter_gradients={cleaned(str(key), 200): each for key, each in learnt.items()},
            seconds=max(float(message["seconds"]), 0.0),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Garbage("an outcome that is none") from None


def pack_facts(facts: Facts) -> dict[str, Any]:
    """Facts as JSON."""
    return {
        "problems": [[each.text, sorted(each.names), each.aside] for each in facts.problems],
        "printed": facts.printed,
        "parameters": {name: list(names) for name, names in facts.parameters.items()},
    }


def unpack_facts(message: dict[str, Any], origin: str) -> Facts:
    """The facts in a message; their texts are cleaned and bounded.

    Raises:
        Garbage: if it holds something else.
    """
    try:
        problems = [
            Problem(cleaned(str(text), 1000), frozenset(_texts(names)), bool(aside))
            for text, names, aside in message["problems"][:100]
        ]
        parameters = {
            cleaned(str(name), 100): _texts(names) for name, names in message["parameters"].items()
        }
        return Facts(origin, tuple(problems), cleaned(str(message["printed"])), parameters)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Garbage("facts that are none") from None


def _texts(texts: Any) -> tuple[str, ...]:
    return tuple(cleaned(str(text), 100) for text in list(texts)[:100])
