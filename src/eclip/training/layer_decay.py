"""Layer-wise learning rates: the nearer to the input, the slower (Howard & Ruder 2018, section 3.2; Clark et al. 2020).

Layers are found by the numbers that every library gives its blocks, and by the order in which it registers them; no
table of names has to know the library.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from torch import nn

from eclip.models.dual_encoder import DualEncoder, Tower

_NUMBERED = re.compile(r"(.*?)\d+")


def parameters_of(encoder: nn.Module, tower: Tower) -> dict[str, nn.Parameter]:
    """The parameters of a tower by their names in the encoder, from input to output, without its projection."""
    everything = dict(encoder.named_parameters())
    return {
        name: parameter
        for part in tower.parts
        for name, parameter in everything.items()
        if _is_in(name, part) and not any(_is_in(name, inside) for inside in tower.projection)
    }


def layer_factors(encoder: DualEncoder, decay: float) -> dict[str, float]:
    """What the learning rate of each parameter of the towers is multiplied with.

    Args:
        encoder: Its projections and temperature have a factor of 1 and are left out.
        decay: d of d^(n + 1 − l): layer l of a tower with n blocks is 0 for embeddings, 1 to n for its blocks, n + 1
            for what comes after them (a last norm, a pooling head).

    Returns:
        The factor by the parameter's name in the encoder.
    """
    factors: dict[str, float] = {}
    for tower in encoder.towers.values():
        layers, top = _layers(encoder, parameters_of(encoder, tower))
        factors |= {name: decay ** (top - layer) for name, layer in layers.items()}
    return factors


def _layers(encoder: nn.Module, parameters: Mapping[str, nn.Parameter]) -> tuple[dict[str, int], int]:
    """The layer of each parameter, and that of what comes after the last block.

    What lies between two blocks (where a hierarchical model halves its grid) goes with the one before; tables, of
    words or positions, feed the first block even where they are registered last.
    """
    blocks = _blocks(parameters)
    tables = {id(module.weight) for module in encoder.modules() if isinstance(module, nn.Embedding)}
    layers, reached, left = {}, 0, sum(any(map(name.startswith, blocks)) for name in parameters)
    top = len(blocks) + 1
    for name, parameter in parameters.items():
        own = next((layer for layer, block in enumerate(blocks, 1) if name.startswith(block)), None)
        if own is not None:
            reached, left = max(reached, own), left - 1
            layers[name] = own
        elif id(parameter) in tables:
            layers[name] = 0
        else:
            layers[name] = reached if left else top
    return layers, top


def _blocks(parameters: Mapping[str, nn.Parameter]) -> list[str]:
    """Prefixes of the names of a tower's blocks, from input to output.

    The blocks are the numbered siblings that hold most of the tower. Where these are not all alike they are stages, and
    the blocks are the numbered siblings that hold most of each.
    """
    sizes = {name: parameter.numel() for name, parameter in parameters.items()}
    siblings = _largest_siblings(sizes)
    shapes = {
        tuple((name.removeprefix(one), p.shape) for name, p in parameters.items() if name.startswith(one))
        for one in siblings
    }
    if len(shapes) <= 1:
        return siblings
    blocks: list[str] = []
    for stage in siblings:
        inside = {name: size for name, size in sizes.items() if name.startswith(stage)}
        blocks += _largest_siblings(inside, below=stage) or [stage]
    return blocks


def _largest_siblings(sizes: Mapping[str, int], *, below: str = "") -> list[str]:
    """Of all families of modules whose names differ in a number alone (`layer.0`, `layer.1`), the one that holds most.

    The outermost, where several hold the same. The number may be part of a name (`layer1`, `layer2`).
    """
    held: Counter[str] = Counter()
    for name, size in sizes.items():
        for family, _ in _numbered(name, below):
            held[family] += size
    if not held:
        return []
    largest = max(held, key=held.__getitem__)  # the first of several, and so the outermost
    return _unique(one for name in sizes for family, one in _numbered(name, below) if family == largest)


def _numbered(name: str, below: str) -> list[tuple[str, str]]:
    """The numbered modules that a parameter lies in: name without number, and prefix."""
    found = []
    parts = name.removeprefix(below).split(".")
    for i, part in enumerate(parts[:-1]):
        if match := _NUMBERED.fullmatch(part):
            path = below + "".join(f"{above}." for above in parts[:i])
            found.append((path + match[1], f"{path}{part}."))
    return found


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")
