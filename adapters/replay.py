"""A recorded operation as a script that anybody can run: the framework's own call on the recorded inputs.

The script loads the trace, runs the one operation, says whether the result is the recorded one bit for bit, and how far
it is from the truth. What is printed is what is run: the tests execute these very lines.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from oracle.trace import Node, Trace


class Unrepeatable(Exception):
    """Why an operation cannot be run alone; the message completes "cannot be run alone: "."""


def script(trace: Trace, node: Node, path: str = "run.trace") -> str:
    """A script that runs `node` again on its recorded inputs, read from the trace at `path`."""
    place = f"{node.op}{f' in {node.scope}' if node.scope else ''}, {node.phase}"
    framework = importlib.import_module(f"oracle.adapters.replay_{trace.framework}")
    try:
        call = framework.call(trace, node)
    except Unrepeatable as reason:
        return f"# {place}\n# cannot be run alone: {reason}\n"
    return f"""# {place}: operation {node.index} of a recorded run of {trace.framework} {trace.version}
import oracle
from oracle.adapters.replay import results
from oracle.explanations.replaying import report
{framework.IMPORTS}

trace = oracle.load_trace({path!r})  # written by oracle.save_trace(trace, {path!r})
{call}
print(report(trace, {node.index}, made))
"""


def values_line(node: Node, make: str) -> str:
    """The line that names the recorded inputs v3, v5, ..., each made an array of the framework by `make`."""
    ids = list(dict.fromkeys(node.reads))
    if not ids:
        return "# no inputs"
    alone = "," if len(ids) == 1 else ""
    names, numbers = ", ".join(f"v{i}" for i in ids), ", ".join(map(str, ids))
    return f"{names}{alone} = ({make}(trace.values[i].array) for i in ({numbers}{alone}))"


def results(out: Any, written: Sequence[Any] = ()) -> list[Any]:
    """The arrays that a call returned and did not write, then those that it wrote: in the order of a node's outputs."""
    flat = [x for part in out for x in results(part)] if isinstance(out, list | tuple) else [out]
    mine = {id(x) for x in written}
    return [x for x in flat if hasattr(x, "shape") and id(x) not in mine] + list(written)
