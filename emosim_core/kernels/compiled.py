"""The kernels: loops over users, items and memories, compiled by numba on their first call and kept on disk.

B is the number of slots, R that of the users of a call, S the size of a slate, K the number of memories, W the capacity
of the memories. ``slots`` says which slot each user sits in, shape ``(R,)``; what is ``of_memory`` has the shape
``(B, W)``. Each kernel does the operations of the NumPy code that its docstring names, in the same order.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from threading import current_thread, main_thread
from typing import Any

import numba
import numpy as np
from numba import njit
from numba.core import event

from emosim_core.kernels import load_kernels
from emosim_core.paths import cache_directory
from emosim_core.signals import signals_later


class _Whole(event.Listener):
    """Lets numba compile or load a kernel to its end before Ctrl-C or a signal acts.

    Between two calls of LLVM an interruption leaves an object with two owners, and the process ends by SIGSEGV when
    both let go of it.
    """

    def __init__(self) -> None:
        self._held, self._depth = ExitStack(), 0

    def on_start(self, moment: event.Event) -> None:
        """Hold signals back; only the main thread gets them."""
        if current_thread() is main_thread():
            if not self._depth:
                self._held.enter_context(signals_later())
            self._depth += 1

    def on_end(self, moment: event.Event) -> None:
        """Let signals act that came."""
        if current_thread() is main_thread():
            self._depth -= 1
            if not self._depth:
                self._held.close()


event.register("numba:compiler_lock", _Whole())  # type: ignore[no-untyped-call]

_numba = vars(numba.config)
_before = _numba["CACHE_DIR"]


def _cache_folder() -> str:
    """Where compiled kernels are kept: ``NUMBA_CACHE_DIR``, else the user's cache; empty where it cannot be written."""
    folder: str = _before or str(cache_directory() / "kernels")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return ""
    return folder if os.access(folder, os.W_OK) else ""


_numba["CACHE_DIR"] = _cache_folder()  # numba reads it where it decorates a function
_compiled: Any = njit(cache=bool(_numba["CACHE_DIR"]), error_model="numpy")

_NEWEST, _COPIES = 64, 2**28
"""Memories of a user whose vectors are copied, and the bytes of all copies, at most."""

_AHEAD = 16
"""Cosines that are looked up before the first is used: a processor waits for several at once."""


@_compiled
def _product_cosine(left, right, lengths):
    """The cosine of two whole vectors; ``lengths`` is the product of their lengths."""
    if lengths == 0.0:
        return 0.0
    product = np.int32(0)
    for d in range(left.shape[0]):
        product = np.int32(product + np.int32(left[d]) * np.int32(right[d]))
    return np.rint(np.float64(product) / lengths * 1e5) / 1e5


@_compiled
def _cosine(table, vectors, lengths, left, right):
    """``Catalog.similarity``: from the table of all pairs if there is one, else from the whole vectors."""
    if table.shape[0]:
        return table[left, right] / 1e5
    return _product_cosine(vectors[left], vectors[right], lengths[left] * lengths[right])


@_compiled
def _expected(table, users_table, columns, values, user, item):
    """``RuleBased.expected``: the sum over the properties of an item, without those that it lacks."""
    if table.shape[0]:
        return table[user, item]
    total = 0.0
    for j in range(columns.shape[1]):
        total += users_table[user, columns[item, j]] * values[item, j]
    return total


@_compiled
def _close(series, low, factor, table, vectors, norms, items, others, cosines, r, s, j, left, right):
    """``Closeness.of``: how close two items are; their cosine is that of :class:`Near` if it is the one at r, s, j."""
    close = 0.0
    if factor:
        known = r < others.shape[0] and s < others.shape[1] and j < others.shape[2]
        if known and items[r, s] == left and others[r, s, j] == right:
            cosine = cosines[r, s, j]
        else:
            cosine = _cosine(table, vectors, norms, left, right)
        close = max(cosine - low, 0.0) * factor
        close *= close
    return max(close, 1.0) if series[left] == series[right] else close


