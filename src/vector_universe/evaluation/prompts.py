"""Prompts: the sentences that turn a label into texts such as an image might come with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vector_universe.errors import UserError
from vector_universe.evaluation.config import EvaluateConfig, prompt_file

OF_THE_DATA = "zeroshot_classification_templates.txt"  # where a data set of CLIP_benchmark has prompts of its own

_ARTICLE = re.compile(r"\b(a|an|A|An) (?=\{\})")
# "an owl", "an umbrella", "an hour"; but "a unicorn", "a one-way street", "a ewe"
_VOWEL = re.compile(r"(?!u[^aeiou]?[aeiou]|eu|ew|one\b|once\b)[aeiou]|hour|honest|honou?r|heir")


@dataclass(frozen=True)
class Prompts:
    """A set of prompts.

    Attributes:
        name: for people.
        templates: with {} where the label goes.
        literal: labels and articles stay as they are written: what others have published with these prompts was
            measured so.
    """

    name: str
    templates: tuple[str, ...]
    literal: bool = False

    def texts(self, label: str) -> list[str]:
        """The prompts of one label."""
        return [template.replace("{}", label) for template in self.templates] if self.literal else [
            fill(template, readable(label)) for template in self.templates]


PLAIN = Prompts("plain", ("{}",))
PHOTO = Prompts("photo", (
    "a photo of a {}.", "a photo of the {}.", "a close photo of a {}.", "a photo of a {} from a distance.",
    "a picture that shows a {}.", "a sharp picture of a {}.", "a blurred snapshot of a {}.", "a {} in daylight.",
    "a dark photo of a {}.", "a photo of several {}.", "a small picture of a {}.", "this is a {}."))
POSTER = Prompts("poster", (
    "a poster of a {} film.", "a movie poster: {}.", "the poster of a {} movie.", "a film of the genre {}.",
    "a {} film poster with a title.", "cover art for a {} story.", "an advertisement for a {} movie."))
THUMBNAIL = Prompts("thumbnail", (
    "a thumbnail of a video about {}.", "a {} video.", "a video thumbnail: {}.", "a still from a video about {}.",
    "the cover picture of a {} clip.", "a thumbnail with text about {}.", "a channel about {}."))
PRODUCT = Prompts("product", (
    "a product photo of a {}.", "a {} for sale.", "a picture of a {} in a shop.", "a {} on a white background.",
    "a {} as a customer photographed it.", "a catalogue picture of a {}.", "someone's {} on offer.",
    "a photo of a new {}."))
EMOJI = Prompts("emoji", (
    "an emoji of a {}.", "the {} emoji.", "a small icon of a {}.", "a {} symbol.", "a flat drawing of a {}.",
    "a colourful pictogram: {}.", "a sticker of a {}."))
SETS = {prompts.name: prompts for prompts in (PHOTO, POSTER, THUMBNAIL, PRODUCT, EMOJI, PLAIN)}

# Words in the name of a data set, or of its place, that tell what kind of pictures it holds.
_KINDS = {"poster": POSTER, "thumbnail": THUMBNAIL, "youtube": THUMBNAIL, "emoji": EMOJI, "product": PRODUCT,
          "catalog": PRODUCT, "shop": PRODUCT, "fashion": PRODUCT}


def choose_prompts(config: EvaluateConfig, name: str, source: str) -> Prompts:
    """The prompts that the settings name; of 'auto', those of the data set itself, else of its kind.

    Args:
        config: `prompts` is read.
        name: of the data set.
        source: where it was loaded from; its last two folders are looked at for words such as "poster".

    Raises:
        UserError: there is no such set or file, or a line of the file has no {}.
    """
    if (path := prompt_file(config)) is not None:
        return read_prompts(path)
    if config.prompts in SETS:
        return SETS[config.prompts]
    if config.prompts != "auto":
        raise UserError(f"--prompts {config.prompts}: there is no such set; choose from auto, {', '.join(SETS)}, or "
                        "give a file with a prompt a line, such as ./prompts.txt")
    if (own := Path(source) / OF_THE_DATA).is_file():
        return Prompts(f"the data set's own ({OF_THE_DATA})", read_prompts(own).templates, literal=True)
    words = " ".join([name, *Path(source).parts[-2:]]).lower()
    return next((prompts for word, prompts in _KINDS.items() if word in words), PHOTO)


def read_prompts(path: Path) -> Prompts:
    """Prompts of a file: one a line, with {} or {c} where the label goes; blank lines are passed over.

    Raises:
        UserError: there is no such file, it is not UTF-8, it holds no prompt, or a line has no place for the label.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"the prompts {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"the prompts {path} are not UTF-8: save the file as UTF-8") from None
    templates = []
    for number, line in enumerate(lines, 1):
        template = line.strip().replace("{c}", "{}")
        if template and "{}" not in template:
            raise UserError(f"{path}, line {number}: {line.strip()[:60]!r} has no {{}}: write {{}} where the label "
                            "belongs")
        templates += [template] if template else []
    if not templates:
        raise UserError(f"{path} holds no prompt: write one a line, such as: a photo of a {{}}.")
    return Prompts(path.name, tuple(dict.fromkeys(templates)))


def readable(label: str) -> str:
    """A label as people write it: "Action_Adventure" becomes "action adventure"."""
    return " ".join(label.replace("_", " ").lower().split()) or label


def fill(template: str, label: str) -> str:
    """A template with its label; an article right before it becomes "a" or "an" as the label begins."""
    article = "an" if _VOWEL.match(label.lower()) else "a"
    fitting = _ARTICLE.sub(lambda found: (article.capitalize() if found[1][0] == "A" else article) + " ", template)
    return fitting.replace("{}", label)
