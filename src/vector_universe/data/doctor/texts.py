"""What is wrong with texts: missing, of a broken encoding, too long, or the name of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from vector_universe.data.doctor.findings import Case
from vector_universe.data.doctor.scan import Seen

# An encoding that was read wrongly and lost bytes on the way, so that nothing can repair it: the replacement character,
# or the first half of a letter of two bytes before an underscore, or within or after a word of small letters.
LOST_BYTES = re.compile("\ufffd|[ÂÃÌ][_\u0080-\u00bf]|(?<=[a-z])[ÂÃÌ]")
FILE_NAME = re.compile(
    r"(https?://|www\.)\S+|\S+\.(jpe?g|png|gif|webp|bmp|tiff?|avif|heic|svg|pdf|mp4|mov)"
    r"|(img|dsc|dscn|dscf|pxl|mvi|dji|gopr|screenshot|image|photo|picture)[ _-]?\d{2,}([ _-]?\d+)*"
    r"|(?=\S*\d)[0-9a-f]{8}[0-9a-f-]{8,}", re.IGNORECASE)
WORD, NUMBER = re.compile(r"[^\W\d_]+"), re.compile(r"\d")
OTHER = re.compile(r"[^\w\s]+|_+")
FRAME_TOKENS = 2  # the start and the end of a text
LETTERS_A_TOKEN = 7  # of an English word, on average, beyond its first token


def text_cases(seen: Sequence[Seen], max_tokens: int) -> Iterator[Case]:
    """Missing, damaged, over-long and file-name-like texts.

    Args:
        seen: all examples.
        max_tokens: how many tokens the model reads; CLIP's 77.
    """
    some_have = any(one.texts for one in seen)
    broken = _encoding_check()
    for one in seen:
        if some_have and not any(text.strip() for text in one.texts):
            yield _case("no_text", one, "no text")
        for text in one.texts:
            if repaired := broken(text):
                meant = f", meant as “{repaired}”" if repaired != text else ", whose bytes are lost"
                yield _case("text_mojibake", one, f"“{text}”{meant}")
            if (tokens := estimated_tokens(text)) > max_tokens:
                yield _case("text_too_long", one, f"about {tokens:,} tokens: “{text[:80]}…”")
            if FILE_NAME.fullmatch(text.strip()):
                yield _case("text_like_a_file_name", one, f"“{text}”")
        for label in one.labels:
            if broken(label):
                yield _case("text_mojibake", one, f"label “{label}”")


def estimated_tokens(text: str) -> int:
    """About how many tokens CLIP's tokenizer makes of a text, with the two that frame it; made for English.

    An estimate: a word is one token and one more for every 7 letters beyond the first 7, a digit or a run of other
    signs one each, and letters of other scripts three for every five of their bytes.
    """
    tokens = FRAME_TOKENS + len(NUMBER.findall(text)) + len(OTHER.findall(text))
    for word in WORD.findall(text):
        foreign = sum(len(letter.encode("utf-8", "replace")) for letter in word if ord(letter) > 0x24F)
        letters = sum(ord(letter) <= 0x24F for letter in word)
        tokens += -(-letters // LETTERS_A_TOKEN) + -(-3 * foreign // 5)
    return tokens


@cache
def _encoding_check() -> Callable[[str], str]:
    """A function that gives "" for a sound text, what a broken one means, or the text itself where bytes are lost."""
    import ftfy

    # Curly quotes, ligatures, wide letters and entities are matters of taste; only the encoding counts here.
    settings = ftfy.TextFixerConfig(
        unescape_html=False, remove_terminal_escapes=False, fix_latin_ligatures=False, fix_character_width=False,
        uncurl_quotes=False, fix_line_breaks=False, fix_surrogates=False, remove_control_chars=False,
        normalization=None)

    def check(text: str) -> str:
        if text.isascii():
            return ""
        repaired = ftfy.fix_and_explain(text, settings).text
        return repaired if repaired != text else text if LOST_BYTES.search(text) else ""

    return check


def _case(kind: str, one: Seen, detail: str) -> Case:
    return Case(kind, one.id, one.place + 1, detail, one.split, None if one.picture.fault else one.place)
