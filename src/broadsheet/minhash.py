"""Near-duplicates: takes texts, gives their MinHash signatures; takes signatures, gives the clusters of alike texts.

A text is the set of its shingles, and two texts are as alike as their sets' Jaccard index, the shared part of the
union. A signature estimates it in 512 bytes, whatever the text's length. Signatures are made a shard at a time, in any
process; the clusters are found once, over all of them. The same texts give the same of both, on any machine.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import rensa

#: A shingle is so many characters of the folded text. Characters, since many languages put no spaces between words, and
#: since a changed word then costs 11 shingles of some thousand, where it costs 5 of some hundred shingles of 5 words.
#: Six of them: 5% of the words changed leave a Jaccard index of 0.88, 10% leave 0.8; two articles on one subject have
#: 0.08, so bands rarely meet by chance. (With 9 characters it's 0.83, 0.72 and 0.03; with 5 it's 0.90, 0.83 and 0.12.)
SHINGLE = 6
#: The slots of a signature. An estimate of 0.8 is off by 0.035 (one standard deviation).
PERMUTATIONS = 128
SEED = 1
#: How likely two texts that are exactly as alike as the threshold asks meet in a band at least.
RECALL = 0.97
#: How many rows after it a row is compared with that share a band with it; all are compared with the first of them.
NEIGHBOURS = 32
#: How many bytes of text are hashed at once (more would not fit in a core's cache), how many rows of signatures are
#: read at once, and how many bytes of bands' hashes are held at once.
BYTES = 1 << 17
ROWS = 1 << 14
HASHES = 512 << 20
#: The signature of a text without characters.
EMPTY = np.iinfo(np.uint32).max

Signatures = npt.NDArray[np.uint32]
_Hashes = npt.NDArray[np.uint64]
_Indices = npt.NDArray[np.int64]

_SPACE = ord(" ")
# Code points have 21 bits, so three are one number of 63; no text has the last of these.
_BITS, _BEYOND = np.uint64(21), (1 << 21) - 1
# Odd numbers of 64 bits without a pattern, for multiplying (of SplitMix64 and MurmurHash3).
_ONE, _TWO = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


class Banding(NamedTuple):
    """How signatures are cut: *bands* of so many *rows* (slots) each; texts that agree in a whole band are compared."""

    bands: int
    rows: int

    def recall(self, likeness: float) -> float:
        """Give the probability that two texts with this Jaccard index agree in a band at least."""
        return 1.0 - (1.0 - likeness**self.rows) ** self.bands


def signatures(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> Signatures:
    """Give the MinHash signature of each of *texts*: an array of n rows and `PERMUTATIONS` columns.

    Case, punctuation and the kind and number of spaces don't count. A text shorter than a shingle is one shingle, which
    only the same text has. A null is an empty text. Raises `UnicodeEncodeError` if there are lone surrogates.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    column = (texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())).cast(pa.large_string())
    found = np.empty((len(column), PERMUTATIONS), np.uint32)
    if not len(column):
        return found
    if column.null_count:
        column = column.fill_null("")
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    data = memoryview(column.buffers()[2] or b"")
    lengths = pc.utf8_length(column).to_numpy()
    parts = [*_parts(offsets)]
    room = _room(max(int(offsets[stop] - offsets[start]) for start, stop in parts))
    for start, stop in parts:
        text = str(data[offsets[start] : offsets[stop]], "utf-8")
        hashes, bounds, is_empty = _shingles(text, lengths[start:stop], room)
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(hashes, bounds, PERMUTATIONS, SEED)
        rows = found[start:stop]
        rows[:] = matrix.to_rows()
        rows[is_empty] = EMPTY
    return found


def clusters(signatures: Signatures, threshold: float) -> npt.NDArray[np.int64]:
    """Give for each of the n *signatures* the index of the first of its cluster: its own, if it's like none before.

    Two are linked if the estimate of their Jaccard index is at least *threshold* (above 0, at most 1); a cluster is
    what links connect, so not all in it need be that alike. *signatures* may be mapped from a file: they are read in
    order a few times, and what is held are some 60 bytes a row and `HASHES` bytes. Raises `ValueError` for other
    thresholds.
    """
    cut = banding(threshold)
    least = math.ceil(threshold * PERMUTATIONS - 1e-9)
    first = np.arange(len(signatures), dtype=np.int64)
    # Equal signatures come first: of them, only one row goes on to the bands.
    for groups in _groups(signatures, first, Banding(1, PERMUTATIONS)):
        _link(first, *_alike(signatures, groups.firsts(), first, least))
    distinct = np.flatnonzero(first == np.arange(len(first)))
    for groups in _groups(signatures, distinct, cut):
        _link(first, *_alike(signatures, groups.firsts(), first, least))
        near = [_alike(signatures, pairs, first, least) for pairs in groups.neighbours()]
        if near:
            _link(first, *(np.concatenate(side) for side in zip(*near, strict=True)))
    return first


