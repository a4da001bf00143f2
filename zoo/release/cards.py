"""The card of a released model: Markdown with a front matter that the Hub reads."""

import json
from typing import Any


def write_card(
    name: str,
    title: str | None,
    task: str,
    metrics: dict[str, float],
    data: str | None,
    note: str | None,
    config: dict[str, Any],
    license: str = "mit",
) -> str:
    """The Markdown of the card, its front matter as the Hub reads it."""
    from huggingface_hub import EvalResult, ModelCardData  # a second to import, and only a release needs it

    results = [
        EvalResult(
            task_type=task,
            dataset_type=data or "unknown",
            dataset_name=data or "unknown",
            metric_type=key,
            metric_name=key,
            metric_value=value,
        )
        for key, value in metrics.items()
    ]
    front = ModelCardData(
        license=license,
        library_name="attention-zoo",
        tags=["attention", config["slug"]],
        datasets=[data] if data else None,
        pipeline_tag=task,
        model_name=name,
        eval_results=results or None,
    )
    rows = [f"| {key} | {value:g} |" for key, value in metrics.items()]
    parts = [
        f"# {name}",
        f"{title}." if title else "",
        note or "",
        "\n".join([f"| measured on {data or 'its test set'} | |", "|---|---|", *rows]) if rows else "",
        f'```python\nimport zoo\n\nanswer = zoo.pipeline("{name}")(raw)\n```',
        f"Network: `{json.dumps(config['network'])}`",
    ]
    return f"---\n{front.to_yaml()}\n---\n\n" + "\n\n".join(filter(None, parts)) + "\n"
