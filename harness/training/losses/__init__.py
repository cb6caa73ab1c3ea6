"""The losses that a protocol can name: a module each, called as it, with a `LOSS`.

A loss is offered at planning already, so that none of these modules imports torch when it is imported itself.
"""
