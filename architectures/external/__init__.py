"""Networks of other libraries and of plugins."""
