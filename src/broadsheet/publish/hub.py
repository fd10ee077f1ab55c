"""A Hugging Face hub as a target: one commit from the release's own list, and a tag on it.

Whatever speaks to the hub is the real client, `huggingface_hub`; it finds the token by itself (``HF_TOKEN``, or the
hub's own login), and nothing here ever holds it longer than to keep it out of a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

from broadsheet import __version__, release, vocabulary
from broadsheet.problems import InvalidData, Problem, cannot_run
from broadsheet.progress import Tell
from broadsheet.publish import target
from broadsheet.publish.plan import Plan
from broadsheet.publish.ready import Held, Ready, card_of, is_same
from broadsheet.publish.target import There

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: What a hub puts into a repository itself, and what it needs; it is no part of any version.
_OWN = {".gitattributes"}
_CONFLICT, _MOVED = 409, 412


@dataclass(frozen=True)
class Hub:
    """The dataset *repository* of the hub; *private* if it is made, *create_pr* to propose a version only."""

    address: str
    repository: str
    private: bool = False
    create_pr: bool = False

    def look(self, own: Ready) -> There:
        """Give what the main branch holds, and the version's tag, if it has one."""
        from huggingface_hub.errors import RepositoryNotFoundError  # noqa: PLC0415 - as in _api

        with self._asking():
            try:
                info = self._api.dataset_info(self.repository)
            except RepositoryNotFoundError:
                return There(is_private=self.private)
            tags = {tag.name for tag in self._api.list_repo_refs(self.repository, repo_type="dataset").tags}
            files = self._files(str(info.sha))
            tag = _tag(own)
            named = self._files(tag) if tag in tags else None
        card = None
        if release.CARD in files:
            with self.opened(release.CARD, str(info.sha)) as stream:
                card = card_of(stream.read().decode("utf-8", "replace"))
        if self.private and not info.private:
            hint = "--private is for a new repository: it hides none that people know. Change that at the hub."
            raise InvalidData([Problem("BS808", self.address, "it is there already, and public", hint=hint)])
        names, is_done = sorted(files), named is not None
        return There(info.sha, card, names, files, named, names, bool(info.private), is_done)

    def send(self, own: Ready, there: There, plan: Plan, tell: Tell) -> str:
        """Upload the large files, which the hub keeps if the work stops; then make the one commit. Give its id."""
        if there.named is not None:
            return _tag(own)
        parent = there.at or self._create()
        if there.at is not None and not (plan.sent or plan.removed):
            return parent
        if self.create_pr and (proposed := self._proposed(own)):
            return proposed
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete  # noqa: PLC0415 - as in _api

        additions = [CommitOperationAdd(name, str(own.files[name].path)) for name in plan.sent]
        with self._asking():
            tell(f"sending {plan.total()}")
            self._api.preupload_lfs_files(
                self.repository,
                additions,
                repo_type="dataset",
                create_pr=self.create_pr,
                # What is listed goes out; an ignore file at the hub has no say in it.
                gitignore_content="",
            )
            tell("committing")
            try:
                done = self._api.create_commit(
                    self.repository,
                    [*additions, *(CommitOperationDelete(name, is_folder=False) for name in plan.removed)],
                    commit_message=f"Version {own.card.version}",
                    commit_description=f"Data digest: {own.card.digest}",
                    repo_type="dataset",
                    parent_commit=parent,
                    create_pr=self.create_pr,
                )
            except Exception as error:
                if _status(error) == _MOVED:
                    raise self._moved() from None
                raise
        return done.pr_revision if self.create_pr and done.pr_revision else done.oid

    @contextmanager
    def opened(self, name: str, where: str) -> Iterator[IO[bytes]]:
        """Give the file as any reader gets it, from no cache."""
        from huggingface_hub.errors import EntryNotFoundError  # noqa: PLC0415 - as in _api

        with TemporaryDirectory(prefix="broadsheet-") as cache:
            with self._asking():
                try:
                    path = self._api.hf_hub_download(
                        self.repository, name, repo_type="dataset", revision=where, cache_dir=cache
                    )
                except EntryNotFoundError:
                    raise FileNotFoundError(name) from None
            with Path(path).open("rb") as file:
                yield file

    def name(self, own: Ready, there: There, where: str) -> None:
        """Set the version's tag, on the commit that was read back; a proposal gets none before it is merged."""
        if there.named is not None or where.startswith("refs/pr/"):
            return
        with self._asking():
            try:
                self._api.create_tag(self.repository, tag=_tag(own), revision=where, repo_type="dataset")
            except Exception as error:
                if _status(error) == _CONFLICT:
                    raise self._moved() from None
                raise

    @cached_property
    def _api(self) -> HfApi:
        # Only who names a hub pays for the import.
        try:
            from huggingface_hub import HfApi  # noqa: PLC0415
            from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415
        except ImportError:
            hint = "pip install 'broadsheet[hub]'"
            raise cannot_run("BS605", self.address, "huggingface_hub is not installed", hint=hint) from None
        if not vocabulary.terms():
            message = "datasets is not installed, and the card must be judged by its lists before anything is sent"
            raise cannot_run("BS605", self.address, message, hint="pip install 'broadsheet[hub]'")
        # How far the work is, the command line tells.
        disable_progress_bars()
        return HfApi(library_name="broadsheet", library_version=__version__)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # Outside the block below: that the client is not installed is told as it is.
        _ = self._api
        from huggingface_hub import get_token  # noqa: PLC0415 - as in _api

        with target.reaching(self.address, get_token()):
            yield

    def _files(self, revision: str) -> dict[str, Held]:
        entries = self._api.list_repo_tree(self.repository, recursive=True, revision=revision, repo_type="dataset")
        files: dict[str, Held] = {}
        for entry in entries:
            size, lfs = getattr(entry, "size", None), getattr(entry, "lfs", None)
            if size is not None and entry.path not in _OWN:
                files[entry.path] = Held(size, lfs.sha256 if lfs else None, getattr(entry, "blob_id", None))
        return files

    def _create(self) -> str:
        with self._asking():
            try:
                self._api.create_repo(self.repository, repo_type="dataset", private=self.private)
            except Exception as error:
                if _status(error) == _CONFLICT:
                    raise self._moved() from None
                raise
            return str(self._api.dataset_info(self.repository).sha)

    def _proposed(self, own: Ready) -> str | None:
        """Give the pull request that holds just this release: made by a run whose answer was lost."""
        with self._asking():
            refs = self._api.list_repo_refs(self.repository, repo_type="dataset", include_pull_requests=True)
            for ref in refs.pull_requests or []:
                if is_same(self._files(ref.ref), own):
                    return ref.ref
        return None

    def _moved(self) -> InvalidData:
        message = "somebody else changed it meanwhile; nothing was changed by this run"
        hint = "Look at what is there now (--dry-run), and decide again."
        return InvalidData([Problem("BS806", self.address, message, hint=hint)])


def _tag(own: Ready) -> str:
    return f"v{own.card.version}"


def _status(error: Any) -> int | None:
    """Give the status of the HTTP answer that *error* is about, if it is about one."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
