"""Everything that the doctor can find, the worst first: how bad it is, what to call it, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "information")


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        name: as in report.json.
        severity: an error makes training or its figures wrong, a warning may, information is for the reader.
        one, many: what is found, with {n} for how many.
        way_out: what to do, in one sentence.
    """

    name: str
    severity: Severity
    one: str
    many: str
    way_out: str


def _counted(name: str, severity: Severity, what: str, way_out: str) -> Kind:
    """A kind whose sentence begins with the number; "[s]" is for more than one, "[is|are]" for one or more."""
    one, many = what.replace("[s]", ""), what.replace("[s]", "s")
    for single, several in (("is", "are"), ("has", "have"), ("repeats", "repeat"), ("looks", "look"),
                            ("occurs", "occur"), ("differs", "differ")):
        one, many = one.replace(f"[{single}|{several}]", single), many.replace(f"[{single}|{several}]", several)
    return Kind(name, severity, "{n} " + one, "{n} " + many, way_out)


_GROUP = "Load the data with --group-duplicates, so that copies stay in one split."
_REPLACE = "Fetch or export the file again, or drop its row; `vu train` leaves such rows out."

KINDS = {kind.name: kind for kind in (
    _counted("image_identical_across_splits", "error", "image[s] also [occurs|occur] in another split", _GROUP),
    _counted("split_without_training", "error", "data set without a single training image",
             "Name train, validation and test in a column `split`, or leave the column out."),
    _counted("image_missing", "error", "image[s] [is|are] missing", "Put the files in place, or correct their names."),
    _counted("image_outside", "error", "image[s] [is|are] outside of the data folder",
             "Copy the files into it (img2dataset downloads URLs), or allow other folders by --allow-outside."),
    _counted("image_empty", "error", "image file[s] [is|are] empty", _REPLACE),
    _counted("image_truncated", "error", "image[s] [is|are] truncated", _REPLACE),
    _counted("image_unreadable", "error", "image[s] [is|are] unreadable", _REPLACE),
    _counted("image_too_large", "error", "image[s] [is|are] too large to be decoded safely",
             "Scale them down; they were refused from their header alone."),
    _counted("duplicate_id", "error", "row[s] [repeats|repeat] the id of an earlier row",
             "Give each row an id of its own, or name another column by --id-column."),
    _counted("row_skipped", "error", "row[s] cannot be used", "Correct or drop them; the reason stands beside each."),
    _counted("split_unknown", "error", "row[s] [has|have] a split that is not understood",
             "Call the splits train, validation and test; until then these rows are left out."),
    _counted("rows_disagree", "warning",
             "row[s] [differs|differ] from another row of the same picture in labels or split",
             "Look at each: labels are united, and the split that is held out more is taken."),
    _counted("row_mended", "warning", "row[s] or file[s] damaged, and read as they were probably meant",
             "Look at each, and correct the table."),
    _counted("labels_contradict", "warning", "identical image[s] with contradicting labels",
             "Look at each and keep the labels that are right."),
    _counted("image_alike_across_splits", "warning", "image[s] [looks|look] like an image of another split", _GROUP),
    _counted("text_identical_across_splits", "warning", "text[s] also [occurs|occur] in another split",
             "Keep what belongs together in one split by --group COLUMN, or read figures on these queries with care."),
    _counted("text_alike_across_splits", "warning",
             "text[s] [differs|differ] from one of another split only in case, punctuation or spaces",
             "Keep what belongs together in one split by --group COLUMN, or read figures on these queries with care."),
    _counted("image_identical", "warning", "image[s] [repeats|repeat] another image of the same split",
             "Train with --duplicates near or --batches apart, or drop the copies."),
    _counted("no_text", "warning", "row[s] [has|have] no text, though others have one",
             "Write a text for each, or drop the row."),
    _counted("text_mojibake", "warning", "text[s] with a broken encoding",
             "Repair them with ftfy where the bytes are whole, or read the source again as UTF-8."),
    _counted("image_uniform", "warning", "image[s] of one colour alone", "Drop them: placeholders teach nothing."),
    _counted("image_tiny", "warning", "image[s] with a side below 32 pixels", "Fetch a larger version, or drop them."),
    _counted("label_spellings", "warning", "label[s] [differs|differ] from another only in case or spaces",
             "Choose one spelling: they count as different labels."),
    _counted("read_as", "information", "file[s] read otherwise than the usual way",
             "Nothing must be done where it is right."),
    _counted("values_differ", "information", "value[s] [differs|differ] from that of another row of the same picture",
             "Nothing must be done: the first is kept."),
    _counted("not_read", "information", "kind[s] of files or folders beside the data not read",
             "Nothing must be done, unless they were meant as data."),
    _counted("text_too_long", "information", "text[s] [is|are] probably longer than the model reads",
             "Put what matters first: the rest is cut off; the length is an estimate from words and characters."),
    _counted("split_empty", "information", "split[s] [is|are] empty",
             "Give a column `split` with train, validation and test, or leave it out: then ids decide."),
    _counted("image_alike", "information", "image[s] [looks|look] like another image of the same split",
             "Train with --duplicates near, so that they do not count as negatives."),
    _counted("text_identical", "information", "text[s] [repeats|repeat] that of another image of the same split",
             "Nothing must be done: equal texts count as positives; --batches apart keeps them out of one batch."),
    _counted("text_alike", "information",
             "text[s] [differs|differ] from another of the same split only in case, punctuation or spaces",
             "Choose one spelling, if they mean the same."),
    _counted("text_like_a_file_name", "information", "text[s] [looks|look] like a file name or a URL",
             "Write what is to be seen, or drop the text."),
    _counted("label_rare", "information", "label[s] with fewer than 5 images", "Add images, or merge the labels."),
    _counted("no_labels", "information", "image[s] without labels, though others have some",
             "Add labels where they matter to you."),
    _counted("image_mended", "information", "image[s] [is|are] damaged, but whole enough to be used",
             "Nothing must be done; fetch the file again where every row matters."),
    _counted("image_mode", "information", "image[s] of an unusual mode",
             "Nothing must be done: they are turned upright, laid on white and read as RGB, the first frame alone."),
    Kind("false_negatives", "information", "{n}", "{n}",
         "Use vu train --batches apart, --duplicates near or --leave-out same_labels."),
    Kind("languages", "information", "{n}", "{n}",
         "Choose a model that knows them; guesses on short titles are noisy, so only sure ones are counted."),
)}
