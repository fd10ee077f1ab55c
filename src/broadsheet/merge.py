"""Merging: takes what was made of each shard, gives what is known of all of them together.

Problems get their true lines, and what only all rows can tell is judged: keys and texts that are there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from broadsheet import contract, storage, tables
from broadsheet.catalogue import Catalogue, Place
from broadsheet.contract import Schema
from broadsheet.problems import MAX_ERRORS, InvalidData, Problem
from broadsheet.recipe import Recipe
from broadsheet.rejects import Rejects
from broadsheet.shards import Index, Made, Part
from broadsheet.sidecar import Sidecar
from broadsheet.summary import Tally

_OTHER_STEMS = "Where files in several folders have one stem, take more of the path: folder || '/' || stem AS id."


@dataclass
class Merged:
    """All shards, merged one after another in their order; after *limit* errors they are given up.

    *given* is the number of rows they were made from, those left out among them; *left_out* is that of those, by table.
    """

    catalogue: Catalogue
    limit: int = MAX_ERRORS
    given: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    shards: list[dict[str, Part]] = field(default_factory=list)
    _joined: int = 0
    _shown: str = ""
    _splits: list[str] = field(default_factory=list)
    _first: dict[int, int] = field(default_factory=dict)
    _lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, made: Made) -> None:
        """Take what was made of one more shard; raise `InvalidData` when there are more errors than anybody reads."""
        for stretch in made.shard.stretches:
            file = (made.shard.split, stretch.path)
            self._first[stretch.number] = self._lines.get(file, 0)
            self._lines[file] = self._first[stretch.number] + made.lines.get(stretch.number, 0)
            self._shown = self._shown or stretch.shown
        self.problems += [self._placed(problem, stretch) for stretch, problem in made.problems]
        if sum(problem.severity == "error" for problem in self.problems) >= self.limit:
            raise InvalidData(self.problems)
        self.catalogue.enter(made.entries)
        self.tally.merge(made.tally)
        self._joined += made.joined
        self.given += made.given
        self.shards.append(made.parts)
        self._splits.append(made.shard.split)

    def rows(self, table: str) -> int:
        """Give how many rows *table* has so far."""
        return sum(parts[table].rows for parts in self.shards if table in parts)

    def parts(self) -> dict[str, dict[str, list[Part]]]:
        """Give the parts by table and split, of the tables that have rows."""
        found: dict[str, dict[str, list[Part]]] = {table: {} for table in self.catalogue.tables}
        for split, parts in zip(self._splits, self.shards, strict=True):
            for table, own in found.items():
                own.setdefault(split, []).append(parts[table])
        return found

    def missing(self) -> Iterator[tuple[int, str]]:
        """Give the number of each shard, in the order they came, that has no rows of a *table* which others have."""
        for number, parts in enumerate(self.shards):
            for table in self.catalogue.tables:
                if table not in parts:
                    yield number, table

    def checksums(self) -> dict[str, str]:
        """Give the SHA-256 of every file of the tables."""
        files = [file for parts in self.shards for part in parts.values() for file in part.files.items()]
        return {name: digest for name, (digest, _) in files}

    def digest(self) -> str:
        """Give the logical digest of the rows."""
        return tables.fold(self.catalogue.digests())

    def finish(self, schemas: Mapping[str, Schema], recipe: Recipe, index: Index, rejects: Rejects) -> None:
        """Note what only all rows together can tell is wrong, and warn of texts that are there twice.

        Every target is one of the *recipe*'s, every entry of the *index* has found its article, and every row that was
        given is there or among the *rejects*.
        """
        if not any(problem.severity == "error" for problem in self.problems):
            self.problems += self._judge(schemas, recipe, index)
            self.left_out = rejects.counts()
            left_out = self.left_out.get("articles", 0)
            if self.given != self.rows("articles") + left_out:
                message = f"{self.given} rows were given, but {self.rows('articles')} built and {left_out} left out"
                self.problems.append(Problem("BS506", self._shown, message, hint="This is an error of the program."))

    def _judge(self, schemas: Mapping[str, Schema], recipe: Recipe, index: Index) -> Iterator[Problem]:
        targets = [target.id for target in recipe.targets]
        if not self.rows("articles"):
            yield Problem("BS119", self._shown or "articles", "there is no row in it, nor in any other input")
            return
        for table in self.catalogue.tables:
            key = contract.primary_key(schemas[table])
            for first, second in islice(self.catalogue.repeated(table, key), self.limit):
                found = self._at(second, "BS207", f"the key is that of {self._said(first)} too")
                yield replace(found, hint=_OTHER_STEMS) if table == "articles" and recipe.texts is not None else found
        for value, place in islice(self.catalogue.unknown_targets(targets), self.limit):
            near = contract.did_you_mean(value, targets)
            yield replace(self._at(place, "BS208", f"there is no target '{value}' in the recipe"), hint=near)
        for value, place in islice(self.catalogue.missing("articles", "duplicate_of"), self.limit):
            yield self._at(place, "BS208", f"duplicate_of is '{value}', but there is no such article")
        if self._joined != index.entries:
            yield from islice(Sidecar(storage.local(index.path)).unknown(self.catalogue.ids()), self.limit)
        for first, second in islice(self.catalogue.leaks(), self.limit):
            message = f"the text is a near-duplicate of {self._said(first)}, in another split"
            yield replace(self._at(second, "BS210", message), severity="warning")
        same = self.catalogue.repeated("articles", ["text_sha256"], "duplicate_of IS NULL")
        for first, second in islice(same, self.limit):
            leaks = first.split != second.split
            said = f"the text of {self._said(first)} stands in another split"
            message = said if leaks else f"the text is that of {self._said(first)} too"
            yield replace(self._at(second, "BS210" if leaks else "BS209", message), severity="warning")

    def _placed(self, problem: Problem, stretch: int) -> Problem:
        if problem.line is None:
            return problem
        return replace(problem, line=problem.line + self._first.get(stretch, 0))

    def _at(self, place: Place, code: str, message: str) -> Problem:
        return self._placed(Problem(code, place.path, message, line=place.line), place.stretch)

    def _said(self, place: Place) -> str:
        return f"{place.path}:{place.line + self._first.get(place.stretch, 0)}"
