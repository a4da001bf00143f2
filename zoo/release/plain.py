"""Valid JSON of plain values."""

import json
import math
from typing import Any


def to_json(value: Any, **options: Any) -> str:
    """Valid JSON: what is not a finite number, which JSON has no word for, is null."""

    def plain(each: Any) -> Any:
        if isinstance(each, dict):
            return {name: plain(entry) for name, entry in each.items()}
        if isinstance(each, list | tuple):
            return [plain(entry) for entry in each]
        return None if isinstance(each, float) and not math.isfinite(each) else each

    return json.dumps(plain(value), allow_nan=False, **options)
