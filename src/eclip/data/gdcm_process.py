"""gdcm in a process of its own: given a broken file, it ends the process that it runs in, so not ours.

Its wheel also brings a zlib of its own, which breaks Python's where that is loaded later.

One such process serves each process that decodes, and ends with it.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import zlib  # noqa: F401 (before gdcm)
from threading import Lock, Timer
from typing import Any

import numpy as np

_SECONDS = 60  # for one image; a large one takes less than one
_MEMORY = 2**32  # bytes of address space, of which the image takes a few per cent
_lock = Lock()
_process: tuple[int, subprocess.Popen[bytes]] | None = None


def decode(data: bytes) -> np.ndarray:
    """Decode the first frame of a DICOM file, as pydicom's `pixel_array`.

    Raises:
        ValueError: It cannot be decoded.
    """
    with _lock:
        process = _running()
        timer = Timer(_SECONDS, process.kill)
        timer.start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(len(data).to_bytes(8) + data)
            process.stdin.flush()
            head = process.stdout.read(8)
            answer = process.stdout.read(int.from_bytes(head))
        except OSError:
            head = answer = b""
        finally:
            timer.cancel()
        if not head:  # the file has ended it: reap it, so that the next file gets a new one
            process.kill()
            process.wait()
    if not answer:
        raise ValueError("gdcm cannot decode it")
    return np.load(io.BytesIO(answer), allow_pickle=False)


def _running() -> subprocess.Popen[bytes]:
    """This process's own process: a forked one must not share its parent's."""
    global _process
    if _process is None or _process[0] != os.getpid() or _process[1].poll() is not None:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, "-P", __file__]
        _process = os.getpid(), subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing)  # noqa: S603
    return _process[1]


def _serve() -> None:
    """The other side: files come in, arrays go out; no bytes where one cannot be decoded."""
    import pydicom
    from pydicom.pixels.utils import pixel_array

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its input does
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the libraries' own words
    while head := sys.stdin.buffer.read(8):
        data = io.BytesIO(sys.stdin.buffer.read(int.from_bytes(head)))
        answer: Any = io.BytesIO()
        with contextlib.suppress(Exception):
            np.save(answer, pixel_array(pydicom.dcmread(data), index=0, decoding_plugin="gdcm"))
        answers.write(len(answer.getvalue()).to_bytes(8) + answer.getvalue())
        answers.flush()


if __name__ == "__main__":
    _serve()
