"""Names of the teachers that ship with the package, for whoever must not wait for PyTorch."""

PACKAGED_TEACHERS = ("tiny", "photo")  # the others are paths of published checkpoints
# Where no teacher is named, of one's own photographs: `wsis train`, `wsis teach`, labelling page.
DEFAULT_TEACHER = "photo"
WORLD_TEACHER = "tiny"  # of the procedural world's scenes, which it was trained on
