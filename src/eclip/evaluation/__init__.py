"""Scores of a model on a store, with an interval on each, and the page that shows them."""
