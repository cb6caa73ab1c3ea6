"""The site: static pages made of the records, opened from disk without a server or a network."""
