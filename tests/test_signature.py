"""A release may be signed, with what people have; whoever names those who may sign is told who did, or that nobody did.

The signatures are made and verified by the real ssh-keygen; the keys are made for the tests, and thrown away.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from broadsheet import release
from broadsheet.build import build
from broadsheet.check import check
from broadsheet.problems import InvalidData, Problem
from broadsheet.publish import publish
from broadsheet.signature import NAMESPACE, Signers
from broadsheet.verify import verify
from tests.examples_support import MINIMAL, run
from tests.http_server import serving
from tests.hub_server import Hub
from tests.publications import contents, dataset_in

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (Debian: openssh-client)"
)
DESK = "desk@example.org"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of two people, `desk` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("desk", "other"):
        _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """The minimal dataset, built, its release signed by the desk. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("built") / "dataset"
    shutil.copytree(MINIMAL, folder)
    build(folder)
    _sign(folder / "release", keys / "desk")
    return folder


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    """A copy of the dataset with the signed release."""
    return Path(shutil.copytree(built, tmp_path / "dataset"))


@pytest.fixture
def signers(keys: Path, tmp_path: Path) -> Path:
    """The file that says that the desk may sign."""
    return _allow(tmp_path, f"{DESK} {_public(keys / 'desk')}")


def _ssh_keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True)


def _sign(place: Path, key: Path, purpose: str = NAMESPACE) -> None:
    (place / release.SIGNATURE).unlink(missing_ok=True)
    _ssh_keygen("-Y", "sign", "-n", purpose, "-f", str(key), str(place / release.CHECKSUMS))


def _public(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])


def _allow(folder: Path, *lines: str) -> Path:
    path = folder / "signers"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _told(place: Path | str, signers: Path) -> list[Problem]:
    return list(check([str(place)], signers=Signers(signers)))


# --- what is verified ---


def test_who_signed_is_told(dataset: Path, signers: Path) -> None:
    for place in ("release", "."):
        told = run(dataset, "check", place, "--signers", str(signers))
        assert told.exit_code == 0, told.output
        assert told.output.startswith(f"{place} (signed by {DESK} with ED25519 key SHA256:")
        assert told.output.endswith("): no problems\n")
    assert run(dataset, "check", "release").output == "release: no problems\n"


@pytest.mark.parametrize("line", ["{0} {1}", "*@example.org {1}", "a,{0} {1}", '{0} namespaces="broadsheet" {1}'])
def test_signers_are_listed_as_ssh_keygen_takes_them(line: str, dataset: Path, keys: Path, tmp_path: Path) -> None:
    key, other = _public(keys / "desk"), _public(keys / "other")
    listed = _allow(tmp_path, "# ours", "", f"other@example.org {other}", "no key", line.format(DESK, key))
    assert _told(dataset / "release", listed) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{0} {2}", ""),
        ("# {0} {1}", ""),
        ('{0} namespaces="file" {1}', "not permitted for use in signature namespace"),
        ('{0} valid-before="20200101" {1}', "key has expired"),
        ('{0} valid-after="20990101" {1}', "key is not yet valid"),
        ("{0} cert-authority {1}", ""),
    ],
)
def test_a_key_that_is_not_allowed_is_told(line: str, why: str, dataset: Path, keys: Path, tmp_path: Path) -> None:
    listed = _allow(tmp_path, line.format(DESK, _public(keys / "desk"), _public(keys / "other")))
    (problem,) = _told(dataset / "release", listed)
    assert problem.code == "BS522"
    assert f"{listed} does not allow its ED25519 key SHA256:" in problem.message
    assert why in problem.message


def test_a_release_without_a_signature_is_told_to_those_who_ask(dataset: Path, signers: Path) -> None:
    (dataset / "release" / release.SIGNATURE).unlink()
    assert run(dataset, "check", "release").output == "release: no problems\n"
    told = run(dataset, "check", "release", "--signers", str(signers))
    assert told.exit_code == 1
    assert "the release is unsigned" in told.output
    assert "[BS520]" in told.output


def test_a_signature_that_is_none_of_these_bytes_is_told(dataset: Path, keys: Path, signers: Path) -> None:
    place = dataset / "release"
    whole = (place / release.SIGNATURE).read_bytes()
    for damaged in (b"", b"no signature\n", whole[:-40], whole.replace(b"U1NI", b"U1NJ", 1)):
        (place / release.SIGNATURE).write_bytes(damaged)
        assert [problem.code for problem in _told(place, signers)] == ["BS521"], damaged
    _sign(place, keys / "desk", purpose="file")
    (problem,) = _told(place, signers)
    assert (problem.code, "namespace does not match" in problem.message) == ("BS521", True)


