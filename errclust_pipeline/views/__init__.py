"""Tables read into arrays on the map; read once, nothing computed."""
