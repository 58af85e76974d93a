"""Balanced evaluation sets, such as CheXpert 5×200: the same ids from the same seed, in any language."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from eclip.errors import InputError

COMPETITION = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The five labels of the CheXpert competition: the classes of the 5×200 sets."""


def only_present(labels: Mapping[str, int], classes: Iterable[str]) -> str | None:
    """The one class that is present; None if none is, several are, or any is uncertain."""
    values = {name: labels.get(name, 0) for name in classes}
    present = [name for name, value in values.items() if value == 1]
    return present[0] if len(present) == 1 and -1 not in values.values() else None


def draw(
    pools: Mapping[str, Sequence[str]], *, per_class: int, seed: int, where: str
) -> dict[str, list[str]]:
    """Draw `per_class` ids of each class: those whose SHA-256 of "SEED:ID" is smallest, in that order.

    So the same ids are drawn whatever the order of a table or the version of a library; an id that is added to
    a pool pushes out at most one other.

    Args:
        pools: Class to ids.
        per_class: How many of each.
        seed: Another seed, another draw.
        where: The table, for the error.

    Raises:
        InputError: A class with too few.
    """
    for name, ids in pools.items():
        if len(ids) < per_class:
            raise InputError(
                f"{where}: {len(ids)} images have {name} as their only finding; {per_class} a class were asked for"
            )

    def place(image_id: str) -> bytes:
        return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()

    return {name: sorted(ids, key=place)[:per_class] for name, ids in pools.items()}
