"""`vu compare`: the same image tower by several objectives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from vector_universe.cli.data import Options, Source, read_data
from vector_universe.cli.say import say
from vector_universe.data.options import LoadOptions
from vector_universe.training.comparison.config import CompareConfig, check_shared
from vector_universe.training.config import TrainConfig


@dataclass(frozen=True)
class Compare:
    """Train the same image tower by several objectives, and see how many pictures each needs: one page of figures."""

    data: Source
    """The data, as for `vu train`; its test pictures are asked, its validation pictures choose the learning rates."""
    out: Path
    """Folder for comparison.html, comparison.json and every run; an interrupted comparison continues."""
    compare: tyro.conf.OmitArgPrefixes[CompareConfig] = field(default_factory=CompareConfig)
    config: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.training.comparison.report import print_comparison
        from vector_universe.training.comparison.run import PAGE, compare
        self.compare.check()
        check_shared(self.config)
        print_comparison(compare(read_data(self.data, self.load), self.compare, self.config, self.out))
        say(f"the page is {self.out / PAGE}")