def banding(threshold: float) -> Banding:
    """Give the banding with the longest bands that finds two texts as alike as *threshold* with a chance of `RECALL`.

    What meets in a band by chance is compared and dropped, so it costs time only, and longer bands have less of it: no
    need to weigh it against what is missed. Raises `ValueError` if *threshold* is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is above 0 and at most 1, not {threshold}")
    cuts = (Banding(PERMUTATIONS // rows, rows) for rows in range(PERMUTATIONS, 0, -1))
    return next((cut for cut in cuts if cut.recall(threshold) >= RECALL), Banding(PERMUTATIONS, 1))


# --- from texts to shingles ---


class _Room(NamedTuple):
    """Memory for the work on one part after another; to ask the system for it each time would double the time."""

    characters: npt.NDArray[np.uint32]
    compressed: npt.NDArray[np.uint32]
    wide: _Hashes
    triples: _Hashes
    hashes: _Hashes


def _room(size: int) -> _Room:
    """Give room for *size* characters."""
    return _Room(*np.empty((2, size), np.uint32), *np.empty((3, size), np.uint64))


def _parts(offsets: _Indices) -> Iterator[tuple[int, int]]:
    """Cut the texts between *offsets* (bytes) into parts of at most `BYTES` bytes or one text; give the bounds."""
    start, n = 0, len(offsets) - 1
    while start < n:
        stop = int(np.searchsorted(offsets, offsets[start] + BYTES, side="right")) - 1
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def _shingles(
    text: str, lengths: npt.NDArray[np.integer[Any]], room: _Room
) -> tuple[_Hashes, npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Give hashes of the shingles of the n texts that make up *text*, n + 1 bounds between these, and which are empty.

    A hash may stand there several times; it's the set that counts. The hashes are in *room*.
    """
    characters, bounds = _folded(text, lengths, room)
    left, right = bounds[:-1], bounds[1:]
    # A single space may be left on either side.
    start, end = left.copy(), right.copy()
    some = end > start
    start[some] += characters[start[some]] == _SPACE
    some = end > start
    end[some] -= characters[end[some] - 1] == _SPACE
    hashes = _hashed(characters, room)
    is_short = end - start < SHINGLE
    first = np.empty(len(start), np.uint64)
    first[~is_short] = hashes[start[~is_short]]
    if is_short.any():
        first[is_short] = _short(characters, start[is_short], end[is_short])
    # Where no shingle of the text starts, its first one is put once more.
    last = np.where(is_short, left, end - SHINGLE + 1)
    places = right[:, np.newaxis] - np.arange(1, SHINGLE + 2)
    outside = places >= last[:, np.newaxis]
    hashes[places[outside]] = np.broadcast_to(first[:, np.newaxis], places.shape)[outside]
    led = start > left
    hashes[left[led]] = first[led]
    return hashes, bounds.astype(np.uint64), end == start


def _folded(text: str, lengths: npt.NDArray[np.integer[Any]], room: _Room) -> tuple[npt.NDArray[np.uint32], _Indices]:
    """Give the folded characters of the n texts of these *lengths* that *text* consists of, and the n + 1 bounds."""
    characters = room.characters[: len(text)]
    # Nothing is clipped; the mode is the fastest.
    folding().take(np.frombuffer(text.encode("utf-32-le"), np.uint32), mode="clip", out=characters)
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    kept = characters != _SPACE
    kept[1:] |= kept[:-1]
    if dropped := len(kept) - np.count_nonzero(kept):
        bounds -= np.searchsorted(np.flatnonzero(~kept), bounds)
        characters = characters.compress(kept, out=room.compressed[: len(text) - dropped])
    return characters, bounds


@functools.cache
def folding() -> npt.NDArray[np.uint32]:
    """Give what each code point is folded to: lower case, or a space for what is no letter, mark, number or symbol."""
    table = np.arange(0x110000, dtype=np.uint32)
    # No character beyond these planes has a case or is a space or punctuation.
    for point in range(0x20000):
        character = chr(point)
        if unicodedata.category(character) in _BLANK:
            table[point] = _SPACE
        elif len(folded := character.casefold()) == 1 or len(folded := character.lower()) == 1:
            table[point] = ord(folded)
    return table


