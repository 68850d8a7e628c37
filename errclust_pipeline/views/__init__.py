"""Tables read into arrays by position on the map. What is computed from them is in `analysis`."""
