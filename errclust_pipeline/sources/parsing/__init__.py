"""What readers share to parse files."""
