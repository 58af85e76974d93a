"""Drafts for images of one's own."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from eclip.errors import InputError
from eclip.models.model import Model
from eclip.reporting.draft import NOT_A_DEVICE, Draft, Drafter


def report_images(
    model: Model, drafter: Drafter, images: Sequence[Path], *, out: Path | None = None
) -> list[Draft]:
    """Print a draft of each image with its sources, and write them as JSON.

    Args:
        model: That made the index.
        drafter: What makes the drafts.
        images: Files.
        out: JSON file, an object of one image or a list of several; None to print alone.

    Raises:
        InputError: A file that is not an image, the JSON cannot be written, or a draft could not be had.
    """
    if out is not None:
        _check_writable(out)
    vectors_ND = model.embed_images(images, progress=len(images) > 1)
    cases = drafter.cases([str(image) for image in images], vectors_ND)
    drafts = [draft for _, draft in sorted(drafter.draft(cases), key=lambda found: found[0])]
    contents = [draft.as_json() for draft in drafts]
    if out is not None:
        whole = contents[0] if len(contents) == 1 else contents
        try:
            out.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    console = Console()
    for draft, content in zip(drafts, contents, strict=True):
        if len(drafts) > 1:
            console.print(Text(draft.image_id, style="bold"), soft_wrap=True)
        for sentence in content["sentences"]:
            first = sentence["sources"][:1]
            where = f"{first[0]['study_id']} {first[0]['similarity']:.2f}" if first else ""
            mark = "" if sentence["supported"] else "  [no source]"
            console.print(
                f"{sentence['text']}  ({where}){mark}" if where else f"{sentence['text']}{mark}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
        for found in content["contradictions"]:
            console.print(
                f"Sources disagree on {found['finding']}: {found['present']} state it, {found['absent']} deny it",
                highlight=False,
                soft_wrap=True,
            )
    console.print(NOT_A_DEVICE, soft_wrap=True, style="dim")
    if failed := [draft for draft in drafts if draft.error]:
        raise InputError(f"{failed[0].image_id}: no draft ({failed[0].error})")
    return drafts


def _check_writable(out: Path) -> None:
    """Before the long work."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    if out.is_dir() or not os.access(out if out.exists() else out.parent, os.W_OK):
        raise InputError(f"{out}: cannot be written; give the name of a JSON file in a folder of yours")