_BLANK = frozenset(("Cc", "Cf", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Zl", "Zp", "Zs"))


def _hashed(characters: npt.NDArray[np.uint32], room: _Room) -> _Hashes:
    """Give the hash of the shingle that starts at each of n *characters*; the last ones' are without meaning."""
    n = len(characters)
    wide, triples, hashes = room.wide[:n], room.triples[:n], room.hashes[:n]
    if n < SHINGLE:
        return hashes
    # A shingle is two triples. A hash of it is as good as one of the string: they say the same.
    wide[:] = characters
    triples, high, count = triples[:-2], hashes[:-2], n - SHINGLE + 1
    np.left_shift(wide[1:-1], _BITS, out=triples)
    triples |= wide[:-2]
    np.left_shift(wide[2:], _BITS + _BITS, out=high)
    triples |= high
    _mix(triples[:count], triples[-count:], hashes[:count], wide[:count])
    return hashes


def _mix(one: _Hashes, other: _Hashes, mixed: _Hashes, spare: _Hashes) -> None:
    """Put a hash of each pair of numbers into *mixed*; *spare* is room for the work."""
    np.multiply(one, _ONE, out=mixed)
    np.right_shift(mixed, _HALF, out=spare)
    mixed ^= spare
    mixed += other
    mixed *= _TWO
    np.right_shift(mixed, _HALF, out=spare)
    mixed ^= spare


def _short(characters: npt.NDArray[np.uint32], start: _Indices, end: _Indices) -> _Hashes:
    """Give the hash of each text from *start* to *end* that is shorter than a shingle: of all of it."""
    places = start[:, np.newaxis] + np.arange(SHINGLE)
    inside = places < end[:, np.newaxis]
    padded = np.full(places.shape, _BEYOND, np.uint32)
    padded[inside] = characters[places[inside]]
    return _hashed(padded.ravel(), _room(padded.size))[::SHINGLE]


# --- from signatures to clusters ---


class _Groups(NamedTuple):
    """Rows that agree in a band: *rows*, group by group and in order within each, and the *group* each belongs to."""

    rows: _Indices
    group: _Indices

    def firsts(self) -> tuple[_Indices, _Indices]:
        """Pair each row with the first of its group."""
        is_first = np.ones(len(self.group), np.bool_)
        is_first[1:] = self.group[1:] != self.group[:-1]
        firsts = np.repeat(self.rows[is_first], np.diff(np.append(np.flatnonzero(is_first), len(self.group))))
        return firsts[~is_first], self.rows[~is_first]

    def neighbours(self) -> Iterator[tuple[_Indices, _Indices]]:
        """Pair each row with those after it in its group: first with the next one, then with the one after that."""
        for distance in range(1, NEIGHBOURS + 1):
            together = np.flatnonzero(self.group[distance:] == self.group[:-distance])
            if not len(together):
                return
            yield self.rows[together], self.rows[together + distance]


def _groups(signatures: Signatures, rows: _Indices, cut: Banding) -> Iterator[_Groups]:
    """Give, band after band, the groups of those *rows* (ascending) that agree in the band."""
    at_once = max(1, HASHES // (8 * max(1, len(rows))))
    for start in range(0, cut.bands, at_once):
        bands = range(start, min(start + at_once, cut.bands))
        hashes = np.empty((len(bands), len(rows)), np.uint64)
        for stretch in range(0, len(rows), ROWS):
            chosen = signatures[rows[stretch : stretch + ROWS]]
            for number, band in enumerate(bands):
                slots = chosen[:, band * cut.rows : (band + 1) * cut.rows]
                hashes[number, stretch : stretch + ROWS] = _band_hashes(slots)
        for band_hashes in hashes:
            yield _grouped(band_hashes, rows)


def _band_hashes(slots: Signatures) -> _Hashes:
    """Give a hash of each row of *slots*."""
    hashes, spare = np.zeros((2, len(slots)), np.uint64)
    for column in slots.T:
        _mix(hashes, column.astype(np.uint64), hashes, spare)
    return hashes


def _grouped(hashes: _Hashes, rows: _Indices) -> _Groups:
    """Group those *rows* whose hash another one has too."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    is_shared = np.zeros(len(order), np.bool_)
    is_shared[1:] |= same
    is_shared[:-1] |= same
    # The sort is not stable, which would cost more than putting these few in order.
    order, ordered = order[is_shared], ordered[is_shared]
    order = order[np.lexsort((order, ordered))]
    return _Groups(rows[order], np.cumsum(np.append(False, ordered[1:] != ordered[:-1]))[: len(order)])


def _alike(
    signatures: Signatures, pairs: tuple[_Indices, _Indices], first: _Indices, least: int
) -> tuple[_Indices, _Indices]:
    """Give those of *pairs* that agree in *least* slots, without those that are in one cluster already."""
    one, other = pairs
    apart = first[one] != first[other]
    one, other = one[apart], other[apart]
    alike = np.zeros(len(one), np.bool_)
    for start in range(0, len(one), ROWS):
        stretch = slice(start, start + ROWS)
        agree = np.count_nonzero(signatures[one[stretch]] == signatures[other[stretch]], axis=1)
        alike[stretch] = agree >= least
    return one[alike], other[alike]


def _link(first: _Indices, one: _Indices, other: _Indices) -> None:
    """Unite the clusters of each row of *one* and of *other*, in *first*, where each row points to its cluster's first.

    Each root that has a link to a lower one is hung below the lowest of them, until no link joins two clusters; the
    number of clusters that still have links at least halves each time.
    """
    while True:
        left, right = first[one], first[other]
        apart = left != right
        if not apart.any():
            return
        one, other, left, right = one[apart], other[apart], left[apart], right[apart]
        np.minimum.at(first, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(raised := first[first], first):
            first[:] = raised
