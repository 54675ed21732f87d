"""forecast: the next steps of the channels themselves."""
