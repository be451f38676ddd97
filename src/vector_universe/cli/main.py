"""`vu`: one verb after the other, from a folder of pictures to a universe; each has a file of its name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Protocol

import tyro

from vector_universe.cli.caption import Caption
from vector_universe.cli.compare import Compare
from vector_universe.cli.dashes import guarded, unguarded
from vector_universe.cli.data import Data
from vector_universe.cli.demo import Demo
from vector_universe.cli.evaluate import Evaluate
from vector_universe.cli.export import Export
from vector_universe.cli.generate import Generate
from vector_universe.cli.index import Index, Label, Search
from vector_universe.cli.say import say
from vector_universe.cli.serve import Serve, Share
from vector_universe.cli.train import Train, train_from
from vector_universe.errors import UserError
from vector_universe.printable import printable


class Verb(Protocol):
    """What every verb is: settings that can be run."""

    def run(self) -> None: ...


VERBS: dict[str, Callable[..., Verb]] = {
    "demo": Demo, "train": Train, "compare": Compare, "evaluate": Evaluate, "index": Index, "search": Search,
    "label": Label, "serve": Serve, "share": Share, "caption": Caption, "generate": Generate, "export": Export,
    "data": Data,
}


def main(arguments: list[str] | None = None) -> None:
    """Run `vu` with `arguments` (default: the command line). Errors of the user end with one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments and arguments[0] in VERBS:
            arguments = [arguments[0], *guarded(VERBS[arguments[0]], arguments[1:])]
        verbs = VERBS | ({"train": train_from(arguments)} if arguments[:1] == ["train"] else {})
        verb = tyro.extras.subcommand_cli_from_dict(
            verbs, prog="vu", args=arguments,
            description="From a folder of pictures to a model of your own and a universe to search and see.")
        _quieten()
        unguarded(verb).run()
    except (UserError, FloatingPointError) as error:
        say(f"vu: {error}")
        sys.exit(2)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        say(f"vu: {error.strerror or error}{place}")
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nvu: stopped; what was finished is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)


def _quieten() -> None:
    """Keep the progress bars and hub notices of libraries out of our output."""
    import os
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.formatwarning = lambda message, *_: f"vu: {printable(str(message))}\n"
