"""How a text file is encoded: UTF-8 nearly always, else what its byte order mark, its zeros or its letters tell.

Tables of titles are too short for guessers made for articles: of 24 short samples in ten encodings
charset-normalizer 3.5 told 11. What tells them apart here is how many of the letters beyond ASCII are frequent ones in
the writing that the encoding is for: all of them (`tests/test_encodings.py`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vector_universe.data.skipped import Remark, RemarkKind
from vector_universe.errors import UserError

CHUNK = 1024 * 1024
SAMPLE = 64 * 1024  # bytes of lines beyond ASCII that are looked at
USUAL = 0.5  # what a usual letter counts beside a frequent one
LEAST_SCORE = 0.3  # of letters as they should be; below it nothing is guessed …
LEAST_OF_BYTES = 0.5  # … nor below this where each byte is some letter
UTF8 = "utf-8-sig"

_MARKS = ((codecs.BOM_UTF8, UTF8), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_KANA = "".join(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FD))))
_HANGUL = ("이다는에을가고의한지하로어사기자도은인리대시수나그보정스라일만해아서여전부제상조들장주과구게니동원"
           "우성신경공생국있었것했요와면으화당중안무비모선유트마영위방진업할될되된그러려래내년년월거오행용말소"
           "강김문미물바발백번법분불산살새세식실심양연외음입작재적종좋짐집차처체초출치크타터통특파평표하학함합항형호환회후"
           "귀여운빨간파란노란초록검은흰네모동그라미세모고양이개강아지")
_SIMPLIFIED = ("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
               "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
               "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应向头文体政美相见"
               "红色蓝黄绿白黑圆圈方块猫狗爱花水山车图片")
_TRADITIONAL = ("的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
                "用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實"
                "日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應向頭文體政美相見"
                "紅色藍黃綠白黑圓圈方塊貓狗愛花水山車圖片")
_WESTERN = "éèàùüöäßñçêâîôûáíóúãõåøæëïìòÉÈÀÜÖÄÑÇÁÍÓÚÅØÆ’‘“”–—…€©®™·°£¿¡"
_CYRILLIC = "оеаинтсрвлкмдуы"  # not the whole alphabet: each letter of one is some letter of the other
_GREEK = "αοειητσνρκςάέήίόύώλ"
_PUNCTUATION = "、。「」・！？，：；（）“”…―～"


@dataclass(frozen=True)
class Writing:
    """An encoding that programs save tables in, and its frequent letters beyond ASCII.

    Attributes:
        mixed: whether these letters stand in words with plain ones (as in "café"); None where a letter is two bytes.
        usual: first and last of the first bytes of the everyday letters, where a letter is two bytes.
    """

    encoding: str
    name: str
    frequent: frozenset[str]
    mixed: bool | None = None
    usual: tuple[int, int] = (0, 0)

    def is_usual(self, letter: str) -> bool:
        encoded = letter.encode(self.encoding, "ignore")
        return len(encoded) == 2 and self.usual[0] <= encoded[0] <= self.usual[1] and (
            self.encoding != "cp949" or encoded[1] >= 0xA1)  # below it the rare syllables


WRITINGS = (
    Writing("cp949", "CP949 (Korean)", frozenset(_HANGUL), usual=(0xB0, 0xC8)),
    Writing("cp932", "Shift-JIS (Japanese)", frozenset(_KANA + _PUNCTUATION), usual=(0x88, 0x97)),
    Writing("euc_jp", "EUC-JP (Japanese)", frozenset(_KANA + _PUNCTUATION), usual=(0xB0, 0xCF)),
    Writing("gb18030", "GB18030 (Chinese)", frozenset(_SIMPLIFIED + _PUNCTUATION), usual=(0xB0, 0xD7)),
    Writing("big5hkscs", "Big5 (Chinese)", frozenset(_TRADITIONAL + _PUNCTUATION), usual=(0xA4, 0xC6)),
    Writing("cp1252", "Windows-1252 (Western European)", frozenset(_WESTERN), mixed=True),
    Writing("cp1250", "Windows-1250 (Central European)",
            frozenset("ąćęłńóśźżáčďéěíňřšťúůýžőűöüäăâîĄĆĘŁŃÓŚŹŻČĎŘŠŤŽ„”"), mixed=True),
    Writing("cp1254", "Windows-1254 (Turkish)", frozenset("ıİşŞğĞçÇöÖüÜâ"), mixed=True),
    Writing("cp1251", "Windows-1251 (Cyrillic)", frozenset(_CYRILLIC + _CYRILLIC.upper()), mixed=False),
    Writing("cp1253", "Windows-1253 (Greek)", frozenset(_GREEK + _GREEK.upper()), mixed=False),
    Writing("mac_roman", "Mac Roman (Western European)", frozenset(_WESTERN), mixed=True),
)


@dataclass(frozen=True)
class TextEncoding:
    """How a file is read.

    Attributes:
        codec: for `open`, with `errors="replace"`: one broken letter costs one letter.
        remark: what a reader should know; "" for plain UTF-8.
        broken: whether letters are lost.
    """

    codec: str
    remark: str = ""
    broken: bool = False

    def remarks(self, path: Path) -> list[Remark]:
        """What is to be said of the file; nothing of plain UTF-8."""
        kind: RemarkKind = "row_mended" if self.broken else "read_as"
        return [Remark(kind, path.name, None, self.remark)] if self.remark else []


def find_encoding(path: Path) -> TextEncoding:
    """How a file is encoded; UTF-8 is checked to the end of the file, in a megabyte of memory.

    Raises:
        UserError: it is none that is known.
    """
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(CHUNK), b"")
        found = _by_mark(first := next(chunks, b""))
        if found is not None:
            return found
        if _is_utf8(chain([first], chunks)):
            return TextEncoding(UTF8)
        file.seek(0)
        return _by_letters(_sample(iter(lambda: file.readline(CHUNK), b"")), str(path))


def decode_text(encoded: bytes, place: str) -> str:
    """A small text whatever its encoding; `place` is what an error calls it.

    Raises:
        UserError: its encoding is none that is known.
    """
    found = _by_mark(encoded)
    if found is None:
        found = TextEncoding(UTF8) if _is_utf8([encoded]) else _by_letters(encoded[:SAMPLE], place)
    return encoded.decode(found.codec, "replace")


def _by_mark(start: bytes) -> TextEncoding | None:
    """What the first bytes tell; None where they tell nothing."""
    for mark, codec in _MARKS:
        if start.startswith(mark):
            return None if codec == UTF8 else TextEncoding(codec, f"it is {codec.upper()}, and was read so")
    wide = _without_mark(start[:4096])
    return TextEncoding(wide, f"it is {wide.upper()} without a mark, and was read so") if wide else None


def _by_letters(sample: bytes, place: str) -> TextEncoding:
    """What the letters of a text tell that is not UTF-8 throughout."""
    read = sample.decode("utf-8", "replace")
    broken = read.count("\ufffd")
    if sum(not letter.isascii() for letter in read) - broken >= broken:
        return TextEncoding(UTF8, "it is UTF-8 with broken letters, which are shown as \ufffd", broken=True)
    scores = {writing: _score(sample, writing) for writing in WRITINGS}
    best = max(scores, key=lambda writing: scores[writing])
    if scores[best] < (LEAST_SCORE if best.mixed is None else LEAST_OF_BYTES):
        raise UserError(f"{place} is not UTF-8, and its letters do not tell what it is: save it as UTF-8 (in a "
                        "spreadsheet: save as, CSV UTF-8)")
    return TextEncoding(best.encoding, f"it is not UTF-8 but {best.name} by its letters, and was read so")


def _is_utf8(chunks: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _without_mark(start: bytes) -> str:
    """UTF-16 without a byte order mark: of two bytes of a plain letter one is zero."""
    zeros = [start[place::2].count(0) / max(1, len(start) // 2) for place in (0, 1)]
    if max(zeros) < 0.3 or min(zeros) > 0.1:
        return ""
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def _sample(lines: Iterable[bytes]) -> bytes:
    """The first lines that hold more than ASCII."""
    kept: list[bytes] = []
    for line in lines:
        if not line.isascii():
            kept.append(line)
            if sum(map(len, kept)) > SAMPLE:
                break
    return b"".join(kept)


def _score(sample: bytes, writing: Writing) -> float:
    """The share of the letters beyond ASCII that are as they should be; what is no letter counts against it twice."""
    text = sample.decode(writing.encoding, "replace")
    foreign = sum(not letter.isascii() for letter in text)
    broken = sum(letter == "\ufffd" or "\x80" <= letter < "\xa0" for letter in text)
    if writing.mixed is None:
        good = sum(1.0 if letter in writing.frequent else USUAL * writing.is_usual(letter)
                   for letter in text if not letter.isascii())
    else:
        good = sum(letter in writing.frequent for word in re.findall(r"[^\W\d_]+|[^\w\s]", text)
                   if not word[0].isalpha() or _fits(word, writing.mixed) for letter in word)
    return (good - 2 * broken) / max(1, foreign)


def _fits(word: str, mixed: bool) -> bool:
    plain = sum(letter.isascii() for letter in word)
    return 4 * plain >= len(word) and (word[1:].islower() or word.isupper()) if mixed else plain == 0
