"""What people read: one catalogue of short sentences by code, Chinese and English."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
SHARED = Path(__file__).with_name("messages.json")


class _Parameters(dict[str, object]):
    """Parameters; one that the raiser did not give is shown as …, because a message must never fail."""

    def __missing__(self, key: str) -> str:
        return "…"


class Messages:
    """Sentences by code. Parameters stand in braces: `最多 {limit} 字`."""

    def __init__(self, sentences: Mapping[str, Mapping[str, str]]) -> None:
        for code, sentence in sentences.items():
            if set(sentence) != set(LANGUAGES) or not all(sentence.values()):
                raise ValueError(f"the message {code} needs a sentence in each of {', '.join(LANGUAGES)}")
            if _parameters(sentence["zh"]) != _parameters(sentence["en"]):
                raise ValueError(f"the message {code} has different parameters in different languages")
        self._sentences = sentences

    @classmethod
    def load(cls, *files: Path) -> Messages:
        """The platform's catalogue and those of `files`. Raises ValueError for a code that is given twice."""
        sentences: dict[str, Mapping[str, str]] = {}
        for file in (SHARED, *files):
            read = json.loads(file.read_text(encoding="utf-8"))
            if twice := sentences.keys() & read.keys():
                raise ValueError(f"{file.name} gives again: {', '.join(sorted(twice))}")
            sentences.update(read)
        return cls(sentences)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    def __contains__(self, code: object) -> bool:
        return code in self._sentences

    def parameters(self, code: str) -> set[str]:
        """What the sentence is to be filled with. Raises KeyError for an unknown code."""
        return _parameters(self._sentences[code]["zh"])

    def text(self, code: str, language: Language = "zh", params: Mapping[str, object] | None = None) -> str:
        """The sentence with its parameters; the code itself when the catalogue does not know it."""
        sentence = self._sentences.get(code)
        return sentence[language].format_map(_Parameters(params or {})) if sentence else code


def _parameters(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@lru_cache(maxsize=256)
def language(accept_language: str) -> Language:
    """The language of an `Accept-Language` header: English where it is preferred to Chinese, else Chinese."""
    best: tuple[float, Language] = (0.0, "zh")
    for part in accept_language[:200].split(","):
        tag, _, parameters = part.strip().lower().partition(";")
        known = next((known for known in LANGUAGES if tag.partition("-")[0] == known), None)
        quality = _quality(parameters)
        if known is not None and quality > best[0]:
            best = (quality, known)
    return best[1]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
