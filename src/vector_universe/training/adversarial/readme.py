"""What explains a generator's run folder to those who find it."""

from __future__ import annotations

from vector_universe.data import ImageTextDataset
from vector_universe.training.run_folder import RunFolder

README = """# A generator of Vector Universe

Draws pictures from texts. Trained on **{summary}**.

    vu generate {run} "red heart" --out heart.png

| file | what |
|---|---|
| `generator/` | the generator: `Generator.from_pretrained("generator")`; there once training has finished |
| `model/` | a copy of the model that embeds the texts; `DualEncoder.from_pretrained("model")` |
| `samples/` | a sheet an epoch: the same texts and noise each time, the real picture at the left |
| `curves.html` | how it went, drawn; there once training has finished |
| `metrics.jsonl` | a line a step (losses, mean scores), and for some epochs figures of `samples` |
| `config.json` | every setting; the same settings and data give the same generator |
| `data.json` | source, fingerprint and counts of the data |
| `trained_on.jsonl` | ids of the examples that it learns from, one a line |
| `skipped.csv` | rows that were left out, and why |
| `environment.json` | versions of the software |
| `checkpoint.safetensors` | where the run stands; the same command continues from it |

The figures under `samples` in `metrics.jsonl` are measured in the model's own space, on the training texts: `own` and
`shuffled` are mean cosines of generated pictures with their own texts and with others' (`real_own`: real pictures with
their own; the generator learns from this model's match score, which flatters it), `recall_at_10` how often the own text
is among the ten nearest, `frechet_distance`, `density` and `coverage` how generated pictures lie beside real ones
(`real_…`: the same between two halves of the real ones), `spread` the distance between pictures of one text over that
between real pictures of different texts.
"""


def write_readme(run: RunFolder, dataset: ImageTextDataset) -> None:
    """Write README.md in place of the one of a run that trains an encoder."""
    (run.path / "README.md").write_text(README.format(summary=dataset.summary(), run=run.path), encoding="utf-8")
