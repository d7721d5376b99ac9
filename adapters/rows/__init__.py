"""The rows: for each operation the lines that a user of the framework would write.

In a row the operation's arrays and attributes are names, an array that was left out is None, and the results are
assigned to the operation's output names. Conversions of layout belong to the row, since a person porting a model has
to write them. Lines before a blank line build what is built once (a layer, from shapes alone).
"""
