"""What a lab's annotations are read on, and into."""

import numpy as np

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk

IMAGE = Shrunk(np.zeros((30, 40), np.uint8), original_height=300, original_width=400)


def apart(found):
    """(annotations, rejections)."""
    found = list(found)
    assert all(isinstance(item, Annotation | Rejection) for item in found)
    for item in found:
        if isinstance(item, Rejection):
            item.reason.encode()
            assert "\n" not in item.reason
            assert len(item.reason) < 2500  # a path is told twice
    return [i for i in found if isinstance(i, Annotation)], [i for i in found if isinstance(i, Rejection)]
