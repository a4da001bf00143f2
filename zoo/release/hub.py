"""Released models on the Hugging Face Hub."""

from pathlib import Path
from typing import Any

from zoo.release.folder import WEIGHTS, WeightsError, locate, read_config


def push_to_hf_hub(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    token: str | None = None,
) -> str:
    """Uploads a released folder to a repository of the Hub, which is made where there is none.

    ``zoo.create_model("hf-hub:user/name")`` loads it from there.

    Args:
        folder: of released weights, as ``zoo.registry.released("ram.mnist28_7")`` gives it.
        repo: ``user/name``.
        private: whether a new repository is private.
        revision: the branch to write to; None for the main one.
        message: of the commit.
        token: None for that of ``hf auth login``.

    Returns:
        The address of the repository.

    Raises:
        WeightsError: files that are missing or altered, or what the Hub refused; one sentence.
    """
    from huggingface_hub import HfApi

    folder = locate(folder)
    config = read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"{folder / WEIGHTS}: not there; expected a released model")
    message = message or f"{config['slug']}.{config['row']}"
    api: Any = HfApi(token=token)
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        if revision:
            api.create_branch(repo, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, revision=revision, commit_message=message)
    except Exception as error:  # no network, no token, a bad name: one sentence for all
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{repo}: the Hub did not take {folder} ({reason})") from None
    return str(address)