def test_what_hides_behind_matching_checksums_is_told_by_the_signature(dataset: Path, signers: Path) -> None:
    """The words of a licence follow from no row: nothing else in a release can tell that they changed."""
    place = dataset / "release"
    (place / "LICENSE").write_bytes((place / "LICENSE").read_bytes().swapcase())
    release.write_checksums(place)
    assert verify(place) == []
    assert [problem.code for problem in _told(place, signers)] == ["BS521"]


def test_a_signature_that_is_no_regular_file_is_not_opened(dataset: Path, signers: Path, tmp_path: Path) -> None:
    path = dataset / "release" / release.SIGNATURE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert [problem.code for problem in _told(dataset / "release", signers)] == ["BS502", "BS520"]


def test_without_ssh_keygen_the_check_could_not_run(
    dataset: Path, signers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(dataset))
    assert run(dataset, "check", "release").exit_code == 0
    told = run(dataset, "check", "release", "--signers", str(signers))
    assert told.exit_code == 2
    assert "[BS612]" in told.output
    assert "apt install openssh-client" in told.output


def test_only_releases_are_signed(dataset: Path, signers: Path) -> None:
    told = run(dataset, "check", "release", "release/jsonl/articles.jsonl", "--signers", str(signers))
    assert (told.exit_code, "articles.jsonl: it is no release" in told.output) == (2, True)
    told = run(dataset, "check", "release", "--signers", "nobody")
    assert (told.exit_code, "nobody: there is no such file of those who may sign" in told.output) == (2, True)


def test_a_hostile_name_has_no_effect_on_a_terminal(dataset: Path, keys: Path, tmp_path: Path) -> None:
    listed = _allow(tmp_path, f"\x1b[31mdesk\u202e {_public(keys / 'desk')}")
    told = run(dataset, "check", "release", "--signers", str(listed))
    assert not {"\x1b", "\u202e"} & set(told.output)
    assert "Traceback" not in told.output


# --- a signature stays beside its release ---


def test_coreutils_checks_a_signed_release(dataset: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "--quiet", release.CHECKSUMS]
    assert subprocess.run(command, cwd=dataset / "release", check=False).returncode == 0
    assert release.SIGNATURE not in (dataset / "release" / release.CHECKSUMS).read_text(encoding="utf-8")


def test_a_build_keeps_the_signature_of_the_same_bytes_and_of_no_others(dataset: Path, signers: Path) -> None:
    before = contents(dataset / "release")
    build(dataset)
    assert contents(dataset / "release") == before
    (dataset / "annotations" / "codebook.md").write_text("Said better.\n", encoding="utf-8")
    build(dataset)
    assert [problem.code for problem in _told(dataset, signers)] == ["BS520"]


def test_a_diff_is_not_about_signatures(dataset: Path) -> None:
    shutil.copytree(dataset / "release", dataset / "unsigned", ignore=shutil.ignore_patterns("*.sig"))
    told = run(dataset, "diff", "unsigned", "release")
    assert told.exit_code == 0
    assert release.SIGNATURE not in told.output


def test_a_signature_is_fetched_with_a_release_if_it_is_there(dataset: Path, signers: Path) -> None:
    with serving(dataset) as served:
        url = f"{served.url}/release/"
        assert _told(url, signers) == []
        (dataset / "release" / release.SIGNATURE).unlink()
        assert [problem.code for problem in _told(url, signers)] == ["BS520"]
        assert list(check([url])) == []


def test_a_signature_is_published_with_its_release(keys: Path, signers: Path, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    _sign(dataset / "release", keys / "desk")
    site = tmp_path / "site"
    publish(dataset, str(site))
    assert contents(site / "v1.0.0") == contents(dataset / "release")
    assert _told(site / "v1.0.0", signers) == []
    assert publish(dataset, str(site)).plan.is_done


def test_a_signature_is_published_on_a_hub_in_the_same_commit(hub: Hub, keys: Path, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    _sign(dataset / "release", keys / "desk")
    publish(dataset, "hf://datasets/ns/tram")
    assert contents(dataset / "release").items() <= hub.contents("ns/tram", "v1.0.0").items()
    assert hub.history("ns/tram") == ["initial commit", "Version 1.0.0"]
    (dataset / "release" / release.SIGNATURE).unlink()
    with pytest.raises(InvalidData, match="BS802"):
        publish(dataset, "hf://datasets/ns/tram")
