"""The procedural world: drawn scenes with exact masks, any number of categories, from a seed.

The default data of the book. A category is a combination of factor values (outline, hue and,
in large worlds, pattern, part and hole); objects overlap others of similar extent, so that a
region alone often does not say which object is meant. See the book's page on the world.

    >>> world = World(WorldSpec(categories=20))
    >>> scene = world.scene(seed=1, index=0)
    >>> scene.image.shape
    (96, 96, 3)
"""

from wsislib.data.world.dataset import WorldDataset, export_coco
from wsislib.data.world.model import World
from wsislib.data.world.scene import Scene, ScenePart
from wsislib.data.world.spec import WORLD_VERSION, WorldSpec

__all__ = [
    "WORLD_VERSION",
    "Scene",
    "ScenePart",
    "World",
    "WorldDataset",
    "WorldSpec",
    "export_coco",
]
