"""Kinds: what the directories of commands hold, by which files they are known, and the commands that go on with them.

The one table of them; whoever lists, resumes or reports a directory reads it here.
"""

from __future__ import annotations

from dataclasses import dataclass

MANIFEST = "manifest.json"
INTERACTIONS = "interactions.jsonl"
BLOCKS = "interactions"
"""Folder of the steps of a run with ``--records parquet``."""

SUMMARY = "summary.json"
PROGRESS = "progress.jsonl"
"""One line each time that the curves of a training move."""

CARD = "card.json"
"""File of fitted users that says what they are."""

PAGE = "page.json"
"""File of a directory that says what its report says; its fields are those of a ``Report``."""

RUN, TRAINING, EVALUATION, WRITTEN = "run", "training", "evaluation", "page"
ABLATION, VALIDATION, SWEEP, PEOPLE, TRUST, AUDIT = "ablation", "validation", "sweep", "users", "trust", "audit"
DISTILLATION, BELIEVABILITY, PROMPTS = "distillation", "believability", "prompts"


@dataclass(frozen=True)
class Kind:
    """A kind of directory.

    Attributes:
        name: in manifests, lists and messages.
        command: which makes it and goes on with it; empty where none goes on.
        made: what messages call what the command makes; the name if empty.
        mark: a file that no other kind has, by which it is known before its manifest is looked at; empty where there
            is none.
        option: a field that only the configurations of this kind have, for those whose manifest names no kind.
        results: the file that its report is made of.
    """

    name: str
    command: str = ""
    made: str = ""
    mark: str = ""
    option: str = ""
    results: str = ""

    @property
    def about(self) -> str:
        """The file that says what a directory is, from its beginning on."""
        return self.mark if self.mark and self.name != TRAINING else MANIFEST


KINDS = {
    kind.name: kind
    for kind in (
        Kind(WRITTEN, mark=PAGE, results=PAGE),
        Kind(EVALUATION, "evaluate", mark="evaluation.json", results="evaluation.json"),
        Kind(TRAINING, "train", mark=PROGRESS, option="algo", results=SUMMARY),
        Kind(PEOPLE, mark=CARD, results=CARD),
        Kind(RUN, "run", option="policy", results=SUMMARY),
        Kind(ABLATION, "ablate", results="results.json"),
        Kind(VALIDATION, "validate", results="validation.json"),
        Kind(AUDIT, "validate", made="validation", results="audit.json"),
        Kind(SWEEP, "sweep", results="results.json"),
        Kind(TRUST, "trust", made="study of trust", results="trust.json"),
        Kind(DISTILLATION, "distill", results=CARD),
        Kind(BELIEVABILITY, "judge", made="believability test", results="believability.json"),
        Kind(PROMPTS, "prompt-bench", made="prompt bench", results="prompts.json"),
    )
}
"""All kinds by their names; one that is known by a mark stands before those without."""

OF_STUDIES = frozenset(kind.name for kind in KINDS.values() if not kind.mark and not kind.option)
"""Kinds that a manifest names."""


def kinds_of(command: str) -> list[Kind]:
    """What a command makes; empty where it makes nothing that it goes on with."""
    return [kind for kind in KINDS.values() if kind.command == command]


def made_by(command: str) -> str:
    """What messages call what a command makes."""
    kind = kinds_of(command)[0]
    return kind.made or kind.name
