"""How the architectures are compared: protocol, runs, measurements, records and reports."""
