"""Which released weights a wheel holds: small rows come with the zoo, the others with attention-zoo-weights."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SMALL = 2**20  # bytes of the folder of a row
ROOMS = Path(__file__).parent / "zoo" / "models"


class ReleasedWeights(BuildHookInterface):
    """Adds the rows that the option ``rows`` of the build names: small or large."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # which reads the checkout
            return
        small = self.config["rows"] == "small"
        for folder in sorted(path.parent for path in ROOMS.glob("*/weights/*/config.json")):
            size = sum(file.stat().st_size for file in folder.iterdir())
            if (size < SMALL) == small:
                slug, row = folder.parts[-3], folder.name
                place = f"zoo/models/{slug}/weights/{row}" if small else f"attention_zoo_weights/{slug}/{row}"
                build_data["force_include"][str(folder)] = place
