"""Values that begin with a dash, as some ids of YouTube do: `--like -tiUDjn7-as.jpg`.

Parsers of command lines, argparse and tyro alike, take such a word for an option and say that the value is missing. So
the dash of a word that can only be a value is swapped for a mark before parsing, and put back afterwards. What each
option takes is read from the types of the verbs, as tyro does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

from vector_universe.errors import UserError

_MARK = "\ufdd0"  # no character, so that no text has it
_LIKE_OPTION = re.compile(r"--[a-z][a-z-]*(=.*)?", re.DOTALL)
_REST_OF_SHORT = re.compile(r"-?\d+|=.*", re.DOTALL)  # of -k5, or -k=5
_POSITIONAL, _APPEND = (get_args(marked[str])[1] for marked in (tyro.conf.Positional, tyro.conf.UseAppendAction))
Value = TypeVar("Value")


@dataclass(frozen=True)
class Takes:
    """What an option takes: for each of its values whether it is a text; and whether any number of them may come."""

    texts: tuple[bool, ...] = ()
    any_number: bool = False

    @property
    def after_one(self) -> Takes:
        """What it still takes after a value."""
        return self if self.any_number else Takes(self.texts[1:])


def guarded(verb: Any, arguments: Sequence[str]) -> list[str]:
    """Arguments of a verb, of which no value of a text option begins with a dash any more.

    Raises:
        UserError: where a value should stand is an option, or what looks like one.
    """
    options = options_of(verb)
    found: list[str] = []
    name, waiting = "", Takes()  # the last option, and the values that it may still take
    for place, word in enumerate(arguments):
        if word == "--":
            return [*found, *arguments[place:]]
        option, has_value = _option(word, options)
        if option or _LIKE_OPTION.fullmatch(word):
            if waiting == Takes((True,)):
                raise UserError(f"{name} needs a value, and {word} looks like an option: if it is the value, write "
                                f"{name}={word}")
            name, waiting = option, options.get(option, Takes())
            if has_value:
                waiting = waiting.after_one
        elif waiting.texts:
            if waiting.texts[0] and word.startswith("-"):
                word = _MARK + word[1:]
            waiting = waiting.after_one
        found.append(word)
    return found


def unguarded(value: Value) -> Value:
    """What was parsed, with the dashes that `guarded` has taken away."""
    restored: Any = value
    if isinstance(value, str) and value.startswith(_MARK):
        restored = "-" + value[1:]
    elif isinstance(value, Path):
        restored = Path(unguarded(str(value)))
    elif isinstance(value, tuple):
        restored = tuple(map(unguarded, value))
    elif is_dataclass(value) and not isinstance(value, type):
        restored = replace(value, **{field.name: unguarded(getattr(value, field.name)) for field in fields(value)})
    return restored  # type: ignore[no-any-return]


def options_of(verb: Any) -> dict[str, Takes]:
    """What each option of a verb takes, by its names; of a verb with verbs of its own, the options of all of them."""
    return {"-h": Takes(), "--help": Takes()} | dict(_options(verb))


def _options(verb: Any) -> Iterator[tuple[str, Takes]]:
    for field, hint in get_type_hints(verb, include_extras=True).items():
        kind, extras = _plain(hint)
        inner = [_plain(one)[0] for one in (kind, *get_args(kind))]
        if any(map(is_dataclass, inner)):
            for one in filter(is_dataclass, inner):
                yield from _options(one)
        elif _POSITIONAL not in extras:
            name = field.replace("_", "-")
            takes = _takes(kind, _APPEND in extras)
            for alias in (f"--{name}", *(alias for extra in extras for alias in getattr(extra, "aliases", None) or ())):
                yield alias, takes
            if kind is bool:
                yield f"--no-{name}", takes


def _takes(kind: Any, one_at_a_time: bool) -> Takes:
    if kind is bool:
        return Takes()
    of_many = get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis
    one = get_args(kind)[0] if of_many else kind
    values = get_args(one) if get_origin(one) is tuple else (one,)
    return Takes(tuple(map(_is_text, values)), of_many and not one_at_a_time)


def _is_text(kind: Any) -> bool:
    return any(one is str or one is Path for one in (kind, *(get_args(kind) if get_origin(kind) is not tuple else ())))


def _plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what is annotated, and that."""
    return (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())


def _option(word: str, options: Mapping[str, Takes]) -> tuple[str, bool]:
    """The name of the option that a word is, "" where it is none; and whether it has a value with it."""
    name, equals, _ = word.partition("=")
    if name.startswith("--"):
        name = f"--{name[2:].replace('_', '-')}"
    elif _REST_OF_SHORT.fullmatch(word[2:]):
        name, equals = word[:2], "="
    return (name, bool(equals)) if name in options else ("", False)
