"""Messages read as from one hand: one form, one word for one thing."""

import collections
import re

import pytest

from messages import messages

ALL = list(messages())
IN_PARTS = [m for m in ALL if m.kind != "warn" and len(m.parts) == 4]

# What became of another process, or of a comparison, is one text.
ONE_TEXT = ("lava_async/_lava/supervised.py", "lava_async/study/comparison.py",
            "lava_async/study/processes.py")  # fmt: skip

OTHER_WORDS = {
    r"\b(invalid|illegal|bad|wrong|incorrect)\b": "what would be right",
    r"\b(must|should|shall|has to|have to|can't|cannot|could not)\b": "'expected' says so already",
    r"\bplease\b": "nothing",
    r"\b(positive|non-negative|greater|less than)\b": ">= 1, >= 0, in 0..9, in [0, 1)",
    r"\bbetween \S+ and\b": "in 0..9, in [0, 1)",
    r"\bshape of\b": "x shape",
    r"\b(timestep|time-step|time bin)\b": "time step",
    r"\b(dataset|data-set)\b": "data set",
    r"\bnon[- ]?existent\b|\bdoes not exist\b": "an existing …, no such file",
    r"\bdirector(y|ies)\b(?<!a directory)": "folder",
    r"[.!]$": "no full stop",
    r"^(a |an |the )?expected\b": "the form says it",
}
"""Patterns, and what is said instead."""


def test_there_are_messages():
    assert len(ALL) > 400 and {m.kind for m in ALL} >= {"ValidationError", "GraphError", "warn"}


def test_errors_have_four_parts():
    other = [m for m in ALL if m.kind not in ("warn", "unsupported") and len(m.parts) != 4]
    assert [str(m) for m in other if not m.place.startswith(ONE_TEXT)] == []


@pytest.mark.parametrize("pattern", OTHER_WORDS)
def test_one_word_for_one_thing(pattern):
    found = [
        str(m) for m in ALL if m.kind != "warn"
        for part, is_text in zip(m.parts, m.is_text, strict=True)
        if is_text and re.search(pattern, re.sub(r"\{[^}]*\}", "{}", part))
    ]  # fmt: skip
    assert found == [], f"say instead: {OTHER_WORDS[pattern]}"


def test_lists_of_names_are_texts():
    """And not what Python prints of a tuple."""
    found = [str(m) for m in IN_PARTS if re.search(r"one of \{[\w.(]*[A-Z_]{3,}\)*\}", m.parts[2])]
    assert found == []


def test_the_same_words_are_written_the_same():
    """Where they say what is expected, and of what."""
    said = collections.defaultdict(set)
    for m in IN_PARTS:
        if m.is_text[2]:
            said[re.sub(r"[\s,:;'\"]", "", m.parts[2])].add(m.parts[2])
    assert [ways for ways in said.values() if len(ways) > 1] == []


@pytest.mark.parametrize("m", [m for m in ALL if m.kind == "warn"], ids=lambda m: m.place)
def test_warnings_are_of_our_class(m):
    assert m.parts[1] == "TrainingWarning"
