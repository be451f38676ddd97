"""Which languages the texts are in: a guess on a sample, and only where it is sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

MOST_TEXTS = 5_000
SHORTEST = 15  # letters: shorter titles could be anything
SURE = 0.7
# Rare languages are left out: among 140 of them hardly a title is told with certainty.
COMMON = ["ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu",
          "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "ta",
          "te", "th", "tr", "uk", "ur", "vi", "zh"]


def languages(texts: Sequence[str]) -> tuple[dict[str, int], int]:
    """ISO 639-1 codes with their numbers of texts, the most frequent first, and how many texts were judged.

    Texts are taken at equal distances, 5,000 at most; short ones and those that could be several languages are judged
    but not named.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    step = max(1, -(-len(texts) // MOST_TEXTS))
    sample = texts[::step]
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(COMMON)
    found: Counter[str] = Counter()
    for text in sample:
        if sum(map(str.isalpha, text)) >= SHORTEST:
            language, probability = identifier.classify(text)
            if probability >= SURE:
                found[language] += 1
    return dict(found.most_common()), len(sample)
