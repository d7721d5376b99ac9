"""The rows: for each operation the lines that a user of the framework would write.

In a row the operation's arrays and attributes are names, an array that was left out is None, and the results are
assigned to the operation's output names. Conversions of layout belong to the row, since a person porting a model has
to write them. Lines before a blank line build what is built once (a layer, from shapes alone).
"""


def each(names: str, text: str) -> dict[str, str]:
    """A row of the same `text` for each of `names`, with {} the framework's name where it differs: "asin:arcsin"."""
    pairs = (name.partition(":") for name in names.split())
    return {name: text.format(own or name) for name, _, own in pairs}
