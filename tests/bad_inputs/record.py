"""What each bad input is told; written to log.jsonl by `python -m tests.bad_inputs.record`."""

import json
import re
import tempfile
import warnings
from pathlib import Path

from tests.bad_inputs.cases import Case, all_cases
from tests.conftest import ROOT
from zoo.errors import sentence

LOG = Path(__file__).with_name("log.jsonl")


def told(case: Case, tmp: Path) -> str:
    """The answer, or the sentence, without what another machine has otherwise.

    Raises:
        Exception: an error that is not for the user.
    """
    _, function = case
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        try:
            said = f"-> {function()!r}"
        except Exception as error:
            said = sentence(error)
            if said is None:
                raise
    said = " | ".join([*(f"warns: {each.message}" for each in warned if each.category is UserWarning), said])
    said = said.replace(str(tmp), "<tmp>").replace(str(ROOT), "<zoo>")
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", said)


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for case in all_cases(Path(folder)):
            name = case[0].replace(folder, "<tmp>")
            try:
                said = told(case, Path(folder))
            except Exception as error:
                said = f"TRACEBACK {error!r}"
            lines.append(json.dumps({"input": name, "told": said}, ensure_ascii=False))
    LOG.write_text("\n".join(lines) + "\n")
    print(f"{LOG}: {len(lines)} inputs, {sum('TRACEBACK' in line for line in lines)} tracebacks")


if __name__ == "__main__":
    main()
