"""Question 2: how much of a difference between two models is meaning, and how much is rounding?"""

from asking import show
from pairs import all_pairs


def measure(names: tuple[str, ...] | None = None) -> dict:
    """For each pair of models with the same weights: the identity a - b = semantics + rounding(a) - rounding(b)."""
    rows, comparisons = [], {}
    for name, make in all_pairs().items():
        if names is None or name in names:
            pair = make()
            found = comparisons[name] = pair.compare()
            target = found.targets[0]
            rows.append({
                "pair": name,
                "difference": target.difference.norm,
                "semantics": target.semantics.norm if not target.same else 0.0,
                "rounding Keras": target.rounding_a.norm,
                "rounding torch": target.rounding_b.norm,
                "verdict": str(found.verdict),
                "cause": ", ".join(c.code for c in found.causes) or "–",
                "correct": pair.correct,
            })  # fmt: skip
    return {"pairs": rows, "comparisons": comparisons}


if __name__ == "__main__":
    show(__doc__, measure)
