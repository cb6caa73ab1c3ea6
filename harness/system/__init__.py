"""What the rest stands on: files, locks, processes, signals, the machine. Imports no other room."""
