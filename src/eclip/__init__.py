"""Train, judge and use medical image-text models that learn from expert annotations."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from eclip.after_import import register_with_transformers

if TYPE_CHECKING:
    from eclip.models.model import Model, load

__version__ = version("eclip")
__all__ = ["Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import torch and transformers only when a model is asked for: `import eclip` stays cheap."""
    if name in {"Model", "load"}:
        from eclip.models import model

        return getattr(model, name)
    raise AttributeError(f"module 'eclip' has no attribute {name!r}")


register_with_transformers()