@_compiled
def decayed(
    items, slots, past, codes, latest, lengths, last_codes, decay, factor, table, vectors, norms, k, copies, copied
):
    """``DecayEmotion.retrieve_batch``: positions of the k best memories of each item, and cosines, ``(R, S, K)`` each.

    Memories are looked at from the newest on. Of equal scores the newer wins, so one whose weight, the score of a
    cosine of 1, is no more than the k-th best so far is left out, and so are all from where none can weigh more.
    ``copies`` and ``copied`` are those of :class:`Near`.
    """
    positions = np.full((items.shape[0], items.shape[1], k), -1, np.intp)
    nearby = np.zeros(positions.shape)
    best, cosines, weights = np.empty(k), np.empty(_AHEAD), np.empty(past.shape[1])
    most = factor.max()
    for r in range(items.shape[0]):
        slot = slots[r]
        length = lengths[slot]
        base = 9 * last_codes[slot]
        for age in range(length):
            place = length - 1 - age
            weights[age] = decay[age] * factor[base + codes[slot, place]] if latest[slot, place] else -1.0
        for s in range(items.shape[1]):
            item, matches = items[r, s], 0
            for start in range(0, length, _AHEAD):
                if matches == k and decay[start] * most <= best[k - 1]:
                    break
                stop = min(start + _AHEAD, length)
                if table.shape[0]:
                    for age in range(start, stop):
                        cosines[age - start] = table[item, past[slot, length - 1 - age]]
                for age in range(start, stop):
                    weight = weights[age]
                    if weight < 0.0 or (matches == k and weight <= best[k - 1]):
                        continue
                    if table.shape[0]:
                        cosine = cosines[age - start] / 1e5
                    else:
                        place = length - 1 - age
                        other = past[slot, place]
                        if age < copies.shape[1]:
                            row = copies.shape[1] - 1 - place % copies.shape[1]
                            if copied[slot, row] != other:
                                copies[slot, row] = vectors[other]
                                copied[slot, row] = other
                            cosine = _product_cosine(vectors[item], copies[slot, row], norms[item] * norms[other])
                        else:
                            cosine = _cosine(table, vectors, norms, item, other)
                    score = max(cosine, 0.0) * weight
                    if matches < k:
                        matches += 1
                    elif score <= best[k - 1]:
                        continue
                    j = matches - 1
                    while j > 0 and best[j - 1] < score:
                        best[j] = best[j - 1]
                        positions[r, s, j] = positions[r, s, j - 1]
                        nearby[r, s, j] = nearby[r, s, j - 1]
                        j -= 1
                    best[j] = score
                    positions[r, s, j] = length - 1 - age
                    nearby[r, s, j] = cosine
    return positions, nearby


@_compiled
def recall(items, slots, positions, past, ratings, times, latest, lengths):
    """``History.recall``: items and ratings at positions, and how often each item was consumed before."""
    users, slate, k = positions.shape
    retrieved = np.zeros((users, slate, k), np.intp)
    rated = np.full((users, slate, k), np.nan)
    before = np.zeros((users, slate), np.intp)
    for r in range(users):
        slot = slots[r]
        for s in range(slate):
            for j in range(k):
                place = positions[r, s, j]
                if place >= 0:
                    retrieved[r, s, j] = past[slot, place]
                    rated[r, s, j] = ratings[slot, place]
            item = items[r, s]
            for place in range(lengths[slot]):
                if past[slot, place] == item and latest[slot, place]:
                    before[r, s] = times[slot, place]
                    break
    return retrieved, rated, before


@_compiled
def recall_decayed(
    items, slots, past, ratings, codes, times, latest, lengths, last_codes, decay, factor, table, vectors, norms, k,
    copies, copied,
):  # fmt: skip
    """Both of the kernels ``decayed`` and ``recall``, for the time that a call takes."""
    positions, cosines = decayed(
        items, slots, past, codes, latest, lengths, last_codes, decay, factor, table, vectors, norms, k, copies, copied
    )
    retrieved, rated, before = recall(items, slots, positions, past, ratings, times, latest, lengths)
    return positions, retrieved, rated, before, cosines


