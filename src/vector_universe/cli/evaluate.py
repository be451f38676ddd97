"""`vu evaluate`: models measured on data, in one report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vector_universe.cli.data import Options, Source, read_data
from vector_universe.cli.say import say
from vector_universe.data.options import LoadOptions
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.printable import printable_json


@dataclass(frozen=True)
class Evaluate:
    """Measure models: retrieval, zero-shot, probes, geometry, leaks, each with its interval, in one report."""

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """What `vu train` wrote, or pretrained CLIPs or SigLIPs: folders or hub names. Several are put side by side, and
    compared with the first."""
    data: Source
    """Data to measure on; what training has not seen is its test split."""
    out: Path | None = None
    """Folder for evaluation.html and evaluation.json; unset: the run of a single model, else evaluation-NAMES."""
    json: bool = False
    """Print evaluation.json instead of a table."""
    config: tyro.conf.OmitArgPrefixes[EvaluateConfig] = field(default_factory=EvaluateConfig)
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.evaluation import evaluate_folders
        from vector_universe.evaluation.rendering.console import print_report
        from vector_universe.progress import stages
        self.config.check()
        dataset = read_data(self.data, self.load)
        with stages() as progress:
            found = evaluate_folders(self.models, dataset, self.config, self.out, progress)
        if self.json:
            text = json.dumps(found.report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            print(printable_json(text))
        else:
            print_report(found.report)
        for line in (*found.kept, f"report: {found.page}"):
            say(line)
