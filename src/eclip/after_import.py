"""`transformers.AutoModel` knows exported models after `import eclip`, and `import eclip` stays cheap.

To tell `transformers` of a class takes seconds, for the class needs torch. So it is told when its own module for that
is imported: at once where that was before, else right behind that import.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

FOLLOWED_BY = {
    "transformers.models.auto.configuration_auto": "eclip.models.auto_config",
    "transformers.models.auto.modeling_auto": "eclip.models.auto_model",
}
"""Module of `transformers` to the module of eclip that registers a class there when it is imported."""


class _Follower(MetaPathFinder):
    """Finds modules as ever, and has each of these followed by its other one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        follower = FOLLOWED_BY.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if follower else None
        if follower is None or spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_both(module: ModuleType) -> None:
            run(module)
            importlib.import_module(follower)

        spec.loader.exec_module = run_both  # type: ignore[method-assign]
        return spec


def register_with_transformers() -> None:
    """Have `transformers` told of eclip's classes, now or when it is imported."""
    for module, follower in FOLLOWED_BY.items():
        if module in sys.modules:
            importlib.import_module(follower)
    if not any(isinstance(finder, _Follower) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Follower())
