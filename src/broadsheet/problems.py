"""What can be wrong, and how it is said: takes nothing, gives `Problem`, the table of codes, and the error tree.

A check returns ``list[Problem]``; only a boundary raises; only the command line prints.

    BroadsheetError          carries the problems
    ├── InvalidData          the input or the release is not what it should be (exit code 1)
    └── CannotRun            the work could not be done at all (exit code 2)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

#: After so many errors nobody reads on.
MAX_ERRORS = 100

Severity = Literal["error", "warning"]


class Code(NamedTuple):
    """One kind of problem: its *slug*, its *cause* in general, and its *cure*."""

    slug: str
    cause: str
    cure: str


CODES: dict[str, Code] = {
    # 1: files and the recipe
    "BS101": Code(
        "missing-file",
        "A file that the recipe or the layout of a dataset's folder calls for is not there.",
        "Put the file where the message says, or correct the name in `dataset.toml`.",
    ),
    "BS102": Code(
        "not-utf-8",
        "A file is not valid UTF-8. Nothing is guessed: text in another encoding is never loaded.",
        "Convert the file to UTF-8; the message gives the offset of the first byte that does not fit.",
    ),
    "BS103": Code(
        "toml-syntax",
        "A TOML file (`dataset.toml`, `annotations/datasheet.toml`) cannot be parsed.",
        "Correct the line the message names; the format is TOML 1.0.",
    ),
    "BS104": Code(
        "unknown-key",
        "The recipe has a key that means nothing, mostly a typo.",
        "Use the key the hint proposes, or one of those listed in `schema/recipe.schema.json`.",
    ),
    "BS105": Code(
        "recipe-value",
        "A value in the recipe is missing or is not what `schema/recipe.schema.json` allows.",
        "Correct the value; the pointer says which it is.",
    ),
    "BS106": Code(
        "source-changed",
        "A source file's SHA-256 digest is not the one the recipe records. Sources are given, and never edited.",
        "Restore the file, or, if it is meant to be another file, record its new digest in `dataset.toml`.",
    ),
    "BS107": Code(
        "jsonl-syntax",
        "A line of a JSON Lines file is not one JSON value by RFC 8259, or an object in it has a key twice.",
        "Correct the line: one value a line, no NaN or Infinity, each key once.",
    ),
    "BS108": Code(
        "datasheet-answer",
        "`annotations/datasheet.toml` lacks an answer, answers a question that does not exist, marks an answer "
        "wrongly, or uses a figure that does not exist.",
        "Answer every question once, as computed, asserted or unknown. A computed answer takes its figures from "
        "expressions in {{ }}, and has no digits of its own.",
    ),
    "BS109": Code(
        "forbidden-character",
        "A string holds U+0000, which many programs take for a string's end.",
        "Remove the character at its origin; it is never removed silently.",
    ),
    "BS110": Code(
        "direction-control",
        "A text holds bidirectional control characters (U+202A to U+202E, U+2066 to U+2069), which can make it look "
        "other than it is. A warning: in right-to-left text they can be meant.",
        "Look at the line in an editor that shows them; the text is never altered.",
    ),
    "BS111": Code(
        "too-long",
        "A line is longer than 16 MiB, or a single JSON document or raw page longer than 64 MiB. Lines after it are "
        "still read.",
        "Split it: one row a line. Mostly a line feed is missing, or the file is no JSON Lines.",
    ),
    "BS112": Code(
        "too-deep",
        "Arrays and objects are nested more than 64 levels deep.",
        "Flatten the value; no table needs it, and many readers crash on it.",
    ),
    "BS113": Code(
        "integer-out-of-range",
        "An integer does not fit in 64 bits with a sign, so tables would hold another number.",
        "Declare the field as a string, or correct the value.",
    ),
    "BS114": Code(
        "decompression-bomb",
        "A compressed file grows out of all proportion (over 64 MiB, and over 200 times its size), or a Parquet file "
        "does (over 256 MiB, and over 1000 times).",
        "If it is meant, decompress it yourself, or write it as JSON Lines, and check that file.",
    ),
    "BS115": Code(
        "git-lfs-pointer",
        "The file is a pointer of Git LFS, and not the file it stands for.",
        "Run `git lfs pull`.",
    ),
    "BS116": Code(
        "byte-order-mark",
        "The file starts with a byte order mark. A warning: it is skipped, and offsets do not count it.",
        "Save the file as UTF-8 without one; other readers fail on it.",
    ),
    "BS117": Code(
        "unusable-schema",
        "A schema is not valid, refers to another place (nothing is ever fetched), or has a pattern that needs "
        "backtracking.",
        "Correct the schema; bundle what it refers to under `$defs`.",
    ),
    "BS118": Code(
        "empty-line",
        "A line is empty. A warning: it is skipped, and counts as a line.",
        "Remove it; some readers take it for the end, or for an error.",
    ),
    "BS119": Code(
        "no-rows",
        "The input of a dataset has no rows at all.",
        "Look at the files the recipe names: they are empty, or have only empty lines.",
    ),
    "BS120": Code(
        "query-failed",
        "The SQL of the recipe does not parse, does not fit the files it reads, or fails on a value.",
        "Correct the query; the message is DuckDB's. What a file has shows `broadsheet init FOLDER --from FILE`.",
    ),
    "BS121": Code(
        "query-refused",
        "The SQL of the recipe is more than a query over the dataset's folder: it reaches outside, to the network or "
        "the settings, would lose rows in silence, or would give other rows in the next run.",
        "Put what it needs into the dataset's folder, and say what is meant without the call the message names.",
    ),
    "BS122": Code(
        "csv-dialect",
        "A CSV file is not in the dialect the query says (or, where it says nothing: comma, double quotes, a header), "
        "or what it says leaves open whether the first line is a row.",
        "Say the file's own dialect in the query: `delim`, `quote`, `escape`, `header`.",
    ),
    "BS123": Code(
        "unsupported-file",
        "A file is a spreadsheet or an archive, where text is needed. Nothing is unpacked or converted by guess.",
        "Save each sheet as CSV in UTF-8, or unpack the archive.",
    ),
    "BS124": Code(
        "schema-extension",
        "A schema of the dataset's own describes a field that the contract has already, or one that no column can "
        "hold: without a type or with several, an open object, a list of anything.",
        "Give the field one type (or that and null); name an object's properties, and a list's items.",
    ),
    # 2: rows against the contract
    "BS201": Code(
        "missing-field",
        "A row lacks a field the contract requires.",
        "Add the field; where its value is not known and the contract allows it, write null.",
    ),
    "BS202": Code(
        "unknown-field",
        "A row has a field the contract does not know.",
        "Remove or rename the field.",
    ),
    "BS203": Code(
        "not-in-enumeration",
        "A value is not one of those the contract lists.",
        "Use one of the listed values.",
    ),
    "BS204": Code(
        "wrong-type",
        "A value has another type than the contract says.",
        "Give the value the type the message names.",
    ),
    "BS205": Code(
        "wrong-format",
        "A string has not the form the contract says: a date that does not exist, a digest that is none, a bad URI.",
        "Correct the value; dates are YYYY-MM-DD and must exist in the calendar.",
    ),
    "BS206": Code(
        "rule-broken",
        "A row breaks a rule of the contract that joins several of its fields, or a bound on a value.",
        "Read the rule in the message; for instance a stated claim needs a quote, and `against` a negative intensity.",
    ),
    "BS207": Code(
        "duplicate-key",
        "Two rows have the same key.",
        "Rename or remove one of them; the message names the line of the first.",
    ),
    "BS208": Code(
        "unknown-reference",
        "A row refers to an article, a target or a source that does not exist.",
        "Correct the identifier; the hint names the nearest one there is.",
    ),
    "BS209": Code(
        "duplicate-text",
        "Two articles have exactly the same text, and `duplicate_of` does not say so. A warning.",
        "Remove one, or name the first in `duplicate_of`.",
    ),
    "BS210": Code(
        "split-leakage",
        "The same text stands in two splits, such as train and test. A warning: what is measured there is too good.",
        "Keep it in one split only.",
    ),
    "BS211": Code(
        "label-not-mapped",
        "A label of the source is not among those the recipe maps. No row is dropped, and no label is guessed.",
        "Say in `[stance.labels]` (or `[leaning.labels]`) what it is called here.",
    ),
    # 3: segmentation
    "BS301": Code(
        "past-the-end",
        "A segment or a run of roles reaches beyond the lines there are, or ends before it starts.",
        "Correct the line numbers; they count from 1, and the last line is included.",
    ),
    "BS302": Code(
        "lines-covered-twice",
        "Lines belong to two segments, or to two runs of roles.",
        "Correct the line numbers so that every line belongs to exactly one.",
    ),
    "BS303": Code(
        "lines-not-covered",
        "Lines belong to no segment, or to no run of roles.",
        "Add the lines to a segment or a run; a line that is nothing else has the role `other`.",
    ),
    "BS304": Code(
        "no-text",
        "No line of an article has a role that makes up its text, or a page has no text at all.",
        "Give the article's prose the roles body, heading or standfirst.",
    ),
    "BS305": Code(
        "reference-list",
        "A line with the role `reference_url` does not follow a reference, or a reference has no marker.",
        "Give the line another role, or the line before it the role `reference`.",
    ),
    "BS306": Code(
        "draft",
        "A segment or a run of roles is what `broadsheet segment` proposed, and carries the `cue` it rests on. What "
        "nobody has reviewed is built into no dataset.",
        "Compare the row with the page, correct it, give the article its identifier and language, and remove `cue`.",
    ),
    # 4: annotations and their evidence
    "BS401": Code(
        "quote-not-found",
        "A quote is not in the string it is said to be in.",
        "Copy the words from the source, character for character; the hint shows the nearest place.",
    ),
    "BS402": Code(
        "quote-ambiguous",
        "A quote occurs more than once, and nothing tells which place is meant.",
        "Add `line`, or `prefix` or `suffix` (the words right before or after it), or make the quote longer.",
    ),
    "BS403": Code(
        "value-not-in-quote",
        "A claim is said to be stated, but none of its quotes contains the value (of a date: the year).",
        "Quote the words that state it, or give the claim the basis `inferred`.",
    ),
    "BS404": Code(
        "claim-missing",
        "Nothing is claimed for a field of provenance that every article must account for.",
        "Add a claim; `unknown` is an honest answer.",
    ),
    "BS405": Code(
        "claims-conflict",
        "Two claims, each firm enough for the flat column, give one field two values.",
        "Decide for one, and lower the other's confidence or remove it.",
    ),
    "BS406": Code(
        "pass-incomplete",
        "An annotator's pass has no label for an article and target.",
        "Label it; `not_addressed` and `unclear` are labels.",
    ),
    "BS407": Code(
        "not-adjudicated",
        "Annotators disagree on an article and target, and nothing settles it.",
        "Add a row to the adjudication's file, with the reasons.",
    ),
    "BS408": Code(
        "nothing-to-adjudicate",
        "The adjudication settles a disagreement that there is not.",
        "Remove the row.",
    ),
    # 5: releases
    "BS501": Code(
        "release-incomplete",
        "A file that a release must have, or that its SHA256SUMS lists, is not there.",
        "Restore the file or build the release anew.",
    ),
    "BS502": Code(
        "unlisted-file",
        "A release has a file that its SHA256SUMS does not list, or something that is no regular file.",
        "Remove it, or build the release anew; nobody edits a release.",
    ),
    "BS503": Code(
        "checksum",
        "A file's SHA-256 digest is not the one in SHA256SUMS.",
        "The file was damaged or edited: restore it or build the release anew.",
    ),
    "BS504": Code(
        "unreadable-table",
        "A table cannot be read.",
        "The file was damaged, or is no Parquet file: restore it or build the release anew.",
    ),
    "BS505": Code(
        "column-types",
        "A Parquet table's columns or their types are not those of the contract.",
        "Write the table with the types the message names.",
    ),
    "BS506": Code(
        "tables-differ",
        "A table's Parquet and JSON Lines files do not hold the same rows.",
        "Build the release anew.",
    ),
    "BS507": Code(
        "derived-value",
        "A value that is computed from others (a count, a digest, an offset, a gold label) is not what they give.",
        "Build the release anew; if the table comes from elsewhere, compute the value again.",
    ),
    "BS508": Code(
        "source-not-rebuilt",
        "The paragraphs, put back together, do not give the source file the articles name.",
        "A line was changed, lost, doubled or moved: build the release anew.",
    ),
    "BS509": Code(
        "document-differs",
        "A document says something else than the data: a number, a digest, a version.",
        "Build the release anew; documents are computed, not edited.",
    ),
    "BS510": Code(
        "release-out-of-date",
        "The release is not what the inputs build.",
        "Run `broadsheet build`, read what changed, and commit it.",
    ),
    "BS511": Code(
        "card-front-matter",
        "The card, `README.md`, does not begin with front matter that every reader can read: YAML between two lines of "
        "---, each key once, no aliases, with all that a dataset's card has.",
        "Build the release anew; cards are computed, not edited. In a card of another making, correct the line.",
    ),
    "BS512": Code(
        "card-quotes",
        "A value in the card's front matter is of another type than readers need. YAML takes an unquoted `no` for "
        "false, `1.0` for a number, `2024-01-01` for a date; whether `1e3` is a number depends on the reader.",
        "Write strings that look like something else in quotes.",
    ),
    "BS513": Code(
        "card-licence",
        "The card names no licence, or one that the hub does not know by this identifier, or `other` without the name "
        "and the link that go with it.",
        "Correct `license` under `[rights]` in `dataset.toml`, and build. The hub's identifiers are in small letters; "
        "a licence that it does not know is `other`.",
    ),
    "BS514": Code(
        "card-language",
        "The card names a language by something else than a code of ISO 639, or, as a warning, by a code that the "
        "installed `datasets` does not list.",
        "Under `language` stands the code (`pt`), under `language_bcp47` the whole tag (`pt-BR`). A build does it so.",
    ),
    "BS515": Code(
        "card-term",
        "The card has a term that is not among those the installed `datasets` lists for its key: a size category, who "
        "made annotations or texts, how many languages. For a task category it is a warning, as the hub may know more.",
        "Use the term that the hint proposes. Task categories are those of `task_categories` in `dataset.toml`.",
    ),
    "BS516": Code(
        "card-configs",
        "What `load_dataset` would load by the card is not there: a config and its `dataset_info` have other names, a "
        "path has no extension or matches no file, or two configs have files of different formats.",
        "Build the release anew; cards are computed, not edited.",
    ),
    "BS517": Code(
        "hub-limits",
        "The release is beyond what a hub takes, or, as a warning, beyond what its viewer shows (the limits are in "
        "`docs/publish.md`).",
        "Make fewer and larger shards, or smaller row groups; the message has the number.",
    ),
    "BS520": Code(
        "unsigned",
        "A release was to be checked with `--signers`, but it has no signature, `SHA256SUMS.sig`.",
        "Ask who released it for the signature, and put it beside SHA256SUMS; or do without, and without `--signers`.",
    ),
    "BS521": Code(
        "signature-wrong",
        "`SHA256SUMS.sig` is damaged, or it is a signature of other bytes, or one that was made for something else "
        "than releases (`-n broadsheet`).",
        "Fetch the release and its signature anew; if it stays so, it is not what was signed, and not to be trusted.",
    ),
    "BS522": Code(
        "signer-not-allowed",
        "The signature is right, but was made with a key that the file named by `--signers` does not allow: it is "
        "not there, not for this, or not at this time.",
        "Find out from its owner whose key it is; only then add it to the file.",
    ),
    # 6: could not run
    "BS601": Code(
        "not-a-dataset",
        "The path is neither a dataset's folder (with a `dataset.toml`) nor a release (with SHA256SUMS).",
        "Name the right folder.",
    ),
    "BS602": Code(
        "target-in-the-way",
        "The place for the release holds something that is no release, or that for a draft holds annotations, and it "
        "will not be replaced.",
        "Name another folder with --out, or remove what is there yourself.",
    ),
    "BS603": Code(
        "system-error",
        "The operating system refused an operation: no permission, a missing folder, an error of the disk.",
        "Read the reason in the message and try again.",
    ),
    "BS604": Code(
        "contract-unknown",
        "It cannot be told which contract a file follows: its name ends in nothing known, or its columns fit none.",
        "Name a schema with --schema, or rename the file to .jsonl, .json or .parquet.",
    ),
    "BS605": Code(
        "unreachable",
        "A URL cannot be fetched, or a target of a publication does not answer, or refuses.",
        "Check the address, the connection, and what you may do there.",
    ),
    "BS606": Code(
        "worker-died",
        "A process that did part of the work died, or the cluster that was named does not answer.",
        "Mostly the memory was full: take fewer --workers. Nothing was changed.",
    ),
    "BS607": Code(
        "disk-full",
        "A disk is full: that of the release, or that of temporary files (`TMPDIR`), which a build needs as well.",
        "Make room in the folder that the message names, and run the command again. The release is as it was.",
    ),
    "BS608": Code(
        "not-confirmed",
        "What was written is in place, whole, but the disk reported an error when it was asked to make that last.",
        "Look at the disk, and run the command again. After a loss of power, what was there before may be back.",
    ),
    "BS609": Code(
        "in-use",
        "Another process builds or freezes the same release.",
        "Wait until it is done. What a killed process left behind is no obstacle, unless it was on another machine: "
        "then make sure that it runs no longer, and remove the lock that the message names.",
    ),
    "BS612": Code(
        "program-missing",
        "A program that the work needs is not installed.",
        "Install it, as the hint says.",
    ),
    # 7: versions
    "BS701": Code(
        "version-taken",
        "The version was released already, with other data or other files. A released version never changes.",
        "Set the version the hint names in `dataset.toml`, and build.",
    ),
    "BS702": Code(
        "version-too-small",
        "The version does not come after the one released last, or by a smaller step than what changed calls for "
        "(the rules are in `docs/versions.md`).",
        "Set the version the hint names, or a later one, in `dataset.toml`, and build.",
    ),
    "BS703": Code(
        "ledger-edited",
        "A line of the ledger of released versions, `versions.jsonl`, was edited, taken out or put between others, or "
        "the file is not what was committed and lines more.",
        "Restore the file from its history; `broadsheet release` alone writes it.",
    ),
    "BS704": Code(
        "pre-release",
        "A version with a hyphen, such as that of a build that left rows out, is a pre-release, and is not released.",
        "Set a version without a hyphen in `dataset.toml`, correct the rows that were left out, and build.",
    ),
    "BS705": Code(
        "predecessor-not-at-hand",
        "The release before this one is neither in the dataset's folder nor in a commit of it, or the one that was "
        "named is another; so it can't be told which version is honest. For a build, a warning.",
        "Name it with `--against`, or fetch the history (`git fetch --unshallow`).",
    ),
    "BS706": Code(
        "changelog-has-the-version",
        "The dataset's `CHANGELOG.md` has a section on a version that is not released yet.",
        "Put what you wrote under `## [Unreleased]`: a release moves it to the section that it writes.",
    ),
    # 8: publication
    "BS801": Code(
        "not-frozen",
        "A release is to be published, but the ledger of the dataset, `versions.jsonl`, does not have its version with "
        "its data digest and the SHA-256 of its SHA256SUMS.",
        "Freeze the version first, or build again what was frozen.",
    ),
    "BS802": Code(
        "version-taken",
        "The target has this version already, and it is another. A published version is never moved or changed.",
        "Publish the changes under a new version.",
    ),
    "BS803": Code(
        "bump-too-small",
        "The version says less than the data do: it is not greater than the one at the target, or the step from that "
        "one to this is smaller than what changed.",
        "Choose a greater version in `dataset.toml`, build, and freeze it.",
    ),
    "BS804": Code(
        "another-dataset",
        "The target holds another dataset, or something else than a dataset that was published by this program.",
        "Name another target. What is there is never replaced by something else.",
    ),
    "BS805": Code(
        "rights-not-open",
        "Articles have a text that not everybody may pass on: neither `rights.statement` nor `rights.license` is that "
        "of Creative Commons or of the public domain, and the recipe states no basis for publishing it.",
        "State in `redistribution`, under `[rights]` in `dataset.toml`, on what basis the texts are published; or "
        "leave them out; or publish where only some can read, with --private.",
    ),
    "BS806": Code(
        "target-moved",
        "Somebody else changed the target while this publication was under way. It stopped, and changed nothing there.",
        "Look at what is there now, with --dry-run, and decide again.",
    ),
    "BS807": Code(
        "read-back-differs",
        "A file that was read back from the target is not the one that was sent. The version was not given its name.",
        "Give the same command again; if it stays so, the target alters files, and is none to publish at.",
    ),
    "BS808": Code(
        "target-unusable",
        "Nothing can be published at this address, or not with these options.",
        "The message says why: name a dataset of a hub, a folder, or a URL that can be written to.",
    ),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: a *code* of `CODES`, where it is, what it is, and a *hint* at the cure.

    *line* counts from 1; *pointer* is a JSON Pointer (RFC 6901) into the value on that line.
    """

    code: str
    path: str
    message: str
    line: int | None = None
    pointer: str = ""
    hint: str = ""
    severity: Severity = "error"

    def __post_init__(self) -> None:
        """Reject a code that is in no table, as nobody could look it up."""
        if self.code not in CODES:
            raise KeyError(self.code)

    def __str__(self) -> str:
        """Say it in one line: ``source/a.jsonl:17 /stance: 'pro' is not one of favor, against [BS203]``."""
        place = self.path + (f":{self.line}" if self.line is not None else "")
        where = f"{place} {self.pointer}" if self.pointer else place
        return f"{where}: {self.message} [{self.code}]"


class BroadsheetError(Exception):
    """Something is wrong, in full in *problems*; the base of every error this package raises on purpose."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take the *problems*; the exception's text is theirs, one a line."""
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class InvalidData(BroadsheetError):  # noqa: N818 - it names what is invalid, and BroadsheetError says that it is one
    """The input or the release is not what it should be."""


class CannotRun(BroadsheetError):  # noqa: N818 - the same
    """The work could not be done at all."""


def raise_if(problems: Sequence[Problem]) -> None:
    """Raise `InvalidData` with *problems* if one of them is an error."""
    if any(problem.severity == "error" for problem in problems):
        raise InvalidData(problems)


def cannot_run(code: str, path: Path | str, message: str, hint: str = "") -> CannotRun:
    """Give the error for one problem that keeps the work from being done."""
    return CannotRun([Problem(code, str(path), message, hint=hint)])


def visible(text: str) -> str:
    """Give *text* on one line, without effect on a terminal: what would move or reorder it is written as an escape.

    That is control characters, line separators, lone surrogates, and the bidirectional controls that reorder a line
    (UAX #9, section 2). Joiners stay, as Persian and emoji need them.
    """
    return _UNSAFE.sub(lambda found: repr(found[0])[1:-1], text)


_UNSAFE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
