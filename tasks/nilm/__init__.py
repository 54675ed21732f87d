"""nilm: which appliance is on, and how many watts it draws, from a house's meter."""
