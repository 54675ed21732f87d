"""A model that is judged, trained once more on everything."""
