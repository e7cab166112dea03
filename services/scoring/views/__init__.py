"""What readers see of scoring."""
