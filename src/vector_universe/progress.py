"""Progress of long work, on stderr: a bar with ETA a stage, gone when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

StageProgress = Callable[[str, int, int], None]  # (stage, done, total)


def silent(stage: str, done: int, total: int) -> None:
    """Says nothing."""


@contextmanager
def stages(console: Console | None = None) -> Iterator[StageProgress]:
    """Yields a function that takes (stage, done, total) and draws a bar for each stage; off a terminal, nothing."""
    console = console or Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=console, transient=True, disable=console.quiet or not console.is_terminal) as bar:
        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage)
            bar.update(tasks[stage], completed=done, total=total)

        yield progress


def counter(progress: StageProgress, stage: str, total: int) -> Callable[[int], None]:
    """A function `advance(n)` that moves one stage on by n."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return advance
