"""Comparisons made up for what shows them: any number of causes, nodes, targets, steps, names of any length."""

from oracle.comparisons.comparison import Accused, Cause, Comparison, DriftPart, DriftStep, Line, Meaning, Part, Target

LONG = "encoder.layers.11.self_attention.output.dense." + "a_very_long_name_that_nobody_should_have_chosen" * 3
NASTY = "<script>alert(1)</script>&[bold]"


def target(k: int = 0, kind: str = "outputs", name: str = "") -> Target:
    parts = (Part(1e-2 / (k + 1), -3e-3, (k, 1)), Part(9e-3 / (k + 1), -3e-3, (k, 1)))
    return Target(kind, name or f"{kind}.{k}", name or f"{kind}.{k}", 3.0, *parts,
                  Part(2e-3, 1e-4, (0, 0)), Part(1e-3, 1e-4, (0, 0)), 1e-9)  # fmt: skip


def cause(k: int, name: str = "fc1") -> Cause:
    return Cause(
        code="eps",
        node_a=f"aten.native_layer_norm.default in {name} (train.py:{k})",
        node_b=f"layer_norm in {name} (model.py:{k})",
        share=0.6 if k == 0 else 0.4 / k,
        residual=0.5 ** (k + 1),
        before=0.5**k,
        fix_a=f"torch.nn.LayerNorm(..., eps=1e-0{k % 9 + 1})  # {name}",
        fix_b=f"keras.layers.LayerNormalization(epsilon=1e-0{k % 9 + 1})  # {name}",
        detail=f"eps: 0.001 in A, 1e-0{k % 9 + 1} in B",
        reproduction="import torch\n\nx = torch.ones(3)\nprint(x)\n" + "# a line that goes on " * 12,
        target="outputs",
    )


def comparison(causes: int = 2, nodes: int = 12, steps: int = 0, name: str = "fc1", **changes) -> Comparison:
    """A comparison with so many causes, nodes on each side and training steps."""
    states = ["first" if k == nodes // 3 else "unmatched" if k > nodes // 3 else "matched" for k in range(nodes)]
    if not causes:
        states = ["matched"] * nodes
    lines = tuple(Line("aten.addmm.default", name, f"train.py:{k}", s) for k, s in enumerate(states))
    kinds = ("outputs", "loss", "gradients", "parameters") if steps else ("outputs",)
    values = {
        "name_a": "models:mine",
        "name_b": "models:port",
        "verdict": Meaning.DIFFERENT if causes else Meaning.SAME,
        "targets": tuple(target(k, kind, name) for kind in kinds for k in range(3 if steps else 1)),
        "causes": tuple(cause(k, name) for k in range(causes)),
        "accused": (),
        "unmatched": (),
        "aligned": (nodes - causes, nodes),
        "nodes_a": lines,
        "nodes_b": lines,
        "notes": (f"a note about {name}",),
        "drift": tuple(
            DriftStep(s, kind, 1e-3 * (s + 1), 9e-4 * (s + 1), 1e-6 * (s + 1), 2e-6)
            for s in range(steps)
            for kind in ("loss", "parameters")
        ),
        "drift_by_operation": tuple(
            DriftPart(side, s, "optimizer", "aten.add_.Tensor", name, 1e-7, 0.1)
            for side in "AB"
            for s in range(min(steps, 4))
        ),
    }
    return Comparison(**{**values, **changes})


def accused(name: str = "fc1") -> Comparison:
    """The same meaning, an operation beyond its budget."""
    return comparison(
        1, verdict=Meaning.SAME_BEYOND_BUDGET, accused=(Accused("B", "aten.exp.default", name, "model.py:3", 12.5),)
    )
