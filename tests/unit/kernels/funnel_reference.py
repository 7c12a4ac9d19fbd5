"""Funnels worked out event by event, as queries.md 6 tells them: slow, obvious, and the measure of the kernels.

An actor's history is a sorted list of (time, set of steps, set of exclusion indexes).
"""

from itertools import groupby


def ordered(events, n_steps, window, *, strict=False, optional=frozenset(), exclusions=()):
    """Return the times of the best chain per step (None for steps left out), or None when not in the funnel."""
    chains = [None] * n_steps
    best = None  # [depth, chain]

    def block(step, time):
        nonlocal best
        chain = chains[step]
        if chain is None or time - chain["entry"] > window or chain["excluded"]:
            return
        if step + 1 < n_steps and chains[step + 1] and chains[step + 1]["entry"] == chain["entry"]:
            return
        chain["excluded"] = True
        if best and best["depth"] == step and time - best["entry"] <= window:
            best["excluded"] = True

    def take(step, time, event, *, replaces=False):
        nonlocal best
        if step == 0:
            base = {"entry": time, "times": {}, "excluded": False, "events": ()}
        else:
            base = None
            for before in range(step - 1, -1, -1):
                chain = chains[before]
                if chain and time - chain["entry"] <= window and event not in chain["events"]:
                    base = chain
                    break
                if before not in optional:
                    break
            if base is None:
                return
        if chains[step] and chains[step]["entry"] == base["entry"] and not replaces:
            return
        chain = {**base, "times": {**base["times"], step: time}, "events": (*base["events"], event), "depth": step}
        if not base["excluded"]:
            chains[step] = chain
        if best is None or step > best["depth"] or (step == best["depth"] and best["excluded"]):
            best = dict(chain)

    numbered = [(*event, number) for number, event in enumerate(events)]
    for _, group in groupby(numbered, key=lambda event: event[0]):
        same = list(group)
        if all((one[1], one[2]) == (same[0][1], same[0][2]) for one in same):
            for time, steps, blocked, number in same:
                for index in sorted(blocked, reverse=True):
                    for step in range(exclusions[index][1] - 1, exclusions[index][0] - 1, -1):
                        block(step, time)
                for step in sorted(steps, reverse=True):
                    take(step, time, number, replaces=strict and step == 0)  # which it breaks
                if strict:
                    chains = [chain if chain and chain["events"][-1] == number else None for chain in chains]
        else:
            for step, number, time in sorted((step, one[3], one[0]) for one in same for step in one[1]):
                take(step, time, number)
        if best and best["depth"] == n_steps - 1 and not best["excluded"]:
            break
    if best is None or best["excluded"]:
        return None
    return [best["times"].get(step) for step in range(n_steps)]


def unordered(events, n_steps, window, *, has_exclusions=False):
    """Return the sorted times of the most different steps within one window, or None when there is none."""
    kept = [one for one in events if one[1] or (has_exclusions and one[2])]
    # Between two like it an event of one step is passed over.
    kept = [
        one
        for before, one, after in zip([None, *kept], kept, [*kept[1:], None], strict=False)
        if len(one[1]) > 1 or not (before and after and before[1:] == one[1:] == after[1:])
        or not before[0] < one[0] < after[0]
    ]  # fmt: skip
    best = []
    for _, times in windows(kept, n_steps, window, has_exclusions=has_exclusions):
        if len(times) > len(best):
            best = times
    return sorted(best) or None


def windows(events, n_steps, window, *, has_exclusions=False):
    """Return per window when it began and, of each step in it, when it was taken first."""
    queues, found = [[] for _ in range(n_steps)], []

    def end_oldest():
        oldest = min((queue for queue in queues if queue), key=lambda queue: queue[0][1])
        found.append((oldest[0][0], [queue[0][0] for queue in queues if queue]))
        oldest.pop(0)

    for number, (time, steps, blocked) in enumerate(events):
        while any(queues) and (all(queues) or time - min(queue[0][0] for queue in queues if queue) > window):
            end_oldest()
        if steps:
            queues[min(steps, key=lambda step: (queues[step][-1][0] if queues[step] else -1, step))].append(
                (time, number)
            )
        elif has_exclusions and blocked:
            queues = [[] for _ in range(n_steps)]
    while any(queues):
        end_oldest()
    return found


def attempt(events, n_steps, window, start, *, strict=False, exclusions=()):
    """Return the furthest step of the attempt that begins at event `start`, None when it passes an exclusion.

    For histories without two events at one instant.
    """
    entry, reached = events[start][0], 0
    for time, steps, blocked in events[start + 1 :]:
        if time - entry > window or reached == n_steps - 1:
            break
        if any(exclusions[index][0] <= reached < exclusions[index][1] for index in blocked):
            return None
        if reached + 1 in steps:
            reached += 1
        elif strict:
            break
    return reached
