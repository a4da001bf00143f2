"""The card of a released model: Markdown with a front matter that the Hub reads."""

import json
import re
from collections.abc import Iterable
from typing import Any

from zoo.errors import ZooError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def write_card(
    name: str,
    title: str | None,
    task: str,
    metrics: dict[str, float],
    data: str | None,
    note: str | None,
    config: dict[str, Any],
    license: str = "mit",
    *,
    license_name: str | None = None,
    license_link: str | None = None,
    dataset: str | None = None,
    languages: Iterable[str] = (),
    paper: str | None = None,
) -> str:
    """The Markdown of the card, its front matter as the Hub reads it; see :func:`zoo.release.save`.

    The Hub takes measures (``model-index``) of its own data sets alone, so those on others stand in the table only.

    Raises:
        ZooError: what the Hub would refuse.
    """
    from huggingface_hub import EvalResult, ModelCardData  # a second to import, and only a release needs it

    if license == "other" and not (license_name and license_link):
        raise ZooError(f"{name}: the license 'other' needs a name and a link to its terms")
    if dataset and not HUB_ID.fullmatch(dataset):
        raise ZooError(f"{name}: {dataset!r} is no data set of the Hub; expected <owner>/<name>, or nothing")
    results = [
        EvalResult(
            task_type=task,
            dataset_type=dataset,
            dataset_name=data or dataset,
            metric_type=key.lower(),
            metric_name=key,
            metric_value=value,
        )
        for key, value in metrics.items()
        if dataset
    ]
    front = ModelCardData(
        language=list(languages) or None,
        license=license,
        license_name=license_name,
        license_link=license_link,
        library_name="attention-zoo",
        tags=["attention", config["slug"]],
        datasets=[dataset] if dataset else None,
        pipeline_tag=task,
        model_name=name if results else None,
        eval_results=results or None,
    )
    rows = [f"| {key} | {value:g} |" for key, value in metrics.items()]
    arxiv = f" Paper: [arXiv {paper}](https://arxiv.org/abs/{paper})." if paper else ""
    parts = [
        f"# {name}",
        f"{title}.{arxiv}" if title else arxiv.strip(),
        note or "",
        "\n".join([f"| measured on {data or 'its test set'} | |", "|---|---|", *rows]) if rows else "",
        f'```python\nimport zoo\n\nanswer = zoo.pipeline("{name}")(raw)\n```',
        f"Network: `{json.dumps(config['network'])}`",
    ]
    return f"---\n{front.to_yaml()}\n---\n\n" + "\n\n".join(filter(None, parts)) + "\n"


def read_metrics(card: str) -> dict[str, float]:
    """What the table of a card says was measured: name to value; nothing without a table."""
    _, _, table = card.partition("\n| measured on ")
    rows = re.findall(r"^\| (.+) \| (\S+) \|$", table.partition("\n\n")[0], re.MULTILINE)
    return {key: float(value) for key, value in rows}
