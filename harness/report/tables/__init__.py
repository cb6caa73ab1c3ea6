"""Tables: a module each with a `TABLE`, registered by being here; `spec`, `cells` and `render` are what they share."""
