"""What is done to the output of a trained network."""