@_compiled
def rate(
    users, items, retrieved, rated, times, moods, drawn, expected, users_table, columns, values, series, low, factor,
    table, vectors, norms, near_items, near_others, near_cosines, noise_size, rest, mood_size, boredom, doubt,
    remembers, cuts, levels,
):  # fmt: skip
    """``RuleBased._terms`` of a rater that does not learn: the ratings, the sums and what they are made of."""
    count, slate, k = retrieved.shape
    latent, noise = np.empty((count, slate)), np.empty((count, slate))
    mood = np.empty(count)
    closeness = np.empty((count, slate, k))
    surprise = np.empty((count, slate, k))
    given = np.empty((count, slate))
    for r in range(count):
        user = users[r]
        mood[r] = (moods[r, 0] - rest[user]) * mood_size
        for s in range(slate):
            item = items[r, s]
            total = _expected(expected, users_table, columns, values, user, item)
            noise[r, s] = drawn[r, s] * noise_size[user]
            total += noise[r, s]
            total += mood[r]
            if times[r, s]:
                total += boredom[min(times[r, s], len(boredom) - 1)]
            if remembers and k:
                pull = weight = 0.0
                for j in range(k):
                    close = off = 0.0
                    if not np.isnan(rated[r, s, j]):
                        past = retrieved[r, s, j]
                        off = rated[r, s, j] - _expected(expected, users_table, columns, values, user, past)
                        close = _close(
                            series, low, factor, table, vectors, norms, near_items, near_others, near_cosines,
                            r, s, j, item, past,
                        )  # fmt: skip
                    closeness[r, s, j] = close
                    surprise[r, s, j] = off
                    pull += close * off
                    weight += close
                total += pull / (weight + doubt)
            latent[r, s] = total
            level = 0
            while level < len(cuts) and cuts[level] <= total:
                level += 1
            given[r, s] = levels[level]
    return given, latent, noise, mood, closeness, surprise


@_compiled
def _moved(slot, state, base, folded, past, ratings, lengths, width, noise_at, most, moved, squares, off):
    """``RatingModel._moved`` of one user: what ratings of the episode add in each direction of the fold-in.

    ``moved`` is written; ``squares`` and ``off`` are room of the same length and of ``most``.
    """
    moved[:] = squares[:] = 0.0
    length = min(most, lengths[slot])
    for w in range(length):
        item = past[slot, lengths[slot] - 1 - w]
        along = folded[item]
        left = np.float64(np.float32(ratings[slot, lengths[slot] - 1 - w])) - base[item]
        for f in range(len(moved)):
            left -= along[f] * state[width + f]
            squares[f] += along[f] * along[f]
        off[w] = left
        moved[0] += along[0] * left
    if not length:
        return
    noise = 2.0 * state[noise_at]
    moved[0] /= squares[0] + np.exp(noise - state[width + len(moved)])
    for w in range(length):
        along = folded[past[slot, lengths[slot] - 1 - w]]
        left = off[w] - along[0] * moved[0]
        for f in range(1, len(moved)):
            moved[f] += along[f] * left
    for f in range(1, len(moved)):
        moved[f] /= squares[f] + np.exp(noise - state[width + len(moved) + f])


