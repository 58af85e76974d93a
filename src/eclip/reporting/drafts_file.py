"""drafts.jsonl: one draft a line, written as they come, so that a run that was stopped goes on where it was.

OUT/drafts.jsonl    finished drafts; in the order of the store once all are there, and then the same bytes each time
OUT/timings.csv     image_id, seconds
OUT/settings.json   all that the drafts depend on; a run that goes on must have the same
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from eclip.errors import InputError
from eclip.reporting.draft import Draft

DRAFTS, TIMINGS, SETTINGS = "drafts.jsonl", "timings.csv", "settings.json"


class DraftsFile:
    """The drafts of one run, as a context manager.

    Args:
        out: Folder to make, or to go on in.
        settings: All that the drafts depend on.
        resume: Go on with what is there.

    Raises:
        InputError: The folder has drafts and `resume` was not asked for, or they were made otherwise.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.out = out
        self.finished: dict[str, dict[str, Any]] = {}
        settings = json.loads(json.dumps(settings))
        try:
            if (out / SETTINGS).is_file():
                self._go_on(settings, resume)
            elif out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise InputError(f"{out}: is there already and has no drafts; give another folder")
            out.mkdir(parents=True, exist_ok=True)
            self._replace(SETTINGS, json.dumps(settings, indent=2) + "\n")
            self._write_all(list(self.finished))  # without a line that was cut short
            self._drafts = (out / DRAFTS).open("a", encoding="utf-8")
            self._timings = (out / TIMINGS).open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error

    def __enter__(self) -> "DraftsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drafts.close()
        self._timings.close()

    def add(self, draft: Draft) -> None:
        """Write one draft, so that it is on disk now."""
        content = draft.as_json()
        self.finished[draft.image_id] = content
        self._drafts.write(json.dumps(content, ensure_ascii=False) + "\n")
        self._drafts.flush()
        csv.writer(self._timings).writerow([draft.image_id, f"{draft.seconds:.4f}"])
        self._timings.flush()

    def sort(self, image_ids: Sequence[str]) -> None:
        """Put the lines in an order, once all are there."""
        self._drafts.close()
        self._write_all(image_ids)

    def _write_all(self, image_ids: Sequence[str]) -> None:
        lines = [json.dumps(self.finished[name], ensure_ascii=False) + "\n" for name in image_ids]
        self._replace(DRAFTS, "".join(lines))

    def _replace(self, name: str, content: str) -> None:
        fresh = self.out / f".{name}"
        fresh.write_text(content, encoding="utf-8")
        fresh.replace(self.out / name)

    def _go_on(self, settings: Mapping[str, Any], resume: bool) -> None:
        if not resume:
            raise InputError(f"{self.out}: has drafts already; give another folder, or --resume to go on")
        try:
            before = dict(json.loads((self.out / SETTINGS).read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self.out / SETTINGS}: damaged, so nobody can tell how these drafts were made; give another folder"
            ) from error
        changed = [name for name in settings if settings[name] != before.get(name)]
        if changed:
            raise InputError(
                f"{self.out}: its drafts were made with another {changed[0]} ({before.get(changed[0])!r}); give "
                "another folder, or the same options"
            )
        path = self.out / DRAFTS
        # not splitlines(): reports may hold other marks for a new line, which JSON leaves as they are
        lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
        for number, line in enumerate(lines[:-1], 1):  # the last is empty, or of a run that was killed
            try:
                content = json.loads(line)
                self.finished[content["image_id"]] = content
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{path}, line {number}: not a draft; remove the line, or give another folder"
                ) from error
