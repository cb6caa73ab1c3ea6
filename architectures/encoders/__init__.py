"""The encoders of the networks here, and how weights get into them."""