@_compiled
def _usual(item, state, moved, base, features, folded, low, high, sums):
    """``RatingModel.expected`` of one user and item; products are added in eight sums side by side, for speed."""
    row, width = features[item], features.shape[1]
    sums[:] = 0.0
    for b in range(width // 8):
        for j in range(8):
            sums[j] += np.float64(row[8 * b + j]) * state[8 * b + j]
    mean = 0.0
    for j in range(8):
        mean += sums[j]
    for d in range(width - width % 8, width):
        mean += np.float64(row[d]) * state[d]
    along = folded[item]
    for f in range(len(moved)):
        mean += along[f] * moved[f]
    return min(max(np.rint((base[item] + mean) * 1e9) / 1e9, low), high)


@_compiled
def _level(latent, share, steep, use, levels, weights):
    """``RatingModel.draw`` of one answer: the level at a share of its distribution."""
    last = len(levels) - 1
    below, total = 1.0, 0.0
    for at in range(last + 1):
        above = 0.0
        if at < last:
            score = (latent - (levels[at] + levels[at + 1]) / 2.0) * steep
            above = 1.0 / (1.0 + np.exp(-min(max(score, -30.0), 30.0)))
        weights[at] = (below - above) * use[at]
        total += weights[at]
        below = above
    level, up_to = 0, weights[0] / total
    while level < last and share >= up_to:
        level += 1
        up_to += weights[level] / total
    return levels[level]


@_compiled
def rate_fitted(
    users, rows, items, retrieved, rated, times, moods, drawn, slots, past, ratings, lengths, states, base, features,
    folded, levels, low, high, most, series, cosine_low, factor, table, vectors, norms, near_items, near_others,
    near_cosines, rest, mood_size, boredom, doubt, remembers,
):  # fmt: skip
    """``Fitted._terms`` and ``RatingModel.draw``: ratings, sums, and what they are made of.

    ``rows`` says where in ``states`` each user stands; ``most`` how many ratings of the episode count.
    """
    count, slate, k = retrieved.shape
    width, directions, noise_at = features.shape[1], folded.shape[1], states.shape[1] - len(levels) - 1
    given, latent, expected = np.empty((count, slate)), np.empty((count, slate)), np.empty((count, slate))
    mood, memory = np.empty((count, 1)), np.zeros((count, slate))
    state, use, weights = np.empty(states.shape[1]), np.empty(len(levels)), np.empty(len(levels))
    moved, squares, off, sums = np.empty(directions), np.empty(directions), np.empty(most), np.empty(8)
    for r in range(count):
        for d in range(states.shape[1]):
            state[d] = states[rows[r], d]
        _moved(slots[r], state, base, folded, past, ratings, lengths, width, noise_at, most, moved, squares, off)
        steep = np.pi / np.sqrt(3.0) / np.exp(state[noise_at])
        for at in range(len(levels)):
            use[at] = np.exp(state[noise_at + 1 + at])
        mood[r, 0] = (moods[r, 0] - rest[users[r]]) * mood_size
        for s in range(slate):
            item = items[r, s]
            expected[r, s] = _usual(item, state, moved, base, features, folded, low, high, sums)
            if remembers and k:
                pull = weight = 0.0
                for j in range(k):
                    if np.isnan(rated[r, s, j]):
                        continue
                    other = retrieved[r, s, j]
                    close = _close(
                        series, cosine_low, factor, table, vectors, norms, near_items, near_others, near_cosines,
                        r, s, j, item, other,
                    )  # fmt: skip
                    if close > 0.0:
                        usual = _usual(other, state, moved, base, features, folded, low, high, sums)
                        pull += close * (rated[r, s, j] - usual)
                        weight += close
                memory[r, s] = pull / (weight + doubt)
            total = expected[r, s] + mood[r, 0]
            total += boredom[min(times[r, s], len(boredom) - 1)]
            total += memory[r, s]
            latent[r, s] = total
            given[r, s] = _level(total, drawn[r, s], steep, use, levels, weights)
    return given, latent, expected, mood, memory


@_compiled
def utilities(ratings, temperature, outside):
    """``MultinomialLogit``: utilities of the items and of taking nothing, less the largest, shape ``(R, S + 1)``."""
    slate = ratings.shape[1]
    utility = np.empty((len(ratings), slate + 1))
    for r in range(len(ratings)):
        highest = utility[r, slate] = outside / temperature
        for s in range(slate):
            utility[r, s] = -np.inf if np.isnan(ratings[r, s]) else ratings[r, s] / temperature
            highest = max(highest, utility[r, s])
        for s in range(slate + 1):
            utility[r, s] -= highest
    return utility


@_compiled
def choose(weights, drawn):
    """``MultinomialLogit``: the item that a draw in [0, 1) falls on by its weight, flags of shape ``(R, S)``."""
    slate = weights.shape[1] - 1
    chosen = np.zeros((len(weights), slate), np.bool_)
    for r in range(len(weights)):
        total = 0.0
        for s in range(slate + 1):
            total += weights[r, s]
        edge, sought = 0.0, drawn[r, 0] * total
        for s in range(slate):
            edge += weights[r, s]
            if edge > sought:
                chosen[r, s] = True
                break
    return chosen


@_compiled
def remember(
    slots, items, ratings, consumed, edges, tags_of, keep, gain, tags, moods, baselines,
    past, past_ratings, past_codes, past_times, latest, last_codes, lengths,
):  # fmt: skip
    """``Engine._remember`` with ``ValenceArousal``: tag ratings, append what is consumed to the memories, move moods.

    Returns:
        The ratings of what is consumed, tags, how often each item has been consumed and how long ago before, each of
        shape ``(R, S)``.
    """
    recorded = np.full(items.shape, np.nan)
    codes = np.empty(items.shape, np.intp)
    times = np.zeros(items.shape, np.intp)
    since = np.zeros(items.shape, np.intp)
    for r in range(items.shape[0]):
        slot = slots[r]
        for s in range(items.shape[1]):
            rating, item = (ratings[r, s] if consumed[r, s] else np.nan), items[r, s]
            recorded[r, s] = rating
            level = 0
            while level < len(edges) and not edges[level] > rating:
                level += 1
            code = codes[r, s] = tags_of[level]
            if not consumed[r, s]:
                continue
            here = lengths[slot]
            times[r, s] = 1
            for place in range(here):
                if past[slot, place] == item and latest[slot, place]:
                    times[r, s] = past_times[slot, place] + 1
                    since[r, s] = here - place
                    latest[slot, place] = False
                    break
            past[slot, here] = item
            past_ratings[slot, here] = rating
            past_codes[slot, here] = code
            past_times[slot, here] = times[r, s]
            latest[slot, here] = True
            last_codes[slot] = code
            lengths[slot] = here + 1
            for j in range(2):
                rested = baselines[slot, j] + (moods[slot, j] - baselines[slot, j]) * keep
                moods[slot, j] = rested + gain[j] * (tags[code, j] - rested)
    return recorded, codes, times, since


@_compiled
def disappoint(
    slots, ratings, consumed, traits, steps, satisfaction, low, good, alpha, threshold, points, rate, limit, min_steps,
):  # fmt: skip
    """``ChurnSatisfaction.shape_batch`` up to the draw: end codes, hazards of who may leave, and good ratings in a row.

    The hazard is 0 where the user has gone already, or may not go.
    """
    ends = np.zeros(len(slots), np.intp)
    hazard = np.zeros(len(slots))
    for r in range(len(slots)):
        slot = slots[r]
        taken = False
        for s in range(ratings.shape[1]):
            if consumed[r, s]:
                taken = True
                rating = ratings[r, s]
                before = rating if np.isnan(satisfaction[slot]) else satisfaction[slot]
                satisfaction[slot] = before + alpha * (rating - before)
                disappointed = rating <= threshold
                low[slot] = low[slot] + 1 if disappointed else 0
                good[slot] = 0 if disappointed else good[slot] + 1
        if taken and steps[r] >= min_steps:
            if low[slot] >= limit[traits[r, 0]]:
                ends[r] = 1
            else:
                hazard[r] = rate[traits[r, 0]] * max(0.0, (threshold - satisfaction[slot]) * points)
    return ends, hazard


@_compiled
def conclude(shaped, consumed, ends, steps, max_steps, late_code):
    """``Engine._simulate`` in the end: rewards, who left, who was cut off, and end codes, each of shape ``(R,)``."""
    rewards = np.zeros(len(ends))
    terminated = np.empty(len(ends), np.bool_)
    truncated = np.empty(len(ends), np.bool_)
    codes = np.empty(len(ends), np.intp)
    for r in range(len(ends)):
        for s in range(shaped.shape[1]):
            if consumed[r, s]:
                rewards[r] += shaped[r, s]
        terminated[r] = ends[r] > 0
        truncated[r] = steps[r] >= max_steps and not terminated[r]
        codes[r] = ends[r] + late_code if terminated[r] or truncated[r] else ends[r]
    return rewards, terminated, truncated, codes


@_compiled
def recent(slots, past, ratings, lengths, count, lowest):
    """``Parts._history``: items, ratings and presence of the last interactions, each of shape ``(R, count)``."""
    items = np.zeros((len(slots), count), np.int64)
    shown = np.full((len(slots), count), lowest, np.float32)
    mask = np.zeros((len(slots), count), np.int8)
    for r in range(len(slots)):
        slot = slots[r]
        for age in range(min(count, lengths[slot])):
            place = lengths[slot] - 1 - age
            items[r, age] = past[slot, place]
            shown[r, age] = ratings[slot, place]
            mask[r, age] = 1
    return items, shown, mask


@_compiled
def outside(indices, count):
    """``Engine.step``: whether any index, of shape ``(R, S)``, is none of ``count``."""
    for index in indices.flat:  # noqa: SIM110  (a loop is what numba compiles)
        if index < 0 or index >= count:
            return True
    return False


@_compiled
def take(values, following, slots, count):
    """``Streams.take`` from what is drawn already, shape ``(R, count)``; shape ``(0, 0)`` where that is not enough."""
    block = values.shape[1]
    for r in range(len(slots)):
        if following[slots[r]] + count > block * (slots[r] + 1):
            return np.empty((0, 0))
    drawn = np.empty((len(slots), count))
    for r in range(len(slots)):
        slot = slots[r]
        start = following[slot] - block * slot
        for j in range(count):
            drawn[r, j] = values[slot, start + j]
        following[slot] += count
    return drawn


@_compiled
def interest_past(past, lengths, recent, table, lately_width, year, dated):
    """``Interest._some_terms``: sums of properties of what is remembered and of the last of it, and the newest year."""
    count, width = len(lengths), table.shape[1]
    had, lately = np.zeros((count, width)), np.zeros((count, width))
    newest = np.full(count, -np.inf)
    for r in range(count):
        for m in range(lengths[r]):
            item = past[r, m]
            for w in range(width):
                had[r, w] += table[item, w]
            if m >= lengths[r] - recent:
                for w in range(lately_width):
                    lately[r, w] += table[item, w]
            if dated[item]:
                newest[r] = max(newest[r], year[item])
    return had, lately, newest


@_compiled
def interest_terms(items, table, of_item, lifts, recent, bounds, year, dated, newest, eager):
    """``Interest._some_terms``: the terms of interest, shape ``(R, S, 9)``."""
    count, slate = items.shape
    terms = np.zeros((count, slate, 9))
    for r in range(count):
        for s in range(slate):
            item = items[r, s]
            terms[r, s, 0] = of_item[item, 0]
            terms[r, s, 1] = of_item[item, 1]
            for group in range(3):
                total = 0.0
                for w in range(bounds[group], bounds[group + 1]):
                    total += table[item, w] * lifts[r, w]
                terms[r, s, 2 + group] = total
            for group in range(2):
                total = 0.0
                for w in range(bounds[group], bounds[group + 1]):
                    total += table[item, w] * recent[r, w]
                terms[r, s, 5 + group] = total
            newer = newest[r] > -np.inf and year[item] > newest[r] and dated[item]
            terms[r, s, 7] = -1.0 * newer
            terms[r, s, 8] = eager[r]
    return terms


class Near:
    """What kernels have read of the items in memories and read again soon, so that it need not come from far.

    The vectors of a large catalog are read from the memory of the machine, which takes longer than their product. So
    each user's newest memories keep copies of theirs side by side, and a rater gets the cosines that the retrieval has
    computed. Both are kept with the indices of their items and used for these alone.
    """

    def __init__(self) -> None:
        self._vectors: Any = None
        self._forget(np.empty((0, 0), np.int16), 0)

    def _forget(self, vectors: Any, users: int) -> None:
        size = min(_NEWEST, _COPIES // max(1, users * vectors.shape[1] * vectors.itemsize)) if len(vectors) else 0
        self._vectors = vectors
        self._copies = np.full((users, size, vectors.shape[1]), 0, vectors.dtype)
        self._copied = np.full((users, size), -1, np.intp)
        self._pairs: tuple[Any, ...] = np.empty((0, 0), np.intp), np.empty((0, 0, 0), np.intp), np.empty((0, 0, 0))

    def copies(self, vectors: Any, users: int) -> tuple[Any, Any]:
        """Room for vectors of the newest memories of B users, ``(B, M, D)``, and their items, ``(B, M)``; -1 for none.

        The memory at place p is at p modulo M. Empty where the cosines of all pairs are kept.
        """
        if self._vectors is not vectors or len(self._copies) != users:
            self._forget(vectors, users)
        return self._copies, self._copied

    def keep(self, items: Any, others: Any, cosines: Any) -> None:
        """Keep the cosines, ``(R, S, K)``, of items, ``(R, S)``, with others, ``(R, S, K)``."""
        self._pairs = items.copy(), others.copy(), cosines

    def cosines(self, vectors: Any) -> tuple[Any, ...]:
        """What was kept last, if it is of these vectors."""
        if self._vectors is not vectors:
            self._forget(vectors, 0)
        return self._pairs


class Kernels:
    """The kernels by name; a pickled one is loaded anew where it is read, which may be a machine without numba."""

    choose = staticmethod(choose)
    conclude = staticmethod(conclude)
    decayed = staticmethod(decayed)
    disappoint = staticmethod(disappoint)
    interest_past = staticmethod(interest_past)
    interest_terms = staticmethod(interest_terms)
    outside = staticmethod(outside)
    rate = staticmethod(rate)
    rate_fitted = staticmethod(rate_fitted)
    recall = staticmethod(recall)
    recall_decayed = staticmethod(recall_decayed)
    recent = staticmethod(recent)
    remember = staticmethod(remember)
    take = staticmethod(take)
    utilities = staticmethod(utilities)

    def __init__(self) -> None:
        self.near = Near()

    def __reduce__(self) -> tuple[Any, ...]:
        return load_kernels, ()


_numba["CACHE_DIR"] = _before
